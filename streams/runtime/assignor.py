"""The assignor of a worker: tells the leader about its worker, and as leader turns a plan into assignments.

`placement` makes the plan; here it meets the group: tasks become the partitions they read, changelogs' end offsets
become lags, and user data go out and come back (`member_info`). Rules: the protocol is cooperative, so a task that runs
elsewhere is given only when its owner has let go; until then its new owner keeps the copy it has. Without end offsets
tasks stay where they are, and the group looks again later. Topics that match a pattern are divided as they are there, and
what follows from their partitions is made before. A worker that was killed and comes back goes on from what it was
given, unless that was for another program, other partitions, or in the middle of a hand-over.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from streams.clients.base import Assignment, Subscription
from streams.errors import ClientError
from streams.record import TopicPartition
from streams.runtime.member_info import (
    OLDEST,
    VERSION,
    GroupInfo,
    HostTasks,
    MemberInfo,
    Renumbering,
    decode_group,
    decode_member,
    encode,
    fingerprint,
    packed_hosts,
    part_number,
    task_named,
)
from streams.runtime.orphans import Orphans
from streams.runtime.placement import PlacementRules, Plan, WorkerView, plan
from streams.runtime.task import TaskId

log = logging.getLogger(__name__)

NAME = "headrace"
UNKNOWN_LAG = 1 << 60
HOSTS_BYTES = 640 << 10
"""Most of what a broker takes as one record (message.max.bytes, 1 MiB), in which it keeps a group with all members."""

PARTS_TOLD = 20_000
"""Sub-topologies times members of which all are told; more would take too much of the same record."""

Ends = Callable[[Iterable[TopicPartition]], Mapping[TopicPartition, int]]
"""End offsets; called beside the processing thread."""


class TaskInputs(NamedTuple):
    """One sub-topology as the assignor sees it: its source topics and the changelogs of its stores, by full name.

    It also reads whatever matches one of its `patterns`.
    """

    subtopology: int
    topics: tuple[str, ...]
    changelogs: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def found(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Its source topics, and those of these that match."""
        if not self.patterns:
            return self.topics
        return (*self.topics, *(topic for topic in topics if any(re.fullmatch(each, topic) for each in self.patterns)))


class TaskAssignor:
    """An `Assignor` of tasks.

    `state` is asked on the processing thread whenever this member joins, `told` hears there what the leader says, and
    whether to join again at once, because the leader did not understand what was said. `required` are the topics that the
    program names; those that match a pattern may go. The leader has `prepare` look at partition counts before it divides.
    `version` is for tests.
    """

    name = NAME
    cooperative = True

    def __init__(
        self,
        inputs: Sequence[TaskInputs],
        state: Callable[[], MemberInfo],
        *,
        told: Callable[[GroupInfo, bool], None] = lambda _info, _again: None,
        ends: Ends = lambda _partitions: {},
        rules: PlacementRules = PlacementRules(),  # noqa: B008  never changed
        orphans: Orphans | None = None,
        required: Iterable[str] = (),
        prepare: Callable[[Mapping[str, int]], None] = lambda _partitions: None,
        version: int = VERSION,
        oldest: int = OLDEST,
    ) -> None:
        self._inputs = tuple(inputs)
        self._parts = {part.subtopology: part_number(part.topics, part.patterns) for part in inputs}
        self._changelogs = {part.subtopology: part.changelogs for part in inputs}
        self._state = state
        self._told = told
        self._ends = ends
        self._rules = rules
        self._orphans = orphans
        self._required = tuple(required)
        self._prepare = prepare
        self._version, self._oldest = version, oldest
        self._speaks = version
        self._program = ""

    def user_data(self) -> bytes:
        """What this member tells the leader about itself."""
        info = self._state()
        self._program = self._program_of(info)
        oldest = min(self._oldest, self._speaks)
        said = replace(info, version=self._speaks, oldest=oldest, program=self._program, parts=self._parts)
        return encode(said)

    def stands(self, user_data: bytes, partitions: Mapping[str, int] | None) -> bool:
        """Whether what was said before this worker came back was said to its program, and of these partitions."""
        info = decode_group(user_data, self._version)
        same_program = bool(info.program) and info.program == self._program
        return same_program and (partitions is None or info.divided == _counted(partitions))

    def on_assignment(self, user_data: bytes) -> None:
        """Hear what the leader says; speak its version from now on, if it is an older one."""
        info = decode_group(user_data, self._version)
        understood = info.leader >= min(self._oldest, self._speaks)
        if not understood:
            log.info("the leader speaks version %d, not %d: joining again", info.leader, self._speaks)
        self._speaks = min(self._version, info.leader)
        if info.parts and info.parts != self._parts:
            info = Renumbering(info.parts, self._parts).group(info)
        self._told(info, not understood)

    def assign(self, partitions: Mapping[str, int], members: Sequence[Subscription]) -> Mapping[str, Assignment]:
        """Shape: `partitions` maps topic to partition count; the answer maps member id to assignment.

        Raises: ClientError for a topic that is gone: without it tasks would vanish, or join with nothing.
        Source: Kafka Streams' MissingSourceTopicException.
        """
        infos = {
            member.member_id: decode_member(member.user_data, member.member_id, self._version) for member in members
        }
        if stopping := [name for name, info in infos.items() if info.stops]:
            log.warning("all workers are to stop: %s asked for it", ", ".join(stopping))
            message = encode(self._written(infos, stops=True))
            return {member.member_id: Assignment(member.owned, message) for member in members}
        if missing := [topic for topic in self._required if not partitions.get(topic)]:
            raise ClientError(
                f"source topic {', '.join(missing)} is missing: it was deleted, or this user may not see it. Make it anew, "
                "or take it out of the program, and start again"
            )
        if self._orphans is not None and all(info.process for info in infos.values()):
            self._orphans.end({info.process for info in infos.values()})
        self._prepare(partitions)
        tasks = tasks_of(self._inputs, partitions)
        infos = {member.member_id: self._understood(infos[member.member_id], member.owned, tasks) for member in members}
        stateful = {task for task in tasks if self._changelogs[task.subtopology]}
        lags, complete = self._lags(infos, stateful)
        made = plan(tasks, stateful, [_view(name, infos[name], lags[name]) for name in infos], self._rules)
        made = _to_readers(made, self._inputs, members)
        _say(made, len(tasks), len(members), complete=complete)
        messages = self._messages(made, tasks, members, infos, partitions, probes=not (made.settled and complete))
        given: dict[str, list[TopicPartition]] = {member.member_id: [] for member in members}
        owned_by = {partition: member.member_id for member in members for partition in member.owned}
        for task, owner in made.owners.items():
            given[owner] += _at_once(tasks[task], owner, owned_by)
        return {name: Assignment(tuple(sorted(inputs)), messages[name]) for name, inputs in given.items()}

    # Within

    def _program_of(self, info: MemberInfo) -> str:
        """The fingerprint of a member that runs this program."""
        return fingerprint(self._inputs, self._rules, info.host, info.address, sorted(info.tags.items()))

    def _understood(
        self, info: MemberInfo, owned: Sequence[TopicPartition], tasks: Mapping[TaskId, Sequence[TopicPartition]]
    ) -> MemberInfo:
        """What a member says of itself, by the numbers that this program gives its tasks.

        In a rolling upgrade sub-topologies may have other numbers there. Who does not say which (before version 4) runs what
        it owns, and where the rest of its state lies is not known: taken at its word, it would be given other partitions
        with every rebalance. Source: Kafka Streams' ClientState.initializePrevTasks.
        """
        if info.parts:
            return info if info.parts == self._parts else Renumbering(info.parts, self._parts).member(info)
        held = set(owned)
        claimed = [tasks.get(task_named(name), ()) for name in info.running]
        if not held or info.program == self._program_of(info) or not any(map(held.isdisjoint, claimed)):
            return info
        running = [str(task) for task, inputs in tasks.items() if not held.isdisjoint(inputs)]
        return replace(info, running=running, positions={})

    def _lags(
        self, infos: Mapping[str, MemberInfo], stateful: Iterable[TaskId]
    ) -> tuple[dict[str, dict[TaskId, int]], bool]:
        """How far the state of each member is behind, and whether that could be found out."""
        known = {str(task): task for task in stateful}
        asked = {
            partition
            for info in infos.values()
            for name in info.positions
            if name in known
            for partition in self._logs(known[name])
        }
        try:
            ends = self._ends(asked) if asked else {}
            complete = True
        except ClientError as error:
            log.warning("the ends of changelogs are not known, tasks stay where they are for now: %s", error)
            ends, complete = {}, False
        lags: dict[str, dict[TaskId, int]] = {}
        for member, info in infos.items():
            of_member = lags[member] = {}
            for name, position in info.positions.items():
                if (task := known.get(name)) is not None:
                    end = sum(ends.get(partition, 0) for partition in self._logs(task))
                    of_member[task] = max(end - position, 0) if complete else UNKNOWN_LAG
            of_member.update({known[name]: 0 for name in info.running if name in known})
        return lags, complete

    def _logs(self, task: TaskId) -> list[TopicPartition]:
        return [TopicPartition(topic, task.partition) for topic in self._changelogs[task.subtopology]]

    def _messages(
        self,
        made: Plan,
        tasks: Mapping[TaskId, Sequence[TopicPartition]],
        members: Sequence[Subscription],
        infos: Mapping[str, MemberInfo],
        partitions: Mapping[str, int],
        *,
        probes: bool,
    ) -> dict[str, bytes]:
        """What each member is told beside its partitions."""
        standbys: dict[str, list[TaskId]] = defaultdict(list)
        for task, names in made.standbys.items():
            for name in names:
                standbys[name].append(task)
        hosts = _fitting(packed_hosts(_hosts(made, standbys, infos)), len(infos))
        withheld = _withheld(made, tasks, members)
        for name, waiting in withheld.items():
            standbys[name] += [task for task in waiting if self._changelogs[task.subtopology]]
        warmups: dict[str, list[str]] = defaultdict(list)
        for task, name in made.warmups.items():
            warmups[name].append(str(task))
        prober = min(infos, default="")
        giving_up = _giving_up(made, tasks, members)
        written = replace(self._written(infos, hosts=hosts), divided=_counted(partitions))
        return {
            name: encode(
                replace(
                    written,
                    standbys=[str(task) for task in sorted(standbys[name])],
                    warmups=warmups[name],
                    probe=probes and name == prober,
                    program="" if name in giving_up else infos[name].program,
                )
            )
            for name in infos
        }

    def _written(self, infos: Mapping[str, MemberInfo], *, hosts: bytes = b"", stops: bool = False) -> GroupInfo:
        """What all are told, in a version that all can read."""
        version = min([self._version, *(info.version for info in infos.values())])
        oldest = min(self._oldest, version)
        parts = self._parts if len(self._parts) * len(infos) <= PARTS_TOLD else {}
        return GroupInfo(version=version, oldest=oldest, leader=self._version, hosts=hosts, stops=stops, parts=parts)


def tasks_of(inputs: Iterable[TaskInputs], partitions: Mapping[str, int]) -> dict[TaskId, list[TopicPartition]]:
    """All tasks and what each reads; a topic with fewer partitions feeds the first tasks only."""
    parts = tuple(inputs)
    named = {topic for part in parts for topic in part.topics}
    others = sorted(partitions.keys() - named)
    tasks: dict[TaskId, list[TopicPartition]] = {}
    for part in parts:
        topics = part.found(others)
        count = max((partitions.get(topic, 0) for topic in topics), default=0)
        for number in range(count):
            tasks[TaskId(part.subtopology, number)] = [
                TopicPartition(topic, number) for topic in topics if number < partitions.get(topic, 0)
            ]
    return tasks


def _view(name: str, info: MemberInfo, lags: Mapping[TaskId, int]) -> WorkerView:
    running = frozenset(map(task_named, info.running))
    return WorkerView(name, info.host or name, running, lags, tuple(sorted(info.tags.items())))


def _at_once(
    inputs: Sequence[TopicPartition], owner: str, owned_by: Mapping[TopicPartition, str]
) -> Sequence[TopicPartition]:
    """Of a task's inputs those to name: while others own some, these alone, which the group withholds.

    So a task comes whole, also one that gets a further input while it moves: else two would run it for a while.
    """
    return [each for each in inputs if owned_by.get(each, owner) != owner] or inputs


def _to_readers(made: Plan, inputs: Iterable[TaskInputs], members: Sequence[Subscription]) -> Plan:
    """The plan, but that no member gets a task whose topics it does not read, if another does.

    In a rolling upgrade some run a program with more topics, or with fewer; to them a topic they do not know is an error.
    Topics that match a pattern do not count, for a member may have joined before it has seen one.
    """
    reads = {member.member_id: frozenset(member.topics) for member in members}
    if len(set(reads.values())) == 1:
        return made
    topics_of = {part.subtopology: part.topics for part in inputs}
    able_of = {part: [name for name in reads if reads[name].issuperset(topics)] for part, topics in topics_of.items()}
    owned_by = {partition: member.member_id for member in members for partition in member.owned}
    owners, loads = dict(made.owners), Counter(made.owners.values())
    for task, owner in made.owners.items():
        able = able_of[task.subtopology]
        if able and owner not in able:
            has = {owned_by.get(TopicPartition(topic, task.partition)) for topic in topics_of[task.subtopology]}
            owners[task] = min(able, key=lambda name: (name not in has, loads[name], name))
            loads[owners[task]] += 1
            loads[owner] -= 1
    return dataclasses.replace(made, owners=owners)


def _withheld(
    made: Plan, tasks: Mapping[TaskId, Sequence[TopicPartition]], members: Sequence[Subscription]
) -> dict[str, list[TaskId]]:
    """By member, the tasks it is to have that another still owns: it keeps its copies of them warm until then."""
    owned_by = {partition: member.member_id for member in members for partition in member.owned}
    found: dict[str, list[TaskId]] = defaultdict(list)
    for task, owner in made.owners.items():
        if any(owned_by.get(partition, owner) != owner for partition in tasks[task]):
            found[owner].append(task)
    return found


def _giving_up(
    made: Plan, tasks: Mapping[TaskId, Sequence[TopicPartition]], members: Sequence[Subscription]
) -> set[str]:
    """Members that own what is to go elsewhere: the group waits for them to join again, also if they are killed first."""
    owner_of = {partition: owner for task, owner in made.owners.items() for partition in tasks[task]}
    return {
        member.member_id
        for member in members
        if any(owner_of.get(partition) != member.member_id for partition in member.owned)
    }


def _counted(partitions: Mapping[str, int]) -> str:
    """The partition counts as members are told of them."""
    return fingerprint(sorted(partitions.items()))


def _hosts(
    made: Plan, standbys: Mapping[str, Sequence[TaskId]], infos: Mapping[str, MemberInfo]
) -> dict[str, HostTasks]:
    """Who has what, of those that say where they can be reached."""
    running: dict[str, list[TaskId]] = defaultdict(list)
    for task, owner in made.owners.items():
        running[owner].append(task)
    found: dict[str, HostTasks] = {}
    for name, info in infos.items():
        if info.address:
            before = found.get(info.address, HostTasks(frozenset(), frozenset()))
            found[info.address] = HostTasks(before.running.union(running[name]), before.standbys.union(standbys[name]))
    return found


def _fitting(hosts: bytes, members: int) -> bytes:
    """The hosts, if the group's record can take them once per member; else nobody is told, and the group works on."""
    if len(hosts) * members <= HOSTS_BYTES:
        return hosts
    log.warning(
        "%d members with %d bytes of addresses each do not fit into one message: nobody is told who has which key",
        members,
        len(hosts),
    )
    return b""


def _say(made: Plan, tasks: int, members: int, *, complete: bool) -> None:
    log.info(
        "assigned %d task(s) and %d standby(s) to %d worker(s)%s",
        tasks,
        sum(map(len, made.standbys.values())),
        members,
        ""
        if made.settled and complete
        else f"; some wait for state elsewhere, {len(made.warmups)} of them warm up now",
    )
