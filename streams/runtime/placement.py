"""Who runs what: the plan that the leader of a group makes. Pure functions over what the workers said.

    owners    every task has one; loads differ by one at most once everything has moved that must
    standbys  further copies of tasks with state, on other hosts, in other racks where there are some
    warm-ups  copies that are being made so that a task can move later

Rules: a task stays where it runs, else it goes where its state is most complete, else to whoever has least. Tasks with
stores are spread first, then the others fill up; each sub-topology is spread by itself. A task with state moves only to
a copy that is within `acceptable_lag`; if balance wants it elsewhere, a warm-up is made there, the task stays, and the
group looks again later. Workers that share a state directory are one host: what one has, all of it have.
Source: KIP-441; the order in which tasks are given out is our own, so that little moves.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from streams.config import StreamsConfig
from streams.runtime.standby_placement import Copies, place_standbys
from streams.runtime.task import TaskId

NO_LAGS: Mapping[TaskId, int] = {}


class WorkerView(NamedTuple):
    """A worker as the leader sees it.

    `lags` are the records that its state of a task is behind, 0 where it runs it; tasks without state are absent.
    """

    name: str
    host: str
    running: frozenset[TaskId] = frozenset()
    lags: Mapping[TaskId, int] = NO_LAGS
    tags: tuple[tuple[str, str], ...] = ()


class PlacementRules(NamedTuple):
    """The settings that bear on a plan: num_standby_replicas, acceptable_recovery_lag, max_warmup_replicas, rack tags."""

    standbys: int = 0
    acceptable_lag: int = 10_000
    warmups: int = 2
    rack_tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: StreamsConfig) -> PlacementRules:
        """Those of an application."""
        return cls(
            config.num_standby_replicas, config.acceptable_recovery_lag, config.max_warmup_replicas, config.rack_tags
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Names of workers by task. `settled` says that nothing waits for a copy to become warm."""

    owners: Mapping[TaskId, str] = field(default_factory=dict)
    standbys: Mapping[TaskId, Sequence[str]] = field(default_factory=dict)
    warmups: Mapping[TaskId, str] = field(default_factory=dict)
    settled: bool = True


def plan(
    tasks: Iterable[TaskId], stateful: Collection[TaskId], workers: Sequence[WorkerView], rules: PlacementRules
) -> Plan:
    """Place all tasks. `stateful` are those with stores that have changelogs."""
    if not workers:
        return Plan()
    every = sorted(tasks)
    with_state = [task for task in every if task in stateful]
    copies = _copies(workers, set(with_state))
    running = _running(workers)
    quota = _Quota(sorted(worker.name for worker in workers), busy=set(running.values()))
    targets = _distribute(with_state, quota, running, copies, rules.acceptable_lag)
    owners, warmups, settled = _moved(targets, running, copies, rules)
    owners |= _distribute([task for task in every if task not in stateful], quota, running, {}, 0)
    standbys = place_standbys(with_state, owners, warmups, workers, copies, rules.standbys, rules.rack_tags)
    return Plan(owners, standbys, warmups, settled)


def _running(workers: Iterable[WorkerView]) -> dict[TaskId, str]:
    """Who runs each task; of two that claim it, the first by name."""
    found: dict[TaskId, str] = {}
    for worker in sorted(workers, key=lambda each: each.name, reverse=True):
        found |= dict.fromkeys(worker.running, worker.name)
    return found


def _copies(workers: Iterable[WorkerView], stateful: Collection[TaskId]) -> Copies:
    """By task, (lag, worker) of all that can take up a copy, the most complete first."""
    by_host: dict[str, list[WorkerView]] = defaultdict(list)
    for worker in workers:
        by_host[worker.host].append(worker)
    copies: dict[TaskId, list[tuple[int, str]]] = defaultdict(list)
    for mates in by_host.values():
        lags: dict[TaskId, int] = {}
        for worker in mates:
            for task, lag in worker.lags.items():
                if task in stateful:
                    lags[task] = min(lag, lags.get(task, lag))
        for task, lag in lags.items():
            copies[task] += [(lag, worker.name) for worker in mates]
    return {task: sorted(found) for task, found in copies.items()}


def _distribute(
    tasks: Sequence[TaskId], quota: _Quota, running: Mapping[TaskId, str], copies: Copies, acceptable_lag: int
) -> dict[TaskId, str]:
    """Where each task belongs in the end: balanced, and within that as near to where it is as can be."""
    quota.add(len(tasks))
    owners: dict[TaskId, str] = {}

    def leaves_easily(task: TaskId) -> bool:
        return any(lag <= acceptable_lag and name != running.get(task) for lag, name in copies.get(task, ()))

    # What a worker keeps is a mix of sub-topologies; what it gives up first is what is warm elsewhere. One task more than
    # others is kept by who runs least in all: the others give to a newcomer what they cannot keep, and not to this one.
    loads = Counter(running.values())
    runs = sorted((leaves_easily(task), task.partition, task.subtopology, task) for task in tasks if task in running)
    for _, _, _, task in runs:
        if quota.take(running[task], task, beyond=0):
            owners[task] = running[task]
    for _, _, _, task in sorted(runs, key=lambda run: (run[0], loads[running[run[3]]], run[1], run[2])):
        if task not in owners and quota.take(running[task], task):
            owners[task] = running[task]
    for task in tasks:
        if task not in owners and (taker := next((n for _, n in copies.get(task, ()) if quota.take(n, task)), None)):
            owners[task] = taker
    remaining = [task for task in tasks if task not in owners]
    for subtopology, group in groupby(remaining, key=lambda task: task.subtopology):
        owners |= quota.hand_out(subtopology, list(group))
    return owners


def _moved(
    targets: Mapping[TaskId, str], running: Mapping[TaskId, str], copies: Copies, rules: PlacementRules
) -> tuple[dict[TaskId, str], dict[TaskId, str], bool]:
    """Who runs each task for now, where warm-ups are made, and whether that is how it is to be in the end."""
    loads = Counter(targets.values())
    owners: dict[TaskId, str] = {}
    warmups: dict[TaskId, str] = {}
    settled = True
    for task, target in targets.items():
        holders = _holders(copies.get(task, ()), target, rules.acceptable_lag)
        if not holders:
            owners[task] = target
            continue
        settled = False
        runs = running.get(task)
        owner = runs if runs in holders else min(holders, key=lambda name: (loads[name], name))
        owners[task] = owner
        loads[target] -= 1
        loads[owner] += 1
        if len(warmups) < rules.warmups:
            warmups[task] = target
    return owners, warmups, settled


def _holders(copies: Sequence[tuple[int, str]], target: str, acceptable_lag: int) -> list[str]:
    """Who should have a task rather than `target`, because its state is more complete; empty: nobody."""
    of_target = next((lag for lag, name in copies if name == target), None)
    if not copies or (of_target is not None and of_target <= acceptable_lag):
        return []
    best = copies[0][0]
    if of_target is not None and of_target <= best:
        return []
    return [name for lag, name in copies if lag <= max(best, acceptable_lag)]


class _Quota:
    """How many tasks each worker may have: all the same, but for some that take one of the rest.

    Kinds of tasks are added one after the other; what was given out before counts. Of equals, those that are not `busy`
    come first, so that nobody who stays gives a task to another.
    """

    def __init__(self, workers: Sequence[str], busy: Collection[str]) -> None:
        self._busy = busy
        self._loads = dict.fromkeys(workers, 0)
        self._parts: Counter[tuple[str, int]] = Counter()
        self._total = 0
        self._base = self._rest = 0

    def add(self, tasks: int) -> None:
        """So many more are to be given out."""
        self._total += tasks
        self._base, self._rest = divmod(self._total, len(self._loads))
        self._rest -= sum(load > self._base for load in self._loads.values())

    def take(self, worker: str, task: TaskId, beyond: int = 1) -> bool:
        """Count one more task for a worker, unless it has enough: the same as all, and so many `beyond` if there is a rest."""
        load = self._loads[worker]
        if load >= self._base + beyond or (load == self._base and self._rest <= 0):
            return False
        self._rest -= load == self._base
        self._loads[worker] = load + 1
        self._parts[worker, task.subtopology] += 1
        return True

    def hand_out(self, subtopology: int, tasks: list[TaskId]) -> dict[TaskId, str]:
        """Give tasks of one sub-topology to whoever has least, and least of it."""
        heap = [
            (load, self._parts[worker, subtopology], worker in self._busy, worker)
            for worker, load in self._loads.items()
        ]
        heapq.heapify(heap)
        owners: dict[TaskId, str] = {}
        for task in tasks:
            load, part, busy, worker = heap[0]
            heapq.heapreplace(heap, (load + 1, part + 1, busy, worker))
            owners[task] = worker
            self._loads[worker] = load + 1
            self._parts[worker, subtopology] = part + 1
        return owners
