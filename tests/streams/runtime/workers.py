"""Workers over clients in memory, each on a thread of its own, and what is needed to watch them."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.record import TopicPartition
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker, WorkerState
from streams.serdes import serde_for
from streams.topology.topology import Topology

_spec = importlib.util.spec_from_file_location("counting_app", Path(__file__).with_name("counting_app.py"))
counting_app = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(counting_app)

WORDS = ["to", "be", "or", "not", "to", "be", "that", "is"]
GROUP = "words-app"


class Restores(SilentListener):
    """Counts what was restored."""

    def __init__(self) -> None:
        self.records = 0

    def ended(self, store: str, partition: TopicPartition, records: int) -> None:
        self.records += records


def say(broker: MemoryBroker, words: list[str]) -> None:
    producer = MemoryClients(broker).producer()
    for at, word in enumerate(words):
        producer.send("words", at % 2, [None], [word.encode()], [1_000 + at])


def worker(
    broker: MemoryBroker,
    state_dir: Path,
    progress: Any = None,
    *,
    timers: Any = (),
    clients: MemoryClients | None = None,
    topology: Callable[[StreamsConfig], Topology] = counting_app.topology,
    **settings: Any,
) -> Worker:
    given = {"broker": "kafka://memory:1", "state_dir": str(state_dir), "commit_interval_ms": 20} | settings
    config = StreamsConfig.of(GROUP, given)

    def changed(*_states: WorkerState) -> None:
        with broker.changed:
            broker.changed.notify_all()

    return Worker(
        topology(config),
        config,
        clients or MemoryClients(broker),
        timers=timers,
        restore_progress=progress or SilentListener(),
        on_state=changed,
    )


@contextmanager
def running(*workers: Worker) -> Iterator[tuple[Worker, ...]]:
    """Run workers on threads of their own, and stop those that still run."""
    threads = [threading.Thread(target=each.run) for each in workers]
    for thread in threads:
        thread.start()
    try:
        yield workers
    finally:
        for each in workers:
            each.stop()
        for thread in threads:
            thread.join()


def until(broker: MemoryBroker, holds: Callable[[], bool]) -> None:
    """Wait until something holds, looking whenever the broker changes, and once in a while."""
    with broker.changed:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline
            broker.changed.wait(0.05)


def latest(broker: MemoryBroker) -> dict[str, int]:
    """The last count of each word in the output."""
    return {record.key.decode(): serde_for(int).deserialize(record.value) for record in broker.records("counts")}


def caught_up(broker: MemoryBroker) -> bool:
    """Whether every record of every input is committed."""
    offsets = broker.groups[GROUP].offsets
    inputs = [
        TopicPartition(topic, number)
        for topic in broker.topics()
        if topic == "words" or topic.endswith("-repartition")
        for number in range(len(broker.partitions(topic)))
    ]
    return len(broker.topics()) > 2 and all(
        broker.partition(part).end == (offsets[part].offset if part in offsets else 0) for part in inputs
    )


def with_words() -> MemoryBroker:
    """A broker with both topics in two partitions, and the words said."""
    broker = MemoryBroker()
    broker.create(NewTopic("words", 2))
    broker.create(NewTopic("counts", 2))
    say(broker, WORDS)
    return broker
