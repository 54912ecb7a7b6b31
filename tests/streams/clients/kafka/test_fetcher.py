"""The fetcher on a loop of the test's own, against the bundled broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.client import AIOKafkaClient

from streams.clients.kafka import KafkaClients
from streams.clients.kafka.fetcher import Delivery, Failure, Fetcher, FetchSettings
from streams.clients.kafka.offsets import LATEST, list_offsets
from streams.errors import ClientError
from streams.record import TopicPartition

pytestmark = pytest.mark.broker

SETTINGS = FetchSettings(1 << 20, 1 << 20, 1 << 24, read_committed=False)


async def next_of(deliveries: asyncio.Queue[object]) -> list[Delivery]:
    """What one fetch brought."""
    arrived = await asyncio.wait_for(deliveries.get(), 30)
    assert isinstance(arrived, list), arrived
    return arrived


async def delivered_after_a_stop(address: str, topic: str, turns: int) -> list[TopicPartition]:
    """Two partitions are started; after `turns` of the loop one is stopped, then the other is read."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    await client.set_topics([topic])
    deliveries: asyncio.Queue[object] = asyncio.Queue()
    fetcher = Fetcher(client, SETTINGS, deliver=deliveries.put_nowait, fail=deliveries.put_nowait)
    stopped, kept = TopicPartition(topic, 0), TopicPartition(topic, 1)
    fetcher.start(stopped, 0, 1)
    fetcher.start(kept, 0, 1)
    for _ in range(turns):
        await asyncio.sleep(0)
    fetcher.stop([stopped])
    found = []
    while kept not in found:
        found += [delivery.partition for delivery in await next_of(deliveries)]
    await fetcher.close()
    await client.close()
    return found


@pytest.mark.parametrize("turns", range(6))
def test_a_partition_stopped_at_any_moment_does_not_stop_the_others(
    make: Callable[..., KafkaClients], broker_url: str, topic: str, turns: int
) -> None:
    """A stop between the launch of a fetch and its first step must not leave the broker marked as busy for ever."""
    producer = make().producer()
    producer.send(topic, 1, [None], [b"kept"], [0])
    producer.flush()
    address = broker_url.removeprefix("kafka://")
    assert TopicPartition(topic, 0) not in asyncio.run(delivered_after_a_stop(address, topic, turns))


def test_a_fetch_is_delivered_whole(make: Callable[..., KafkaClients], broker_url: str, topic: str) -> None:
    """Who waits for records is woken once for all partitions that came together."""
    producer = make().producer()
    for partition in range(3):
        producer.send(topic, partition, [None], [b"there"], [0])
    producer.flush()
    assert asyncio.run(brought_by_one_fetch(broker_url.removeprefix("kafka://"), topic)) == {0, 1, 2}


async def brought_by_one_fetch(address: str, topic: str) -> set[int]:
    """The partitions that the first delivery is of."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    await client.set_topics([topic])
    deliveries: asyncio.Queue[object] = asyncio.Queue()
    fetcher = Fetcher(client, SETTINGS, deliver=deliveries.put_nowait, fail=deliveries.put_nowait)
    for partition in range(3):
        fetcher.start(TopicPartition(topic, partition), 0, 1)
    arrived = await next_of(deliveries)
    await fetcher.close()
    await client.close()
    return {delivery.partition.partition for delivery in arrived}


async def seen_beside_a_fetch_that_waits(address: str, topic: str) -> tuple[dict[TopicPartition, int], Delivery]:
    """Partition 0 has nothing for a minute; then the end of partition 1 is asked for, and the partition read."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    await client.set_topics([topic])
    deliveries: asyncio.Queue[object] = asyncio.Queue()
    patient = SETTINGS._replace(wait_ms=60_000)
    fetcher = Fetcher(client, patient, deliver=deliveries.put_nowait, fail=deliveries.put_nowait)
    fetcher.start(TopicPartition(topic, 0), 0, 1)
    await asyncio.sleep(0.3)  # the fetch is at the broker
    other = TopicPartition(topic, 1)
    ends = await list_offsets(client, [other], LATEST, read_committed=False, timeout_s=30)
    fetcher.start(other, 0, 1)
    (delivery,) = await next_of(deliveries)
    await fetcher.close()
    await client.close()
    return ends, delivery


def test_nothing_waits_for_a_fetch_that_waits(make: Callable[..., KafkaClients], broker_url: str, topic: str) -> None:
    """Neither questions nor partitions that came later stand in line behind a fetch that has nothing to bring.

    They did: every task that a worker opened while another was restored took half a second, and those that ran stood.
    """
    producer = make().producer()
    producer.send(topic, 1, [None], [b"there"], [0])
    producer.flush()
    address, other = broker_url.removeprefix("kafka://"), TopicPartition(topic, 1)
    ends, delivery = asyncio.run(seen_beside_a_fetch_that_waits(address, topic))
    assert ends == {other: 1}
    assert delivery.partition == other
    assert delivery.end_offset == 1


async def close_at_any_moment(address: str, topic: str, turns: int) -> None:
    """A partition comes while a fetch waits, so the fetcher looks again soon; it is told of a change, and then closed."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    await client.set_topics([topic])
    fetcher = Fetcher(client, SETTINGS, deliver=lambda _: None, fail=lambda _: None)
    fetcher.start(TopicPartition(topic, 0), 0, 1)
    await asyncio.sleep(0)
    fetcher.start(TopicPartition(topic, 1), 0, 1)
    for _ in range(3):
        await asyncio.sleep(0)
    fetcher._changed.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.wait_for(fetcher.close(), 20)
    await client.close()


@pytest.mark.parametrize("turns", range(8))
def test_it_ends_whenever_it_is_closed(broker_url: str, topic: str, turns: int) -> None:
    """Also in the very turn of the loop in which it was to look again: it went on for ever, and so did whoever closed it."""
    asyncio.run(close_at_any_moment(broker_url.removeprefix("kafka://"), topic, turns))


async def brought_after(address: str, topic: str, code: int) -> object:
    """What comes after the broker had this code for a partition, in the shape of its answer, where a record lies."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    await client.set_topics([topic])
    arrived: asyncio.Queue[object] = asyncio.Queue()
    fetcher = Fetcher(client, SETTINGS, deliver=arrived.put_nowait, fail=arrived.put_nowait)
    partition = TopicPartition(topic, 0)
    fetcher.start(partition, 0, 1)
    fetcher._accept(partition, fetcher._states[partition], (0, code, -1, -1, -1, [], -1, b""))
    first = await asyncio.wait_for(arrived.get(), 30)
    await fetcher.close()
    await client.close()
    return first


@pytest.mark.parametrize(
    ("code", "passes"),
    [(-1, True), (9, True), (74, True), (75, True), (78, True), (100, True), (103, True), (29, False), (76, False)],
)
def test_what_passes_by_itself_is_fetched_again(
    make: Callable[..., KafkaClients], broker_url: str, topic: str, code: int, passes: bool
) -> None:
    """As Kafka's consumer does (FetchCollector); TOPIC_AUTHORIZATION_FAILED and what it does not expect are errors."""
    producer = make().producer()
    producer.send(topic, 0, [None], [b"there"], [0])
    producer.flush()
    first = asyncio.run(brought_after(broker_url.removeprefix("kafka://"), topic, code))
    assert isinstance(first, list if passes else Failure)
    assert passes or isinstance(first.error, ClientError)
