"""Where standbys go: to hosts that have no other copy of the task, to other racks, to where state lies, evenly.

In that order: a second copy on the host of the first is worth nothing; one in its rack is worth less; moving a copy
costs a restore; and among equals whoever has least takes it, and least of the same owner's, so that the tasks of one
that dies fall to many. With fewer hosts than copies there are fewer copies.
Source: KIP-708 for the racks: for each tag, a copy goes where its value differs from that of the copies there are.
"""

from __future__ import annotations

import heapq
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from streams.runtime.task import TaskId

Copies = Mapping[TaskId, Sequence[tuple[int, str]]]
"""By task, (lag, worker), the most complete first."""

_CHOICE = 8
"""How many of those who have least are looked at: all of them in a small group, a sample in a large one."""

Rack = tuple[str, ...]
"""The values of the rack tags, in their order; empty where a worker has none."""


class Placed(Protocol):
    """What is needed of a worker."""

    @property
    def name(self) -> str:
        """Its name in the plan."""
        ...

    @property
    def host(self) -> str:
        """Who shares its state directory."""
        ...

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """Its client tags."""
        ...


def place_standbys(
    tasks: Sequence[TaskId],
    owners: Mapping[TaskId, str],
    warmups: Mapping[TaskId, str],
    workers: Sequence[Placed],
    copies: Copies,
    standbys: int,
    rack_tags: Sequence[str],
) -> dict[TaskId, list[str]]:
    """The workers with standbys of each task, `standbys` of them where there are hosts enough."""
    if standbys == 0:
        return {}
    crew = _Crew(workers, rack_tags, quota=-(-len(tasks) * standbys // len(workers)))
    placed: dict[TaskId, list[str]] = {}
    for task in tasks:
        crew.begin([owners[task], *([warmups[task]] if task in warmups else [])])
        known = [name for _, name in copies.get(task, ())]
        found = (crew.take(known) for _ in range(standbys))
        placed[task] = sorted(name for name in found if name is not None)
    return placed


_Entry = tuple[int, int, str]
"""How many standbys a worker has, a number that mixes workers differently at each load, and its name."""


def _entry(load: int, name: str) -> _Entry:
    return load, zlib.crc32(f"{name} {load}".encode()), name


class _Crew:
    """The workers while standbys are given out: how many each has, and which hosts and racks one task uses so far."""

    def __init__(self, workers: Iterable[Placed], rack_tags: Sequence[str], *, quota: int) -> None:
        self._host = {worker.name: worker.host for worker in workers}
        self._rack: dict[str, Rack] = {
            worker.name: tuple(dict(worker.tags).get(tag, "") for tag in rack_tags) for worker in workers
        }
        self._loads = dict.fromkeys(sorted(self._host), 0)
        self._quota = quota
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._heaps: dict[Rack, list[_Entry]] = defaultdict(list)
        for name in self._loads:
            heapq.heappush(self._heaps[self._rack[name]], _entry(0, name))
        self._owner = ""
        self._hosts: set[str] = set()
        self._racks: list[Rack] = []

    def begin(self, holders: Sequence[str]) -> None:
        """Another task, of which these have copies; the first is its owner."""
        self._owner = holders[0]
        self._hosts, self._racks = set(), []
        for name in holders:
            self._use(name)

    def take(self, known: Iterable[str]) -> str | None:
        """A worker for one more standby, one of `known` if it is as good as others; None when all hosts have one."""
        free = {rack: found for rack in self._heaps if (found := self._free(rack))}
        if not free:
            return None
        overlaps = {rack: self._overlap(rack) for rack in free}
        least = min(overlaps.values())
        for name in known:
            fits = self._host[name] not in self._hosts and overlaps.get(self._rack[name]) == least
            if fits and self._loads[name] < self._quota:
                return self._give(name)
        least_used = (entry for rack, entries in free.items() if overlaps[rack] == least for entry in entries)
        *_, name = min(least_used, key=lambda entry: (entry[0], self._pairs[self._owner, entry[2]], entry))
        return self._give(name)

    def _give(self, name: str) -> str:
        self._loads[name] += 1
        self._pairs[self._owner, name] += 1
        heapq.heappush(self._heaps[self._rack[name]], _entry(self._loads[name], name))
        self._use(name)
        return name

    def _use(self, name: str) -> None:
        self._hosts.add(self._host[name])
        self._racks.append(self._rack[name])

    def _free(self, rack: Rack) -> list[_Entry]:
        """Those who have least in a rack, on hosts without a copy. Entries of the heap that are out of date go."""
        heap, looked_at = self._heaps[rack], []
        found: list[_Entry] = []
        while heap and len(found) < _CHOICE and not (found and heap[0][0] > found[0][0]):
            entry = heapq.heappop(heap)
            load, _, name = entry
            if load == self._loads[name]:
                looked_at.append(entry)
                if self._host[name] not in self._hosts:
                    found.append(entry)
        for entry in looked_at:
            heapq.heappush(heap, entry)
        return found

    def _overlap(self, rack: Rack) -> int:
        """How many tags have a value that a copy has already."""
        return sum(any(value == used[at] for used in self._racks) for at, value in enumerate(rack))
