"""Offsets in transactions: what becomes of them when something else happens to the same partition before the marker.

Every sequence is looked at as it stands, and as a restart, and a restart after compaction, finds it.
"""

import asyncio
from collections.abc import Callable

import pytest

from broker.coordinators.group_coordinator import OffsetCommit
from broker.coordinators.runtime import Marker
from broker.errors import ErrorCode
from broker.log.cleaner import Cleaner

from .conftest import Groups
from .test_group_coordinator import Committer, commit, committed

Again = Callable[[Groups], None]


def compacted(groups: Groups) -> None:
    """A restart after the log was compacted."""
    groups.log.roll(groups.clock.now_ms())

    async def compact() -> None:
        under_way = Cleaner(groups.directory, asyncio.get_running_loop()).look(groups.clock.now_ms())
        if under_way is not None:
            await under_way

    asyncio.run(compact())
    groups.reopen()


@pytest.fixture(params=[lambda _: None, Groups.reopen, compacted], ids=["as it stands", "restart", "compaction"])
def again(request: pytest.FixtureRequest) -> Again:
    """What happens before the outcome is looked at."""
    return request.param


def in_transaction(groups: Groups, producer_id: int, offset: int, topic: str = "t") -> None:
    """A TxnOffsetCommit of partition 0."""
    answers: list[ErrorCode] = []
    groups.coordinator.store(
        "group", [OffsetCommit(topic, 0, offset, -1, "")], answers.append, producer=(producer_id, 0)
    )
    assert answers == [ErrorCode.NONE]


def end(groups: Groups, producer_id: int, *, is_commit: bool = True) -> None:
    groups.coordinator.end_transaction(0, Marker(producer_id, 0, is_commit, 0), lambda _: None)


def test_a_deleted_topic_takes_what_is_pending(groups, again) -> None:
    """The group has no offset on a topic made anew, though a transaction had one of the old topic when it was deleted."""
    commit(groups, Committer(), ("t", 0, 1))
    in_transaction(groups, 77, 5000)
    in_transaction(groups, 77, 6, topic="u")
    groups.coordinator.forget_topic("t")
    end(groups, 77)
    again(groups)
    assert committed(groups) == {("u", 0): 6}


@pytest.mark.parametrize("had", [True, False])
def test_a_deleted_group_stays_deleted_at_the_marker(groups, again, had: bool) -> None:
    """DeleteGroups takes what open transactions have of the group, also if that is all there is of it."""
    if had:
        commit(groups, Committer(), ("t", 0, 1))
    in_transaction(groups, 77, 5000)
    answers: list[ErrorCode] = []
    groups.coordinator.delete("group", answers.append)
    end(groups, 77)
    again(groups)
    assert answers == [ErrorCode.NONE]
    assert (groups.coordinator.group_ids(), committed(groups)) == ([], {})


@pytest.mark.parametrize("had", [True, False])
def test_deleted_offsets_stay_deleted_at_the_marker(groups, again, had: bool) -> None:
    """OffsetDelete takes what open transactions have of a partition."""
    if had:
        commit(groups, Committer(), ("t", 0, 1))
    in_transaction(groups, 77, 5000)
    answers: list[dict[tuple[str, int], ErrorCode]] = []
    groups.coordinator.delete_offsets("group", [("t", 0)], answers.append)
    end(groups, 77)
    again(groups)
    assert answers == [{("t", 0): ErrorCode.NONE}]
    assert committed(groups) == {}


def test_offsets_committed_after_a_deletion_count(groups, again) -> None:
    """What a transaction commits once the topic is there again is not what went with the old one."""
    in_transaction(groups, 77, 5000)
    groups.coordinator.forget_topic("t")
    in_transaction(groups, 77, 3)
    end(groups, 77)
    again(groups)
    assert committed(groups) == {("t", 0): 3}


def test_a_later_plain_commit_stays(groups, again) -> None:
    """A reset while a transaction is open is not undone by its marker, though the offset is unstable until then."""
    in_transaction(groups, 77, 5)
    commit(groups, Committer(), ("t", 0, 8))
    assert groups.coordinator.pending_offsets("group") == {("t", 0)}
    end(groups, 77)
    again(groups)
    assert committed(groups) == {("t", 0): 8}
    assert groups.coordinator.pending_offsets("group") == frozenset()


@pytest.mark.parametrize("first", [1, 2])
def test_of_two_transactions_the_later_record_counts(groups, again, first: int) -> None:
    """The offset written last is the group's, whichever transaction ends last."""
    in_transaction(groups, 2, 4)
    in_transaction(groups, 1, 5)
    in_transaction(groups, 2, 8)
    end(groups, first)
    end(groups, 3 - first)
    again(groups)
    assert committed(groups) == {("t", 0): 8}


def test_an_earlier_transaction_counts_if_the_later_aborts(groups, again) -> None:
    """What was aborted supersedes nothing."""
    in_transaction(groups, 1, 5)
    in_transaction(groups, 2, 8)
    end(groups, 2, is_commit=False)
    end(groups, 1)
    again(groups)
    assert committed(groups) == {("t", 0): 5}


def test_an_offset_with_a_pending_successor_does_not_expire(make_groups, clock, again) -> None:
    """If the transaction aborts, the group still has its offset."""
    groups = make_groups(offsets_retention_minutes=1)
    commit(groups, Committer(), ("t", 0, 1), ("u", 0, 2))
    in_transaction(groups, 77, 5)
    clock.advance(61)
    assert groups.coordinator.expire() == 1
    end(groups, 77, is_commit=False)
    again(groups)
    assert committed(groups) == {("t", 0): 1}
    assert groups.coordinator.expire() == 1


def test_a_group_with_pending_offsets_does_not_expire(make_groups, clock) -> None:
    """A group whose members are gone stays while a transaction has offsets of it."""
    groups = make_groups(offsets_retention_minutes=1)
    (member,) = groups.stable()
    groups.coordinator.leave("group", member.member_id, None)
    in_transaction(groups, 77, 5)
    clock.advance(61)
    groups.coordinator.expire()
    assert groups.coordinator.describe("group").generation > 0
    end(groups, 77)
    groups.reopen()
    assert groups.coordinator.describe("group").generation > 0
