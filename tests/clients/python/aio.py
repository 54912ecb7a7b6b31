"""aiokafka against a broker."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from checks import ADDRESS, CODECS, expect, holds, main

BASE = {"bootstrap_servers": ADDRESS}


def run(body: Callable[[], Awaitable[object]]) -> Callable[[], object]:
    return lambda: asyncio.run(asyncio.wait_for(body(), 30))


async def read(topic: str, count: int, **more: object) -> list[bytes]:
    async with AIOKafkaConsumer(topic, **BASE, auto_offset_reset="earliest", **more) as reader:
        return [(await asyncio.wait_for(reader.getone(), 20)).value for _ in range(count)]


async def admin() -> None:
    tools = AIOKafkaAdminClient(**BASE)
    await tools.start()
    await tools.create_topics([NewTopic("aiokafka", 2, 1), NewTopic("aiokafka-txn", 1, 1)])
    expect("aiokafka" in await tools.list_topics(), "the topic is not listed")
    await tools.close()


def send(**more: object) -> Callable[[], Awaitable[object]]:
    async def body() -> None:
        async with AIOKafkaProducer(**BASE, **more) as producer:
            await producer.send_and_wait("aiokafka", b"value" * 500)

    return body


async def group() -> None:
    await read("aiokafka", 5, group_id="aiokafka-group")


async def transactions() -> None:
    async with AIOKafkaProducer(**BASE, transactional_id="aiokafka-txn") as producer:
        for value in (b"aborted", b"committed"):
            await producer.begin_transaction()
            await producer.send_and_wait("aiokafka-txn", value)
            await (producer.commit_transaction() if value == b"committed" else producer.abort_transaction())
    expect(await read("aiokafka-txn", 1, isolation_level="read_committed") == [b"committed"], "read_committed")


async def by_timestamp() -> None:
    async with AIOKafkaConsumer(**BASE) as reader:
        places = {TopicPartition("aiokafka", index): 0 for index in range(2)}
        found = await reader.offsets_for_times(places)
        expect(any(item is not None and item.offset == 0 for item in found.values()), found)


def member(group_id: str, topic: str) -> None:
    async def follow() -> None:
        settings = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 1_000, "enable_auto_commit": False}
        async with AIOKafkaConsumer(
            topic, **BASE, group_id=group_id, auto_offset_reset="earliest", **settings
        ) as reader:
            async for message in reader:
                print(message.value.decode(), flush=True)
                await reader.commit()

    asyncio.run(follow())


def everything() -> None:
    holds("admin", run(admin))
    holds("idempotent", run(send(enable_idempotence=True)))
    for codec in CODECS:
        holds(codec, run(send(compression_type=codec)))
    holds("group", run(group))
    holds("offsets by timestamp", run(by_timestamp))
    holds("transactions", run(transactions))


main(everything, member)
