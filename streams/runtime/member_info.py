"""What workers and their leader tell each other in the group's messages: the user data of subscription and assignment.

Rules: both begin with the version they are written in and the oldest version that can read them; later versions only
append fields, and raise the second number when they cannot. So a leader reads what it knows of newer members; what it
cannot read at all it takes for a worker without state, and says which version it speaks; the member then speaks that
and joins again (version probing, KIP-268). Hosts are packed once for all members.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from streams.errors import ClientError
from streams.runtime.task import TaskId

VERSION = 4
"""2 added `stops` and `process`, 3 `program` and `divided`, 4 `parts`."""
OLDEST = 1

T = TypeVar("T")


class _Header(msgspec.Struct, frozen=True, array_like=True):
    """How every message begins."""

    version: int
    oldest: int


class MemberInfo(msgspec.Struct, frozen=True, array_like=True):
    """What a worker tells the leader.

    `host` names its state directory, `address` is host:port where others reach it, `running` are tasks that process,
    `positions` how far its other state has come: the sum of the changelog offsets of a task's stores. `round` makes it
    another message when nothing else changed, so that the group assigns anew. `stops` asks for the end of all.
    `process` is the worker's name, see `process_id`. `program` is the `fingerprint` of what bears on assignments and stays
    the same while the worker runs. `parts` are what `part_number` makes of its sub-topologies.
    """

    version: int = VERSION
    oldest: int = OLDEST
    host: str = ""
    address: str = ""
    tags: dict[str, str] = {}
    running: list[str] = []
    positions: dict[str, int] = {}
    round: int = 0
    stops: bool = False
    process: str = ""
    program: str = ""
    parts: dict[int, int] = {}


class GroupInfo(msgspec.Struct, frozen=True, array_like=True):
    """What the leader tells a worker beside its partitions.

    `leader` is the leader's version. `probe` asks this worker to have the group assign anew after a while: some tasks
    wait for warm-ups. `hosts` is for `unpacked_hosts`. `stops`: all workers are to stop. `program` is the member's own, as
    the leader read it, and empty if a member that returns cannot go on from this; `divided` is the `fingerprint` of the
    partition counts. `parts` are those of the leader, by whose numbers it names tasks.
    """

    version: int = VERSION
    oldest: int = OLDEST
    leader: int = VERSION
    standbys: list[str] = []
    warmups: list[str] = []
    probe: bool = False
    hosts: bytes = b""
    stops: bool = False
    program: str = ""
    divided: str = ""
    parts: dict[int, int] = {}


class HostTasks(NamedTuple):
    """The tasks that run at an address, and those that have a standby there."""

    running: frozenset[TaskId]
    standbys: frozenset[TaskId]


def encode(info: MemberInfo | GroupInfo) -> bytes:
    """The bytes of a message."""
    return msgspec.msgpack.encode(info)


def decode_member(data: bytes, member_id: str, version: int = VERSION) -> MemberInfo:
    """What a member says of itself, as far as `version` understands it.

    Raises: ClientError when it is no worker at all.
    """
    try:
        return _decode(data, MemberInfo, version)
    except msgspec.MsgspecError as error:
        raise ClientError(
            f"member {member_id} of the group is no worker of this application: use another application id"
        ) from error


def decode_group(data: bytes, version: int = VERSION) -> GroupInfo:
    """What the leader says, as far as `version` understands it."""
    return _decode(data, GroupInfo, version) if data else GroupInfo()


def fingerprint(*parts: object) -> str:
    """A short name of what msgpack can write, the same in every process."""
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=8).hexdigest()


def part_number(topics: Iterable[str], patterns: Iterable[str]) -> int:
    """A number for what a sub-topology reads, by which another program knows it, whichever number it has there."""
    return int(fingerprint(sorted(topics), sorted(patterns))[:8], 16)


class Renumbering:
    """Tasks that a program of `theirs` names, by the numbers of one of `ours`; those of parts it does not have are left out."""

    def __init__(self, theirs: Mapping[int, int], ours: Mapping[int, int]) -> None:
        at = {part: number for number, part in ours.items()}
        self._numbers = {number: at[part] for number, part in theirs.items() if part in at}

    def tasks(self, tasks: Iterable[TaskId]) -> list[TaskId]:
        """The tasks as they are called here."""
        numbers = self._numbers
        return [TaskId(numbers[task.subtopology], task.partition) for task in tasks if task.subtopology in numbers]

    def names(self, names: Iterable[str]) -> list[str]:
        """The same of names such as 0_3."""
        return list(map(str, self.tasks(map(task_named, names))))

    def member(self, info: MemberInfo) -> MemberInfo:
        """What a worker says of itself."""
        positions = {new: at for name, at in info.positions.items() for new in self.names([name])}
        return replace(info, running=self.names(info.running), positions=positions)

    def group(self, info: GroupInfo) -> GroupInfo:
        """What the leader tells."""
        hosts = {
            address: HostTasks(frozenset(self.tasks(host.running)), frozenset(self.tasks(host.standbys)))
            for address, host in unpacked_hosts(info.hosts).items()
        }
        standbys, warmups = self.names(info.standbys), self.names(info.warmups)
        return replace(info, standbys=standbys, warmups=warmups, hosts=packed_hosts(hosts))


def packed_hosts(hosts: Mapping[str, HostTasks]) -> bytes:
    """Addresses and their tasks."""
    plain = {address: [_grouped(tasks.running), _grouped(tasks.standbys)] for address, tasks in hosts.items()}
    return zlib.compress(msgspec.msgpack.encode(plain)) if plain else b""


def unpacked_hosts(data: bytes) -> dict[str, HostTasks]:
    """What `packed_hosts` packed."""
    if not data:
        return {}
    plain = msgspec.msgpack.decode(zlib.decompress(data), type=dict[str, list[dict[int, list[int]]]])
    return {address: HostTasks(*map(_ungrouped, both)) for address, both in plain.items()}


def task_named(name: str) -> TaskId:
    """The task of a name such as 0_3."""
    subtopology, _, partition = name.partition("_")
    return TaskId(int(subtopology), int(partition))


def _decode(data: bytes, kind: type[T], version: int) -> T:
    header = msgspec.msgpack.decode(data, type=_Header)
    if header.oldest > version:
        return kind(header.version, header.oldest)  # type: ignore[call-arg]  # both kinds begin like this
    return msgspec.msgpack.decode(data, type=kind)


def _grouped(tasks: Iterable[TaskId]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for task in sorted(tasks):
        found.setdefault(task.subtopology, []).append(task.partition)
    return found


def _ungrouped(grouped: Mapping[int, Iterable[int]]) -> frozenset[TaskId]:
    return frozenset(TaskId(part, number) for part, numbers in grouped.items() for number in numbers)
