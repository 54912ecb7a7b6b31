"""When a worker commits, whatever happens to the clock on the wall."""

from __future__ import annotations

from collections import Counter
from itertools import chain, repeat
from pathlib import Path

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker
from tests.streams.runtime.workers import GROUP, WORDS, caught_up, counting_app, latest, running, say, until

HOUR_MS = 3_600_000


def test_a_clock_that_is_set_back_holds_up_no_commit(tmp_path: Path) -> None:
    """By an hour, right after the start: what is processed is committed after the interval all the same."""
    broker = MemoryBroker()
    for topic in ("words", "counts"):
        broker.create(NewTopic(topic, 2))
    config = StreamsConfig.of(
        GROUP, {"broker": "kafka://memory:1", "state_dir": str(tmp_path), "commit_interval_ms": 20}
    )
    clock = chain(repeat(10 * HOUR_MS, 3), repeat(9 * HOUR_MS)).__next__
    topology, clients = counting_app.topology(config), MemoryClients(broker)
    say(broker, WORDS)
    with running(Worker(topology, config, clients, clock=clock, restore_progress=SilentListener())):
        until(broker, lambda: caught_up(broker))
    assert latest(broker) == Counter(WORDS)
