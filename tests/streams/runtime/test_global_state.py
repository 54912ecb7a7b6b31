"""Global tables: complete before the first record, and followed afterwards."""

from __future__ import annotations

import threading
from pathlib import Path

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker


def joining(broker: MemoryBroker, state_dir: Path) -> Worker:
    """Rides joined with zones by the zone they name."""
    builder = StreamsBuilder()
    zones = builder.global_table("zones", key=str, value=str)
    rides = builder.stream("rides", key=str, value=str)
    rides.join(zones, lambda ride, zone: f"{ride} in {zone}", on=lambda _key, ride: ride[0]).to("out")
    config = StreamsConfig.of("global", {"broker": "kafka://memory:1", "state_dir": str(state_dir), "poll_ms": 1})
    return Worker(builder.build(config), config, MemoryClients(broker), restore_progress=SilentListener())


def values(broker: MemoryBroker) -> list[bytes]:
    return [record.value for record in broker.records("out")]


def test_all_partitions_are_read_before_the_first_record(tmp_path: Path) -> None:
    """Both zones lie in other partitions than the rides, and are there at once; a later change shows too."""
    broker = MemoryBroker()
    for name, partitions in (("zones", 2), ("rides", 1), ("out", 1)):
        broker.create(NewTopic(name, partitions))
    producer = MemoryClients(broker).producer()
    producer.send("zones", 0, [b"a"], [b"Astoria"], [0])
    producer.send("zones", 1, [b"b"], [b"Bronx"], [0])
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
    worker.stop()
    thread.join()
    assert values(broker) == [b'"a1 in Astoria"', b'"b2 in Bronx"', b'"a3 in Arrochar"']
