"""Transactions against the bundled broker: what is seen when, what is undone, and who is shut out."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.structs import BrokerMetadata

from streams.clients.base import Before, GroupMetadata, OffsetAndMetadata
from streams.clients.kafka import KafkaClients, KafkaProducer
from streams.clients.kafka.transactions import refusal
from streams.errors import (
    BrokerUnreachable,
    ClientError,
    ProducerFenced,
    ProductionError,
    TaskMigrated,
    TransactionAbortable,
)
from streams.record import TopicPartition

pytestmark = pytest.mark.broker

MakeClients = Callable[..., KafkaClients]
Values = Callable[..., list[bytes]]


@pytest.fixture
def producer(make: MakeClients, topic: str) -> KafkaProducer:
    """A producer with the topic's name as its id."""
    return make().producer(transactional_id=topic)


def send(producer: KafkaProducer, topic: str, *values: bytes, partition: int = 0) -> None:
    producer.send(topic, partition, [None] * len(values), values, [7] * len(values))


def test_records_are_seen_when_they_are_committed(producer: KafkaProducer, topic: str, values: Values) -> None:
    """Not before; and the end offset counts the control record of each transaction."""
    part = TopicPartition(topic, 0)
    producer.begin()
    send(producer, topic, b"a", b"b")
    producer.flush()
    assert (values(part), values(part, read_committed=False)) == ([], [b"a", b"b"])
    producer.commit_transaction()
    producer.begin()
    send(producer, topic, b"c")
    producer.commit_transaction()
    assert producer.end_offset(topic, 0) == 5
    assert values(part, read_committed=False) == [b"a", b"b", b"c"]


def test_what_is_committed_can_be_read_up_to_the_high_watermark(
    make: MakeClients, producer: KafkaProducer, topic: str
) -> None:
    """A reader that wants the high watermark gets there, past the last control record, and knows its position."""
    part, consumer = TopicPartition(topic, 0), make().consumer(group=None, read_committed=True)
    consumer.assign([part])
    producer.begin()
    send(producer, topic, b"a")
    producer.flush()
    assert (consumer.end_offsets([part])[part], consumer.high_watermarks([part])[part]) == (0, 1)
    producer.commit_transaction()
    while consumer.high_watermarks([part])[part] < 2 or consumer.position(part) < 2:
        consumer.poll(0.05)
    assert consumer.end_offsets([part])[part] == 2 == producer.end_offset(topic, 0)


def covered(producer: KafkaProducer, *partitions: TopicPartition) -> None:
    """Wait until the producer's transaction covers just these."""
    transactions = producer._transactions
    assert transactions is not None
    deadline = time.monotonic() + 20
    while transactions.partitions != set(partitions) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert transactions.partitions == set(partitions)


def test_a_transaction_covers_what_is_being_written(make: MakeClients, topic: str, values: Values) -> None:
    """The broker is told of partitions while their first batch fills; of those behind a seal when the first has ended."""
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    producer = make(linger_ms=600_000).producer(transactional_id=topic)
    producer.begin()
    send(producer, topic, b"a")
    covered(producer, first)
    assert values(first, read_committed=False) == []
    producer.seal()
    producer.begin()
    send(producer, topic, b"b", partition=1)
    producer.begin_flush().result()
    covered(producer, first)
    producer.begin_commit().result()
    covered(producer, second)
    producer.commit_transaction()
    assert (values(first), values(second)) == ([b"a"], [b"b"])
    producer.begin()
    send(producer, topic, b"dropped", partition=1)
    covered(producer, second)
    producer.abort_transaction()
    covered(producer)
    producer.begin()
    send(producer, topic, b"kept")
    producer.commit_transaction()
    assert (values(first), values(second)) == ([b"a", b"kept"], [b"b"])


def test_an_aborted_transaction_leaves_nothing_behind(producer: KafkaProducer, topic: str, values: Values) -> None:
    """What was written and what still waited is gone, and the next transaction is whole."""
    producer.begin()
    send(producer, topic, b"written")
    producer.flush()
    send(producer, topic, b"waiting")
    producer.abort_transaction()
    assert not producer.in_transaction
    producer.begin()
    send(producer, topic, b"kept")
    producer.commit_transaction()
    assert values(TopicPartition(topic, 0)) == [b"kept"]


def test_many_transactions_over_many_partitions(producer: KafkaProducer, topic: str, values: Values) -> None:
    """One after the other without a pause, every second one aborted: the others arrive, in order, whole."""
    for number in range(20):
        producer.begin()
        for partition in range(3):
            send(producer, topic, b"%d" % number, b"%d!" % number, partition=partition)
        (producer.abort_transaction if number % 2 else producer.commit_transaction)()
    expected = [b"%d%s" % (number, mark) for number in range(0, 20, 2) for mark in (b"", b"!")]
    for partition in range(3):
        assert values(TopicPartition(topic, partition)) == expected


def test_an_empty_transaction_costs_nothing(producer: KafkaProducer) -> None:
    """Neither commit nor abort has anything to ask the broker."""
    producer.begin()
    producer.commit_transaction()
    producer.begin()
    producer.abort_transaction()
    assert not producer.in_transaction


def test_offsets_count_with_the_commit(make: MakeClients, producer: KafkaProducer, topic: str) -> None:
    """Those of an aborted transaction never do; metadata comes back as it was."""
    part, group = TopicPartition(topic, 1), GroupMetadata(f"g-{topic}")
    consumer = make().consumer(group=group.group)
    producer.begin()
    producer.send_offsets({part: OffsetAndMetadata(5, "first")}, group)
    producer.commit_transaction()
    producer.begin()
    producer.send_offsets({part: OffsetAndMetadata(9, "second")}, group)
    producer.abort_transaction()
    assert consumer.committed([part]) == {part: OffsetAndMetadata(5, "first")}


def test_groups_of_the_transaction_before_are_told_of_beside_the_writes(
    make: MakeClients, producer: KafkaProducer, topic: str, values: Values
) -> None:
    """Their offsets count with each commit, whether one has some or not, and an abort waits for what is under way."""
    part, group = TopicPartition(topic, 0), GroupMetadata(f"g-{topic}")
    consumer = make().consumer(group=group.group)
    for number in range(12):
        producer.begin()
        send(producer, topic, b"%d" % number)
        if number % 3 != 1:
            producer.send_offsets({part: OffsetAndMetadata(number)}, group)
        if number % 4 == 3:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    assert consumer.committed([part]) == {part: OffsetAndMetadata(9)}
    assert values(part) == [b"%d" % number for number in range(12) if number % 4 != 3]


def test_undecided_offsets_are_waited_for(make: MakeClients, producer: KafkaProducer, topic: str) -> None:
    """Whoever asks while a transaction holds offsets waits until its timeout aborts it, or hears of the others alone."""
    part, group = TopicPartition(topic, 0), GroupMetadata(f"g-{topic}")
    consumer = make().consumer(group=group.group)
    consumer.commit({part: OffsetAndMetadata(1)})
    hasty = make().producer(transactional_id=f"{topic}-hasty", transaction_timeout_ms=1_000)
    hasty.begin()
    hasty.send_offsets({part: OffsetAndMetadata(2)}, group)
    other = TopicPartition(topic, 1)
    assert consumer.decided([part, other]) == {other: None}
    assert consumer.committed([part]) == {part: OffsetAndMetadata(1)}
    with pytest.raises(ProducerFenced):
        hasty.commit_transaction()


def test_a_second_producer_of_an_id_fences_the_first(
    make: MakeClients, producer: KafkaProducer, topic: str, values: Values
) -> None:
    """What the first left open is aborted, whatever it still tries is refused, and the second works."""
    producer.begin()
    send(producer, topic, b"lost")
    producer.flush()
    second = make().producer(transactional_id=topic)
    second.begin()
    send(second, topic, b"kept")
    second.commit_transaction()
    send(producer, topic, b"late")
    with pytest.raises(ProducerFenced):
        producer.commit_transaction()
    with pytest.raises(ProducerFenced):
        producer.abort_transaction()
    producer.close()
    assert values(TopicPartition(topic, 0)) == [b"kept"]


@pytest.mark.parametrize("step", ["send_offsets", "commit_transaction", "abort_transaction"])
def test_a_fenced_producer_learns_of_it_at_every_step(
    make: MakeClients, producer: KafkaProducer, topic: str, step: str
) -> None:
    """It is a TaskMigrated, so that tasks are dropped."""
    producer.begin()
    send(producer, topic, b"a")
    producer.flush()
    make().producer(transactional_id=topic)
    arguments: tuple[Any, ...] = ()
    if step == "send_offsets":
        arguments = ({TopicPartition(topic, 0): OffsetAndMetadata(1)}, GroupMetadata(f"g-{topic}"))
    with pytest.raises(ProducerFenced) as caught:
        getattr(producer, step)(*arguments)
    assert isinstance(caught.value, TaskMigrated)


def test_offsets_of_who_is_no_member_are_refused(producer: KafkaProducer, topic: str, values: Values) -> None:
    """The group knows no such member: the transaction is aborted, and the producer goes on (KIP-447)."""
    part = TopicPartition(topic, 0)
    producer.begin()
    send(producer, topic, b"a")
    with pytest.raises(TaskMigrated, match="UNKNOWN_MEMBER_ID|ILLEGAL_GENERATION") as caught:
        producer.send_offsets({part: OffsetAndMetadata(1)}, GroupMetadata(f"g-{topic}", 3, "a-stranger"))
    assert not isinstance(caught.value, ProducerFenced)
    producer.abort_transaction()
    producer.begin()
    send(producer, topic, b"b")
    producer.commit_transaction()
    assert values(part) == [b"b"]


def test_offsets_that_no_transaction_brings_through(producer: KafkaProducer, topic: str) -> None:
    """Metadata over offset.metadata.max.bytes: the next transaction would meet the same, so it ends the worker."""
    producer.begin()
    with pytest.raises(ClientError, match=f"offset of {topic}-1 for group 'g-{topic}': OFFSET_METADATA_TOO_LARGE"):
        producer.send_offsets(
            {TopicPartition(topic, 1): OffsetAndMetadata(1, "x" * 5_000)}, GroupMetadata(f"g-{topic}")
        )


def test_only_what_the_next_transaction_cures_is_aborted() -> None:
    """All other codes end the worker, those that nobody knows yet too: it would abort and begin anew without end."""
    curable = {27, 45, 48, 59, 120}
    passing_by_themselves = {3, 5, 6, 7, 14, 15, 16, 19, 20, 41, 56}
    found = {number: type(refusal(number, "no")) for number in range(-1, 140) if number != 0}
    assert {number for number, kind in found.items() if kind is ProducerFenced} == {47, 49, 90}
    aborted = {number for number, kind in found.items() if kind is TransactionAbortable}
    assert aborted == curable | passing_by_themselves
    assert set(found.values()) == {ProducerFenced, TransactionAbortable, ClientError}
    assert type(refusal(45, "no", fatal=True)) is ClientError


def test_a_refused_batch_ends_its_transaction_only(make: MakeClients, topic: str, values: Values) -> None:
    """After an abort the producer goes on, though the broker never saw some of its sequence numbers."""
    producer = make(max_request_size=4_000_000).producer(transactional_id=topic)
    producer.begin()
    send(producer, topic, b"x" * 2_000_000)
    with pytest.raises(ProductionError, match=r"max\.message\.bytes"):
        producer.commit_transaction()
    producer.abort_transaction()
    producer.begin()
    send(producer, topic, b"small")
    producer.commit_transaction()
    assert values(TopicPartition(topic, 0)) == [b"small"]


def test_a_timeout_that_the_broker_does_not_allow(make: MakeClients, topic: str) -> None:
    """The message names both settings."""
    with pytest.raises(ClientError, match=r"lower transaction_timeout_ms, or raise transaction\.max\.timeout\.ms"):
        make().producer(transactional_id=topic, transaction_timeout_ms=2**31 - 1)


def test_a_closed_producer_has_aborted(make: MakeClients, producer: KafkaProducer, topic: str, values: Values) -> None:
    """Nobody need wait for the timeout of a transaction that was left open."""
    producer.begin()
    send(producer, topic, b"a")
    producer.flush()
    producer.close()
    after = make().producer()
    send(after, topic, b"b")
    after.flush()
    while (seen := values(TopicPartition(topic, 0))) != [b"b"]:
        assert seen == []


def test_open_transactions_are_listed(make: MakeClients, producer: KafkaProducer, topic: str) -> None:
    """From the first record on until the end, whichever it is."""
    admin = make().admin()
    assert topic not in admin.open_transactions()
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin()
        send(producer, topic, b"a")
        producer.flush()
        assert topic in admin.open_transactions()
        end()
        assert topic not in admin.open_transactions()


def test_a_broker_that_is_away_hides_no_open_transaction_of_the_others(
    make: MakeClients, producer: KafkaProducer, topic: str
) -> None:
    """When a broker and a worker die together, the transactions that others coordinate can be ended at once."""
    admin, away = make().admin(), 99
    producer.begin()
    send(producer, topic, b"a")
    producer.flush()
    (node,) = [broker.nodeId for broker in admin._client.cluster.brokers()]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    admin._client.cluster._brokers[away] = BrokerMetadata(away, "127.0.0.1", port, None)
    assert topic in admin._call(admin._opened([away, node]))
    with pytest.raises(BrokerUnreachable):
        admin._call(admin._opened([away]))


def test_the_next_transaction_waits_for_the_one_that_ends(producer: KafkaProducer, topic: str, values: Values) -> None:
    """What is sent behind a seal is no part of the commit, goes out after it, and is committed or undone on its own."""
    part = TopicPartition(topic, 0)
    producer.begin()
    send(producer, topic, b"a")
    producer.seal()
    producer.begin()
    send(producer, topic, b"b")
    producer.begin_flush().result()
    assert (values(part), values(part, read_committed=False)) == ([], [b"a"])
    producer.begin_commit().result()
    assert (values(part), producer.end_offset(topic, 0)) == ([b"a"], 2)
    producer.flush()
    assert values(part, read_committed=False) == [b"a", b"b"]
    producer.abort_transaction()
    producer.begin()
    send(producer, topic, b"c")
    producer.commit_transaction()
    assert values(part) == [b"a", b"c"]


def test_a_commit_that_is_begun_at_once(make: MakeClients, producer: KafkaProducer, topic: str, values: Values) -> None:
    """Offsets, then all writes, then the end, without anybody who waits in between; each step is told of in its turn."""
    part, group = TopicPartition(topic, 0), GroupMetadata(f"g-{topic}")
    reached: list[Any] = []
    producer.begin()
    send(producer, topic, b"a")
    producer.seal()
    offsets = Before(
        producer.begin_send_offsets({part: OffsetAndMetadata(5)}, group),
        lambda: reached.append(("offsets", values(part))),
    )
    written = Before(producer.begin_flush(), lambda: reached.append(("written", values(part, read_committed=False))))
    producer.begin_commit((offsets, written)).result()
    assert (reached, values(part)) == ([("offsets", []), ("written", [b"a"])], [b"a"])
    assert make().consumer(group=group.group).committed([part]) == {part: OffsetAndMetadata(5)}


def test_a_commit_after_what_went_wrong(producer: KafkaProducer, topic: str, values: Values) -> None:
    """Offsets that the group refuses keep the transaction from ending: it can still be undone."""
    part, stranger = TopicPartition(topic, 0), GroupMetadata(f"g-{topic}", 7, "nobody")
    producer.begin()
    send(producer, topic, b"a")
    producer.seal()
    offsets = Before(producer.begin_send_offsets({part: OffsetAndMetadata(5)}, stranger), lambda: None)
    with pytest.raises(TaskMigrated):
        producer.begin_commit((offsets,)).result()
    producer.abort_transaction()
    assert values(part) == []
    producer.begin()
    send(producer, topic, b"b")
    producer.commit_transaction()
    assert values(part) == [b"b"]


def test_an_abort_undoes_what_was_sealed_and_what_follows(producer: KafkaProducer, topic: str, values: Values) -> None:
    """Of a transaction that is not being committed nothing stays, nor of the one behind it."""
    producer.begin()
    send(producer, topic, b"a")
    producer.seal()
    producer.begin()
    send(producer, topic, b"b")
    producer.abort_transaction()
    assert not producer.in_transaction
    producer.begin()
    send(producer, topic, b"c")
    producer.commit_transaction()
    assert values(TopicPartition(topic, 0)) == [b"c"]


def test_an_abort_waits_for_a_commit(producer: KafkaProducer, topic: str, values: Values) -> None:
    """What is being committed cannot be undone; what was sent since is."""
    producer.begin()
    send(producer, topic, b"a")
    producer.seal()
    producer.begin_commit()
    producer.begin()
    send(producer, topic, b"b")
    producer.abort_transaction()
    assert values(TopicPartition(topic, 0)) == [b"a"]


def test_the_end_of_what_was_sealed(make: MakeClients, topic: str) -> None:
    """Without transactions, too, what is acknowledged of later records does not count: a store's position must not."""
    producer = make().producer()
    send(producer, topic, b"a", b"b")
    producer.seal()
    send(producer, topic, b"c")
    producer.begin_flush().result()
    assert producer.end_offset(topic, 0) == 2
    producer.flush()
    assert producer.end_offset(topic, 0) == 3
    producer.close()
