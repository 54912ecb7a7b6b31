"""Where the stores of a worker's tasks lie, and what becomes of those that cannot be used as they lie there."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.windows import TimeWindows
from streams.topology.topology import Topology
from tests.streams.runtime.workers import Restores, caught_up, latest, running, until, worker

TODAY = 1_700_000_000_000
WORDS = ["to", "be", "or", "not", "to", "be"]


def counting(grace_hours: int) -> Callable[[StreamsConfig], Topology]:
    """A program that counts words by the hour, and waits so long for late ones."""

    def topology(config: StreamsConfig) -> Topology:
        builder = StreamsBuilder()
        counts = (
            builder.stream("words", key=str, value=str)
            .group_by(lambda _key, word: word, key=str, value=str, name="by-word")
            .windowed_by(TimeWindows.of("1 h", grace=f"{grace_hours} h"))
            .count(name="counts")
        )
        counts.to_stream().map(lambda key, count: (key.key, count), key=str, value=int).to("counts")
        return builder.build(config)

    return topology


def said(broker: MemoryBroker, words: list[str]) -> None:
    """All within an hour of today: segments are numbered from 1970 on, and the first ones tell little."""
    producer = MemoryClients(broker).producer()
    for at, word in enumerate(words):
        producer.send("words", 0, [None], [word.encode()], [TODAY + at])


@pytest.mark.parametrize(("before", "after", "restores"), [(30, 10, True), (30, 30, False)])
def test_windows_that_are_kept_for_another_time_than_before_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, before: int, after: int, restores: bool
) -> None:
    """A program with another grace has segments of another length, and would not find what lies in those on disk."""
    caplog.set_level(logging.WARNING)
    broker, restored = MemoryBroker(), Restores()
    for topic in ("words", "counts"):
        broker.create(NewTopic(topic, 1))
    for grace_hours in (before, after):
        said(broker, WORDS)
        with running(worker(broker, tmp_path, restored, topology=counting(grace_hours))):
            until(broker, lambda: caught_up(broker))
    assert latest(broker) == Counter(WORDS * 2)
    assert (restored.records > 0, "segments of" in caplog.text) == (restores, restores)
