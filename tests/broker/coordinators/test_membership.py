"""The classic group protocol, rule by rule, with Kafka's error codes."""

import pytest

from broker.coordinators.group import GroupState
from broker.errors import ErrorCode


def state_of(groups) -> GroupState:
    return groups.coordinator.describe("group").state


# ---- join


def test_first_member_leads_at_once(groups) -> None:
    """Without an initial delay the first join is answered immediately, by a generation of one."""
    (answer,) = groups.join()
    assert (answer.error, answer.generation, answer.protocol) == (ErrorCode.NONE, 1, "range")
    assert answer.leader == answer.member_id
    assert [member_id for member_id, _, _ in answer.members] == [answer.member_id]
    assert state_of(groups) is GroupState.COMPLETING_REBALANCE


def test_member_id_round_trip(groups) -> None:
    """A member without an id is given one (79) and joins with it."""
    (refused,) = groups.join(require_known_id=True)
    assert refused.error is ErrorCode.MEMBER_ID_REQUIRED
    (answer,) = groups.join(refused.member_id, require_known_id=True)
    assert answer.error is ErrorCode.NONE
    assert answer.member_id == refused.member_id


def test_handed_out_id_is_no_static_members(groups) -> None:
    """Nobody joins with an instance id and an id that was handed out to a member without one (-1)."""
    (refused,) = groups.join(require_known_id=True)
    assert groups.join(refused.member_id, instance_id="i")[0].error is ErrorCode.UNKNOWN_SERVER_ERROR
    assert groups.join(refused.member_id)[0].error is ErrorCode.NONE


def test_handed_out_id_is_waited_for_only_a_session(groups, clock) -> None:
    """A rebalance waits for an id that was handed out, but not longer than its session."""
    (member,) = groups.stable()
    groups.join(require_known_id=True)
    rejoin = groups.join(member.member_id)
    assert not rejoin
    clock.advance(10.1)
    assert rejoin[0].generation == 2


def test_first_rebalance_waits_a_moment_for_handed_out_ids(groups, clock) -> None:
    """Members that start together make one generation; an id that is never used holds the first one up for a second."""
    handed = [groups.join(require_known_id=True)[0].member_id for _ in range(3)]
    first, second = (groups.join(member_id) for member_id in handed[:2])
    assert not (first or second)
    clock.advance(1.1)
    assert first[0].generation == second[0].generation == 1
    assert len(first[0].members) == 2
    groups.join(handed[2])
    assert state_of(groups) is GroupState.PREPARING_REBALANCE


def test_initial_delay_collects_members(make_groups, clock) -> None:
    """With group.initial.rebalance.delay.ms the first generation waits, longer while members keep coming."""
    groups = make_groups(group_initial_rebalance_delay_ms=3_000)
    first = groups.join()
    clock.advance(2)
    second = groups.join()
    clock.advance(2)
    assert not first
    clock.advance(3)
    assert first[0].generation == second[0].generation == 1
    assert len(first[0].members) == 2


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"session_timeout_ms": 5_999}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": 1_800_001}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"protocols": {}}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
    ],
)
def test_refused_joins(groups, changes: dict, error: ErrorCode) -> None:
    """What cannot join is told why."""
    assert groups.join(**changes)[0].error is error


def test_no_common_protocol(groups) -> None:
    """A newcomer who shares no protocol with everybody is refused (23)."""
    groups.stable()
    assert groups.join(protocols={"sticky": b""})[0].error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert groups.join(protocol_type="connect")[0].error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_protocol_most_members_prefer(groups) -> None:
    """Among the protocols all know, the one most put first is chosen."""
    leader = groups.join(protocols={"a": b"", "b": b""})[0]
    waiting = [groups.join(protocols={"b": b"", "a": b""}) for _ in range(2)]
    groups.join(leader.member_id, protocols={"a": b"", "b": b""})
    assert {answers[0].protocol for answers in waiting} == {"b"}


def test_group_max_size(make_groups) -> None:
    """A full group takes nobody else (81)."""
    groups = make_groups(group_max_size=1)
    groups.stable()
    assert groups.join()[0].error is ErrorCode.GROUP_MAX_SIZE_REACHED


def test_barrier_drops_who_does_not_rejoin(groups, clock) -> None:
    """The join waits for known members up to the rebalance timeout, then goes on without the missing."""
    _, silent = groups.stable(2)
    newcomer = groups.join(rebalance_timeout_ms=5_000)
    for _ in range(7):
        clock.advance(9)
        groups.beat(silent)
    assert newcomer[0].generation == 3
    assert groups.beat(silent) is ErrorCode.UNKNOWN_MEMBER_ID


def test_leader_rejoining_rebalances_a_follower_does_not(groups) -> None:
    """In Stable a follower with unchanged metadata gets the current generation; the leader always starts the next."""
    leader, follower = groups.stable(2)
    (again,) = groups.join(follower.member_id)
    assert again.generation == follower.generation
    assert state_of(groups) is GroupState.STABLE
    assert not groups.join(leader.member_id)
    assert state_of(groups) is GroupState.PREPARING_REBALANCE
    assert groups.beat(follower) is ErrorCode.REBALANCE_IN_PROGRESS


def test_changed_subscription_rebalances(groups) -> None:
    """A follower with new metadata starts a rebalance."""
    _, follower = groups.stable(2)
    assert not groups.join(follower.member_id, protocols={"range": b"other topics"})
    assert state_of(groups) is GroupState.PREPARING_REBALANCE


# ---- sync


def test_followers_wait_for_the_leader(groups) -> None:
    """A follower's sync is answered with its own assignment when the leader's comes; later syncs at once."""
    leader = groups.join()[0]
    waiting = groups.join()
    leader = groups.join(leader.member_id)[0]
    follower = waiting[0]
    pending = groups.sync(follower)
    assert not pending
    own = groups.sync(leader, {leader.member_id: b"L", follower.member_id: b"F"})
    assert (own[0].assignment, pending[0].assignment) == (b"L", b"F")
    assert groups.sync(follower)[0].assignment == b"F"
    assert state_of(groups) is GroupState.STABLE


def test_sync_errors(groups) -> None:
    """Wrong generation 22, unknown member 25, wrong protocol 23, rebalance under way 27."""
    leader, follower = groups.stable(2)
    assert groups.sync(leader, generation=99)[0].error is ErrorCode.ILLEGAL_GENERATION
    assert groups.sync(leader, member_id="stranger")[0].error is ErrorCode.UNKNOWN_MEMBER_ID
    assert groups.sync(leader, protocol="sticky")[0].error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    groups.join(leader.member_id)
    assert groups.sync(follower)[0].error is ErrorCode.REBALANCE_IN_PROGRESS


def test_rebalance_releases_waiting_syncs(groups) -> None:
    """Who waits for an assignment that will never come is told to rejoin (27)."""
    leader = groups.join()[0]
    waiting = groups.join()
    groups.join(leader.member_id)
    pending = groups.sync(waiting[0])
    groups.join()
    assert pending[0].error is ErrorCode.REBALANCE_IN_PROGRESS


def test_missing_sync_is_not_waited_for_forever(groups, clock) -> None:
    """A member that joined but never syncs is dropped after the rebalance timeout, though it heartbeats."""
    leader = groups.join()[0]
    waiting = groups.join()
    leader = groups.join(leader.member_id)[0]
    groups.sync(leader, {})
    for _ in range(7):
        clock.advance(9)
        groups.beat(leader)
        groups.beat(waiting[0])
    assert groups.beat(waiting[0]) is ErrorCode.UNKNOWN_MEMBER_ID


# ---- heartbeats, sessions, leaving


def test_session_expires_without_heartbeats(groups, clock) -> None:
    """A silent member is dropped after its session timeout; one that heartbeats stays."""
    leader, silent = groups.stable(2)
    for _ in range(3):
        clock.advance(5)
        groups.beat(leader)
    assert groups.beat(silent) is ErrorCode.UNKNOWN_MEMBER_ID
    assert groups.beat(leader) is ErrorCode.REBALANCE_IN_PROGRESS
    assert groups.join(leader.member_id)[0].generation == leader.generation + 1


def test_heartbeat_errors(groups) -> None:
    """Unknown group or member 25, wrong generation 22."""
    (member,) = groups.stable()
    beat = groups.coordinator.heartbeat
    assert beat("other", member.member_id, None, 1) is ErrorCode.UNKNOWN_MEMBER_ID
    assert beat("group", "stranger", None, 1) is ErrorCode.UNKNOWN_MEMBER_ID
    assert beat("group", member.member_id, None, 0) is ErrorCode.ILLEGAL_GENERATION
    assert beat("group", member.member_id, None, member.generation) is ErrorCode.NONE


def test_last_member_leaving_empties_the_group(groups) -> None:
    """An empty group counts one generation on and remembers no protocol."""
    (member,) = groups.stable()
    assert groups.coordinator.leave("group", member.member_id, None) is ErrorCode.NONE
    group = groups.coordinator.describe("group")
    assert (group.state, group.generation, group.protocol) == (GroupState.EMPTY, 2, None)


def test_leaving_starts_a_rebalance(groups) -> None:
    """When one leaves, the others are told to rejoin."""
    leader, follower = groups.stable(2)
    groups.coordinator.leave("group", follower.member_id, None)
    assert groups.beat(leader) is ErrorCode.REBALANCE_IN_PROGRESS
    assert groups.coordinator.leave("group", follower.member_id, None) is ErrorCode.UNKNOWN_MEMBER_ID


# ---- static members


def test_static_member_returns_without_a_rebalance(groups) -> None:
    """A static member back in a Stable group gets a new id in the same generation; the old id is fenced (82)."""
    (member,) = (groups.join(instance_id="one")[0],)
    groups.sync(member, {member.member_id: b"mine"}, instance_id="one")
    (back,) = groups.join(instance_id="one", can_skip_assignment=True)
    assert back.generation == member.generation
    assert back.member_id != member.member_id
    assert back.skip_assignment
    assert groups.sync(back, instance_id="one")[0].assignment == b"mine"
    beat = groups.coordinator.heartbeat("group", member.member_id, "one", member.generation)
    assert beat is ErrorCode.FENCED_INSTANCE_ID


def test_static_member_survives_the_barrier(groups, clock) -> None:
    """A static member that misses a rebalance stays until its session ends."""
    static = groups.join(instance_id="one")[0]
    groups.sync(static, {}, instance_id="one")
    newcomer = groups.join(rebalance_timeout_ms=1_000)
    clock.advance(9)
    assert not newcomer
    clock.advance(60)
    assert len(newcomer[0].members) == 1


def test_static_member_leaves_by_instance_id(groups) -> None:
    """LeaveGroup with an instance id alone removes the static member."""
    static = groups.join(instance_id="one")[0]
    groups.sync(static, {}, instance_id="one")
    assert groups.coordinator.leave("group", "", "two") is ErrorCode.UNKNOWN_MEMBER_ID
    assert groups.coordinator.leave("group", "", "one") is ErrorCode.NONE
    assert state_of(groups) is GroupState.EMPTY


# ---- restart


def test_generation_survives_a_restart(groups, clock) -> None:
    """After a restart members go on in their generation; who is gone is noticed by its session."""
    leader, follower = groups.stable(2)
    groups.reopen()
    assert state_of(groups) is GroupState.STABLE
    assert groups.beat(leader) is ErrorCode.NONE
    assert groups.sync(follower)[0].assignment == b"for " + follower.member_id.encode()
    clock.advance(11)
    assert state_of(groups) is not GroupState.STABLE
