"""The clients in memory: the same conversation that Kafka's would have."""

from __future__ import annotations

import pytest

from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.memory import MemoryBroker, MemoryClients, MemoryConsumer
from streams.errors import ClientError, OffsetOutOfRange, ProducerFenced, TaskMigrated
from streams.record import TopicPartition
from tests.streams.clients.members import Log, RoundRobin

FIRST, SECOND = TopicPartition("t", 0), TopicPartition("t", 1)


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(NewTopic("t", 2))
    return broker


def send(broker: MemoryBroker, partition: TopicPartition, *values: bytes) -> None:
    MemoryClients(broker).producer().send(*partition, [None] * len(values), values, [7] * len(values))


def joined(broker: MemoryBroker, *, cooperative: bool = False) -> tuple[MemoryConsumer, Log]:
    consumer, log = MemoryClients(broker).consumer(group="g"), Log()
    consumer.subscribe(["t"], RoundRobin(cooperative=cooperative), log)
    return consumer, log


def test_what_is_sent_is_polled(broker: MemoryBroker) -> None:
    """Records come back in order, with offsets, and the position moves past them."""
    consumer = MemoryClients(broker).consumer(group=None)
    consumer.assign([FIRST])
    send(broker, FIRST, b"a", b"b")
    (batch,) = consumer.poll(0)
    columns = batch.columns()
    assert (columns.values, list(columns.offsets or ())) == ([b"a", b"b"], [0, 1])
    assert (consumer.position(FIRST), consumer.lag(FIRST)) == (2, 0)


def test_paused_partitions_rest(broker: MemoryBroker) -> None:
    """A paused partition gives nothing until it is resumed."""
    consumer = MemoryClients(broker).consumer(group=None)
    consumer.assign([FIRST])
    consumer.pause([FIRST])
    send(broker, FIRST, b"a")
    assert consumer.poll(0) == []
    consumer.resume([FIRST])
    assert [batch.columns().values for batch in consumer.poll(0)] == [[b"a"]]


def test_two_members_share_and_one_takes_over(broker: MemoryBroker) -> None:
    """A second member gets half after all have joined again; when it leaves, the first has everything."""
    first, log = joined(broker)
    first.poll(0)
    assert log.said == [("assigned", frozenset({FIRST, SECOND}))]
    second, other = joined(broker)
    first.poll(0)
    second.poll(0)
    first.poll(0)
    assert log.said[1][0] == "revoked"
    assert log.said[-1][1] | other.said[-1][1] == {FIRST, SECOND}
    second.close()
    first.poll(0)
    assert log.said[-1] == ("assigned", frozenset({FIRST, SECOND}))


def test_reading_goes_on_at_the_committed_offset(broker: MemoryBroker) -> None:
    """A new member begins where the group had committed."""
    send(broker, FIRST, b"a", b"b", b"c")
    first, _ = joined(broker)
    first.poll(0)
    first.commit({FIRST: OffsetAndMetadata(2, "m")})
    first.close()
    second, _ = joined(broker)
    assert [batch.columns().values for batch in second.poll(0)] == [[b"c"]]
    assert second.committed([FIRST, SECOND]) == {FIRST: OffsetAndMetadata(2, "m")}


def test_an_expired_member_cannot_commit_and_comes_back(broker: MemoryBroker) -> None:
    """After its session it is told that it lost its partitions, and then joins anew."""
    consumer, log = joined(broker)
    consumer.poll(0)
    consumer.expire()
    with pytest.raises(TaskMigrated):
        consumer.commit({FIRST: OffsetAndMetadata(1)})
    consumer.poll(0)
    assert [what for what, _ in log.said] == ["assigned", "lost", "assigned"]


def test_wake_ends_a_poll(broker: MemoryBroker) -> None:
    """A poll that was woken beforehand does not wait."""
    consumer = MemoryClients(broker).consumer(group=None)
    consumer.assign([FIRST])
    consumer.wake()
    assert consumer.poll(60) == []


def test_offsets_by_time(broker: MemoryBroker) -> None:
    """The first record that is not older, or the end."""
    producer, consumer = MemoryClients(broker).producer(), MemoryClients(broker).consumer(group=None)
    producer.send(*FIRST, [None] * 3, [b"", b"", b""], [10, 20, 30])
    assert consumer.offsets_at([FIRST], 15) == {FIRST: 1}
    assert consumer.offsets_at([FIRST], 31) == {FIRST: 3}


def test_deleted_records_are_gone(broker: MemoryBroker) -> None:
    """After delete_records reading begins behind them."""
    send(broker, FIRST, b"a", b"b")
    MemoryClients(broker).admin().begin_delete_records({FIRST: 1}).result()
    consumer = MemoryClients(broker).consumer(group=None)
    assert consumer.beginning_offsets([FIRST]) == {FIRST: 1}
    consumer.assign([FIRST])
    assert [batch.columns().values for batch in consumer.poll(0)] == [[b"b"]]


def test_a_position_outside_of_the_log_is_an_error_until_it_is_moved(broker: MemoryBroker) -> None:
    """Before the first record or after the end, once what other partitions have is given: as Kafka answers."""
    send(broker, FIRST, b"a", b"b")
    consumer = MemoryClients(broker).consumer(group=None)
    consumer.assign([FIRST])
    MemoryClients(broker).admin().begin_delete_records({FIRST: 1}).result()
    for outside in (0, 3):
        consumer.seek(FIRST, outside)
        for _ in range(2):
            with pytest.raises(OffsetOutOfRange, match=f"has no offset {outside}"):
                consumer.poll(0)
    consumer.seek(FIRST, 1)
    assert [batch.columns().values for batch in consumer.poll(0)] == [[b"b"]]


def test_a_missing_topic_says_so(broker: MemoryBroker) -> None:
    """Sending to a topic that does not exist names it and the cure."""
    with pytest.raises(ClientError, match="'missing' does not exist.*create it"):
        MemoryClients(broker).producer().partition_count("missing")


def committed_values(broker: MemoryBroker) -> list[bytes]:
    return [record.value for record in broker.records("t", read_committed=True)]


def test_cooperative_members_keep_what_stays_with_them(broker: MemoryBroker) -> None:
    """Only what goes is revoked, its new owner has it a generation later, and what stays is never interrupted."""
    first, log = joined(broker, cooperative=True)
    send(broker, FIRST, b"a")
    send(broker, SECOND, b"a")
    first.poll(0)
    second, other = joined(broker, cooperative=True)
    for _ in range(3):
        first.poll(0)
        second.poll(0)
    (_, gone), (_, kept) = log.said[1:3]
    assert [what for what, _ in log.said] == ["assigned", "revoked", "assigned", "assigned"]
    assert (len(gone), gone | kept, other.owned) == (1, {FIRST, SECOND}, gone)
    assert first.position(next(iter(kept))) == 1


def test_transactions_are_seen_when_they_are_committed(broker: MemoryBroker) -> None:
    """Neither open nor aborted ones are; control records take offsets, and readers move past them."""
    producer = MemoryClients(broker).producer(transactional_id="x")
    consumer = MemoryClients(broker).consumer(group=None, read_committed=True)
    consumer.assign([FIRST])
    producer.begin()
    producer.send(*FIRST, [None], [b"aborted"], [1])
    producer.abort_transaction()
    producer.begin()
    producer.send(*FIRST, [None], [b"kept"], [1])
    assert (consumer.poll(0), consumer.end_offsets([FIRST])) == ([], {FIRST: 2})
    assert consumer.high_watermarks([FIRST]) == {FIRST: 3}
    producer.commit_transaction()
    assert [batch.columns().values for batch in consumer.poll(0)] == [[b"kept"]]
    assert consumer.position(FIRST) == producer.end_offset("t", 0) == 4


def test_offsets_of_a_transaction_count_with_its_commit(broker: MemoryBroker) -> None:
    """As those of the member of this generation; a member that was dropped is refused."""
    consumer, _ = joined(broker)
    consumer.poll(0)
    producer = MemoryClients(broker).producer(transactional_id="x")
    producer.begin()
    producer.send_offsets({FIRST: OffsetAndMetadata(3)}, consumer.group_metadata())
    producer.commit_transaction()
    assert consumer.committed([FIRST]) == {FIRST: OffsetAndMetadata(3)}
    consumer.expire()
    producer.begin()
    with pytest.raises(TaskMigrated):
        producer.send_offsets({FIRST: OffsetAndMetadata(4)}, consumer.group_metadata())


def test_undecided_offsets_are_waited_for(broker: MemoryBroker) -> None:
    """Until the transaction times out: then it is aborted, and its producer fenced."""
    consumer, _ = joined(broker)
    consumer.poll(0)
    producer = MemoryClients(broker).producer(transactional_id="x", transaction_timeout_ms=50)
    producer.begin()
    producer.send_offsets({FIRST: OffsetAndMetadata(3)}, consumer.group_metadata())
    assert consumer.committed([FIRST]) == {}
    with pytest.raises(ProducerFenced):
        producer.commit_transaction()


def test_a_second_producer_of_an_id_fences_the_first(broker: MemoryBroker) -> None:
    """What the first left open is aborted, and it can do nothing more."""
    first = MemoryClients(broker).producer(transactional_id="x")
    first.begin()
    first.send(*FIRST, [None], [b"lost"], [1])
    second = MemoryClients(broker).producer(transactional_id="x")
    second.begin()
    second.send(*FIRST, [None], [b"kept"], [1])
    second.commit_transaction()
    for step in (first.commit_transaction, first.abort_transaction):
        with pytest.raises(ProducerFenced):
            step()
    first.close()
    assert committed_values(broker) == [b"kept"]


def test_who_rejoins_is_told_nothing_of_what_it_had(broker: MemoryBroker) -> None:
    """It had dropped that already; it is assigned anew, from the committed offsets."""
    consumer, log = joined(broker)
    send(broker, FIRST, b"a")
    assert consumer.poll(0)
    consumer.rejoin()
    assert [batch.columns().values for batch in consumer.poll(0)] == [[b"a"]]
    assert [what for what, _ in log.said] == ["assigned", "assigned"]
