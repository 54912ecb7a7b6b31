"""Produce, Fetch and ListOffsets over the wire: places, limits, waiting, and refusals with Kafka's codes."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from broker.protocol.compression import Codec
from broker.protocol.records import Record, build_batch, records_in

pytestmark = pytest.mark.broker

PRODUCE, FETCH, LIST_OFFSETS, METADATA, CREATE = 0, 1, 2, 3, 19


def batch(*values: bytes, timestamp: int | None = None, **options: Any) -> bytes:
    at = int(time.time() * 1000) if timestamp is None else timestamp
    return build_batch([Record(offset, at + offset, b"key", value) for offset, value in enumerate(values)], **options)


def make_topic(wire, name: str) -> str:
    wire.call(METADATA, 1, topics=[{"name": name}])
    return name


def produce(wire, topic: str, records: bytes | None, *, version: int = 9, acks: int = -1, partition: int = 0) -> Any:
    data = [{"name": topic, "partition_data": [{"index": partition, "records": records}]}]
    return wire.call(PRODUCE, version, acks=acks, timeout=1_000, topic_data=data).responses[0].partition_responses[0]


def fetching(topic: str, offset: int, **values: Any) -> dict[str, Any]:
    partition = {
        "partition": 0,
        "fetch_offset": offset,
        "partition_max_bytes": values.pop("partition_max_bytes", 1 << 20),
        "current_leader_epoch": values.pop("current_leader_epoch", -1),
    }
    limits = {"max_wait": 0, "min_bytes": 1, "max_bytes": 1 << 20}
    return {**limits, **values, "topics": [{"topic": topic, "partitions": [partition]}]}


def fetch(wire, topic: str, offset: int, *, version: int = 11, **values: Any) -> Any:
    return wire.call(FETCH, version, **fetching(topic, offset, **values)).responses[0].partitions[0]


def values_of(partition: Any) -> list[bytes | None]:
    return [record.value for record in records_in(partition.records or b"")]


def test_what_is_produced_is_fetched(wire) -> None:
    """Batches get consecutive offsets and come back whole from the one that holds the offset."""
    topic = make_topic(wire, "basic")
    assert produce(wire, topic, batch(b"a", b"b")).base_offset == 0
    assert produce(wire, topic, batch(b"c")).base_offset == 2
    assert values_of(fetch(wire, topic, 0)) == [b"a", b"b", b"c"]
    assert values_of(fetch(wire, topic, 1)) == [b"a", b"b", b"c"]
    assert values_of(fetch(wire, topic, 2)) == [b"c"]
    last = fetch(wire, topic, 3)
    assert (last.error_code, last.high_watermark, values_of(last)) == (0, 3, [])


def test_more_replicas_in_sync_than_there_are(wire) -> None:
    """A topic that is to have two replicas in sync takes writes with one, if that is all it has, as in Kafka."""
    settings = [{"name": "min.insync.replicas", "value": "2"}]
    topic = {"name": "careful", "num_partitions": 1, "replication_factor": 1, "configs": settings}
    assert wire.call(CREATE, 7, topics=[topic]).topics[0].error_code == 0
    assert produce(wire, "careful", batch(b"a")).error_code == 0


def test_first_batch_may_exceed_every_limit(wire) -> None:
    """A batch larger than the limits is returned alone, so that a reader never gets stuck."""
    topic = make_topic(wire, "large")
    produce(wire, topic, batch(b"x" * 10_000))
    produce(wire, topic, batch(b"y"))
    assert values_of(fetch(wire, topic, 0, partition_max_bytes=100, max_bytes=100)) == [b"x" * 10_000]


@pytest.mark.parametrize("offset", [-1, 2, 99])
def test_offset_out_of_range(wire, offset: int) -> None:
    """Offsets below the start or above the end are error 1."""
    topic = make_topic(wire, "ranged")
    if fetch(wire, topic, 0).high_watermark == 0:
        produce(wire, topic, batch(b"x"))
    assert fetch(wire, topic, offset).error_code == 1


def test_long_poll_wakes_on_append(wire, connect: Callable[[], Any]) -> None:
    """A fetch that finds nothing waits, and is answered by the next append, long before its time is up."""
    topic = make_topic(wire, "polled")
    schema = wire.send(FETCH, 11, **fetching(topic, 0, max_wait=19_000))
    produce(connect(), topic, batch(b"at last"))
    assert values_of(wire.receive(schema).responses[0].partitions[0]) == [b"at last"]


def test_long_poll_waits_for_min_bytes(wire, connect: Callable[[], Any]) -> None:
    """With min_bytes a fetch is answered when enough has come together."""
    topic = make_topic(wire, "patient")
    schema = wire.send(FETCH, 11, **fetching(topic, 0, max_wait=19_000, min_bytes=1_000))
    other = connect()
    produce(other, topic, batch(b"a" * 500))
    produce(other, topic, batch(b"b" * 500))
    assert len(values_of(wire.receive(schema).responses[0].partitions[0])) == 2


def test_long_poll_ends_by_itself(wire) -> None:
    """When nothing comes, the answer is empty after max_wait."""
    partition = fetch(wire, make_topic(wire, "silent"), 0, max_wait=100)
    assert (partition.error_code, values_of(partition)) == (0, [])


def test_deleted_topic_wakes_its_readers(wire, connect: Callable[[], Any]) -> None:
    """Who waits for a topic that is deleted is told (3)."""
    topic = make_topic(wire, "vanishing")
    schema = wire.send(FETCH, 11, **fetching(topic, 0, max_wait=19_000))
    connect().call(20, 1, topic_names=[topic])
    assert wire.receive(schema).responses[0].partitions[0].error_code == 3


def test_leader_epochs(wire) -> None:
    """An epoch from the past is fenced (74), one from the future unknown (75)."""
    topic = make_topic(wire, "epochs")
    epoch = wire.call(METADATA, 7, topics=[{"name": topic}]).topics[0].partitions[0].leader_epoch
    assert fetch(wire, topic, 0, current_leader_epoch=epoch).error_code == 0
    assert fetch(wire, topic, 0, current_leader_epoch=epoch + 1).error_code == 75


@pytest.mark.parametrize(
    ("records", "options", "code"),
    [
        (batch(b"x")[:-1], {}, 87),
        (batch(b"x")[:-1] + b"\xff", {}, 2),
        (batch(b"x") + batch(b"y"), {}, 87),
        (None, {}, 87),
        (batch(b"x" * 2_000_000), {}, 10),
        (batch(b"x", codec=Codec.ZSTD), {"version": 6}, 76),
        (batch(b"x"), {"acks": 2}, 21),
        (batch(b"x"), {"partition": 9}, 3),
        (batch(b"x", timestamp=int(time.time() * 1000) + 7_200_000), {}, 32),
    ],
    ids=["short", "crc", "two batches", "nothing", "too large", "old zstd", "acks", "no partition", "future"],
)
def test_refused_batches(wire, records: bytes | None, options: dict[str, Any], code: int) -> None:
    """Every wrong batch gets its code, and nothing of it is stored."""
    topic = make_topic(wire, "refused")
    assert produce(wire, topic, records, **options).error_code == code
    assert fetch(wire, topic, 0).high_watermark == 0


def test_internal_topics_are_not_for_clients(wire) -> None:
    """Nobody writes into the broker's own state."""
    assert produce(wire, "__consumer_offsets", batch(b"x")).error_code == 17


def test_null_keys_in_a_compacted_topic(wire) -> None:
    """A batch with a null key is refused whole, and its record is named."""
    settings = [{"name": "cleanup.policy", "value": "compact"}]
    wire.call(19, 5, topics=[{"name": "keyed", "num_partitions": 1, "replication_factor": 1, "configs": settings}])
    records = build_batch([Record(0, 1, b"k", b"v"), Record(1, 1, None, b"v")])
    answer = produce(wire, "keyed", records)
    assert answer.error_code == 87
    assert [error.batch_index for error in answer.record_errors] == [1]


def test_idempotence(wire) -> None:
    """A repeated batch keeps its first offset; a gap is error 45, a lower epoch 47."""
    topic = make_topic(wire, "once")

    def send(sequence: int, epoch: int = 1) -> tuple[int, int]:
        records = batch(b"x", producer_id=7, producer_epoch=epoch, base_sequence=sequence)
        answer = produce(wire, topic, records)
        return answer.error_code, answer.base_offset

    assert send(0) == (0, 0)
    assert send(1) == (0, 1)
    assert send(0) == (0, 0)
    assert send(5)[0] == 45
    assert send(2, epoch=0)[0] == 47
    assert fetch(wire, topic, 0).high_watermark == 2


def test_unanswered_produce(wire) -> None:
    """acks=0 has no answer: the next one on the connection is the next request's."""
    topic = make_topic(wire, "hasty")
    data = [{"name": topic, "partition_data": [{"index": 0, "records": batch(b"x")}]}]
    wire.send(PRODUCE, 7, acks=0, topic_data=data)
    assert values_of(fetch(wire, topic, 0, max_wait=5_000)) == [b"x"]


def test_offsets_by_number_and_time(wire) -> None:
    """-1 is the end, -2 the start, -3 the largest timestamp; a time finds the first record not older."""
    topic = make_topic(wire, "dated")
    produce(wire, topic, batch(b"a", b"b", b"c", timestamp=1_000))

    def find(timestamp: int) -> tuple[int, int]:
        partition = {"partition_index": 0, "timestamp": timestamp, "current_leader_epoch": -1}
        topics = [{"name": topic, "partitions": [partition]}]
        found = wire.call(LIST_OFFSETS, 7, replica_id=-1, topics=topics).topics[0].partitions[0]
        return found.offset, found.timestamp

    assert find(-1) == (3, -1)
    assert find(-2) == (0, -1)
    assert find(-3) == (2, 1_002)
    assert find(1_001) == (1, 1_001)
    assert find(9_000) == (-1, -1)


def test_topic_ids(wire) -> None:
    """Fetch and Produce 13 go by topic id; an unknown id is error 100."""
    topic = make_topic(wire, "by-id")
    topic_id = wire.call(METADATA, 12, topics=[{"name": topic}]).topics[0].topic_id
    data = [{"topic_id": topic_id, "partition_data": [{"index": 0, "records": batch(b"x")}]}]
    assert wire.call(PRODUCE, 13, acks=1, topic_data=data).responses[0].partition_responses[0].base_offset == 0
    request = fetching(topic, 0)
    request["topics"][0]["topic_id"] = topic_id
    assert values_of(wire.call(FETCH, 13, **request).responses[0].partitions[0]) == [b"x"]
    request["topics"][0]["topic_id"] = None
    assert wire.call(FETCH, 13, **request).responses[0].partitions[0].error_code == 100


def test_what_retention_takes_is_told(make_broker, make_wire) -> None:
    """Records age by their own timestamps, so old ones go as soon as they are looked at: the log says so."""
    broker = make_broker("--set", "log.retention.check.interval.ms=100")
    wire = make_wire(broker)
    produce(wire, make_topic(wire, "kept"), batch(b"now"))
    produce(wire, make_topic(wire, "old"), batch(b"1970", timestamp=0))
    deadline = time.monotonic() + 30
    while "old-0: retention removed what was before offset 1\n" not in broker.log:
        assert time.monotonic() < deadline, broker.log
        time.sleep(0.05)  # a pace, not a wait
    assert "kept-0: retention" not in broker.log


@pytest.mark.parametrize(("minimum", "most"), [(45_000, 50_000), (1 << 20, 50_000), (30_000, 100)])
def test_a_fetch_does_not_wait_for_what_is_there(wire, minimum: int, most: int) -> None:
    """What does not fit into the answer is there as well; and nobody waits for more than may be given."""
    topic = make_topic(wire, f"there-{minimum}-{most}")
    for _ in range(12):
        produce(wire, topic, batch(bytes(10_000)))
    got = fetch(wire, topic, 0, min_bytes=minimum, max_bytes=most, max_wait=60_000)
    assert len(got.records) == max(most // 10_075, 1) * 10_075
