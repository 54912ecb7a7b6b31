"""Offsets of groups: who may commit, what is kept, what a restart brings back, and what goes when."""

from collections.abc import Sequence

import pytest

from broker.coordinators.group import GroupState
from broker.coordinators.group_coordinator import Committer, OffsetCommit
from broker.errors import BrokerError, ErrorCode

DAY_SECONDS = 86_400
READS_T = b"\0\0\0\0\0\1\0\1t"
"""A subscription to the topic t."""


def commit(groups, who: Committer, *offsets: tuple[str, int, int], group: str = "group") -> ErrorCode:
    answers: list[ErrorCode] = []
    wanted = [OffsetCommit(topic, partition, offset, 5, "note") for topic, partition, offset in offsets]
    groups.coordinator.commit(group, who, wanted, answers.append)
    return answers[0]


def committed(groups, group: str = "group") -> dict[tuple[str, int], int]:
    found: list[dict[tuple[str, int], int]] = []
    groups.coordinator.fetch(group, lambda offsets: found.append({w: o.offset for w, o in offsets.items()}))
    return found[0]


def as_committer(joined) -> Committer:
    return Committer(joined.member_id, None, joined.generation)


def test_member_commits(groups) -> None:
    """A member of the current generation commits; the offset comes back with its metadata."""
    (member,) = groups.stable()
    assert commit(groups, as_committer(member), ("t", 0, 7), ("t", 1, 8)) is ErrorCode.NONE
    assert committed(groups) == {("t", 0): 7, ("t", 1): 8}
    found: Sequence = []
    groups.coordinator.fetch("group", lambda offsets: found.append(offsets["t", 0]))
    assert (found[0].metadata, found[0].leader_epoch) == ("note", 5)


def test_simple_group_commits_without_members(groups) -> None:
    """Generation -1 is for groups without members."""
    assert commit(groups, Committer(), ("t", 0, 3)) is ErrorCode.NONE
    groups.stable()
    with pytest.raises(BrokerError) as refused:
        commit(groups, Committer(), ("t", 0, 4))
    assert refused.value.code is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_producer_commits_for_a_consumer_that_assigns_to_itself(groups) -> None:
    """Generation -1 is for groups without members in a transaction as well, also where the consumer has an instance id."""
    (member,) = groups.stable()
    named = [Committer("", "inst", -1), Committer("member", None, -1)]
    for who in named:
        with pytest.raises(BrokerError) as refused:
            groups.coordinator.check_commit("group", who, [], transactional=True)
        assert refused.value.code is ErrorCode.UNKNOWN_MEMBER_ID
    groups.coordinator.check_commit("group", Committer(), [], transactional=True)
    groups.coordinator.leave("group", member.member_id, None)
    for who in [*named, Committer()]:
        for transactional in (False, True):
            groups.coordinator.check_commit("group", who, [], transactional=transactional)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"generation": 99}, ErrorCode.ILLEGAL_GENERATION),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"instance_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_commit_of_a_stranger(groups, change: dict, error: ErrorCode) -> None:
    """A commit that does not fit the generation is refused."""
    (member,) = groups.stable()
    with pytest.raises(BrokerError) as refused:
        commit(groups, as_committer(member)._replace(**change), ("t", 0, 1))
    assert refused.value.code is error


def test_commit_between_join_and_sync(groups) -> None:
    """While assignments are being made nobody may commit (27)."""
    member = groups.join()[0]
    with pytest.raises(BrokerError) as refused:
        commit(groups, as_committer(member), ("t", 0, 1))
    assert refused.value.code is ErrorCode.REBALANCE_IN_PROGRESS


def test_unknown_group(groups) -> None:
    """A group nobody knows has no offsets, and no generation to commit in."""
    assert committed(groups, "nobody") == {}
    with pytest.raises(BrokerError) as refused:
        commit(groups, Committer("m", None, 1), ("t", 0, 1), group="nobody")
    assert refused.value.code is ErrorCode.ILLEGAL_GENERATION


def test_offsets_survive_a_restart(groups) -> None:
    """The last offset of each partition is read back from the log."""
    for offset in (1, 5, 3):
        commit(groups, Committer(), ("t", 0, offset), ("u", 2, 10 * offset))
    groups.reopen()
    assert committed(groups) == {("t", 0): 3, ("u", 2): 30}


def test_deleted_group_stays_deleted(groups) -> None:
    """An empty group is deleted with its offsets, also after a restart; one with members is not (68)."""
    (member,) = groups.stable()
    commit(groups, as_committer(member), ("t", 0, 1))
    answers: list[ErrorCode] = []
    groups.coordinator.delete("group", answers.append)
    groups.coordinator.leave("group", member.member_id, None)
    groups.coordinator.delete("group", answers.append)
    groups.coordinator.delete("group", answers.append)
    assert answers == [ErrorCode.NON_EMPTY_GROUP, ErrorCode.NONE, ErrorCode.GROUP_ID_NOT_FOUND]
    groups.reopen()
    assert groups.coordinator.group_ids() == []


def test_deleted_topic_takes_its_offsets(groups) -> None:
    """Offsets of a topic go with the topic."""
    commit(groups, Committer(), ("t", 0, 1), ("u", 0, 2))
    groups.coordinator.forget_topic("t")
    groups.reopen()
    assert committed(groups) == {("u", 0): 2}


def test_offsets_expire_after_the_group_is_empty(groups, clock) -> None:
    """Seven days after the last member left, offsets and group are dropped, and not before."""
    (member,) = groups.stable()
    commit(groups, as_committer(member), ("t", 0, 1))
    for _ in range(4):
        clock.advance(9)
        groups.beat(member)
    groups.coordinator.leave("group", member.member_id, None)
    clock.advance(6.9 * DAY_SECONDS)
    assert groups.coordinator.expire() == 0
    clock.advance(0.2 * DAY_SECONDS)
    assert groups.coordinator.expire() == 1
    groups.reopen()
    assert groups.coordinator.describe("group") is None


def test_offsets_that_nobody_reads_expire_among_members(make_groups, clock) -> None:
    """A stable group keeps what it reads, however old; other topics go with time, where all subscriptions can be read."""
    groups = make_groups(offsets_retention_minutes=1)
    commit(groups, Committer(), ("t", 0, 1), ("u", 0, 2))
    clock.advance(61)
    member = groups.join(protocols={"range": READS_T}, session_timeout_ms=300_000)[0]
    assert groups.coordinator.expire() == 0  # it has no assignments yet, and may still learn of others
    groups.sync(member, {})
    assert groups.coordinator.expire() == 1
    assert committed(groups) == {("t", 0): 1}
    other = groups.join(protocols={"range": b""}, session_timeout_ms=300_000)
    member = groups.join(member.member_id, protocols={"range": READS_T}, session_timeout_ms=300_000)[0]
    for each in (other[0], member):
        groups.sync(each, {})
    commit(groups, as_committer(member), ("u", 0, 2))
    clock.advance(61)
    assert groups.coordinator.expire() == 0
    assert committed(groups) == {("t", 0): 1, ("u", 0): 2}


def test_offset_with_a_retention_of_its_own(groups, clock) -> None:
    """An old client's retention time counts from the commit."""
    wanted = OffsetCommit("t", 0, 1, -1, "", retention_ms=60_000)
    groups.coordinator.commit("group", Committer(), [wanted], lambda _: None)
    clock.advance(59)
    assert groups.coordinator.expire() == 0
    clock.advance(2)
    assert groups.coordinator.expire() == 1


def test_offsets_deleted_one_by_one(groups) -> None:
    """OffsetDelete forgets what it names, unless the group reads the topic (86)."""
    member = groups.join(protocols={"range": READS_T})[0]
    groups.sync(member, {})
    commit(groups, as_committer(member), ("t", 0, 1), ("u", 0, 2))
    answers: list[dict] = []
    groups.coordinator.delete_offsets("group", [("t", 0), ("u", 0)], answers.append)
    assert answers == [{("t", 0): ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ("u", 0): ErrorCode.NONE}]
    assert committed(groups) == {("t", 0): 1}


def test_no_offsets_deleted_where_anything_may_be_read(groups) -> None:
    """A subscription that cannot be read may name any topic (86), as in Kafka."""
    commit(groups, Committer(), ("t", 0, 1))
    groups.join(protocols={"range": b""})
    answers: list[dict] = []
    groups.coordinator.delete_offsets("group", [("t", 0)], answers.append)
    assert answers == [{("t", 0): ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC}]


def test_group_of_mere_offsets_is_empty(groups) -> None:
    """A group that only ever committed is listed and described as Empty."""
    commit(groups, Committer(), ("t", 0, 1), group="simple")
    assert groups.coordinator.group_ids() == ["simple"]
    assert groups.coordinator.describe("simple").state is GroupState.EMPTY
