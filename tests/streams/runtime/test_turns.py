"""How long a task goes on: a share of a round, one batch for those that keep in step, and no longer than to a commit."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from streams import App
from streams.runtime.turns import ROUND_S, Turns, in_step
from tests.streams.runtime.test_task import Rig


def _at_leisure() -> bool:
    return False


def _unattended() -> None:
    """There is no network."""


def clock(step_s: float) -> Callable[[], float]:
    """One that moves on by so much whenever somebody looks."""
    ticks = count()
    return lambda: next(ticks) * step_s


def behind(batches: int) -> Rig:
    """A task with so many batches of 300 records to process."""
    rig = Rig()
    for _ in range(batches):
        rig.feed([b"a"] * 300, [1] * 300)
    return rig


@pytest.mark.parametrize(
    ("apart", "step_s", "each"),
    [
        (frozenset[int](), ROUND_S / 8, [1_200, 1_200]),
        (frozenset[int](), ROUND_S, [300, 300]),
        (frozenset({0}), ROUND_S / 8, [300, 300]),
    ],
)
def test_tasks_share_a_round(apart: frozenset[int], step_s: float, each: list[int]) -> None:
    """Two have half of it each; one batch is the least, and all that tasks get that keep in step."""
    rigs = [behind(batches=10), behind(batches=10)]
    turns = Turns(apart, _unattended, clock(step_s))
    assert turns.round([rig.task for rig in rigs], 1_000, 300, _at_leisure) == sum(each)
    assert [sum(rig.counting.sizes) for rig in rigs] == each


def test_a_turn_ends_with_the_records_and_leaves_nothing_undone() -> None:
    """A round goes on until a task has no more, and counts what it has done."""
    rigs = [behind(batches=2), behind(batches=0), behind(batches=1)]
    turns = Turns((), _unattended, clock(0.0))
    tasks = [rig.task for rig in rigs]
    assert [turns.round(tasks, 1_000, 300, _at_leisure), turns.round(tasks, 1_000, 300, _at_leisure)] == [900, 0]
    assert turns.round([], 1_000, 300, _at_leisure) == 0


def test_who_is_hurried_ends_the_turn() -> None:
    """The batch after which somebody asks is the last of the turn, and the tasks that follow have one each."""
    rigs = [behind(batches=5), behind(batches=5)]
    asked = iter([False, True, True])
    turns = Turns((), _unattended, clock(0.0))
    assert turns.round([rig.task for rig in rigs], 1_000, 300, lambda: next(asked)) == 900
    assert [sum(rig.counting.sizes) for rig in rigs] == [600, 300]


def test_what_is_mixed_with_the_output_of_neighbours_keeps_in_step() -> None:
    """A sub-topology that feeds a repartition topic does, the one behind it and one that writes results do not."""
    app = App("turns")
    rides = app.stream("rides", key=int, value=int)
    rides.group_by(lambda _, value: str(value), key=str).count(name="counts").to_stream().to("counted")
    app.stream("other", key=int, value=int).to("copied")
    topology = app.application().topology
    by_source = {topic: part.id for part in topology.subtopologies for topic in part.source_topics}
    assert in_step(topology) == {by_source["rides"]}


def test_the_network_is_attended_to_after_each_batch() -> None:
    """Also when tasks keep in step, and when there is nothing left to process."""
    rigs = [behind(batches=3), behind(batches=1)]
    attended: list[list[int]] = []
    turns = Turns((), lambda: attended.append([sum(rig.counting.sizes) for rig in rigs]), clock(0.0))
    turns.round([rig.task for rig in rigs], 1_000, 300, _at_leisure)
    assert attended == [[300, 0], [600, 0], [900, 0], [900, 0], [900, 300], [900, 300]]
