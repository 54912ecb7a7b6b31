"""The Kafka clients against the bundled broker."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.client import AIOKafkaClient

from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.kafka import KafkaAdmin, KafkaClients, KafkaConsumer
from streams.clients.kafka.hot import Produce
from streams.config import StreamsConfig
from streams.errors import BrokerUnreachable, ClientError, OffsetOutOfRange, ProductionError
from streams.record import TopicPartition

pytestmark = pytest.mark.broker

MakeClients = Callable[..., KafkaClients]


def read(consumer: KafkaConsumer, count: int) -> list[tuple[int, bytes]]:
    """The next `count` records as (offset, value)."""
    found: list[tuple[int, bytes]] = []
    for _ in range(100):
        for batch in consumer.poll(0.2):
            columns = batch.columns()
            found += zip(columns.offsets, columns.values, strict=True)
        if len(found) >= count:
            return found
    pytest.fail(f"only {len(found)} of {count} records arrived")


def assigned(make: MakeClients, *partitions: TopicPartition, **settings: Any) -> KafkaConsumer:
    consumer = make(**settings).consumer(group=None)
    consumer.assign(partitions)
    return consumer


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_is_sent_comes_back_in_order(make: MakeClients, topic: str, compression: str) -> None:
    """Ten thousand records in many batches, compressed or not; positions, ends and lag agree."""
    part, values = TopicPartition(topic, 1), [b"%d" % number * 10 for number in range(10_000)]
    producer = make(compression_type=compression, max_request_size=16_384).producer()
    for start in range(0, 10_000, 700):
        producer.send(
            topic, 1, values[start : start + 700], values[start : start + 700], [7] * len(values[start : start + 700])
        )
    producer.flush()
    consumer = assigned(make, part)
    assert read(consumer, 10_000) == list(enumerate(values))
    assert producer.end_offset(topic, 1) == consumer.position(part) == consumer.end_offsets([part])[part] == 10_000
    assert consumer.lag(part) == 0


def test_headers_nulls_and_timestamps(make: MakeClients, topic: str) -> None:
    """All of a record survives the way through the broker."""
    producer = make().producer()
    producer.send(topic, 0, [None, b""], [b"v", None], [1, 2**40], [(("h", b"1"), ("n", None)), ()])
    producer.flush()
    consumer = assigned(make, TopicPartition(topic, 0))
    columns = consumer.poll(5)[0].columns()
    assert (columns.keys, columns.values, columns.timestamps) == ([None, b""], [b"v", None], [1, 2**40])
    assert columns.headers == [(("h", b"1"), ("n", None)), ()]


def test_seek_forgets_what_was_fetched(make: MakeClients, topic: str) -> None:
    """After a seek the next record is the one asked for, whatever lay in the buffers."""
    producer, part = make().producer(), TopicPartition(topic, 0)
    producer.send(topic, 0, [None] * 100, [b"%d" % number for number in range(100)], [0] * 100)
    producer.flush()
    consumer = assigned(make, part)
    read(consumer, 100)
    consumer.seek(part, 42)
    assert read(consumer, 58)[0] == (42, b"42")


def test_a_paused_partition_rests(make: MakeClients, topic: str) -> None:
    """The other partition goes on meanwhile; resumed, it goes on where it was."""
    paused, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer = assigned(make, paused, other)
    consumer.poll(0)
    consumer.pause([paused])
    producer = make().producer()
    for number in (0, 1):
        producer.send(topic, number, [None], [b"%d" % number], [0])
    producer.flush()
    assert read(consumer, 1) == [(0, b"1")]
    consumer.resume([paused])
    assert read(consumer, 1) == [(0, b"0")]


def test_wake_from_another_thread_ends_a_poll(make: MakeClients, topic: str) -> None:
    """A poll that would wait a minute returns."""
    consumer = assigned(make, TopicPartition(topic, 0))
    threading.Timer(0.05, consumer.wake).start()
    assert consumer.poll(60) == []


def test_committed_offsets_keep_their_metadata(make: MakeClients, topic: str) -> None:
    """Another consumer of the group reads what was committed; partitions without an offset are absent."""
    part = TopicPartition(topic, 2)
    make().consumer(group=f"g-{topic}").commit({part: OffsetAndMetadata(5, "AgAA")})
    found = make().consumer(group=f"g-{topic}").committed([part, TopicPartition(topic, 0)])
    assert found == {part: OffsetAndMetadata(5, "AgAA")}


def test_offsets_by_time_and_at_the_ends(make: MakeClients, topic: str) -> None:
    """First, last, and the first that is not older than a time; behind the last when all are older."""
    producer, part = make().producer(), TopicPartition(topic, 0)
    producer.send(topic, 0, [None] * 3, [b""] * 3, [1_000, 2_000, 3_000])
    producer.flush()
    consumer = make().consumer(group=None)
    assert (consumer.beginning_offsets([part]), consumer.end_offsets([part])) == ({part: 0}, {part: 3})
    assert [consumer.offsets_at([part], time)[part] for time in (0, 1_500, 3_001)] == [0, 1, 3]


def test_an_offset_that_does_not_exist_is_an_error(make: MakeClients, topic: str) -> None:
    """It names topic, partition and offset; who polls decides, and can go on from another offset."""
    consumer = assigned(make, TopicPartition(topic, 0))
    producer = make().producer()
    producer.send(topic, 0, [None], [b"a"], [0])
    producer.flush()
    consumer.seek(TopicPartition(topic, 0), 1_000)
    with pytest.raises(OffsetOutOfRange, match=rf"{topic}\[0\] has no offset 1,000"):
        for _ in range(50):
            consumer.poll(0.2)
    consumer.seek(TopicPartition(topic, 0), 0)
    assert read(consumer, 1) == [(0, b"a")]


@pytest.mark.parametrize("goes", ["elsewhere", "away", "away after records that came before it"])
def test_a_failure_of_what_is_read_no_longer_is_void(make: MakeClients, topic: str, goes: str) -> None:
    """OFFSET_OUT_OF_RANGE that came before a seek, or before the partition was let go, is nobody's any more."""
    producer, part, other = make().producer(), TopicPartition(topic, 0), TopicPartition(topic, 1)
    for number in (0, 1):
        producer.send(topic, number, [None], [b"there"], [0])
    producer.flush()
    consumer = assigned(make, part, other)

    def arrived(items: int) -> None:
        consumer._network.wait_for(lambda: consumer._items.qsize() >= items, 10)
        assert consumer._items.qsize() == items

    after_records = goes == "away after records that came before it"
    if after_records:
        consumer.seek(other, 0)
        arrived(1)
    consumer.seek(part, 1_000)
    arrived(1 + after_records)
    if after_records:
        assert read(consumer, 1) == [(0, b"there")]
    if goes == "elsewhere":
        consumer.seek(part, 0)
    else:
        consumer.assign([other])
        consumer.seek(other, 0)
    assert read(consumer, 1) == [(0, b"there")]


def test_topics_are_described_and_deleted(make: MakeClients, topic: str) -> None:
    """Partition counts and settings of those that exist; deleting what is not there is no error."""
    admin = make().admin()
    admin.create([NewTopic(f"{topic}-2", 2, -1, {"cleanup.policy": "compact"}), NewTopic(topic, 9)])
    found = admin.describe([topic, f"{topic}-2", "missing"])
    assert {name: entry.partitions for name, entry in found.items()} == {topic: 3, f"{topic}-2": 2}
    assert found[f"{topic}-2"].config["cleanup.policy"] == "compact"
    admin.delete([f"{topic}-2", "missing"])
    assert f"{topic}-2" not in admin.topics()


def test_a_topic_made_anew_has_another_id(make: MakeClients, topic: str) -> None:
    """Of topics that exist; the id stays for as long as the topic does, and asking makes none."""
    clients = make()
    admin, consumer = clients.admin(), clients.consumer(group=None)
    before = consumer.topic_ids([topic, "missing"])
    assert before == consumer.topic_ids([topic]) == clients.consumer(group=None).topic_ids([topic])
    assert [len(found) for found in before.values()] == [16]
    admin.delete([topic])
    admin.create([NewTopic(topic, 3)])
    after = clients.consumer(group=None).topic_ids([topic, "missing"])
    assert after.keys() == before.keys()
    assert after != before
    assert "missing" not in admin.topics()


def test_who_reads_a_deleted_topic_does_not_make_it_anew(make: MakeClients, topic: str) -> None:
    """Kafka Streams: allow.auto.create.topics=false. The broker would give it one partition and none of its settings."""
    admin, consumer = make().admin(), assigned(make, TopicPartition(topic, 2))
    consumer.poll(0.1)
    admin.delete([topic])
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert consumer.poll(0.1) == []
    assert topic not in admin.topics()
    assert make().producer().partition_count(topic) == 1, "who writes has it made"


class Faltering:
    """A client whose first answer of each kind says that it was in vain, whatever the broker has done."""

    def __init__(self, client: AIOKafkaClient, codes: Mapping[str, int]) -> None:
        self._client = client
        self._codes = dict(codes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: int, request: Any) -> Any:
        """The answer, or what a broker says that is behind."""
        answer = await self._client.send(node, request)
        for entries in ("resources", "topic_errors", "topic_error_codes"):
            if (found := getattr(answer, entries, None)) and entries in self._codes:
                place, code = int(entries != "resources"), self._codes.pop(entries)
                setattr(answer, entries, [(*entry[:place], code, *entry[place + 1 :]) for entry in found])
        return answer


def faltering(clients: KafkaClients, **codes: int) -> KafkaAdmin:
    admin = clients.admin()
    admin._client = Faltering(admin._client, codes)
    return admin


@pytest.mark.parametrize("code", [7, 41])
def test_a_controller_that_moves_or_is_slow_is_asked_again(make: MakeClients, topic: str, code: int) -> None:
    """REQUEST_TIMED_OUT and NOT_CONTROLLER, though it may have done it: topics are there, and gone, in the end."""
    admin = faltering(make(), topic_errors=code, topic_error_codes=code)
    admin.create([NewTopic(f"{topic}-2", 2)])
    assert f"{topic}-2" in admin.topics()
    admin.delete([f"{topic}-2"])
    assert f"{topic}-2" not in admin.topics()


def test_a_broker_that_does_not_know_a_new_topic_is_not_believed(make: MakeClients, topic: str) -> None:
    """UNKNOWN_TOPIC_OR_PARTITION for its settings, after another broker has told how many partitions it has."""
    admin = faltering(make(), resources=3)
    found = admin.describe([topic])
    assert (found[topic].partitions, found[topic].config["cleanup.policy"]) == (3, "delete")


@pytest.mark.parametrize(("what", "code"), [("topic_errors", 44), ("topic_error_codes", 29), ("resources", 42)])
def test_what_does_not_pass_is_an_error(make: MakeClients, topic: str, what: str, code: int) -> None:
    """POLICY_VIOLATION and TOPIC_AUTHORIZATION_FAILED are told at once, with the topic."""
    admin = faltering(make(), **{what: code})
    calls: dict[str, Callable[[], object]] = {
        "topic_errors": lambda: admin.create([NewTopic(topic, 2)]),
        "topic_error_codes": lambda: admin.delete([topic]),
        "resources": lambda: admin.describe([topic]),
    }
    with pytest.raises(ClientError, match=topic) as caught:
        calls[what]()
    assert not isinstance(caught.value, BrokerUnreachable)


def test_deleted_records_are_gone(make: MakeClients, topic: str) -> None:
    """The first offset moves."""
    producer, part = make().producer(), TopicPartition(topic, 0)
    producer.send(topic, 0, [None] * 3, [b"a", b"b", b"c"], [0] * 3)
    producer.flush()
    make().admin().begin_delete_records({part: 2}).result()
    assert read(assigned(make, part), 1) == [(2, b"c")]


def test_a_record_that_is_too_large_surfaces_in_flush(make: MakeClients, topic: str) -> None:
    """The broker's refusal names the topic and the setting, and the producer stays failed."""
    producer = make(max_request_size=3_000_000).producer()
    producer.send(topic, 0, [None], [b"x" * 2_000_000], [0])
    with pytest.raises(ProductionError, match=r"(?s)max\.message\.bytes.*record: "):
        producer.flush()
    with pytest.raises(ProductionError):
        producer.send(topic, 0, [None], [b"x"], [0])


@pytest.mark.parametrize("headers", [None, [(("name", b"value"),)] * 6])
def test_records_larger_than_max_request_size_are_left_out(make: MakeClients, topic: str, headers: Any) -> None:
    """First, last and two in a row: the answer is their indices, and the others arrive in order."""
    producer = make(max_request_size=2_048).producer()
    values = [b"x" * 3_000, b"a", b"y" * 3_000, b"z" * 3_000, b"b", b"w" * 3_000]
    assert list(producer.send(topic, 0, [None] * 6, values, [0] * 6, headers)) == [0, 2, 3, 5]
    producer.flush()
    assert read(assigned(make, TopicPartition(topic, 0)), 2) == [(0, b"a"), (1, b"b")]


@pytest.mark.parametrize(("size", "left"), [(1, 2), (600, 2), (1_100, 2), (64 * 1024, 0)])
def test_a_batch_of_batch_size_leaves_without_lingering(make: MakeClients, topic: str, size: int, left: int) -> None:
    """Kafka's batch.size: a record that does not fit any more has those before it leave; a larger one is alone."""
    clients = make(batch_size=size, linger_ms=600_000, commit_interval_ms=2_400_000)
    producer, part = clients.producer(), TopicPartition(topic, 0)
    expected = [(offset, b"%d" % offset * 500) for offset in range(3)]
    producer.send(topic, 0, [None] * 3, [value for _, value in expected], [0] * 3)
    consumer = assigned(make, part)
    assert read(consumer, left)[:left] == expected[:left]
    producer.flush()
    assert (expected[:left] + read(consumer, 3 - left))[:3] == expected


class Refusing:
    """A client that refuses the first write, to each partition, with a code."""

    def __init__(self, client: AIOKafkaClient, code: int) -> None:
        self._client = client
        self._code = code

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: int, request: Any) -> Any:
        """The answer of a broker, or the refusal, of which the broker hears nothing."""
        if self._code and isinstance(request, Produce):
            code, self._code = self._code, 0
            topics = [(topic, [(number, code, -1, -1) for number, _ in parts]) for topic, parts in request._topics]
            return SimpleNamespace(topics=topics)
        return await self._client.send(node, request)


@pytest.mark.parametrize("code", [2, 45, 59])
def test_a_batch_is_sent_again_that_another_attempt_brings_through(make: MakeClients, topic: str, code: int) -> None:
    """CORRUPT_MESSAGE as it is; OUT_OF_ORDER_SEQUENCE_NUMBER and UNKNOWN_PRODUCER_ID as a new producer, as Kafka's does."""
    producer, parts = make().producer(), [TopicPartition(topic, number) for number in range(3)]
    for value in (b"before", b"refused", b"after"):
        if value == b"refused":
            producer._sender._client = cast("AIOKafkaClient", Refusing(producer._sender._client, code))
        for part in parts:
            producer.send(*part, [None], [value], [7])
        producer.flush()
    for part in parts:
        consumer = assigned(make, part)
        assert read(consumer, 3) == [(0, b"before"), (1, b"refused"), (2, b"after")]


def test_full_buffers_hold_the_sender_back(make: MakeClients, topic: str) -> None:
    """With room for one batch only, everything still arrives, in order."""
    producer = make(buffer_memory=4_096, max_request_size=2_048).producer()
    values = [b"%05d" % number for number in range(5_000)]
    for start in range(0, 5_000, 50):
        producer.send(topic, 0, [None] * 50, values[start : start + 50], [0] * 50)
    producer.flush()
    assert read(assigned(make, TopicPartition(topic, 0)), 5_000) == list(enumerate(values))


def test_full_batches_leave_while_others_are_under_way(make: MakeClients, topic: str) -> None:
    """Nobody flushes and nothing lingers to its end: what is full follows when those before it are acknowledged."""
    producer = make(max_request_size=4_096, linger_ms=600_000, commit_interval_ms=3_600_000).producer()
    values = [b"%020d" % number for number in range(6_000)]
    for start in range(0, 6_000, 50):
        producer.send(topic, start % 100 // 50, [None] * 50, values[start : start + 50], [0] * 50)
    for partition in (0, 1):
        found = read(assigned(make, TopicPartition(topic, partition)), 2_800)
        sent = [value for at, value in enumerate(values) if at // 50 % 2 == partition]
        assert found == list(enumerate(sent))[: len(found)]


def test_lingering_records_leave_by_themselves(make: MakeClients, topic: str) -> None:
    """Nobody flushes, and the record arrives."""
    make(linger_ms=5).producer().send(topic, 0, [None], [b"v"], [0])
    assert read(assigned(make, TopicPartition(topic, 0)), 1) == [(0, b"v")]


def test_output_does_not_linger_beyond_the_commit_interval(make: MakeClients, topic: str) -> None:
    """However long a linger is asked for: who commits often wants to see results soon."""
    make(linger_ms=600_000, commit_interval_ms=20).producer().send(topic, 0, [None], [b"v"], [0])
    assert read(assigned(make, TopicPartition(topic, 0)), 1) == [(0, b"v")]


@pytest.mark.parametrize("says", [True, False])
def test_who_is_in_a_hurry_says_when_output_leaves(make: MakeClients, topic: str, says: bool) -> None:
    """What lingers for a few ms leaves when nothing follows, and by the clock where nobody says that again."""
    producer = make(linger_ms=4).producer()
    for number in range(20):
        producer.send(topic, 0, [None], [b"%d" % number], [0])
        if says or not number:
            producer.release()
            producer.release()
    assert read(assigned(make, TopicPartition(topic, 0)), 20) == [(at, b"%d" % at) for at in range(20)]


def test_no_broker_is_a_clear_sentence() -> None:
    """After the time that was configured: the address, and what to do."""
    clients = KafkaClients(StreamsConfig.of("test", {"broker": "kafka://127.0.0.1:1", "connect_timeout_ms": 200}))
    with pytest.raises(ClientError, match=r"no broker answers at 127\.0\.0\.1:1 .*streams broker"):
        clients.producer()
    clients.close()


def test_a_flush_of_clients_that_are_closed_is_an_error(make: MakeClients, topic: str) -> None:
    """What was not acknowledged before may be lost: to return as if it were there would hide that."""
    clients = make(linger_ms=60_000)
    producer = clients.producer()
    producer.send(topic, 0, [b"k"], [b"v"], [1])
    clients.close()
    with pytest.raises(BrokerUnreachable, match="closed before all writes were acknowledged"):
        producer.flush()


def test_clients_that_are_closed_are_forgotten(make: MakeClients) -> None:
    """A worker makes and closes some with every rebalance, and runs for months."""
    clients = make()
    made = [clients.consumer(group=None), clients.producer(), clients.admin()]
    for each in made:
        each.close()
    closed = [weakref.ref(each) for each in made]
    del made, each
    clients.admin()
    gc.collect()
    assert [each() for each in closed] == [None] * 3
