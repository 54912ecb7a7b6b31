"""Global tables: complete before the first record, and followed afterwards."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients, MemoryConsumer
from streams.clients.raw_batch import RawBatch
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Topic
from streams.dsl.stores import key_value_store
from streams.errors import BrokerUnreachable, ProcessingError
from streams.on_error import on_error_of
from streams.processor import Processor
from streams.record import Record
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker
from streams.testing import TopologyTestDriver
from streams.topology.topology import Topology


def joining(broker: MemoryBroker, state_dir: Path, clients: MemoryClients | None = None) -> Worker:
    """Rides joined with zones by the zone they name."""
    builder = StreamsBuilder()
    zones = builder.global_table("zones", key=str, value=str)
    rides = builder.stream("rides", key=str, value=str)
    rides.join(zones, lambda ride, zone: f"{ride} in {zone}", on=lambda _key, ride: ride[0]).to("out")
    config = StreamsConfig.of("global", {"broker": "kafka://memory:1", "state_dir": str(state_dir), "poll_ms": 1})
    return Worker(builder.build(config), config, clients or MemoryClients(broker), restore_progress=SilentListener())


def values(broker: MemoryBroker) -> list[bytes]:
    return [record.value for record in broker.records("out")]


def test_all_partitions_are_read_before_the_first_record(tmp_path: Path) -> None:
    """Both zones lie in other partitions than the rides, and are there at once; a later change shows too. A row without a key counts as dropped."""
    broker = MemoryBroker()
    for name, partitions in (("zones", 2), ("rides", 1), ("out", 1)):
        broker.create(NewTopic(name, partitions))
    producer = MemoryClients(broker).producer()
    producer.send("zones", 0, [b"a"], [b"Astoria"], [0])
    producer.send("zones", 1, [None, b"b"], [b"no key", b"Bronx"], [0, 0])
    producer.send("rides", 0, [b"1", b"2"], [b"a1", b"b2"], [1, 2])
    worker = joining(broker, tmp_path)
    thread = threading.Thread(target=worker.run)
    thread.start()
    with broker.changed:
        assert broker.changed.wait_for(lambda: len(values(broker)) == 2, timeout=20)
    producer.send("zones", 1, [b"a"], [b"Arrochar"], [0])
    while worker.stores(worker._topology.global_stores[0].store.name)[0].get("a")[0] != "Arrochar":
        threading.Event().wait(0.001)
    producer.send("rides", 0, [b"3"], [b"a3"], [3])
    with broker.changed:
        assert broker.changed.wait_for(lambda: len(values(broker)) == 3, timeout=20)
    dropped = worker.status().dropped
    worker.stop()
    thread.join()
    assert values(broker) == [b'"a1 in Astoria"', b'"b2 in Bronx"', b'"a3 in Arrochar"']
    assert dropped == 1


class Reader(MemoryConsumer):
    """Tells whether it was closed; the broker of the first one goes away."""

    away = False
    closed = False

    def poll(self, timeout_s: float) -> list[RawBatch]:
        if self.away:
            raise BrokerUnreachable("the broker is away")
        return super().poll(timeout_s)

    def close(self) -> None:
        self.closed = True
        super().close()


class Readers(MemoryClients):
    """Keeps the consumers that read without a group."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.made: list[Reader] = []

    def consumer(self, *, group: str | None, **settings: Any) -> MemoryConsumer:
        if group is not None:
            return super().consumer(group=group, **settings)
        self.made.append(Reader(self.broker, None))
        self.made[-1].away = len(self.made) == 1
        return self.made[-1]


def test_a_start_that_fails_lets_go_of_what_it_reads_with(tmp_path: Path) -> None:
    """The broker goes away while the tables are read: the next try has a consumer of its own, and the first is closed."""
    broker = MemoryBroker()
    for name in ("zones", "rides", "out"):
        broker.create(NewTopic(name, 1))
    producer, clients = MemoryClients(broker).producer(), Readers(broker)
    producer.send("zones", 0, [b"a"], [b"Astoria"], [0])
    producer.send("rides", 0, [b"1"], [b"a1"], [1])
    worker = joining(broker, tmp_path, clients)
    thread = threading.Thread(target=worker.run)
    thread.start()
    with broker.changed:
        assert broker.changed.wait_for(lambda: values(broker), timeout=20)
    assert [reader.closed for reader in clients.made[:2]] == [True, False]
    worker.stop()
    thread.join()
    assert all(reader.closed for reader in clients.made)


class Checked(Processor):
    """Keeps whole numbers."""

    def process(self, record: Record) -> None:
        self.context.store("rates").put(record.key, int(record.value))


def rates(**settings: Any) -> Topology:
    """A global store of them, under settings that go on after errors."""
    builder = StreamsBuilder()
    builder.add_global_store(key_value_store("rates", str, int), "rates", Checked, key=str, value=str)
    builder.stream("rides", key=str, value=str).to("out")
    return builder.build(StreamsConfig.of("global", settings, environment={}))


def test_what_fills_a_global_store_fails_whatever_is_said_of_errors(tmp_path: Path) -> None:
    """Kafka's default: the handler of processing errors speaks of tasks."""
    broker = MemoryBroker()
    for name in ("rates", "rides", "out"):
        broker.create(NewTopic(name, 1))
    MemoryClients(broker).producer().send("rates", 0, [b"eur", b"usd"], [b"1", b"x"], [0, 1])
    settings = {"broker": "kafka://memory:1", "state_dir": str(tmp_path), "on_error": "continue", "poll_ms": 1}
    config = StreamsConfig.of("global", settings)
    worker = Worker(rates(), config, MemoryClients(broker), restore_progress=SilentListener())
    rescue = threading.Timer(20, worker.stop)
    rescue.start()
    with pytest.raises(ProcessingError, match=r"raised ValueError(?s:.)*processing_exception_handler_global_enabled"):
        worker.run()
    rescue.cancel()


@pytest.mark.parametrize("enabled", [False, True])
def test_the_handler_may_speak_of_global_stores_too(enabled: bool) -> None:
    """processing.exception.handler.global.enabled; what cannot be read is the other handler's in any case."""
    said: dict[str, Any] = {"on_error": "continue", "processing_exception_handler_global_enabled": enabled}
    config = StreamsConfig.of("global", said, environment={})
    with TopologyTestDriver(rates(), config=config) as driver:
        driver.pipe("rates", b"eur", b"\xff", 0)
        driver.pipe("rates", b"eur", b"1", 1)
        with nullcontext() if enabled else pytest.raises(ProcessingError, match="raised ValueError"):
            driver.pipe("rates", b"eur", b"x", 2)
        assert driver.store("rates").get("eur") == 1


def test_what_the_topic_of_a_global_store_says_of_errors_counts_through_both_doors() -> None:
    """A row that cannot be read is skipped where its topic says so, though the application fails."""
    store, topic = key_value_store("rates", str, int), Topic.of("rates", key=str, value=str)
    topic = replace(topic, on_error=on_error_of("continue"))
    dsl, wired = StreamsBuilder(), StreamsBuilder()
    dsl.add_global_store(store, topic, Checked)
    wired.topology.add_global_store(store, "source", topic, "filler", Checked)
    for builder in (dsl, wired):
        builder.stream("rides", key=str, value=str).to("out")
        with TopologyTestDriver(builder.build(StreamsConfig.of("global", {}, environment={}))) as driver:
            driver.pipe("rates", b"usd", b"\xff", 0)
            driver.pipe("rates", b"eur", b"1", 1)
            assert driver.store("rates").get("eur") == 1
