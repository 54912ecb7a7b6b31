"""Who runs what: the promises of the plan, over thousands of random groups and their histories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.placement import PlacementRules, Plan, WorkerView, plan
from streams.runtime.task import TaskId

tasks = st.lists(st.builds(TaskId, st.integers(0, 3), st.integers(0, 9)), unique=True).map(sorted)
rules = st.builds(
    PlacementRules,
    st.integers(0, 3),
    st.just(100),
    st.integers(1, 4),
    st.sampled_from([(), ("zone",), ("zone", "rack")]),
)
MANY = settings(max_examples=200, deadline=None)


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[TaskId], set[TaskId], list[WorkerView], PlacementRules]:
    """Tasks, and workers that say they run or keep some of them, not always truthfully."""
    every = draw(tasks)
    stateful = {task for task in every if task.subtopology % 2 == 0}
    some = st.lists(st.sampled_from(every), unique=True) if every else st.just([])
    workers = [
        WorkerView(
            name,
            draw(st.sampled_from(["x", "y", name])),
            running := frozenset(draw(some)),
            {task: draw(st.integers(0, 300)) for task in draw(some)} | dict.fromkeys(running & stateful, 0),
            (("rack", draw(st.sampled_from("12"))), ("zone", draw(st.sampled_from("ab")))),
        )
        for name in sorted(draw(st.sets(st.sampled_from("abcdefgh"), min_size=1)))
    ]
    return every, stateful, workers, draw(rules)


@MANY
@given(groups())
def test_every_task_has_one_owner_and_copies_lie_apart(
    group: tuple[list[TaskId], set[TaskId], list[WorkerView], PlacementRules],
) -> None:
    """Whatever members claim: complete, no more warm-ups than allowed, and one copy per host."""
    every, stateful, workers, wanted = group
    made = plan(every, stateful, workers, wanted)
    host = {worker.name: worker.host for worker in workers}
    assert made.owners.keys() == set(every)
    assert len(made.warmups) <= wanted.warmups
    assert made.warmups.keys() | made.standbys.keys() <= stateful
    assert made.settled or wanted.warmups == len(made.warmups) or made.warmups
    for task in stateful:
        standbys = [host[name] for name in made.standbys.get(task, ())]
        warmup = [host[made.warmups[task]]] if task in made.warmups else []
        taken = {host[made.owners[task]], *warmup}
        assert len(set(standbys)) == len(standbys)
        assert taken.isdisjoint(standbys)
        assert len(standbys) == min(wanted.standbys, len(set(host.values()) - taken))


@MANY
@given(groups())
def test_a_settled_plan_is_balanced(
    group: tuple[list[TaskId], set[TaskId], list[WorkerView], PlacementRules],
) -> None:
    """Loads differ by one at most, those with state alone as well, unless tasks wait for copies."""
    every, stateful, workers, wanted = group
    made = plan(every, stateful, workers, wanted)
    if made.settled:
        for counted in (set(every), stateful):
            loads = Counter(owner for task, owner in made.owners.items() if task in counted)
            counts = [loads[worker.name] for worker in workers]
            assert max(counts) - min(counts) <= 1


@MANY
@given(groups())
def test_a_task_with_state_goes_to_the_most_complete(
    group: tuple[list[TaskId], set[TaskId], list[WorkerView], PlacementRules],
) -> None:
    """Its owner is within the acceptable lag, or nobody is nearer to the end."""
    every, stateful, workers, wanted = group
    made = plan(every, stateful, workers, wanted)
    hosts = {worker.name: worker.host for worker in workers}
    lags: dict[tuple[str, TaskId], int] = {}
    for worker in workers:
        for task, lag in worker.lags.items():
            lags[worker.host, task] = min(lag, lags.get((worker.host, task), lag))
    for task in stateful:
        best = min((lag for (_, of), lag in lags.items() if of == task), default=None)
        if best is not None:
            assert lags[hosts[made.owners[task]], task] <= max(best, wanted.acceptable_lag)


@MANY
@given(groups())
def test_standbys_lie_in_as_many_racks_as_can_be(
    group: tuple[list[TaskId], set[TaskId], list[WorkerView], PlacementRules],
) -> None:
    """Zones without a copy come first, as many as there are standbys."""
    every, stateful, workers, wanted = group
    workers = [worker._replace(host=worker.name) for worker in workers]
    made = plan(every, stateful, workers, wanted._replace(rack_tags=("zone",)))
    zone = {worker.name: dict(worker.tags)["zone"] for worker in workers}
    for task, standbys in made.standbys.items():
        taken = {zone[name] for name in (made.owners[task], made.warmups.get(task)) if name}
        fresh_zones = {zone[name] for name in standbys} - taken
        assert len(fresh_zones) == min(len(standbys), len(set(zone.values()) - taken))


def views_after(made: Plan, workers: Iterable[WorkerView], stateful: set[TaskId], lag: int = 5) -> list[WorkerView]:
    """What the same workers say once they run the plan and its copies are warm."""
    running: dict[str, set[TaskId]] = {}
    lags: dict[str, dict[TaskId, int]] = {}
    copies = [*made.warmups.items(), *((task, name) for task, names in made.standbys.items() for name in names)]
    for task, name in copies:
        lags.setdefault(name, {})[task] = lag
    for task, name in made.owners.items():
        running.setdefault(name, set()).add(task)
        if task in stateful:
            lags.setdefault(name, {})[task] = 0
    return [
        worker._replace(running=frozenset(running.get(worker.name, ())), lags=lags.get(worker.name, {}))
        for worker in workers
    ]


def fresh(names: Iterable[str]) -> list[WorkerView]:
    return [WorkerView(name, name) for name in sorted(names)]


names = st.sets(st.sampled_from("abcdefgh"), min_size=1)


@MANY
@given(tasks, names, rules)
def test_nothing_moves_when_nothing_changes(every: list[TaskId], members: set[str], wanted: PlacementRules) -> None:
    """Members that run what they were given get the same again, standbys too."""
    stateful = {task for task in every if task.subtopology % 2 == 0}
    first = plan(every, stateful, fresh(members), wanted._replace(rack_tags=()))
    again = plan(every, stateful, views_after(first, fresh(members), stateful), wanted._replace(rack_tags=()))
    assert (again.owners, again.standbys, again.warmups, again.settled) == (first.owners, first.standbys, {}, True)


@MANY
@given(tasks, names, rules)
def test_a_new_member_is_filled_step_by_step(every: list[TaskId], members: set[str], wanted: PlacementRules) -> None:
    """Each look moves only what is warm, none of those who stay gives a task to another of them, and it comes to rest."""
    stateful = {task for task in every if task.subtopology % 2 == 0}
    made = plan(every, stateful, fresh(members), wanted)
    before, workers = made.owners, [*fresh(members), WorkerView("new", "new")]
    for _ in range(len(every) + 2):
        views = views_after(made, workers, stateful)
        made = plan(every, stateful, views, wanted)
        if made.settled:
            break
    assert made.settled
    assert all(made.owners[task] in {owner, "new"} for task, owner in before.items())
    loads = Counter(made.owners.values())
    assert max(loads.values(), default=0) - min((loads[view.name] for view in workers), default=0) <= 1


@MANY
@given(tasks, st.sets(st.sampled_from("abcdefgh"), min_size=2), st.randoms())
def test_the_dead_are_replaced_by_their_standbys(every: list[TaskId], members: set[str], chance: Random) -> None:
    """One of several dies: nobody restores, since each of its tasks with state goes to its standby."""
    wanted = PlacementRules(standbys=1)
    stateful = {task for task in every if task.subtopology % 2 == 0}
    first = plan(every, stateful, fresh(members), wanted)
    dead = chance.choice(sorted(members))
    left = [view for view in views_after(first, fresh(members), stateful) if view.name != dead]
    second = plan(every, stateful, left, wanted)
    for task in stateful:
        assert second.owners[task] in {first.owners[task], *first.standbys[task]} - {dead}


@MANY
@given(st.integers(1, 4), st.integers(1, 12), names)
def test_each_sub_topology_is_spread(parts: int, partitions: int, members: set[str]) -> None:
    """In a new group no worker has two tasks more of one sub-topology than another: heavy ones do not meet."""
    every = [TaskId(part, number) for part in range(parts) for number in range(partitions)]
    made = plan(every, {task for task in every if task.subtopology % 2}, fresh(members), PlacementRules())
    for part in range(parts):
        loads = Counter(owner for task, owner in made.owners.items() if task.subtopology == part)
        counts = [loads[name] for name in members]
        assert max(counts) - min(counts) <= 1


def test_workers_that_share_a_state_directory_share_its_copies() -> None:
    """A task passes from one to the other without a warm-up, and neither is the other's standby."""
    every = [TaskId(0, number) for number in range(2)]
    one = WorkerView("one", "machine", frozenset(every), dict.fromkeys(every, 0))
    made = plan(every, set(every), [one, WorkerView("two", "machine")], PlacementRules(standbys=1))
    assert (set(made.owners.values()), made.settled, made.standbys) == (
        {"one", "two"},
        True,
        {task: [] for task in every},
    )


def test_tasks_without_state_move_at_once() -> None:
    """There is nothing to warm up."""
    every = [TaskId(1, number) for number in range(4)]
    made = plan(every, set(), [WorkerView("a", "a", frozenset(every)), WorkerView("b", "b")], PlacementRules())
    assert (Counter(made.owners.values()), made.settled) == ({"a": 2, "b": 2}, True)


@pytest.mark.parametrize("dead", [10, 100])
def test_a_large_group_loses_members(dead: int) -> None:
    """A thousand workers, ten thousand tasks: only what the dead had moves, each to a standby, and all is balanced."""
    every = [TaskId(0, number) for number in range(10_000)]
    wanted, workers = PlacementRules(standbys=1), fresh(f"w{number:04}" for number in range(1_000))
    first = plan(every, set(every), workers, wanted)
    assert balance(first) == ({10}, {10})
    gone = set(Random(dead).sample([worker.name for worker in workers], dead))
    left = [view for view in views_after(first, workers, set(every)) if view.name not in gone]
    second = plan(every, set(every), left, wanted)
    orphans = {task for task, owner in first.owners.items() if owner in gone}
    moved = {task for task in every if first.owners[task] != second.owners[task]}
    assert orphans <= moved
    assert len(moved) <= len(orphans) * 1.2
    assert max(balance(second)[0]) <= 10 + 6


def balance(made: Plan) -> tuple[set[int], set[int]]:
    """The numbers of tasks, and of standbys, that workers have."""
    standbys: Mapping[str, int] = Counter(name for names in made.standbys.values() for name in names)
    return set(Counter(made.owners.values()).values()), set(standbys.values())
