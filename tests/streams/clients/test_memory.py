"""The clients in memory: the same conversation that Kafka's would have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from streams.clients.base import Assignment, NewTopic, OffsetAndMetadata, Subscription
from streams.clients.memory import MemoryBroker, MemoryClients, MemoryConsumer
from streams.errors import ClientError, TaskMigrated
from streams.record import TopicPartition

FIRST, SECOND = TopicPartition("t", 0), TopicPartition("t", 1)


class RoundRobin:
    """Gives partitions out in turn."""

    name = "round-robin"

    def __init__(self, *, cooperative: bool = False) -> None:
        self.cooperative = cooperative
        self.told: list[bytes] = []

    def user_data(self) -> bytes:
        return b""

    def on_assignment(self, user_data: bytes) -> None:
        self.told.append(user_data)

    def assign(self, partitions: Mapping[str, int], members: Sequence[Subscription]) -> Mapping[str, Assignment]:
        every = [TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)]
        return {
            member.member_id: Assignment(tuple(every[index :: len(members)])) for index, member in enumerate(members)
        }


class Log:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, frozenset[TopicPartition]]] = []

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.said.append(("revoked", partitions))

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.said.append(("assigned", partitions))

    def lost(self, partitions: frozenset[TopicPartition]) -> None:
        self.said.append(("lost", partitions))


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(NewTopic("t", 2))
    return broker


def send(broker: MemoryBroker, partition: TopicPartition, *values: bytes) -> None:
    MemoryClients(broker).producer().send(*partition, [None] * len(values), values, [7] * len(values))


def joined(broker: MemoryBroker) -> tuple[MemoryConsumer, Log]:
    consumer, log = MemoryClients(broker).consumer(group="g"), Log()
    consumer.subscribe(["t"], RoundRobin(), log)
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
    MemoryClients(broker).admin().delete_records({FIRST: 1})
    consumer = MemoryClients(broker).consumer(group=None)
    assert consumer.beginning_offsets([FIRST]) == {FIRST: 1}
    consumer.assign([FIRST])
    assert [batch.columns().values for batch in consumer.poll(0)] == [[b"b"]]


def test_a_missing_topic_says_so(broker: MemoryBroker) -> None:
    """Sending to a topic that does not exist names it and the cure."""
    with pytest.raises(ClientError, match="'missing' does not exist.*create it"):
        MemoryClients(broker).producer().partition_count("missing")
