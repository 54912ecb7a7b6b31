"""What a worker wrote for tasks that it lost, and that is on its way still, when it is given them again.

The producer here is the one in memory, whose changelog records land when the test lets them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.clients.memory.producer import MemoryProducer
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.stores import key_value_store
from streams.processor import Processor, ProcessorContext
from streams.record import Record
from streams.runtime.worker import Worker
from streams.topology.topology import Topology
from tests.streams.runtime.workers import GROUP, running, until, worker

CHANGELOG = f"{GROUP}-seen-changelog"


class _Landed:
    """Over once nothing is on its way."""

    def __init__(self, producer: SlowProducer) -> None:
        self._producer = producer

    def done(self) -> bool:
        self._producer.asked += 1
        return not self._producer.on_its_way

    def result(self) -> None:
        self._producer.landed.wait()


class SlowProducer(MemoryProducer):
    """Its changelog records land when told, in order."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.on_its_way: list[tuple[Any, ...]] = []
        self.landed = threading.Event()
        self.has_left = True
        """Whether what is on its way can be withdrawn no more."""
        self.asked = 0
        """How often somebody wanted to know whether all has landed."""

    def send(self, topic: str, *columns: Any) -> Sequence[int]:
        if topic == CHANGELOG and not self.landed.is_set():
            self.on_its_way.append((topic, *columns))
            return ()
        return super().send(topic, *columns)

    def withdraw(self) -> None:
        if not self.has_left:
            self.on_its_way.clear()

    def begin_flush(self) -> Any:
        return _Landed(self)

    def land(self) -> None:
        """Have all of it arrive, and what follows at once."""
        with self._broker.changed:
            for sent in self.on_its_way:
                super().send(*sent)
            self.landed.set()
            self.on_its_way.clear()


class SlowClients(MemoryClients):
    """Makes one such producer."""

    def producer(self, **_settings: Any) -> SlowProducer:
        self.made = SlowProducer(self.broker)
        return self.made


def remembering(attempts: list[int]) -> Callable[[StreamsConfig], Topology]:
    """Keeps each word it saw with the number of the attempt: what a task writes when it begins anew is something else."""

    class Remembers(Processor):
        def init(self, context: ProcessorContext) -> None:
            super().init(context)
            attempts.append(len(attempts) + 1)
            self._seen = context.store("seen")

        def process(self, record: Record) -> None:
            self._seen.put(f"{record.value} {len(attempts)}", len(attempts))

    builder = StreamsBuilder()
    builder.add_state_store(key_value_store("seen", str, int))
    builder.stream("words", key=str, value=str).process(Remembers, stores=["seen"])
    return builder.build


def found(work: Worker) -> list[str]:
    """What the store has."""
    return [key for store in work.stores("seen") for key, _ in store.all()]


def counting_attempts(
    broker: MemoryBroker, clients: SlowClients, folder: Path, attempts: list[int], store: str
) -> Worker:
    """A worker that has one word to remember, and commits when it is asked to."""
    broker.create(NewTopic("words", 1))
    MemoryClients(broker).producer().send("words", 0, [None], [b"to"], [1_000])
    return worker(
        broker,
        folder,
        clients=clients,
        topology=remembering(attempts),
        commit_interval_ms=600_000,
        default_dsl_store=store,
    )


@pytest.mark.parametrize("store", ["rocksDB", "in_memory"])
def test_a_store_has_what_was_on_its_way_when_its_task_was_lost(tmp_path: Path, store: str) -> None:
    """Restored up to an end before it, the store would lack what its changelog has, for as long as it lives."""
    broker, attempts = MemoryBroker(), list[int]()
    clients = SlowClients(broker)
    work = counting_attempts(broker, clients, tmp_path, attempts, store)
    with running(work):
        until(broker, lambda: work.processed == 1)
        work._consumer.expire()
        until(broker, lambda: clients.made.asked > 2 or attempts == [1, 2])
        begun = list(attempts)
        clients.made.land()
        assert begun == [1]
        until(broker, lambda: work.processed == 2)
        assert attempts == [1, 2]
        written = [record.key.decode() for record in broker.records(CHANGELOG)]
        assert written == ["to 1", "to 2"]
        assert sorted(found(work)) == written


def test_what_had_not_left_is_not_written_once_its_task_is_lost(tmp_path: Path) -> None:
    """Another worker may have the task: its changelog would get what its store never had."""
    broker, attempts = MemoryBroker(), list[int]()
    clients = SlowClients(broker)
    work = counting_attempts(broker, clients, tmp_path, attempts, "in_memory")
    with running(work):
        until(broker, lambda: work.processed == 1)
        clients.made.has_left = False
        work._consumer.expire()
        until(broker, lambda: work.processed == 2)
        clients.made.land()
        assert [record.key for record in broker.records(CHANGELOG)] == [b"to 2"]
        assert found(work) == ["to 2"]
