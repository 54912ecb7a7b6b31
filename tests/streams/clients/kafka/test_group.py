"""Members of a group on the bundled broker: who owns what when, and what each error code does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from streams.clients.base import Assignment, Before, NewTopic, OffsetAndMetadata, Subscription
from streams.clients.kafka import group_requests as requests
from streams.errors import (
    BrokerUnreachable,
    ClientError,
    NameTaken,
    ProducerFenced,
    RebalanceInProgress,
    TaskMigrated,
)
from streams.record import TopicPartition
from tests.streams.clients.kafka.group_members import MakeClients, Member, failing, share, until
from tests.streams.clients.members import RoundRobin

pytestmark = pytest.mark.broker


def test_one_member_owns_all(make: MakeClients, topic: str) -> None:
    """It is given a member id first (79), leads, and gets what its assignor says to it."""
    member = Member(make, topic, b"me")
    share(member)
    identity = member.consumer.group_metadata()
    assert (identity.group, identity.generation, identity.instance_id) == (f"g-{topic}", 1, None)
    assert identity.member_id
    assert (member.heard, member.assignor.told) == (["assigned"], [b"for me of 3"])


def test_eager_members_give_everything_back(make: MakeClients, topic: str) -> None:
    """A second member makes the first let go of all; when it leaves, the first has all again."""
    first = Member(make, topic)
    share(first)
    second = Member(make, topic)
    share(first, second)
    assert first.log.said[1] == ("revoked", frozenset(TopicPartition(topic, number) for number in range(3)))
    second.consumer.close()
    until(lambda: first.owned == {0, 1, 2}, first)


def test_cooperative_members_keep_what_stays(make: MakeClients, topic: str) -> None:
    """Only what goes is revoked, and nobody owns a partition before it was let go; a paused one stays paused."""
    first = Member(make, topic, b"a", cooperative=True)
    share(first)
    kept = TopicPartition(topic, 0)
    first.consumer.pause([kept])
    second = Member(make, topic, b"b", cooperative=True)
    until(lambda: bool(second.owned), first, second)
    assert (first.owned, second.owned) == ({0, 2}, {1})
    assert [(what, {part.partition for part in parts}) for what, parts in first.log.said[:3]] == [
        ("assigned", {0, 1, 2}),
        ("revoked", {1}),
        ("assigned", {0, 2}),
    ]
    producer = make().producer()
    for number in (0, 2):
        producer.send(topic, number, [None], [b"%d" % number], [7])
    producer.flush()
    seen: list[bytes] = []
    while b"2" not in seen:
        seen += [value for batch in first.consumer.poll(0.05) for value in batch.columns().values]
    assert seen == [b"2"]


def test_a_cooperative_rebalance_interrupts_nobody(make: MakeClients, topic: str) -> None:
    """While the group waits for a member that does not poll, the others still commit."""
    first, second = (Member(make, topic, says, cooperative=True) for says in (b"a", b"b"))
    until(lambda: (first.owned, second.owned) == ({0, 2}, {1}), first, second)
    second.consumer.enforce_rebalance()
    generation = first.consumer.group_metadata().generation
    for number in range(20):
        first.consumer.poll(0.02)
        first.consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(number)})
    assert first.consumer.group_metadata().generation == generation
    until(lambda: first.consumer.group_metadata().generation > generation, first, second)
    assert first.heard.count("revoked") <= 1


def test_a_member_that_was_dropped_comes_back(make: MakeClients, topic: str) -> None:
    """UNKNOWN_MEMBER_ID on a heartbeat: what it had is lost, and it joins as a new member."""
    member = Member(make, topic)
    share(member)
    before = member.consumer.group_metadata().member_id
    member.drop_out()
    until(lambda: member.heard[1:] == ["lost", "assigned"], member)
    assert member.consumer.group_metadata().member_id not in ("", before)


def test_a_dropped_member_cannot_commit(make: MakeClients, topic: str) -> None:
    """UNKNOWN_MEMBER_ID on a commit is TaskMigrated, with and without a transaction (KIP-447)."""
    member = Member(make, topic, heartbeat_interval_ms=2_000)
    share(member)
    stale, offsets = member.consumer.group_metadata(), {TopicPartition(topic, 0): OffsetAndMetadata(1)}
    member.drop_out()
    with pytest.raises(TaskMigrated, match="UNKNOWN_MEMBER_ID"):
        member.consumer.commit(offsets)
    until(lambda: member.heard[1:] == ["lost", "assigned"], member)
    producer = make().producer(transactional_id=topic)
    producer.begin()
    with pytest.raises(TaskMigrated, match=r"UNKNOWN_MEMBER_ID|ILLEGAL_GENERATION") as caught:
        producer.send_offsets(offsets, stale)
    assert not isinstance(caught.value, ProducerFenced)
    producer.send_offsets(offsets, member.consumer.group_metadata())
    producer.commit_transaction()
    assert member.consumer.committed(offsets) == offsets


def test_a_commit_waits_for_what_stands_before_it(make: MakeClients, topic: str) -> None:
    """It is sent when that is over and was told of; not at all when something went wrong."""
    member, part = Member(make, topic), TopicPartition(topic, 0)
    share(member)
    producer, reached = make().producer(), threading.Event()
    producer.send(topic, 0, [None], [b"v"], [0])
    producer.seal()
    member.consumer.begin_commit({part: OffsetAndMetadata(1)}, [Before(producer.begin_flush(), reached.set)]).result()
    assert (reached.is_set(), member.consumer.committed([part])) == (True, {part: OffsetAndMetadata(1)})
    producer.give_up()
    refused = member.consumer.begin_commit({part: OffsetAndMetadata(2)}, [Before(producer.begin_flush(), reached.set)])
    with pytest.raises(BrokerUnreachable):
        refused.result()
    assert member.consumer.committed([part]) == {part: OffsetAndMetadata(1)}


def test_an_older_generation_cannot_commit(make: MakeClients, topic: str) -> None:
    """ILLEGAL_GENERATION: the member has missed one, so what it owned is lost; it keeps its id."""
    member = Member(make, topic, heartbeat_interval_ms=2_000)
    share(member)
    inner, identity = member.consumer._member, member.consumer.group_metadata()
    inner.metadata = identity._replace(generation=identity.generation - 1)
    with pytest.raises(TaskMigrated, match="ILLEGAL_GENERATION"):
        member.consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(1)})
    until(lambda: member.heard[1:] == ["lost", "assigned"], member)
    assert member.consumer.group_metadata().member_id == identity.member_id


class SlowLeader(RoundRobin):
    """Divides when it is told to."""

    def __init__(self) -> None:
        super().__init__(cooperative=True)
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def assign(self, partitions: Mapping[str, int], members: Sequence[Subscription]) -> Mapping[str, Assignment]:
        self.asked.set()
        assert self.go_on.wait(10)
        return super().assign(partitions, members)


def test_a_commit_between_generations_is_for_later(make: MakeClients, topic: str) -> None:
    """REBALANCE_IN_PROGRESS while the leader divides: nothing is lost, and the commit works afterwards."""
    slow = SlowLeader()
    leader = Member(make, topic, assignor=slow)
    share(leader)
    other = Member(make, topic, cooperative=True)
    share(leader, other)
    until(lambda: bool(other.owned), leader, other)
    offsets = {part: OffsetAndMetadata(1) for part in other.log.owned}
    slow.asked.clear()
    slow.go_on.clear()
    other.consumer.enforce_rebalance()
    until(slow.asked.is_set, leader, other)
    with pytest.raises(RebalanceInProgress):
        other.consumer.commit(offsets)
    slow.go_on.set()
    heard = len(other.log.said)
    until(lambda: len(other.log.said) > heard, leader, other)
    other.consumer.commit(offsets)
    assert "lost" not in other.heard
    generation = other.consumer.group_metadata().generation
    for _ in range(20):
        leader.consumer.poll(0.02)
        other.consumer.poll(0.02)
    assert other.consumer.group_metadata().generation == generation, "a refused commit is no reason to join once more"


def test_a_transaction_between_generations_takes_offsets(make: MakeClients, topic: str) -> None:
    """A cooperative member owns what it owns while the leader divides: its offsets count under either generation."""
    slow = SlowLeader()
    leader = Member(make, topic, assignor=slow)
    share(leader)
    other = Member(make, topic, cooperative=True)
    share(leader, other)
    offsets = {part: OffsetAndMetadata(1) for part in other.log.owned}
    stale = other.consumer.group_metadata()
    slow.asked.clear()
    slow.go_on.clear()
    other.consumer.enforce_rebalance()
    until(slow.asked.is_set, leader, other)
    producer = make().producer(transactional_id=topic)
    producer.begin()
    with pytest.raises(TaskMigrated, match="ILLEGAL_GENERATION"):
        producer.send_offsets(offsets, stale)
    producer.send_offsets(offsets, other.consumer.group_metadata(beyond=stale.generation))
    producer.commit_transaction()
    slow.go_on.set()
    heard = len(other.log.said)
    until(lambda: len(other.log.said) > heard, leader, other)
    assert "lost" not in other.heard
    assert other.consumer.committed(offsets) == offsets


def test_a_member_that_does_not_poll_leaves(make: MakeClients, topic: str) -> None:
    """After max_poll_interval_ms another has its partitions, heartbeats or not; when it polls, they are lost."""
    busy = Member(make, topic, max_poll_interval_ms=400)
    share(busy)
    other = Member(make, topic)
    until(lambda: other.owned == {0, 1, 2}, other)
    until(lambda: "lost" in busy.heard, busy)
    share(busy, other)


def test_waiting_in_poll_is_no_silence(make: MakeClients, topic: str) -> None:
    """A member that waits for records for longer than max_poll_interval_ms stays what it is."""
    member = Member(make, topic, max_poll_interval_ms=300)
    share(member)
    member.consumer.poll(1)
    assert member.heard == ["assigned"]


def test_a_static_member_comes_back_unnoticed(make: MakeClients, topic: str) -> None:
    """Closed and started again within its session, it has the same partitions, and the other heard nothing."""
    other = Member(make, topic, b"b", group_instance_id="b")
    static = Member(make, topic, b"a", group_instance_id="a")
    share(other, static)
    owned, heard = static.owned, list(other.heard)
    static.consumer.close()
    again = Member(make, topic, b"a", group_instance_id="a")
    until(lambda: again.owned == owned, other, again)
    assert other.heard == heard


def test_a_static_leader_comes_back_as_leader(make: MakeClients, topic: str, broker_url: str) -> None:
    """Alone or not, it has its place without a new generation (KIP-814), and still sees that the topic grows."""
    leader = Member(make, topic, b"a", group_instance_id="a")
    share(leader)
    other = Member(make, topic, b"b", group_instance_id="b")
    share(leader, other)
    generation, heard, owned = other.consumer.group_metadata().generation, list(other.heard), leader.owned
    leader.consumer.close()
    again = Member(make, topic, b"a", group_instance_id="a", metadata_max_age_ms=200)
    until(lambda: again.owned == owned, again, other)
    assert (again.consumer.group_metadata().generation, other.heard) == (generation, heard)
    grow(broker_url, topic, 5)
    until(lambda: again.owned | other.owned == {0, 1, 2, 3, 4}, again, other)


def test_a_static_leader_sees_what_has_grown_meanwhile(make: MakeClients, topic: str, broker_url: str) -> None:
    """What the group was given before it was away is of fewer partitions: it has the group assign anew at once."""
    leader = Member(make, topic, group_instance_id="a")
    share(leader)
    leader.consumer.close()
    grow(broker_url, topic, 4)
    again = Member(make, topic, group_instance_id="a")
    until(lambda: again.owned == {0, 1, 2, 3}, again)
    assert again.heard == ["assigned"]


def test_older_brokers_have_a_returning_leader_lead_a_new_generation(
    make: MakeClients, topic: str, broker_url: str
) -> None:
    """They name the leader by the id it had: it joins once more, and is told; a follower goes on in the same generation."""
    leader, follower = (Member(make, topic, name.encode(), group_instance_id=name, joins_by=5) for name in "ab")
    share(leader, follower)
    until(
        lambda: len({member.consumer.group_metadata().generation for member in (leader, follower)}) == 1,
        leader,
        follower,
    )
    generation = leader.consumer.group_metadata().generation
    follower.consumer.close()
    follower = Member(make, topic, b"b", group_instance_id="b", joins_by=5)
    share(leader, follower)
    assert follower.consumer.group_metadata().generation == generation
    leader.consumer.close()
    leader = Member(make, topic, b"a", group_instance_id="a", metadata_max_age_ms=200, joins_by=5)
    share(leader, follower)
    assert leader.consumer.group_metadata().generation == generation + 1
    grow(broker_url, topic, 5)
    until(lambda: leader.owned | follower.owned == {0, 1, 2, 3, 4}, leader, follower)


@pytest.mark.parametrize("place", ["leader", "follower"])
def test_another_program_does_not_find_its_predecessors_place(make: MakeClients, topic: str, place: str) -> None:
    """A static member that comes back and says something else has the group assign anew before it is told anything."""
    leader, follower = (Member(make, topic, name.encode(), group_instance_id=name) for name in "ab")
    share(leader, follower)
    generation = leader.consumer.group_metadata().generation
    gone, stays = (leader, follower) if place == "leader" else (follower, leader)
    gone.consumer.close()
    again = Member(make, topic, b"c", group_instance_id="a" if gone is leader else "b")
    share(again, stays)
    assert again.assignor.told == [b"for c of 3"]
    assert again.consumer.group_metadata().generation == stays.consumer.group_metadata().generation == generation + 1


def test_two_members_with_one_instance_id(make: MakeClients, topic: str) -> None:
    """FENCED_INSTANCE_ID: the first is told to be another, and the second has its place."""
    first = Member(make, topic, group_instance_id="same")
    share(first)
    second = Member(make, topic, group_instance_id="same")
    until(lambda: second.owned == {0, 1, 2}, second)
    assert "give each worker its own" in str(failing(first))
    assert second.owned == {0, 1, 2}


def test_a_member_whose_name_is_taken_is_told_so_by_its_commit(make: MakeClients, topic: str) -> None:
    """Its commit and a new join say what to do, whichever of its requests heard of it first."""
    first = Member(make, topic, group_instance_id="same", heartbeat_interval_ms=5_000)
    share(first)
    second = Member(make, topic, group_instance_id="same")
    until(lambda: second.owned == {0, 1, 2}, second)
    with pytest.raises(ClientError, match="give each worker its own"):
        first.consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(1)})
    with pytest.raises(ClientError, match="give each worker its own"):
        first.consumer.rejoin()


def test_a_name_of_its_own_is_taken_back(make: MakeClients, topic: str) -> None:
    """A coordinator that was killed may know an older id under it: no other worker can have the name of a state directory.

    Found by chaos, seed 4002: worker 1 was told FENCED_INSTANCE_ID after the broker was killed between two generations.
    """
    member = Member(make, topic, returns_as="mine")
    share(member)
    forget_id(member)
    until(lambda: member.heard == ["assigned", "lost", "assigned"], member)
    assert member.owned == {0, 1, 2}


def test_a_name_that_is_taken_again_and_again_is_not_its_own(make: MakeClients, topic: str) -> None:
    """Two workers on copies of a state directory: one of them ends, and says why."""
    member = Member(make, topic, returns_as="copied")
    share(member)
    for times in range(1, 4):
        forget_id(member)
        until(lambda times=times: member.heard == ["assigned", *["lost", "assigned"] * times], member)
    forget_id(member)
    assert "copy of the state directory" in str(failing(member))


def test_a_name_that_is_taken_again_and_again_is_told_in_transactions(make: MakeClients, topic: str) -> None:
    """Under exactly-once the producer hears of it, before a heartbeat does, and the member has to learn it from there."""
    member, offsets = Member(make, topic, returns_as="copied", heartbeat_interval_ms=5_000), OffsetAndMetadata(1)
    producer = make().producer(transactional_id=topic)

    def lose_name() -> str:
        share(member)
        forget_id(member)
        producer.begin()
        with pytest.raises(NameTaken, match="FENCED_INSTANCE_ID") as caught:
            producer.send_offsets({TopicPartition(topic, 0): offsets}, member.consumer.group_metadata())
        producer.abort_transaction()
        member.log.lost(member.log.owned)
        return caught.value.member_id

    for _ in range(3):
        member.consumer.rejoin(lose_name())
    with pytest.raises(ClientError, match="copy of the state directory"):
        member.consumer.rejoin(lose_name())


def forget_id(member: Member) -> None:
    """Have the group know its name under another id, behind its back."""
    own = member.consumer._member
    claim = requests.Claim((), b"", (), -1)
    request = requests.join(
        own.metadata._replace(member_id="", generation=-1), 6_000, 6_000, member.assignor.name, claim
    )
    member.consumer._network.call(own._coordinator.ask_once(request))


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"name": "another"}, "by another assignor"),
        ({"session_timeout_ms": 10_000_000, "heartbeat_interval_ms": 1_000}, r"session_timeout_ms is outside"),
    ],
)
def test_what_no_retry_cures_is_said(make: MakeClients, topic: str, settings: dict[str, Any], remedy: str) -> None:
    """INCONSISTENT_GROUP_PROTOCOL and INVALID_SESSION_TIMEOUT come out of `poll`, with what to do."""
    share(Member(make, topic))
    error = failing(Member(make, topic, **settings))
    assert isinstance(error, ClientError)
    assert remedy in str(error)


def test_who_rejoins_is_told_nothing_of_what_it_had(make: MakeClients, topic: str) -> None:
    """A fenced worker has dropped that already; as a new member it is assigned anew."""
    member = Member(make, topic)
    share(member)
    before = member.consumer.group_metadata().member_id
    member.consumer.rejoin()
    until(lambda: member.heard == ["assigned", "assigned"], member)
    assert member.consumer.group_metadata().member_id != before


def test_a_topic_that_grows_is_assigned_anew(make: MakeClients, topic: str, broker_url: str) -> None:
    """The leader looks at the metadata of its topics."""
    member = Member(make, topic, metadata_max_age_ms=200)
    share(member)
    grow(broker_url, topic, 5)
    until(lambda: member.owned == {0, 1, 2, 3, 4}, member)


def test_a_topic_that_is_unknown_for_a_moment_is_waited_for(make: MakeClients, strict_broker: str) -> None:
    """The leader asks again instead of dividing nothing: a broker that has just started may not know a topic yet."""
    admin = make(broker=strict_broker).admin()
    admin.create([NewTopic("late", 3)])
    member = Member(make, "late", broker=strict_broker)
    share(member)
    member.consumer.poll(0.1)  # its partitions are placed
    admin.delete(["late"])
    member.consumer.enforce_rebalance()
    until(lambda: member.heard == ["assigned", "revoked"], member)
    for _ in range(20):
        member.consumer.poll(0.05)
    admin.create([NewTopic("late", 3)])
    until(lambda: member.heard == ["assigned", "revoked", "assigned"], member)
    assert member.owned == {0, 1, 2}


def test_members_do_not_make_a_deleted_topic_anew(make: MakeClients, topic: str) -> None:
    """Though their leader asks for it: as Kafka Streams' consumers, with allow.auto.create.topics=false."""
    member, admin = Member(make, topic, metadata_max_age_ms=100), make().admin()
    share(member)
    member.consumer.poll(0.1)  # its partitions are placed
    admin.delete([topic])
    member.consumer.enforce_rebalance()
    until(lambda: member.heard == ["assigned", "revoked"], member)
    for _ in range(10):
        member.consumer.poll(0.05)
    assert topic not in admin.topics()


def grow(broker_url: str, topic: str, partitions: int) -> None:
    """Give a topic more partitions."""

    async def create() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker_url.removeprefix("kafka://"))
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(partitions)})
        await admin.close()

    asyncio.run(create())
