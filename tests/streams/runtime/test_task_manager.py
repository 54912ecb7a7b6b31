"""Tasks that come beside tasks that run: what happens in which order."""

from __future__ import annotations

from collections import Counter
from itertools import count, pairwise
from pathlib import Path
from typing import Any

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.runtime.committer import CommitStep
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker
from tests.streams.runtime.workers import GROUP, WORDS, caught_up, counting_app, latest, running, say, until

PARTITIONS = 6


def test_stores_are_opened_one_by_one_beside_commits(tmp_path: Path) -> None:
    """A worker opens stores while it has tasks that run: between one and the next they have their turn, and commit.

    Each opening says a word, which the next round of the loop finds; its clock has a commit due whenever it is looked at.
    """
    broker = MemoryBroker()
    broker.create(NewTopic("words", PARTITIONS))
    broker.create(NewTopic("counts", PARTITIONS))
    events: list[str] = []

    def opens(_store: str, _options: Any) -> None:
        events.append("opens")
        say(broker, WORDS[:2])

    def steps(step: CommitStep) -> None:
        if step is CommitStep.COMMITTED:
            events.append("committed")

    given = {"broker": "kafka://memory:1", "state_dir": str(tmp_path), "commit_interval_ms": 1}
    config = StreamsConfig.of(GROUP, given | {"rocksdb_config_setter": opens})
    work = Worker(
        counting_app.topology(config),
        config,
        MemoryClients(broker),
        clock=count(1_000_000, 10).__next__,
        restore_progress=SilentListener(),
        after_commit_step=steps,
    )
    with running(work):
        until(broker, lambda: events.count("opens") == PARTITIONS and caught_up(broker))
    first = events.index("opens", events.index("opens") + 1)
    last = len(events) - events[::-1].index("opens")
    beside = events[first:last]
    assert ("opens", "opens") not in pairwise(beside)
    assert latest(broker) == Counter(dict.fromkeys(WORDS[:2], PARTITIONS))
