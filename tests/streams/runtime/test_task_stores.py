"""Where the stores of a worker's tasks lie, and what becomes of those that cannot be used as they lie there."""

from __future__ import annotations

import logging
import os
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from state import CorruptStore, StoreKind, StoreSpec
from state.directory import store_path
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.windows import TimeWindows
from streams.runtime.task import TaskId
from streams.runtime.task_stores import TaskStores
from streams.serdes import serde_for
from streams.topology.topology import Topology
from tests.streams.runtime.workers import WORDS as SAID
from tests.streams.runtime.workers import Restores, caught_up, latest, running, say, until, with_words, worker

WEEK_MS = 7 * 24 * 3_600_000
LONG_AGO_S = 1_000_000_000
TASK = TaskId(0, 0)
SPEC = StoreSpec(name="s", kind=StoreKind.KEY_VALUE, key_serde=serde_for(str), value_serde=serde_for(str))
TODAY = 1_700_000_000_000
WORDS = ["to", "be", "or", "not", "to", "be"]


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    given = {"broker": "kafka://memory:1", "state_dir": str(tmp_path)}
    made = TaskStores(StreamsConfig.of("app", given, environment={}))
    yield made
    made.close()


def test_a_note_that_cannot_be_written_stops_nobody(stores: TaskStores, caplog: pytest.LogCaptureFixture) -> None:
    """How far stores have come is a hint for others: where the disk does not take it, the one before stays."""
    store = stores.open(SPEC, TASK, None)
    store.commit(7)
    stores.note(TASK, [store])
    store.commit(50_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        stores.note(TASK, [store])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "how far task 0_0 has come cannot be noted" in caplog.text
    assert stores.positions() == {"0_0": 7}
    store.commit(60_000)
    stores.note(TASK, [store])
    assert stores.positions() == {"0_0": 60_000}
    store.close()


def test_a_store_that_was_found_damaged_is_set_aside_at_the_next_start(
    stores: TaskStores, caplog: pytest.LogCaptureFixture
) -> None:
    """RocksDB sees bad blocks when it reads them, not when it opens their file: whoever met one has the next start know."""
    store: Any = stores.open(SPEC, TASK, None)
    for number in range(2_000):
        store.put(f"key-{number:05}", f"value {number}")
    store.commit(5)
    store._engine.flush()
    store.close()
    stores.release(TASK)
    folder = store_path(Path(stores._directory.path) / str(TASK), "s")
    table = max(folder.glob("*.sst"), key=lambda path: path.stat().st_size)
    data = bytearray(table.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    table.write_bytes(data)
    store = stores.open(SPEC, TASK, None)
    with pytest.raises(CorruptStore):
        list(store.all())
    store.close()
    stores.release(TASK)
    fresh: Any = stores.open(SPEC, TASK, None)
    assert (fresh.position, list(fresh.all())) == (None, [])
    assert "store s of task 0_0 is not to be used, and set aside" in caplog.text
    fresh.close()
    stores.release(TASK)
    again = stores.open(SPEC, TASK, None)
    assert caplog.text.count("set aside as") == 1
    again.close()


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


@pytest.mark.parametrize(("age_ms", "restored"), [(WEEK_MS, True), (-1, False)])
def test_state_that_nobody_has_used_for_too_long_is_removed_at_a_start(
    tmp_path: Path, age_ms: int, *, restored: bool
) -> None:
    """And restored from its changelog, which by then may have forgotten what was deleted; -1, the default, keeps it."""
    broker, restores = with_words(), Restores()
    with running(worker(broker, tmp_path)):
        until(broker, lambda: caught_up(broker))
    for path in tmp_path.rglob("*"):
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    say(broker, SAID)
    with running(worker(broker, tmp_path, restores, state_cleanup_dir_max_age_ms=age_ms)):
        until(broker, lambda: caught_up(broker))
    assert bool(restores.records) == restored
    assert latest(broker) == Counter(SAID * 2)
