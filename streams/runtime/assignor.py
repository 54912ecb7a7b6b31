"""Divides tasks among workers: balanced, sticky, and each task with all of its inputs.

Runs on the group's leader alone. Rules: a task (sub-topology x partition) goes to one worker with that partition of
every topic it reads; no two workers differ by more than one task; within that, a task stays where it ran, else it goes
where its state lies, else to whoever has least. The answer depends on nothing but the members and what they say.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from streams.clients.base import Assignment, Subscription
from streams.errors import ClientError
from streams.record import TopicPartition
from streams.runtime.task import TaskId

NAME = "headrace"
VERSION = 1


class MemberState(msgspec.Struct, frozen=True, array_like=True):
    """What a worker tells the leader: the version of this format, the tasks it ran, and those it has state of."""

    version: int
    running: list[str] = []
    stored: list[str] = []


class TaskInputs(NamedTuple):
    """One sub-topology as the assignor sees it: its source topics, by full name."""

    subtopology: int
    topics: tuple[str, ...]


class TaskAssignor:
    """An `Assignor` of tasks. `state` is asked on the processing thread whenever this member joins."""

    name = NAME
    cooperative = True

    def __init__(self, inputs: Sequence[TaskInputs], state: Callable[[], MemberState]) -> None:
        self._inputs = tuple(inputs)
        self._state = state

    def user_data(self) -> bytes:
        """What this member tells the leader about itself."""
        return msgspec.msgpack.encode(self._state())

    def on_assignment(self, user_data: bytes) -> None:
        """Nothing to remember: the partitions say it all."""

    def assign(self, partitions: Mapping[str, int], members: Sequence[Subscription]) -> Mapping[str, Assignment]:
        """Shape: `partitions` maps topic to partition count; the answer maps member id to assignment."""
        tasks = tasks_of(self._inputs, partitions)
        states = {member.member_id: decoded(member) for member in members}
        owners = distribute(sorted(tasks), states)
        given: dict[str, list[TopicPartition]] = {member.member_id: [] for member in members}
        for task, owner in owners.items():
            given[owner] += tasks[task]
        return {member: Assignment(tuple(sorted(inputs))) for member, inputs in given.items()}


def tasks_of(inputs: Iterable[TaskInputs], partitions: Mapping[str, int]) -> dict[TaskId, list[TopicPartition]]:
    """All tasks and what each reads; a topic with fewer partitions feeds the first tasks only."""
    tasks: dict[TaskId, list[TopicPartition]] = {}
    for subtopology, topics in inputs:
        count = max((partitions.get(topic, 0) for topic in topics), default=0)
        for number in range(count):
            tasks[TaskId(subtopology, number)] = [
                TopicPartition(topic, number) for topic in topics if number < partitions.get(topic, 0)
            ]
    return tasks


def distribute(tasks: Sequence[TaskId], states: Mapping[str, MemberState]) -> dict[TaskId, str]:
    """The owner of each task; `tasks` in order. What a member keeps is a mix of sub-topologies: heavy ones spread."""
    if not states:
        return {}
    quota = _Quota(tasks, sorted(states))
    owners: dict[TaskId, str] = {}
    mixed = sorted(tasks, key=lambda task: (task.partition, task.subtopology))
    for known in (_places(states, "running"), _places(states, "stored")):
        for task in mixed:
            if task in owners:
                continue
            for member in known.get(str(task), ()):
                if quota.take(member, task):
                    owners[task] = member
                    break
    remaining = [task for task in tasks if task not in owners]
    for subtopology, group in groupby(remaining, key=lambda task: task.subtopology):
        owners |= quota.hand_out(subtopology, list(group))
    return owners


class _Quota:
    """How many tasks each member may have: all the same, but for some that take one of the rest."""

    def __init__(self, tasks: Sequence[TaskId], members: Sequence[str]) -> None:
        self._loads = dict.fromkeys(members, 0)
        self._parts: Counter[tuple[str, int]] = Counter()
        self._base, self._rest = divmod(len(tasks), len(members))

    def take(self, member: str, task: TaskId) -> bool:
        """Count one more task for a member, unless it has enough."""
        load = self._loads[member]
        if load > self._base or (load == self._base and self._rest == 0):
            return False
        self._rest -= load == self._base
        self._loads[member] = load + 1
        self._parts[member, task.subtopology] += 1
        return True

    def hand_out(self, subtopology: int, tasks: list[TaskId]) -> dict[TaskId, str]:
        """Give tasks of one sub-topology to whoever has least, and least of it."""
        heap = [(load, self._parts[member, subtopology], member) for member, load in self._loads.items()]
        heapq.heapify(heap)
        owners: dict[TaskId, str] = {}
        for task in tasks:
            load, part, member = heap[0]
            heapq.heapreplace(heap, (load + 1, part + 1, member))
            owners[task] = member
            self._loads[member] = load + 1
            self._parts[member, subtopology] = part + 1
        return owners


def _places(states: Mapping[str, MemberState], what: str) -> dict[str, list[str]]:
    """By task, the members that say they have it, in order."""
    places: dict[str, list[str]] = defaultdict(list)
    for member in sorted(states):
        for task in getattr(states[member], what):
            places[task].append(member)
    return places


def decoded(member: Subscription) -> MemberState:
    """What a member says of itself. Raises: ClientError when it speaks another version."""
    if not member.user_data:
        return MemberState(VERSION)
    try:
        state = msgspec.msgpack.decode(member.user_data, type=MemberState)
    except msgspec.MsgspecError as error:
        raise ClientError(
            f"member {member.member_id} of the group is no worker of this application: use another application id"
        ) from error
    if state.version != VERSION:
        raise ClientError(
            f"member {member.member_id} runs version {state.version} of the assignor, this worker version {VERSION}: "
            "run the same release everywhere"
        )
    return state
