"""What a member has still to send when its group may have gone on without it: held back, then sent or forgotten."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient

from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.kafka import KafkaClients
from streams.clients.kafka.closed_batch import Batch
from streams.clients.kafka.hot import Produce
from streams.clients.kafka.lease import Lease
from streams.clients.kafka.producer import KafkaProducer
from streams.clients.kafka.sender import Sender
from streams.errors import TaskMigrated
from streams.record import TopicPartition
from tests.streams.clients.kafka.group_members import MakeClients, Member, share, until

Values = Callable[..., list[bytes]]

SELDOM = {"heartbeat_interval_ms": 1_000}
"""So that a write would be through before the group is asked."""
LONG_AGO = -1.0


@pytest.fixture
def changelog(make: MakeClients, topic: str) -> Iterator[str]:
    """A topic that one member writes at a time."""
    name, admin = f"{topic}-changelog", make().admin()
    admin.create([NewTopic(name, 1)])
    yield name
    admin.delete([name])


def test_a_session_that_may_have_ended_is_in_doubt_until_the_group_answers() -> None:
    """Counted from when the group was asked; for so long at most, since a coordinator that is away drops nobody."""
    lease = Lease(session_s=10.0, patience_s=2.0)
    assert not lease.doubtful(1_000.0)
    lease.begin(100.0)
    lease.renew(105.0)
    assert [lease.doubtful(now) for now in (114.9, 115.0, 116.9, 117.0, 500.0)] == [False, True, True, False, False]
    lease.renew(501.0)
    assert [lease.doubtful(now) for now in (510.0, 600.0, 601.9, 602.0)] == [False, True, True, False]


def test_what_is_over_stays_so_until_partitions_are_assigned() -> None:
    """A heartbeat that was answered late does not bring it back."""
    lease = Lease(session_s=10.0, patience_s=2.0)
    lease.end()
    lease.renew(5.0)
    assert lease.over
    lease.begin(6.0)
    assert not lease.over


@pytest.mark.broker
def test_a_zombie_sends_nothing_to_what_others_own(
    make: MakeClients, topic: str, changelog: str, values: Values
) -> None:
    """It wakes up after its session: the group has forgotten it. Its results are sent, and with its next tasks all is."""
    member = Member(make, topic, **SELDOM)
    share(member)
    producer = member.clients.producer(exclusive=frozenset({changelog}))
    member.drop_out()
    member.clients._lease.renew(LONG_AGO - member.clients._lease._session_s)
    for name, value in ((changelog, b"stale"), (topic, b"result")):
        producer.send(name, 0, [b"k"], [value], [7])
    producer.flush()
    until(lambda: member.heard[1:] == ["lost", "assigned"], member)
    producer.send(changelog, 0, [b"k"], [b"new"], [7])
    producer.flush()
    assert values(TopicPartition(changelog, 0)) == [b"new"]
    assert values(TopicPartition(topic, 0)) == [b"result"]


@pytest.mark.broker
def test_who_is_still_a_member_sends_all_of_it(make: MakeClients, topic: str, changelog: str, values: Values) -> None:
    """Stopped for long, and not forgotten: it goes on as soon as it has heard so."""
    member = Member(make, topic, **SELDOM)
    share(member)
    lease = member.clients._lease
    producer = member.clients.producer(exclusive=frozenset({changelog}))
    lease.renew(LONG_AGO - lease._session_s)
    producer.send(changelog, 0, [b"k"], [b"mine"], [7])
    producer.flush()
    assert (lease._doubt_until, lease.over) == (None, False), "the group has answered"
    assert values(TopicPartition(changelog, 0)) == [b"mine"]


@pytest.mark.broker
def test_what_had_not_left_is_withdrawn(make: MakeClients, topic: str, changelog: str, values: Values) -> None:
    """Of the exclusive topics alone, without waiting; what is sent afterwards is written."""
    producer = make(linger_ms=60_000, commit_interval_ms=600_000).producer(exclusive=frozenset({changelog}))
    for name, value in ((changelog, b"stale"), (topic, b"result")):
        producer.send(name, 0, [b"k"], [value], [7])
    producer.withdraw()
    producer.send(changelog, 0, [b"k"], [b"new"], [7])
    producer.flush()
    assert values(TopicPartition(changelog, 0)) == [b"new"]
    assert values(TopicPartition(topic, 0)) == [b"result"]


def after_a_write(make: MakeClients, changelog: str) -> tuple[KafkaClients, KafkaProducer]:
    """Clients, and their producer that has written one record to the changelog."""
    clients = make()
    producer = clients.producer(exclusive=frozenset({changelog}))
    producer.send(changelog, 0, [b"k"], [b"first"], [7])
    producer.flush()
    return clients, producer


class CutOff:
    """A client whose writes get no answer; they arrive all the same, or not."""

    def __init__(self, client: AIOKafkaClient, *, arrives: bool) -> None:
        self._client = client
        self._arrives = arrives
        self.asked = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: int, request: Any) -> Any:
        if not isinstance(request, Produce):
            return await self._client.send(node, request)
        if self._arrives:
            await self._client.send(node, request)
        self.asked.set()
        raise kafka_errors.RequestTimedOutError


@pytest.mark.broker
@pytest.mark.parametrize("arrives", [True, False])
def test_nothing_is_lost_behind_what_was_sent_in_doubt_and_withdrawn(
    make: MakeClients, topic: str, changelog: str, values: Values, *, arrives: bool
) -> None:
    """Its sequence number is not given again: the broker would take what follows for a repetition."""
    clients, producer = after_a_write(make, changelog)
    lease, sender = clients._lease, producer._sender
    connected = sender._client
    cut_off = CutOff(connected, arrives=arrives)
    sender._client = cast("AIOKafkaClient", cut_off)
    producer.send(changelog, 0, [b"k"], [b"in doubt"], [7])
    producer.seal()
    pending = producer.begin_flush()
    assert cut_off.asked.wait(60)
    clients._network.soon(lease.end)
    pending.result()
    sender._client = connected
    lease.begin(math.inf)
    for value in (b"second", b"third"):
        producer.send(changelog, 0, [b"k"], [value], [7])
        producer.flush()
    assert values(TopicPartition(changelog, 0)) == [b"first", *([b"in doubt"] if arrives else []), b"second", b"third"]


@pytest.mark.broker
def test_who_has_left_does_not_commit_as_nobody(make: MakeClients, topic: str) -> None:
    """A group that is empty takes offsets from anybody, also for changes that were forgotten meanwhile."""
    member, part = Member(make, topic), TopicPartition(topic, 0)
    share(member)
    network, inner = member.consumer._network, member.consumer._member
    network.call(inner._silent())
    with pytest.raises(TaskMigrated, match="went on without this member"):
        member.consumer.commit({part: OffsetAndMetadata(1)})
    assert member.consumer.committed([part]) == {}


class Stopped:
    """A client of a process that stands still when something is about to be sent: when it goes on, its lease is over."""

    def __init__(self, sender: Sender, lease: Lease) -> None:
        self._exchange = sender._exchange
        self._lease = lease

    async def __call__(self, node: int, batches: list[Batch]) -> tuple[list[Batch], str]:
        self._lease.end()
        return await self._exchange(node, batches)


@pytest.mark.broker
def test_what_was_taken_before_the_process_stood_still_is_not_sent(
    make: MakeClients, topic: str, changelog: str, values: Values
) -> None:
    """A request waits for its turn on the loop; results of the same request go out."""
    clients, producer = after_a_write(make, changelog)
    lease, sender = clients._lease, producer._sender
    sender._exchange = Stopped(sender, lease)
    for name, value in ((changelog, b"stale"), (topic, b"result")):
        producer.send(name, 0, [b"k"], [value], [7])
    producer.flush()
    del sender._exchange
    lease.begin(math.inf)
    producer.send(changelog, 0, [b"k"], [b"second"], [7])
    producer.flush()
    assert values(TopicPartition(changelog, 0)) == [b"first", b"second"]
    assert values(TopicPartition(topic, 0)) == [b"result"]
