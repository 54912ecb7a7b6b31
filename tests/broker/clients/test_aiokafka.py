"""Unmodified aiokafka against the broker: idempotent producing, and a group of two of which one closes."""

import asyncio
from collections.abc import Iterable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

pytestmark = [pytest.mark.broker, pytest.mark.clients]

PARTITIONS = 4


async def make_topic(address: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
    await admin.close()


async def send(address: str, topic: str, numbers: Iterable[int]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True)
    await producer.start()
    sent = [await producer.send(topic, b"%d" % number, partition=number % PARTITIONS) for number in numbers]
    await asyncio.gather(*sent)
    await producer.stop()


async def read(consumers: list[AIOKafkaConsumer], count: int) -> list[int]:
    """Values as they come, from all consumers together."""
    seen: list[int] = []

    async def follow(consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            seen.append(int(record.value))
            if len(seen) >= count:
                done.set()

    done = asyncio.Event()
    tasks = [asyncio.create_task(follow(consumer)) for consumer in consumers]
    await asyncio.wait_for(done.wait(), 30)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seen


def consumer_of(address: str, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=f"{topic}-group",
        auto_offset_reset="earliest",
        heartbeat_interval_ms=200,
    )


async def assigned(consumers: list[AIOKafkaConsumer], counts: list[int]) -> None:
    """Returns when the consumers have so many partitions."""
    while sorted(len(consumer.assignment()) for consumer in consumers) != sorted(counts):
        await asyncio.gather(*(consumer.getmany(timeout_ms=50) for consumer in consumers))


def test_group_of_two_shares_and_hands_over(shared_broker) -> None:
    """Two members split four partitions; when one closes, the other reads everything that follows."""

    async def scenario() -> None:
        address, topic = shared_broker.address, "aio-group"
        await make_topic(address, topic)
        members = [consumer_of(address, topic), consumer_of(address, topic)]
        for member in members:
            await member.start()
        await asyncio.wait_for(assigned(members, [2, 2]), 30)
        await send(address, topic, range(100))
        assert sorted(await read(members, 100)) == list(range(100))
        await members[0].stop()
        await send(address, topic, range(100, 200))
        assert sorted(await read(members[1:], 100)) == list(range(100, 200))
        assert members[1].assignment() == {TopicPartition(topic, number) for number in range(PARTITIONS)}
        await members[1].stop()

    asyncio.run(scenario())


def test_order_within_a_partition(shared_broker) -> None:
    """Records of one partition come back in the order they were sent."""

    async def scenario() -> None:
        await make_topic(shared_broker.address, "aio-order")
        await send(shared_broker.address, "aio-order", range(0, 4_000, PARTITIONS))
        consumer = AIOKafkaConsumer("aio-order", bootstrap_servers=shared_broker.address, auto_offset_reset="earliest")
        await consumer.start()
        assert await read([consumer], 1_000) == list(range(0, 4_000, PARTITIONS))
        await consumer.stop()

    asyncio.run(scenario())
