"""Runs a program over records in batches of a given size, with commits at fixed points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from state import RecordCacheBudget, open_store
from streams.clients.memory import MemoryBroker, MemoryProducer
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.on_error import CONTINUE
from streams.record import Batch, TopicPartition
from streams.runtime.error_handlers import ErrorHandlers
from streams.runtime.task import Task, TaskEnvironment, TaskId
from streams.topology.compile import compile_task
from streams.topology.topology import Topology

ALL = 1 << 40

Input = tuple[str, bytes | None, bytes | None, int]
"""(topic, key, value, timestamp)"""


def topology_of(say: Callable[[StreamsBuilder], Any], **settings: Any) -> Topology:
    """The topology of a program, told to a builder."""
    builder = StreamsBuilder()
    say(builder)
    return builder.build(StreamsConfig.of("cut", settings, environment={}))


class Cutter:
    """A task over all sub-topologies that processes at most `size` records at a time.

    With `causes` record caches are not told which topic is processed, so that every update has to say its cause.
    Stores are in memory, or below `directory`.
    """

    def __init__(
        self,
        topology: Topology,
        size: int = ALL,
        cache_bytes: int = 0,
        handlers: ErrorHandlers | None = None,
        *,
        causes: bool = False,
        directory: Path | None = None,
    ) -> None:
        self.topics = topology.source_topics
        self.broker = MemoryBroker(create_topics=True)
        self._size = size
        self._positions: dict[str, int] = {}
        cache = RecordCacheBudget(cache_bytes)
        environment = TaskEnvironment(
            application_id="cut",
            producer=MemoryProducer(self.broker),
            clock=lambda: 0,
            open_store=lambda spec, _task, log: open_store(spec, directory=directory, changelog=log, cache=cache),
            handlers=handlers or ErrorHandlers(),
            record_cache=RecordCacheBudget(0) if causes else cache,
            emit_throttle_ms=0,
        )
        self.task = Task(
            TaskId(0, 0),
            lambda context: compile_task(topology, topology.subtopologies, context),
            [TopicPartition(topic, 0) for topic in self.topics],
            environment,
        )
        self.task.open()
        self.task.start()

    def feed(self, records: Iterable[Input]) -> None:
        """Process records, and what they set off, and commit."""
        for topic, key, value, timestamp in records:
            self.broker.append(TopicPartition(topic, 0), Batch([key], [value], [timestamp]))
        while self._take_new():
            while self.task.process(0, self._size):
                pass
            self.task.flush()
            self.task.commit_state()

    def _take_new(self) -> bool:
        found = False
        for topic in self.topics:
            batch = self.broker.read(TopicPartition(topic, 0), self._positions.get(topic, 0), ALL)
            if batch is not None:
                self._positions[topic] = batch.next_offset
                self.task.add(batch)
                found = True
        return found

    def written(self, topic: str) -> list[tuple[bytes | None, bytes | None, int]]:
        """Key, value and time of all records of a topic."""
        return [(record.key, record.value, record.timestamp) for record in self.broker.records(topic)]

    def seen(self) -> dict[str, Any]:
        """Everything that can be seen from outside: all topics, changelogs among them, and all stores."""
        topics = {topic: self.broker.records(topic) for topic in sorted(self.broker.topics())}
        stores: dict[str, Any] = {f"store {name}": list(store.all()) for name, store in self.task.stores.items()}
        return {**topics, **stores, "dropped": self.task.dropped_records}


def cut_matters(
    topology: Topology, chunks: Sequence[Sequence[Input]], cache_bytes: int, *, skips: bool = False
) -> str | None:
    """How batches of two, seven and all differ from single records, as in Kafka; None when they do not.

    There is a commit after each chunk. `skips`: what cannot be handled is left out.
    """
    reference: dict[str, Any] = {}
    for size, causes in ((1, False), (2, False), (7, True), (1_000, False), (1_000, True)):
        cutter = Cutter(topology, size, cache_bytes, skipping() if skips else None, causes=causes)
        for chunk in chunks:
            cutter.feed([record for record in chunk if record[0] in cutter.topics])
        seen = cutter.seen()
        reference = reference or seen
        for part in seen.keys() | reference.keys():
            if seen.get(part) != reference.get(part):
                return f"{part} in batches of {size}: {seen.get(part)}\n  one by one: {reference.get(part)}"
    return None


def skipping() -> ErrorHandlers:
    """Handlers that leave out what cannot be handled."""
    return ErrorHandlers(deserialization=CONTINUE, processing=CONTINUE, production=CONTINUE)


def texts(topic: str, *records: tuple[str | None, str | None, int]) -> list[Input]:
    """Records of text."""
    return [
        (topic, None if key is None else key.encode(), None if value is None else value.encode(), timestamp)
        for key, value, timestamp in records
    ]
