"""When a worker has its group look again, and what it says of itself then."""

from __future__ import annotations

import pytest

from streams.runtime.group_view import GroupView
from streams.runtime.member_info import GroupInfo, HostTasks, packed_hosts
from streams.runtime.task import TaskId

WARM, COLD, UNKNOWN = 100, 101, None


class Rig:
    """A view with a clock that stands still, and copies as far behind as the test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.view = GroupView(
            host="h", address="", tags={}, acceptable_lag=WARM, probing_interval_s=600, clock=lambda: self.now
        )
        self.lag: int | None = COLD

    def due(self, after_s: float = 0.0) -> bool:
        self.now += after_s
        return self.view.probe_due(lambda _task: self.lag)

    @property
    def round(self) -> int:
        return self.view.introduced([], {}).round


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_the_leader_says_who_looks_again(rig: Rig) -> None:
    """Whoever was asked does so once the interval is over, once, and is another than before in the leader's eyes."""
    rig.view.told(GroupInfo(probe=True), again=False)
    assert [rig.due(599), rig.due(1), rig.due(9_999)] == [False, True, False]
    assert rig.round == 1


def test_warm_copies_are_said_at_once(rig: Rig) -> None:
    """As soon as all are within the acceptable lag; one whose lag is not known is not warm."""
    rig.view.told(GroupInfo(warmups=["0_1", "0_2"]), again=False)
    assert rig.view.copies == {TaskId(0, 1), TaskId(0, 2)}
    rig.lag = UNKNOWN
    assert not rig.due()
    rig.lag = WARM
    assert [rig.due(), rig.due()] == [True, False]


def test_a_copy_that_is_never_warm_enough_does_not_storm_the_group(rig: Rig) -> None:
    """The same warm-ups again mean that the leader saw them otherwise: the pause doubles; new ones begin anew."""
    rig.lag = WARM
    rig.view.told(GroupInfo(warmups=["0_1"]), again=False)
    assert rig.due()
    for wait_s in (1, 2, 4):
        rig.view.told(GroupInfo(warmups=["0_1"]), again=False)
        assert [rig.due(wait_s - 0.5), rig.due(0.5)] == [False, True]
    rig.view.told(GroupInfo(warmups=["0_2"]), again=False)
    assert rig.due()


def test_hosts_are_those_of_the_last_assignment(rig: Rig) -> None:
    """An assignment without any forgets the ones before."""
    hosts = {"one:1": HostTasks(frozenset({TaskId(0, 3)}), frozenset())}
    rig.view.told(GroupInfo(hosts=packed_hosts(hosts)), again=False)
    assert rig.view.hosts == hosts
    rig.view.told(GroupInfo(), again=False)
    assert rig.view.hosts == {}
