"""A disk that takes no more while groups end: they are as before, and the next try counts."""

from collections.abc import Callable
from typing import Any

import pytest

from broker.coordinators.group_coordinator import Committer
from broker.errors import ErrorCode

from .test_consumer_groups import Consumers
from .test_group_coordinator import DAY_SECONDS, commit, committed

FullDisk = Callable[[int], None]
ROOM = 1 << 30


@pytest.fixture
def consumers(groups: Any, clock: Any) -> Consumers:
    return Consumers(groups, clock)


def delete(groups: Any) -> ErrorCode:
    answers: list[ErrorCode] = []
    groups.coordinator.delete("group", answers.append)
    return answers[0]


def leave(groups: Any) -> None:
    """A classic group that was used, and is empty."""
    (member,) = groups.stable()
    groups.coordinator.leave("group", member.member_id, None)


def test_a_classic_group_outlives_a_deletion_that_failed(groups: Any, full_disk: FullDisk) -> None:
    """Members may join and commit after it, and it can be deleted when there is room."""
    leave(groups)
    full_disk(groups.log.size)
    assert delete(groups) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert delete(groups) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    full_disk(ROOM)
    assert commit(groups, Committer(), ("t", 0, 1)) is ErrorCode.NONE
    leave(groups)
    assert delete(groups) is ErrorCode.NONE
    assert groups.coordinator.group_ids() == []


def test_a_classic_group_outlives_an_expiry_that_failed(groups: Any, clock: Any, full_disk: FullDisk) -> None:
    """What could not be written down has not expired; the next look drops it."""
    leave(groups)
    commit(groups, Committer(), ("t", 0, 1))
    clock.advance(8 * DAY_SECONDS)
    full_disk(1)  # the clock has made a new segment due, which finds no room either
    groups.coordinator.expire()
    assert committed(groups) == {("t", 0): 1}
    full_disk(ROOM)
    assert groups.join()[0].error is ErrorCode.NONE
    leave_all = [(member, None) for member in groups.coordinator.describe("group").members]
    groups.coordinator.leave_all("group", leave_all)
    clock.advance(8 * DAY_SECONDS)
    assert groups.coordinator.expire() == 1
    assert groups.coordinator.group_ids() == []


def test_a_consumer_group_outlives_its_end_that_failed(consumers: Consumers, full_disk: FullDisk) -> None:
    """Deleted, expired or taken over by a classic member: none happens while the disk is full, each when it is not."""
    groups = consumers.groups
    consumers.join("a")
    consumers.beat("a", -1)
    full_disk(groups.log.size)
    assert delete(groups) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    groups.coordinator.expire()
    assert groups.join()[0].error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert groups.coordinator.consumer_group("group") is not None
    assert groups.coordinator.describe("group") is None
    full_disk(ROOM)
    assert groups.join()[0].error is ErrorCode.NONE
    assert groups.coordinator.consumer_group("group") is None
    consumers.reopen()
    assert consumers.coordinator.consumer_group("group") is None
