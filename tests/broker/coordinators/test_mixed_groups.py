"""Members of both protocols in one group, on a real log: how clients are moved from one to the other, and back."""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import pytest

from broker.coordinators.consumer_protocol import assignment, parse_assignment, parse_subscription
from broker.coordinators.fields import FieldWriter
from broker.coordinators.group import GroupState, JoinResult
from broker.errors import ErrorCode
from tests.broker.coordinators.test_consumer_groups import Consumers, Shape

EVERYTHING = {("topic", index) for index in range(4)}


def subscription(owned: Iterable[int] = (), topic: str = "topic") -> bytes:
    """A subscription of version 1, which says what the member holds."""
    held = sorted(owned)
    writer = FieldWriter().int16(1).int32(1).string(topic).int32(-1).int32(1 if held else 0)
    if held:
        writer.string(topic).int32(len(held))
    for index in held:
        writer.int32(index)
    return writer.done()


class Mixed(Consumers):
    """With members of the classic protocol beside heartbeats."""

    def classic(self, member_id: str = "", owned: Iterable[int] = (), **changes: Any) -> list[JoinResult]:
        """A join of the classic protocol."""
        joined: list[JoinResult] = self.groups.join(member_id, protocols={"range": subscription(owned)}, **changes)
        return joined

    def sync(self, joined: JoinResult, assignments: dict[str, bytes] | None = None) -> set[tuple[str, int]]:
        """A sync of the classic protocol; the partitions it brings."""
        (answer,) = self.groups.sync(joined, assignments)
        assert answer.error is ErrorCode.NONE
        return set(parse_assignment(answer.assignment))

    def two(self) -> list[JoinResult]:
        """A stable classic group of two, the leader first, with two partitions each."""
        first = self.classic()[0]
        waiting = self.classic()
        leader = self.classic(first.member_id)[0]
        other = waiting[0]
        halves = {leader.member_id: assignment([("topic", 0), ("topic", 1)], 1)}
        halves[other.member_id] = assignment([("topic", 2), ("topic", 3)], 1)
        late: list[Any] = self.groups.sync(other)
        self.sync(leader, halves)
        assert parse_assignment(late[0].assignment) == {("topic", 2), ("topic", 3)}
        return [leader, other]

    def rejoined(self, member: JoinResult) -> tuple[JoinResult, set[tuple[str, int]]]:
        """A member that was told to, joins again without holding anything, and syncs."""
        assert self.groups.beat(member) is ErrorCode.REBALANCE_IN_PROGRESS
        (joined,) = self.classic(member.member_id)
        assert joined.error is ErrorCode.NONE
        return joined, self.sync(joined)

    def held(self, beat: Any) -> set[tuple[str, int]]:
        """Partitions of a heartbeat's answer."""
        return {("topic", index) for _, index in beat.assignment}


@pytest.fixture
def mixed(groups: Any, clock: Any) -> Mixed:
    return Mixed(groups, clock)


def test_member_that_reads_nothing_begins_no_epoch(mixed: Mixed) -> None:
    """A classic group that becomes a consumer group knows its topics already; a member without any is at its epoch."""
    member, _ = mixed.two()
    new = mixed.join("new", topics=frozenset())
    assert (new.epoch, new.assignment) == (member.generation, frozenset())
    assert mixed.join("another").epoch == member.generation + 1


def test_one_by_one_to_the_new_protocol(mixed: Mixed) -> None:
    """A classic group goes on as a consumer group: old members give up their share, and are let in on a restart too."""
    members = mixed.two()
    new = mixed.join("new")
    assert (new.epoch, new.assignment) == (members[0].generation + 1, frozenset())
    shares = []
    for place, member in enumerate(members):
        members[place], share = mixed.rejoined(member)
        shares.append(share)
    beat = mixed.beat("new", new.epoch, set())
    assert sorted(map(len, [*shares, mixed.held(beat)])) == [1, 1, 2]
    assert set().union(*shares, mixed.held(beat)) == EVERYTHING
    mixed.reopen()
    assert [mixed.groups.beat(member) for member in members] == [ErrorCode.NONE, ErrorCode.NONE]
    for member in members:
        assert mixed.coordinator.leave("group", member.member_id, None) is ErrorCode.NONE
    last = mixed.beat("new", beat.epoch, {index for _, index in mixed.held(beat)})
    assert mixed.held(last) == EVERYTHING


def test_administrators_remove_members_of_the_new_protocol(mixed: Mixed) -> None:
    """Several at once, each with an answer of its own: who is named twice is known twice, and all go in one epoch."""
    epoch = [mixed.join(name) for name in ("new", "other", "third")][-1].epoch
    leavers = [("new", None), ("new", None), ("nobody", None), ("other", None), ("third", "instance")]
    unknown = ErrorCode.UNKNOWN_MEMBER_ID
    assert mixed.coordinator.leave_all("group", leavers) == [ErrorCode.NONE] * 2 + [unknown, ErrorCode.NONE, unknown]
    last = mixed.beat("third", epoch)
    assert (last.epoch, mixed.held(last)) == (epoch + 1, EVERYTHING)
    assert mixed.coordinator.leave("group", "new", None) is unknown


def test_back_to_the_classic_protocol(mixed: Mixed) -> None:
    """When the last member of the new protocol goes the others are a classic group again, and share everything."""
    members = mixed.two()
    new = mixed.join("new")
    members = [mixed.rejoined(member)[0] for member in members]
    mixed.beat("new", new.epoch, set())
    mixed.beat("new", -1)
    group = mixed.coordinator.describe("group")
    assert group is not None
    assert group.state is GroupState.PREPARING_REBALANCE
    assert [mixed.groups.beat(member) for member in members] == [ErrorCode.REBALANCE_IN_PROGRESS] * 2
    waiting = [mixed.classic(member.member_id) for member in members]
    leader = next(answers[0] for answers in waiting if answers[0].leader == answers[0].member_id)
    assert {member_id for member_id, _, _ in leader.members} == {member.member_id for member in members}
    assert mixed.sync(leader, {leader.member_id: assignment(EVERYTHING, 1)}) == EVERYTHING
    mixed.reopen()
    assert mixed.coordinator.consumer_group("group") is None
    assert mixed.groups.beat(leader) is ErrorCode.NONE


def test_the_last_of_the_new_protocol_joins_by_the_classic_one(mixed: Mixed) -> None:
    """Its group stays a consumer group, as in Kafka, until a member leaves it; the member goes on where it stands."""
    new = mixed.join("new")
    (joined,) = mixed.classic("new")
    assert (joined.error, joined.generation) == (ErrorCode.NONE, new.epoch)
    assert mixed.sync(joined) == EVERYTHING
    mixed.reopen()
    assert mixed.coordinator.consumer_group("group") is not None
    assert mixed.groups.beat(joined) is ErrorCode.NONE
    (other,) = mixed.classic("other")
    assert mixed.coordinator.leave("group", "new", None) is ErrorCode.NONE
    assert mixed.coordinator.consumer_group("group") is None
    assert mixed.groups.beat(other) is ErrorCode.REBALANCE_IN_PROGRESS


@pytest.mark.parametrize("member_id", ["new", ""])
def test_the_last_static_one_of_the_new_protocol_joins_by_the_classic_one(mixed: Mixed, member_id: str) -> None:
    """It takes its group with it, which is Stable with what everybody has, and does not rebalance."""
    new = mixed.join("new", instance_id="i")
    (joined,) = mixed.classic(member_id, instance_id="i")
    assert (joined.error, joined.generation) == (ErrorCode.NONE, new.epoch)
    group = mixed.coordinator.describe("group")
    assert group is not None
    assert (group.state, group.generation) == (GroupState.STABLE, new.epoch)
    assert mixed.sync(joined) == EVERYTHING
    mixed.reopen()
    assert mixed.groups.beat(joined) is ErrorCode.NONE


def test_a_group_whose_target_is_old_rebalances_as_a_classic_one(mixed: Mixed) -> None:
    """A static member that reads another topic now gets no target from the broker, but a rebalance."""
    mixed.topics["other"] = Shape(uuid4(), 1)
    new = mixed.join("new", instance_id="i")
    (joined,) = mixed.groups.join("new", instance_id="i", protocols={"range": subscription(topic="other")})
    assert (joined.error, joined.generation) == (ErrorCode.NONE, new.epoch)
    group = mixed.coordinator.describe("group")
    assert group is not None
    assert (group.state, group.generation) == (GroupState.PREPARING_REBALANCE, new.epoch)
    assert parse_assignment(group.members["new"].assignment) == EVERYTHING
    (again,) = mixed.groups.join("new", instance_id="i", protocols={"range": subscription(topic="other")})
    assert (again.generation, again.leader) == (new.epoch + 1, "new")


def test_generation_of_a_group_that_turns_classic_again(mixed: Mixed) -> None:
    """It follows the group's epoch, which two who left one after the other have raised above their members'."""
    mixed.join("new")
    (joined,) = mixed.classic("classic")
    mixed.sync(joined)
    last = mixed.join("last")
    for member in ("new", "last"):
        mixed.beat(member, -1)
    group = mixed.coordinator.describe("group")
    assert group is not None
    assert group.generation == last.epoch + 1


def test_joining_a_consumer_group(mixed: Mixed) -> None:
    """A classic member gets an id first, must speak the consumer protocol, and commits in its generation."""
    new = mixed.join("new")
    (asked,) = mixed.classic(require_known_id=True)
    assert (asked.error, bool(asked.member_id)) == (ErrorCode.MEMBER_ID_REQUIRED, True)
    (joined,) = mixed.classic(asked.member_id, require_known_id=True)
    assert (joined.error, joined.generation, joined.leader, joined.members) == (ErrorCode.NONE, new.epoch + 1, "", ())
    assert mixed.sync(joined) == set()
    mixed.beat("new", new.epoch, {0, 1, 2, 3})
    mixed.beat("new", new.epoch, {0, 1})
    again, share = mixed.rejoined(joined)
    assert share == {("topic", 2), ("topic", 3)}
    assert mixed.commit(again.member_id, again.generation, 2, 3) is ErrorCode.NONE
    for generation in (again.generation - 1, again.generation + 1):
        assert mixed.commit(again.member_id, generation, 2, 3) is ErrorCode.ILLEGAL_GENERATION


def test_a_classic_member_commits_what_it_has_had_since(mixed: Mixed) -> None:
    """In the generation before, what it kept counts; so does what it had before its group became a consumer group."""
    leader, _ = mixed.two()
    mixed.join("new")
    mixed.classic(leader.member_id, owned=(0, 1))
    (again,) = mixed.classic(leader.member_id, owned=(0,))
    assert again.generation == leader.generation + 1
    assert mixed.commit(leader.member_id, leader.generation, 0) is ErrorCode.NONE
    assert mixed.commit(leader.member_id, leader.generation - 1, 0) is ErrorCode.ILLEGAL_GENERATION
    assert mixed.commit(leader.member_id, leader.generation, 3) is ErrorCode.ILLEGAL_GENERATION


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": {}}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": {"sticky": b""}}, ErrorCode.UNKNOWN_SERVER_ERROR),
        ({"instance_id": "i", "member_id": "unknown"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"session_timeout_ms": 5}, ErrorCode.INVALID_SESSION_TIMEOUT),
    ],
)
def test_who_cannot_join(mixed: Mixed, changes: dict[str, Any], code: ErrorCode) -> None:
    """Other protocols, malformed subscriptions and strangers are refused with Kafka's codes, and change nothing."""
    mixed.join("new")
    (refused,) = mixed.groups.join(**changes)
    assert refused.error is code
    group = mixed.coordinator.consumer_group("group")
    assert group is not None
    assert set(group.members) == {"new"}


def test_those_who_do_not_come_are_let_go(mixed: Mixed, clock: Any) -> None:
    """A classic member that does not sync, or does not join again, within its rebalance timeout is not waited for."""
    mixed.join("new")
    (joined,) = mixed.classic(rebalance_timeout_ms=2_000, session_timeout_ms=30_000)
    clock.advance(3)
    assert mixed.groups.beat(joined) is ErrorCode.UNKNOWN_MEMBER_ID
    (joined,) = mixed.classic(rebalance_timeout_ms=60_000, session_timeout_ms=10_000)
    mixed.sync(joined)
    clock.advance(9)
    assert mixed.groups.beat(joined) is not ErrorCode.UNKNOWN_MEMBER_ID
    clock.advance(11)
    assert mixed.groups.beat(joined) is ErrorCode.UNKNOWN_MEMBER_ID


def test_bytes_of_the_consumer_protocol() -> None:
    """A subscription is read with what it owns; what is cut short is an error; an assignment reads back."""
    found = parse_subscription(subscription({1, 3}))
    assert (found.topics, found.owned) == ({"topic"}, {("topic", 1), ("topic", 3)})
    for end in range(len(subscription({1}))):
        with pytest.raises(ValueError, match="."):
            parse_subscription(subscription({1})[:end])
    assert parse_assignment(assignment(EVERYTHING, 9)) == EVERYTHING
