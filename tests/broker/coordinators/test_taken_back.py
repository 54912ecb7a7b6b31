"""A disk takes an append and then refuses the sync: coordinators go back to what their log still has."""

from typing import Any

from broker.coordinators.group_coordinator import Committer, OffsetCommit
from broker.errors import ErrorCode
from broker.log.partition_log import CommitAtOnce, PartitionLog

NOBODY = Committer("", None, -1)


class Refusing:
    """A disk that never says whether it has what was appended."""

    def appended(self, log: PartitionLog) -> None:
        """Nothing is committed."""


def commit(groups: Any, offset: int) -> list[ErrorCode]:
    answers: list[ErrorCode] = []
    groups.coordinator.commit("group", NOBODY, [OffsetCommit("t", 0, offset, -1, "", -1)], answers.append)
    return answers


def offsets(groups: Any) -> dict[Any, int]:
    found: list[dict[Any, int]] = []
    groups.coordinator.fetch("group", lambda of: found.append({where: item.offset for where, item in of.items()}))
    return found[0]


def test_offsets_go_back(groups) -> None:
    """An offset whose sync failed is refused to its client and not shown to the next reader; a retry counts."""
    assert commit(groups, 5) == [ErrorCode.NONE]
    groups.log.committer = Refusing()
    answers = commit(groups, 9)
    assert answers == []
    groups.log.take_back()
    assert answers == [ErrorCode.COORDINATOR_NOT_AVAILABLE]
    assert offsets(groups) == {("t", 0): 5}
    groups.log.committer = CommitAtOnce()
    assert commit(groups, 9) == [ErrorCode.NONE]
    assert offsets(groups) == {("t", 0): 9}
    groups.reopen()
    assert offsets(groups) == {("t", 0): 9}


def test_a_deleted_group_is_back(groups) -> None:
    """A deletion that was not synced has not happened."""
    commit(groups, 5)
    groups.log.committer = Refusing()
    answers: list[ErrorCode] = []
    groups.coordinator.delete("group", answers.append)
    assert groups.coordinator.describe("group") is None
    groups.log.take_back()
    assert answers == [ErrorCode.COORDINATOR_NOT_AVAILABLE]
    assert offsets(groups) == {("t", 0): 5}


def test_living_members_stay(groups) -> None:
    """Members of a group that lives keep their places while offsets go back."""
    member = groups.stable()[0]
    groups.log.committer = Refusing()
    groups.coordinator.store("group", [OffsetCommit("t", 0, 5, -1, "", -1)], lambda _: None)
    groups.log.take_back()
    assert offsets(groups) == {}
    assert groups.beat(member) is ErrorCode.NONE
