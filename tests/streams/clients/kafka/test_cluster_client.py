"""The client of a cluster some of whose brokers are gone, or have gone elsewhere."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import BrokerMetadata

from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients, KafkaConsumer
from streams.clients.kafka.cluster_client import CONNECTING_MS, Unmet, cluster_client
from streams.clients.kafka.network import Line
from streams.config import StreamsConfig
from streams.record import TopicPartition
from tests.broker.process import BrokerProcess

pytestmark = pytest.mark.broker

SILENT = 99


@asynccontextmanager
async def beside_a_silent_node(broker_url: str, **settings: Any) -> AsyncIterator[Any]:
    """A client of a broker and of a node that takes connections and says nothing, which is node SILENT."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = broker_url.removeprefix("kafka://")
        settings = {"request_timeout_ms": 8_000, **settings, "bootstrap_servers": [address]}
        client: Any = cluster_client(creates_topics=False, **settings)
        await client.bootstrap()
        client.cluster._brokers[SILENT] = BrokerMetadata(SILENT, "127.0.0.1", silent.getsockname()[1], None)
        try:
            yield client
        finally:
            await client.close()


def real_node(client: Any) -> int:
    """The node that answers."""
    (node,) = [broker.nodeId for broker in client.cluster.brokers() if broker.nodeId != SILENT]
    return int(node)


def test_a_node_that_is_gone_keeps_nobody_from_the_others(broker_url: str) -> None:
    """While one connection is being made others are, to other nodes and by other lines, and the metadata is renewed."""

    async def run() -> None:
        async with beside_a_silent_node(broker_url) as client:
            node = real_node(client)
            assert await client.ready(node)
            waiting = asyncio.create_task(client.ready(SILENT))
            await asyncio.sleep(0.05)
            async with asyncio.timeout(4):
                assert await client.ready(node, group=Line.REQUESTS)
                assert await client.force_metadata_update()
            assert not waiting.done()
            waiting.cancel()

    asyncio.run(run())


def test_what_any_node_can_answer_is_asked_of_one_that_answers(broker_url: str) -> None:
    """Not of one that cannot be connected to, nor of one that has owed an answer for long; of that where there is no other."""

    async def run() -> None:
        async with beside_a_silent_node(broker_url, connecting_ms=300) as client:
            node = real_node(client)
            assert await client.ready(node)
            assert {client.get_random_node() for _ in range(50)} == {node, SILENT}
            assert not await client.ready(SILENT)
            assert {client.get_random_node() for _ in range(50)} == {node}
            assert client._nodes_to_ask() == [node, SILENT]
            client.cluster._brokers.pop(node)
            assert client.get_random_node() == SILENT

    asyncio.run(run())


def test_a_frozen_node_is_asked_for_nothing_that_others_know(tmp_path: Path, broker_url: str) -> None:
    """It was connected, and owes an answer: the metadata comes from another, and so does who coordinates."""

    async def run() -> None:
        frozen = BrokerProcess(tmp_path / "data").start()
        async with beside_a_silent_node(broker_url, request_timeout_ms=600_000) as client:
            host, port = frozen.address.split(":")
            client.cluster._brokers[SILENT] = BrokerMetadata(SILENT, host, int(port), None)
            node = real_node(client)
            assert await client.ready(node)
            assert await client.ready(SILENT)
            frozen.process.send_signal(signal.SIGSTOP)
            try:
                asked = asyncio.create_task(client.send(SILENT, MetadataRequest([])))
                while {client.get_random_node() for _ in range(50)} != {node}:  # noqa: ASYNC110  a pace, not a wait
                    await asyncio.sleep(0.1)
                async with asyncio.timeout(30):
                    for _ in range(5):
                        assert await client.coordinator_lookup(CoordinationType.GROUP, "g") == node
                assert client._nodes_to_ask() == [node, SILENT]
                assert not asked.done()
                frozen.process.send_signal(signal.SIGCONT)
                await asked
                assert {client.get_random_node() for _ in range(50)} == {node, SILENT}
            finally:
                frozen.process.send_signal(signal.SIGCONT)
                frozen.stop()

    asyncio.run(run())


def test_connecting_has_a_limit_of_its_own(broker_url: str) -> None:
    """All who wait for a node hear at once that it cannot be reached; requests may take as long as is set."""
    assert CONNECTING_MS == 10_000

    async def run() -> None:
        async with beside_a_silent_node(broker_url, connecting_ms=300) as client:
            begun = time.monotonic()
            assert await asyncio.gather(*(client.ready(SILENT) for _ in range(20))) == [False] * 20
            assert time.monotonic() - begun < 4
            node = real_node(client)
            assert await client.ready(node)
            assert client._conns[node, Line.FETCHING]._request_timeout == 8

    asyncio.run(run())


def test_a_silent_address_takes_no_longer_than_connecting_may(broker_url: str) -> None:
    """At first contact: the next address is asked then, though an answer to a request may take long."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            addresses = [f"127.0.0.1:{silent.getsockname()[1]}", broker_url.removeprefix("kafka://")]
            settings: dict[str, Any] = {"bootstrap_servers": addresses, "request_timeout_ms": 600_000}
            client = cluster_client(creates_topics=False, connecting_ms=300, **settings)
            async with asyncio.timeout(20):
                await client.bootstrap()
            assert client.cluster.brokers()
            await client.close()

    asyncio.run(run())


def test_what_each_address_has_to_say() -> None:
    """Where none answers: all of them, each with its reason."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as silent:
            ports = [free.getsockname()[1], silent.getsockname()[1]]
            free.close()
            addresses = [f"127.0.0.1:{port}" for port in ports]
            settings: dict[str, Any] = {"bootstrap_servers": addresses, "request_timeout_ms": 600_000}
            client = cluster_client(creates_topics=False, connecting_ms=300, **settings)
            with pytest.raises(Unmet) as unmet:
                await client.bootstrap()
            refused, silence = sorted(unmet.value.failures, key=lambda failure: addresses.index(failure[0]))
            assert isinstance(refused[1].__cause__ or refused[1], ConnectionRefusedError)
            assert isinstance(silence[1], KafkaError | TimeoutError)
            await client.close()

    asyncio.run(run())


def test_brokers_that_have_other_addresses_are_found_again(tmp_path: Path) -> None:
    """By the settings, which name both: with the same data a broker comes back elsewhere, and who reads goes on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        elsewhere = free.getsockname()[1]
    broker, part = BrokerProcess(tmp_path / "data").start(), TopicPartition("t", 0)
    url = f"kafka://{broker.address},127.0.0.1:{elsewhere}"
    with closing(KafkaClients(StreamsConfig.of("idle", {"broker": url}, environment={}))) as clients:
        try:
            clients.admin().create([NewTopic("t", 1)])
            consumer, producer = clients.consumer(group=None), clients.producer()
            consumer.assign([part])
            for value in (b"before", b"after"):
                producer.send("t", 0, [None], [value], [7])
                producer.flush()
                assert next_value(consumer) == value
                if value == b"before":
                    broker.stop()
                    broker.port = elsewhere
                    broker.start()
        finally:
            broker.stop()


def next_value(consumer: KafkaConsumer) -> bytes:
    """The value of the record that comes next."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for batch in consumer.poll(0.1):
            (value,) = batch.columns().values
            assert isinstance(value, bytes)
            return value
    pytest.fail("nothing came")


def test_a_client_that_is_closed_connects_no_more(broker_url: str) -> None:
    """Whoever waits is told, and nothing stays open."""

    async def run() -> None:
        async with beside_a_silent_node(broker_url) as client:
            waiting = asyncio.create_task(client.ready(SILENT))
            await asyncio.sleep(0.05)
            await client.close()
            assert not await asyncio.wait_for(waiting, 4)
            assert not client._connecting

    asyncio.run(run())
