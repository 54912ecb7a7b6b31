"""Produce, Fetch, ListOffsets, DeleteRecords and what else reads and writes partitions."""

from typing import Any

from broker.protocol.apis import ApiKey
from broker.protocol.compression import Codec
from tests.broker.differential.drawing import WAIT_MS, Draw, Kind
from tests.broker.differential.requests import Batch, Request, Symbol

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TRANSACTIONAL = 0x10
CONTROL = 0x20


def plain_batch(draw: Draw, *, producer: str | None = None, sequence: int = -1, attributes: int = 0) -> Batch:
    records = tuple(
        (
            draw.often(b"key-%d" % draw.random.randrange(4), None),
            draw.often(b"v" * draw.random.randrange(60), None),
            draw.now_ms + draw.random.randrange(-1000, 1000),
        )
        for _ in range(draw.random.randint(1, 4))
    )
    codec = draw.random.choice(list(Codec)) if draw.chance(0.4) else Codec.NONE
    return Batch(records, codec, producer=producer, sequence=sequence, attributes=attributes)


def odd_batch(draw: Draw) -> Any:
    """What no well-behaved producer sends."""
    good = plain_batch(draw)
    one = ((b"k", b"v", draw.now_ms),)
    key_missing = ((b"k", b"v", draw.now_ms), (None, b"v", draw.now_ms), (None, b"w", draw.now_ms))
    return draw.one(
        b"",
        b"short",
        Batch(good.records, damage=((17, b"\0\0\0\0"),), seal_again=False),
        Batch(good.records, damage=((16, b"\x01"),)),
        Batch(good.records, damage=((16, b"\x03"),)),
        Batch(good.records, damage=((8, b"\x00\x00\x00\x05"),), seal_again=False),
        Batch(good.records, damage=((8, b"\x00\x00\x7f\xff"),), seal_again=False),
        Batch(good.records, base_offset=7),
        Batch(one, damage=((57, b"\0\0\0\x02"),)),
        Batch(one, damage=((57, b"\0\0\0\0"),)),
        Batch(one, damage=((23, b"\0\0\0\x01"),)),
        Batch(one, attributes=CONTROL),
        Batch(one, attributes=0x80),
        Batch(((b"k", b"v", draw.now_ms + 2 * HOUR_MS),)),
        Batch(((b"k", b"v", draw.now_ms), (b"k", b"v", draw.now_ms + 2 * HOUR_MS))),
        Batch(((b"k", b"v", -1),)),
        Batch(((b"k", b"v", 0),)),
        Batch(key_missing),
        Batch(((b"k", b"v" * 1_100_000, draw.now_ms),)),
        Batch(good.records, tail=Batch(one).built({})),
        Batch(one, producer=draw.producer(), sequence=-1),
        Batch(one, producer=draw.producer(), sequence=-1, attributes=TRANSACTIONAL),
        Batch(one, attributes=TRANSACTIONAL),
        Batch(one, codec=Codec.ZSTD),
    )


def produce_values(draw: Draw, topic: str, partition: int, records: Any, **more: Any) -> dict[str, Any]:
    partitions = [{"index": partition, "records": records}]
    topics = [{"name": topic, "topic_id": draw.by_id(topic), "partition_data": partitions}]
    is_good = isinstance(records, Batch) and not (records.damage or records.tail or records.codec is Codec.ZSTD)
    if is_good and draw.chance(0.1):  # of two batches, one unreadable, Kafka stores one and answers for the other
        partitions.append({"index": draw.one(0, 1, 7), "records": plain_batch(draw)})
    if is_good and draw.chance(0.1):
        more_data = [{"index": draw.partition(), "records": plain_batch(draw)}]
        other = draw.topic()
        topics.append({"name": other, "topic_id": draw.by_id(other), "partition_data": more_data})
    return {
        "acks": draw.often(-1, 1, 1, 2, -2),
        "timeout": WAIT_MS,
        "topic_data": topics,
        "transactional_id": None,
        **more,
    }


def produce(draw: Draw) -> Request:
    records = plain_batch(draw) if draw.chance(0.5) else odd_batch(draw)
    return draw.request(ApiKey.PRODUCE, produce_values(draw, draw.topic(), draw.partition(), records), low=3)


def produce_idempotently(draw: Draw) -> Request:
    """Most often the next sequence; else one that repeats, is out of order, wraps, or comes from another epoch."""
    producer, topic, partition = draw.producer(), draw.topic(), draw.one(0, 1)
    key = (producer, topic, partition)
    expected = draw.sequences.get(key, 0)
    sequence = draw.often(expected, max(expected - 1, 0), expected + 5, 0, 2**31 - 2)
    batch = plain_batch(draw, producer=producer, sequence=sequence)
    if draw.chance(0.1):
        batch = Batch(batch.records, producer=producer, sequence=sequence, epoch_shift=draw.one(1, -1))
    elif sequence == expected:
        draw.sequences[key] = expected + len(batch.records)
    return draw.request(ApiKey.PRODUCE, produce_values(draw, topic, partition, batch), low=3)


def fetch(draw: Draw) -> Request:
    def topic(name: str) -> dict[str, Any]:
        partitions = [partition(index) for index in draw.each(draw.partition)]
        return {"topic": name, "topic_id": draw.by_id(name), "partitions": partitions}

    def partition(index: int) -> dict[str, Any]:
        return {
            "partition": index,
            "current_leader_epoch": draw.often(-1, 0, 1, 9),
            "fetch_offset": draw.often(draw.one(0, 1, 2, 3), -1, 1_000, 5),
            "last_fetched_epoch": draw.often(-1, 0, 1, 5),
            "log_start_offset": draw.often(-1, 0, 2),
            "partition_max_bytes": draw.often(1 << 20, 1, 0, 100),
        }

    def forgotten(name: str) -> dict[str, Any]:
        return {"topic": name, "topic_id": draw.by_id(name), "partitions": draw.each(draw.partition)}

    label = draw.one("session-a", "session-b")
    begins = draw.chance(0.6)
    values = {
        "max_wait": draw.one(0, 1, 30),
        "min_bytes": draw.one(0, 1, 100_000),
        "max_bytes": draw.often(1 << 20, 1, 0),
        "isolation_level": draw.one(0, 0, 1),
        "replica_state": {"replica_id": -1, "replica_epoch": -1},
        "replica_id": -1,
        "session_id": 0 if begins else draw.often(Symbol("session", label), 77),
        "session_epoch": draw.one(-1, 0) if begins else draw.one(1, 2, -1, 5),
        "topics": [topic(name) for name in draw.each(draw.topic_to_read, 0, 3)],
        "forgotten_topics_data": [forgotten(name) for name in draw.often([], draw.each(draw.topic_to_read))],
        "rack_id": "",
    }
    return draw.request(ApiKey.FETCH, values, connection="fetch", label=label)


def list_offsets(draw: Draw) -> Request:
    def partition() -> dict[str, Any]:
        return {
            "partition_index": draw.partition(),
            "current_leader_epoch": draw.often(-1, 0, 1, 7),
            "timestamp": draw.one(-1, -2, -3, -4, -5, -6, -7, 0, draw.now_ms, draw.now_ms + HOUR_MS),
        }

    topics = [{"name": name, "partitions": draw.some(partition)} for name in draw.each(draw.topic_to_read)]
    values = {"replica_id": draw.often(-1, -2, 1), "isolation_level": draw.one(0, 0, 1), "topics": topics}
    return draw.request(ApiKey.LIST_OFFSETS, {**values, "timeout": WAIT_MS})


def for_leader_epoch(draw: Draw) -> Request:
    def partition() -> dict[str, Any]:
        return {
            "partition": draw.partition(),
            "current_leader_epoch": draw.often(-1, 0, 1),
            "leader_epoch": draw.one(-1, 0, 1, 9),
        }

    topics = [{"topic": name, "partitions": draw.some(partition)} for name in draw.each(draw.topic_to_read)]
    return draw.request(ApiKey.OFFSET_FOR_LEADER_EPOCH, {"replica_id": draw.one(-1, -2), "topics": topics})


def delete_records(draw: Draw) -> Request:
    def partition() -> dict[str, Any]:
        return {"partition_index": draw.partition(), "offset": draw.one(-1, 0, 1, 2, 3, -2, 100_000)}

    topics = [{"name": name, "partitions": draw.some(partition)} for name in draw.each(draw.topic_to_read)]
    return draw.request(ApiKey.DELETE_RECORDS, {"topics": topics, "timeout": WAIT_MS})


def describe_producers(draw: Draw) -> Request:
    topics = [{"name": name, "partition_indexes": draw.each(draw.partition)} for name in draw.each(draw.topic_to_read)]
    return draw.request(ApiKey.DESCRIBE_PRODUCERS, {"topics": topics})


def describe_log_dirs(draw: Draw) -> Request:
    topics = [{"topic": name, "partitions": [0, 1]} for name in draw.each(draw.topic_to_read)]
    return draw.request(ApiKey.DESCRIBE_LOG_DIRS, {"topics": topics})


RECORDS: list[tuple[int, Kind]] = [
    (10, produce),
    (6, produce_idempotently),
    (8, fetch),
    (4, list_offsets),
    (2, for_leader_epoch),
    (2, delete_records),
    (2, describe_producers),
    (1, describe_log_dirs),
]
