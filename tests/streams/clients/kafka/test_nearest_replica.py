"""Fetching from a replica nearby (KIP-392): a second broker holds what a leader names it for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import BrokerMetadata

from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients
from streams.clients.kafka.fetcher import Fetcher, FetchSettings
from streams.config import StreamsConfig
from streams.record import TopicPartition
from tests.apache_kafka.cluster import replicated
from tests.apache_kafka.libraries import KafkaMissingError
from tests.apache_kafka.node import ApacheKafka, Place

pytestmark = pytest.mark.broker

MakeClients = Callable[..., KafkaClients]
NEAR = 77
OTHER_LEADER = 78
NAMES_NEAR = (0, 0, 2, 2, 0, None, NEAR, b"")
"""What a leader answers for partition 0 instead of records."""


@pytest.fixture
def near(strict_broker: str, topic: str) -> Iterator[str]:
    """A broker that has one record less than the leader, and says so by its value."""
    clients = KafkaClients(StreamsConfig.of("near", {"broker": strict_broker}))
    clients.admin().create([NewTopic(topic, 3)])
    write(clients, topic, b"near")
    yield strict_broker.removeprefix("kafka://")
    clients.close()


def write(clients: KafkaClients, topic: str, *values: bytes) -> None:
    producer = clients.producer()
    producer.send(topic, 0, [None] * len(values), values, [0] * len(values))
    producer.flush()


class Reading:
    """A fetcher that reads a partition from an offset on, and has been told of the replica."""

    def __init__(self, topic: str, offset: int, **settings: Any) -> None:
        self.partition = TopicPartition(topic, 0)
        self._offset = offset
        self._settings = FetchSettings(1 << 20, 1 << 20, 1 << 24, read_committed=False, rack="here")._replace(
            **settings
        )
        self.arrived: asyncio.Queue[object] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        return self

    async def begin(self, leader: str, near: str) -> None:
        """Connect, and begin as if the leader had answered already."""
        self.client = AIOKafkaClient(bootstrap_servers=leader)
        await self.client.bootstrap()
        await self.client.set_topics([self.partition.topic])
        host, port = near.rsplit(":", 1)
        self.client.cluster._brokers[NEAR] = BrokerMetadata(NEAR, host, int(port), "here")
        put = self.arrived.put_nowait
        self.fetcher = Fetcher(self.client, self._settings, deliver=put, fail=put)
        self.fetcher.start(self.partition, self._offset, 1)
        self.fetcher._accept(self.partition, self.fetcher._states[self.partition], NAMES_NEAR)

    async def first_values(self) -> list[bytes | None]:
        """Of the first delivery with records."""
        while True:
            arrived = await asyncio.wait_for(self.arrived.get(), 30)
            assert isinstance(arrived, list), arrived
            if values := [value for each in arrived for batch in each.batches for value in batch.columns().values]:
                return values

    async def __aexit__(self, *_: object) -> None:
        await self.fetcher.close()
        await self.client.close()


async def read(leader: str, near: str, reading: Reading, meanwhile: str = "") -> list[bytes | None]:
    """The first values, when something has happened to the replica before it was read from."""
    async with reading:
        await reading.begin(leader, near)
        if meanwhile == "unknown":
            del reading.client.cluster._brokers[NEAR]
        if meanwhile == "leader":
            state = reading.fetcher._states[reading.partition]
            assert state.replica is not None
            state.replica = state.replica._replace(leader=OTHER_LEADER)
        return await reading.first_values()


def test_what_a_leader_names_is_read(make: MakeClients, broker_url: str, topic: str, near: str) -> None:
    """It has brought no records; and who is of no rack does not look at it."""
    write(make(), topic, b"far", b"far")
    leader = broker_url.removeprefix("kafka://")
    assert asyncio.run(read(leader, near, Reading(topic, 0))) == [b"near"]
    assert asyncio.run(read(leader, near, Reading(topic, 0, rack=""))) == [b"far", b"far"]


@pytest.mark.parametrize("what", ["time", "leader", "behind", "gone", "unknown"])
def test_the_leader_is_asked_again(make: MakeClients, broker_url: str, topic: str, near: str, what: str) -> None:
    """Kafka: the lease is over, another leads, the replica lacks the offset, cannot be reached, or is no broker."""
    write(make(), topic, b"far", b"far")
    leader = broker_url.removeprefix("kafka://")
    reading = Reading(topic, 1 + (what == "behind"), replica_s=0.0 if what == "time" else 300.0)
    if what == "behind":
        write(make(), topic, b"new")
    if what == "gone":
        near = "127.0.0.1:1"
    assert asyncio.run(read(leader, near, reading, what)) == ([b"new"] if what == "behind" else [b"far"])


@pytest.mark.kafka
@pytest.mark.slow
def test_apache_kafka_names_the_replica_of_the_rack(tmp_path: Path) -> None:
    """Two nodes in two racks: the whole partition is read from the one of the consumer's rack, whoever leads it."""
    places = [Place.of(1), Place.of(2)]
    chosen = {"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
    nodes = [
        ApacheKafka(
            tmp_path / f"node-{place.number}",
            {**replicated(2), **chosen, "broker.rack": f"rack-{place.number}"},
            memory="256m",
            place=place,
            places=places,
        )
        for place in places
    ]
    try:
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait()
        read_from_both(",".join(node.address for node in nodes))
    except KafkaMissingError as missing:
        pytest.skip(str(missing))
    finally:
        for node in nodes:
            node.kill()


def read_from_both(address: str) -> None:
    """Read one partition once in each rack."""
    nearest: list[int | None] = []
    part, sent = TopicPartition("racks", 0), [b"%d" % number for number in range(1_000)]
    for rack in ("rack-1", "rack-2"):
        clients = KafkaClients(StreamsConfig.of("racks", {"broker": f"kafka://{address}", "client_rack": rack}))
        if not nearest:
            clients.admin().create([NewTopic(part.topic, 1)])
            write(clients, part.topic, *sent)
        consumer = clients.consumer(group=None)
        consumer.assign([part])
        found: list[bytes | None] = []
        deadline = time.monotonic() + 60
        while len(found) < len(sent) and time.monotonic() < deadline:
            found += [value for batch in consumer.poll(0.2) for value in batch.columns().values]
        assert found == sent
        replica = consumer._fetcher._states[part].replica
        nearest.append(replica.node if replica else consumer._client.cluster.leader_for_partition(part))
        clients.close()
    assert nearest == [1, 2]
