"""Consumer groups of the new protocol on a real log: epochs, hand-over of partitions, fencing, silence, and a restart."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.coordinators.assignors import ASSIGNORS, uniform
from broker.coordinators.consumer_group import ConsumerGroup, ConsumerGroupState, Kind
from broker.coordinators.consumer_group_records import records_of, replay
from broker.coordinators.consumer_membership import Beat, Heartbeat
from broker.coordinators.group_coordinator import Committer, GroupCoordinator, OffsetCommit
from broker.errors import BrokerError, ErrorCode


@dataclass
class Shape:
    """A topic as assignments see it."""

    topic_id: UUID
    count: int


class Consumers:
    """A coordinator with one topic of four partitions, and heartbeats with few words."""

    def __init__(self, groups: Any, clock: asyncio.AbstractEventLoop) -> None:
        self.groups = groups
        self.clock: Any = clock
        self.topics = {"topic": Shape(uuid4(), 4)}
        self.reopen()

    def reopen(self) -> None:
        """A stop and a start: everything that remains comes from the log."""
        self.groups.reopen()
        groups = self.groups
        self.coordinator = groups.coordinator = GroupCoordinator(
            groups.coordinator._config,
            [groups.log],
            self.clock,
            self.clock.now_ms,
            groups.delayed.when_committed,
            topics=self.topics,
        )
        self.coordinator.load()

    def beat(self, member: str, epoch: int, owned: set[int] | None = None, **changes: Any) -> Beat:
        """A heartbeat; `owned` are partitions of the topic."""
        topic_id = self.topics["topic"].topic_id
        places = None if owned is None else frozenset((topic_id, index) for index in owned)
        answers: list[Beat] = []
        self.coordinator.consumer_heartbeat("group", Heartbeat(member, epoch, owned=places, **changes), answers.append)
        return answers[0]

    def join(self, member: str, **changes: Any) -> Beat:
        """The first heartbeat of a member."""
        first = {"topics": frozenset({"topic"}), "rebalance_timeout_ms": 60_000}
        return self.beat(member, 0, set(), **{**first, **changes})

    def commit(self, member: str, epoch: int, *partitions: int, transactional: bool = False) -> ErrorCode:
        """What becomes of a member's commit of partitions of the topic."""
        offsets = [OffsetCommit("topic", index, 1, -1, "") for index in partitions]
        try:
            self.coordinator.check_commit("group", Committer(member, None, epoch), offsets, transactional=transactional)
        except BrokerError as error:
            return error.code
        return ErrorCode.NONE

    @property
    def state(self) -> ConsumerGroupState:
        group = self.coordinator.consumer_group("group")
        assert group is not None
        return group.state


def indexes(beat: Beat) -> set[int]:
    assert beat.assignment is not None
    return {index for _, index in beat.assignment}


def refusal(call: Callable[[], object]) -> ErrorCode:
    with pytest.raises(BrokerError) as caught:
        call()
    return caught.value.code


@pytest.fixture
def consumers(groups: Any, clock: Any) -> Consumers:
    return Consumers(groups, clock)


def test_first_member_gets_everything(consumers: Consumers) -> None:
    """Who joins alone has all partitions at epoch 2, since a new group begins at 1, and the group is stable."""
    beat = consumers.join("a")
    assert (beat.epoch, indexes(beat), beat.interval_ms) == (2, {0, 1, 2, 3}, 5_000)
    assert consumers.state is ConsumerGroupState.STABLE


def test_who_reads_nothing_after_who_left_begins_no_epoch(consumers: Consumers) -> None:
    """That the topics of a group are none any more is part of the leaving, after a restart too."""
    joined = consumers.join("a")
    consumers.beat("a", -1)
    consumers.reopen()
    assert consumers.join("b", topics=frozenset()).epoch == joined.epoch + 1


def test_partition_changes_hands_only_when_let_go(consumers: Consumers) -> None:
    """The second member gets its half when the first has said that it let go of it, and not before."""
    consumers.join("a")
    joined = consumers.join("b")
    assert (joined.epoch, indexes(joined)) == (3, set())
    kept = indexes(consumers.beat("a", 2, {0, 1, 2, 3}))
    assert len(kept) == 2
    assert consumers.beat("b", 3).assignment is None
    assert consumers.beat("a", 2, kept).epoch == 3
    assert indexes(consumers.beat("b", 3)) == {0, 1, 2, 3} - kept
    assert consumers.state is ConsumerGroupState.STABLE


def test_leaving_gives_partitions_back(consumers: Consumers) -> None:
    """A member that leaves is followed by the others at once; the last one leaves an empty group."""
    consumers.join("a")
    consumers.join("b")
    assert consumers.beat("a", -1).epoch == -1
    assert indexes(consumers.beat("b", 3, set())) == {0, 1, 2, 3}
    consumers.beat("b", -1)
    assert consumers.state is ConsumerGroupState.EMPTY


def test_silence_ends_a_session(consumers: Consumers) -> None:
    """A member that says nothing for its session is gone; its next heartbeat learns so."""
    consumers.join("a")
    consumers.clock.advance(44)
    consumers.beat("a", 2)
    consumers.clock.advance(44)
    assert consumers.state is ConsumerGroupState.STABLE
    consumers.clock.advance(2)
    assert consumers.state is ConsumerGroupState.EMPTY
    assert refusal(lambda: consumers.beat("a", 2)) is ErrorCode.UNKNOWN_MEMBER_ID


def test_member_that_does_not_let_go_is_fenced(consumers: Consumers) -> None:
    """Heartbeats alone do not keep a member that holds on to what it must revoke."""
    consumers.join("a", rebalance_timeout_ms=10_000)
    consumers.join("b")
    consumers.beat("a", 2)
    consumers.clock.advance(11)
    assert refusal(lambda: consumers.beat("a", 2)) is ErrorCode.UNKNOWN_MEMBER_ID
    assert indexes(consumers.beat("b", 3, set())) == {0, 1, 2, 3}


def test_every_revocation_has_the_whole_timeout(consumers: Consumers) -> None:
    """A member that let go in time and is at once asked for more has its rebalance timeout again, but not longer."""
    consumers.topics["topic"].count = 6
    consumers.join("a")
    consumers.join("b")
    kept = indexes(consumers.beat("a", 2))
    assert len(kept) == 3
    consumers.clock.advance(40)
    consumers.beat("a", 2, {0, 1, 2, 3, 4, 5})
    consumers.beat("b", 3)
    consumers.clock.advance(15)
    newest = consumers.join("c").epoch
    fewer = indexes(consumers.beat("a", 2, kept))
    assert fewer < kept
    consumers.clock.advance(25)
    assert consumers.beat("a", 2, kept).epoch == 2
    consumers.beat("b", 3)
    consumers.beat("c", newest)
    consumers.clock.advance(34)
    assert consumers.beat("a", 2, kept).epoch == 2
    consumers.clock.advance(2)
    assert refusal(lambda: consumers.beat("a", 2, fewer)) is ErrorCode.UNKNOWN_MEMBER_ID


def test_epochs_fence(consumers: Consumers) -> None:
    """An epoch that is not the member's is refused, but the one before counts while the answer may be lost."""
    consumers.join("a")
    consumers.join("b")
    kept = indexes(consumers.beat("a", 2, {0, 1, 2, 3}))
    consumers.beat("a", 2, kept)
    assert consumers.beat("a", 2, kept).epoch == 3
    assert refusal(lambda: consumers.beat("a", 2)) is ErrorCode.FENCED_MEMBER_EPOCH
    assert refusal(lambda: consumers.beat("a", 4, kept)) is ErrorCode.FENCED_MEMBER_EPOCH


def test_static_member_comes_back(consumers: Consumers) -> None:
    """A static member keeps its partitions while it is away for a moment; another may not take its name meanwhile."""
    consumers.join("a", instance_id="i")
    assert refusal(lambda: consumers.join("b", instance_id="i")) is ErrorCode.UNRELEASED_INSTANCE_ID
    assert consumers.beat("a", -2, instance_id="i").epoch == -2
    back = consumers.join("b", instance_id="i")
    assert (back.epoch, indexes(back)) == (2, {0, 1, 2, 3})
    assert refusal(lambda: consumers.beat("a", 2, instance_id="i")) is ErrorCode.FENCED_INSTANCE_ID


def test_static_member_is_unreleased_until_it_left(consumers: Consumers) -> None:
    """Not even the member itself joins again under its instance id before it said that it left, as in Kafka."""
    consumers.join("a", instance_id="i")
    assert refusal(lambda: consumers.join("a", instance_id="i")) is ErrorCode.UNRELEASED_INSTANCE_ID
    consumers.beat("a", -2, instance_id="i")
    assert refusal(lambda: consumers.beat("a", 2, set(), instance_id="i")) is ErrorCode.FENCED_MEMBER_EPOCH
    assert consumers.join("a", instance_id="i").epoch == 2


def test_member_becomes_static(consumers: Consumers) -> None:
    """A member that joins again under an instance id has it from then on; nobody leaves under one it has not."""
    consumers.join("a")
    assert refusal(lambda: consumers.beat("a", -1, instance_id="i")) is ErrorCode.UNKNOWN_MEMBER_ID
    assert consumers.join("a", instance_id="i").epoch == 2
    assert refusal(lambda: consumers.join("b", instance_id="i")) is ErrorCode.UNRELEASED_INSTANCE_ID
    assert consumers.join("a", instance_id="j").epoch == 2
    assert refusal(lambda: consumers.beat("a", 2, instance_id="i")) is ErrorCode.UNKNOWN_MEMBER_ID
    consumers.reopen()
    assert consumers.beat("a", 2, instance_id="j").epoch == 2


def test_static_member_comes_back_as_another_member(consumers: Consumers) -> None:
    """Who takes over a static member's place under the id of a present member frees what that one had."""
    consumers.join("a", instance_id="i")
    consumers.join("b")
    kept = indexes(consumers.beat("a", 2, set()))
    assert indexes(consumers.beat("b", 3)) == {0, 1, 2, 3} - kept
    consumers.beat("a", -2, instance_id="i")
    assert indexes(consumers.join("b", instance_id="i")) == kept
    assert indexes(consumers.join("c")) == {0, 1, 2, 3} - kept
    assert consumers.beat("b", 3).epoch == 4
    assert consumers.state is ConsumerGroupState.STABLE


@pytest.mark.parametrize("who", [{"member": "a"}, {"member": "b", "instance_id": "i"}])
def test_refused_join_changes_nothing(consumers: Consumers, who: dict[str, str]) -> None:
    """A member whose pattern is refused as it joins again still has what it had, and its instance id."""
    consumers.join("a", instance_id="i" if "instance_id" in who else None)
    if "instance_id" in who:
        consumers.beat("a", -2, instance_id="i")
    group = consumers.coordinator.consumer_group("group")
    assert group is not None
    before = [(m.member_id, m.epoch, m.assigned) for m in group.members.values()]
    assert refusal(lambda: consumers.join(**who, regex="(")) is ErrorCode.INVALID_REGULAR_EXPRESSION
    assert [(m.member_id, m.epoch, m.assigned) for m in group.members.values()] == before
    assert len(before[0][2]) == 4


def test_rejoin_leaves_a_member_as_it_was(consumers: Consumers) -> None:
    """A member that joins again keeps its epoch and the one before, but holds nothing that it was to let go."""
    consumers.join("a")
    consumers.join("b")
    kept = indexes(consumers.beat("a", 2, {0, 1, 2, 3}))
    again = consumers.join("a")
    assert (again.epoch, indexes(again)) == (3, kept)
    assert indexes(consumers.beat("b", 3)) == {0, 1, 2, 3} - kept
    assert consumers.join("a").epoch == 3
    assert consumers.beat("a", 2, kept).epoch == 3


def test_topic_read_no_more_is_let_go_at_once(consumers: Consumers) -> None:
    """A member that still lets partitions go, and reads other topics from now on, is to let all of the old ones go."""
    consumers.topics["other"] = Shape(uuid4(), 1)
    consumers.join("a")
    consumers.join("b")
    assert len(indexes(consumers.beat("a", 2))) == 2
    assert consumers.beat("a", 2, topics=frozenset({"other"})).assignment == frozenset()
    back = consumers.beat("a", 2, set())
    assert (back.epoch, back.assignment) == (4, {(consumers.topics["other"].topic_id, 0)})
    assert indexes(consumers.beat("b", 3, set())) == {0, 1, 2, 3}


def test_topic_that_grows_is_assigned(consumers: Consumers) -> None:
    """New partitions reach the group with the next heartbeat."""
    consumers.join("a")
    consumers.topics["topic"].count = 6
    beat = consumers.beat("a", 2)
    assert (beat.epoch, len(indexes(beat))) == (3, 6)


def test_pattern(consumers: Consumers) -> None:
    """A pattern matches whole names, of topics to come as well."""
    consumers.topics["stop"] = Shape(uuid4(), 1)
    beat = consumers.join("a", topics=None, regex="top.*")
    assert len(indexes(beat)) == 4
    consumers.topics["top2"] = Shape(uuid4(), 1)
    assert len(consumers.beat("a", 2).assignment or ()) == 5
    assert refusal(lambda: consumers.join("b", regex="(")) is ErrorCode.INVALID_REGULAR_EXPRESSION
    assert refusal(lambda: consumers.join("b", regex="(?<=a)b")) is ErrorCode.INVALID_REGULAR_EXPRESSION


def test_pattern_that_matches_nothing_begins_no_epoch(consumers: Consumers) -> None:
    """A pattern new to the group counts when it matches something; one that others have, or that goes, always does."""
    consumers.join("a")
    assert consumers.beat("a", 2, regex="nothing").epoch == 2
    assert consumers.join("b", topics=frozenset(), regex="none").epoch == 2
    assert consumers.beat("a", 2, regex="none").epoch == 3
    assert consumers.beat("a", 3, regex="").epoch == 4
    assert consumers.beat("a", 4, regex="top.*").epoch == 5
    assert consumers.beat("a", 5, regex="nothing").epoch == 6


def test_nasty_pattern_takes_no_time(consumers: Consumers) -> None:
    """A pattern that makes a backtracking matcher run for ever is matched in time linear in the name."""
    consumers.topics["a" * 60 + "b"] = Shape(uuid4(), 1)
    assert indexes(consumers.join("a", topics=None, regex="(a|aa)+$")) == set()


def test_unknown_assignor(consumers: Consumers) -> None:
    """An assignor that is not built in is refused, and nobody joins."""
    assert refusal(lambda: consumers.join("a", assignor="fair")) is ErrorCode.UNSUPPORTED_ASSIGNOR
    assert consumers.coordinator.consumer_group("group") is None


def test_restart_keeps_everything(consumers: Consumers) -> None:
    """After a restart members go on at their epochs with what they had, and what was half done is finished."""
    consumers.join("a")
    consumers.join("b", instance_id="i", rack_id="r")
    kept = indexes(consumers.beat("a", 2, {0, 1, 2, 3}))
    consumers.reopen()
    assert consumers.beat("a", 2, kept).epoch == 3
    assert indexes(consumers.beat("b", 3, set(), instance_id="i")) == {0, 1, 2, 3} - kept
    assert consumers.state is ConsumerGroupState.STABLE


def test_commits_carry_the_epoch(consumers: Consumers) -> None:
    """Only a member at its epoch commits; a transaction is told so by the old name of the error."""
    consumers.join("a")
    assert consumers.commit("a", 2, 0) is ErrorCode.NONE
    assert consumers.commit("a", 1, 0) is ErrorCode.STALE_MEMBER_EPOCH
    assert consumers.commit("a", 3, 0) is ErrorCode.STALE_MEMBER_EPOCH
    assert consumers.commit("x", 2, 0) is ErrorCode.UNKNOWN_MEMBER_ID
    assert consumers.commit("a", 1, 0, transactional=True) is ErrorCode.ILLEGAL_GENERATION
    assert consumers.commit("a", 3, 0, transactional=True) is ErrorCode.ILLEGAL_GENERATION


def test_fetches_carry_the_epoch(consumers: Consumers) -> None:
    """Who says that it is a member must be, and at its epoch, -1 being none; who says nothing reads the offsets."""
    check = consumers.coordinator.check_fetch
    check("group", "nobody", 7)
    epoch = consumers.join("a").epoch
    check("group", None, -1)
    check("group", "a", epoch)
    for wrong in (-1, epoch - 1, epoch + 1):
        assert refusal(lambda epoch=wrong: check("group", "a", epoch)) is ErrorCode.STALE_MEMBER_EPOCH
    assert refusal(lambda: check("group", "nobody", -1)) is ErrorCode.UNKNOWN_MEMBER_ID
    assert refusal(lambda: check("group", "", -1)) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_commit_on_its_way_when_the_epoch_changes_counts(consumers: Consumers) -> None:
    """At an epoch before, a member commits what it has had since (KIP-1251), all or nothing, also after a restart."""
    consumers.join("a")
    consumers.join("b")
    kept = indexes(consumers.beat("a", 2, {0, 1, 2, 3}))
    lost = {0, 1, 2, 3} - kept
    assert consumers.commit("a", 2, *kept, *lost) is ErrorCode.NONE
    assert consumers.beat("a", 2, kept).epoch == 3
    assert indexes(consumers.beat("b", 3)) == lost
    for transactional, stale in [(False, ErrorCode.STALE_MEMBER_EPOCH), (True, ErrorCode.ILLEGAL_GENERATION)]:
        assert consumers.commit("a", 2, *kept, transactional=transactional) is ErrorCode.NONE
        assert consumers.commit("a", 1, *kept, transactional=transactional) is stale
        assert consumers.commit("a", 2, *kept, min(lost), transactional=transactional) is stale
        assert consumers.commit("b", 2, *lost, transactional=transactional) is stale
    consumers.beat("b", -1)
    assert consumers.beat("a", 3, kept).epoch == 4
    consumers.reopen()
    assert consumers.commit("a", 2, *kept) is ErrorCode.NONE
    assert consumers.commit("a", 3, *kept, *lost) is ErrorCode.STALE_MEMBER_EPOCH
    assert consumers.commit("a", 4, *kept, *lost) is ErrorCode.NONE


def test_a_member_commits_what_it_is_to_let_go(consumers: Consumers) -> None:
    """Partitions that are being revoked count as had, after a restart too, and no longer when they are let go."""
    consumers.join("a")
    consumers.topics["topic"].count = 6
    assert consumers.beat("a", 2, {0, 1, 2, 3}).epoch == 3
    consumers.join("b")
    kept = indexes(consumers.beat("a", 3))
    lost = {0, 1, 2, 3} - kept
    consumers.reopen()
    assert consumers.commit("a", 2, *lost) is ErrorCode.NONE
    assert consumers.commit("a", 2, 4) is consumers.commit("a", 2, 5) is ErrorCode.STALE_MEMBER_EPOCH
    consumers.beat("a", 3, kept)
    assert consumers.commit("a", 3, *lost) is ErrorCode.STALE_MEMBER_EPOCH


def test_a_static_member_that_is_away_begins_anew(consumers: Consumers) -> None:
    """What it had is its own from epoch 0, so that any epoch it may come back with counts, as in Kafka."""
    consumers.join("a", instance_id="i")
    consumers.beat("a", -2, instance_id="i")
    assert consumers.commit("a", 2, 0) is ErrorCode.STALE_MEMBER_EPOCH
    consumers.reopen()
    assert consumers.join("a", instance_id="i").epoch == 2
    assert consumers.commit("a", 1, 0) is ErrorCode.NONE


def test_a_producer_says_who_commits_or_nothing(consumers: Consumers) -> None:
    """A transaction's commit that names nobody is taken as it is; one that names an instance alone is a stranger's."""
    consumers.join("a", instance_id="i")
    check = consumers.coordinator.check_commit
    check("group", Committer(), [], transactional=True)
    named = Committer("", "i", -1)
    assert refusal(lambda: check("group", named, [], transactional=True)) is ErrorCode.UNKNOWN_MEMBER_ID


KAFKAS = bytes.fromhex(
    "0000000000050000000401020000000000000001000000000000000203000000000000000101000903000000030000000502000000000000"
    "000100000000000000020200000002010005020000000400"
)
"""A ConsumerGroupCurrentMemberAssignmentValue as Kafka 4.3.1 writes it."""


def test_assignment_epochs_as_kafka_writes_them() -> None:
    """The record of a member's assignment says since which epoch it has each partition; older records do not."""
    topic = UUID(int=(1 << 64) + 2)
    group = ConsumerGroup("group")
    replay(group, Kind.CURRENT, "a", KAFKAS)
    member = group.members["a"]
    assert (member.epoch, member.assigned, member.pending_revocation) == (
        5,
        {(topic, 0), (topic, 1)},
        {(topic, 2)},
    )
    assert member.assignment_epochs == {(topic, 0): 3, (topic, 1): 5, (topic, 2): 4}
    assert records_of(group, [(Kind.CURRENT, "a")])[0].value == KAFKAS
    tags = [bytes.fromhex("0100090300000003" + "00000005"), bytes.fromhex("01000502" + "00000004")]
    replay(group, Kind.CURRENT, "a", KAFKAS.replace(tags[0], b"\0").replace(tags[1], b"\0"))
    assert member.assignment_epochs == {(topic, 0): 5, (topic, 1): 5, (topic, 2): 5}


def test_empty_groups_convert(consumers: Consumers) -> None:
    """An empty group of either kind becomes the other; one with members that cannot be understood refuses."""
    consumers.join("a")
    assert consumers.groups.join()[0].error is ErrorCode.UNKNOWN_SERVER_ERROR
    consumers.beat("a", -1)
    joined = consumers.groups.join()[0]
    assert joined.error is ErrorCode.NONE
    assert consumers.coordinator.consumer_group("group") is None
    assert refusal(lambda: consumers.join("a")) is ErrorCode.GROUP_ID_NOT_FOUND
    consumers.coordinator.leave("group", joined.member_id, None)
    assert consumers.join("a").epoch == 2
    consumers.reopen()
    assert consumers.coordinator.consumer_group("group") is not None
    assert consumers.coordinator.describe("group") is None


SUBSCRIPTIONS = st.dictionaries(st.sampled_from("abcdef"), st.frozensets(st.sampled_from("xyz")), min_size=1)
SIZES = st.fixed_dictionaries({name: st.integers(1, 9) for name in "xyz"})


@given(SUBSCRIPTIONS, SIZES, st.sampled_from(sorted(ASSIGNORS)))
def test_every_partition_has_one_reader(subscriptions: Any, sizes: Any, name: str) -> None:
    """Whoever subscribes, each partition somebody reads is assigned once, and to one who reads it."""
    assigned = ASSIGNORS[name](subscriptions, sizes, {})
    places = [place for partitions in assigned.values() for place in partitions]
    read = set().union(*subscriptions.values())
    assert sorted(places) == sorted((topic, index) for topic in read for index in range(sizes[topic]))
    assert all(topic in subscriptions[member] for member, partitions in assigned.items() for topic, _ in partitions)


@given(st.integers(1, 6), st.integers(1, 6), SIZES)
def test_uniform_is_even_and_moves_little(before: int, after: int, sizes: Any) -> None:
    """Members of equal subscription differ by one partition at most, and only what must move moves."""
    topics = frozenset(sizes)
    total = sum(sizes.values())
    now = uniform({str(n): topics for n in range(before)}, sizes, {})
    then = uniform({str(n): topics for n in range(after)}, sizes, now)
    counts = [len(partitions) for partitions in then.values()]
    assert max(counts) - min(counts) <= 1
    kept = sum(len(now.get(member, set()) & partitions) for member, partitions in then.items())
    assert kept >= (total // max(before, after)) * min(before, after)


def test_offsets_of_topics_that_a_pattern_matches(consumers: Consumers, clock: Any) -> None:
    """What members name or match is read: its offsets cannot be deleted (86), and stay while there are members."""
    consumers.topics["other"] = Shape(uuid4(), 1)
    beat = consumers.join("a", topics=None, regex="top.*")
    where = [("topic", 0), ("other", 0)]
    offsets = [OffsetCommit(topic, index, 1, -1, "") for topic, index in where]
    consumers.coordinator.commit("group", Committer("a", None, beat.epoch), offsets, lambda _: None)
    answers: list[dict[Any, ErrorCode]] = []
    consumers.coordinator.delete_offsets("group", where[:1], answers.append)
    assert answers == [{("topic", 0): ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC}]
    for _ in range(8 * 86_400 // 40):
        clock.advance(40)
        consumers.beat("a", beat.epoch)
    assert consumers.coordinator.expire() == 1
    kept: list[Any] = []
    consumers.coordinator.fetch("group", kept.append)
    assert [*kept[0]] == where[:1]
