"""What a store with duplicates was given lately, by key and time: answers without a look at the engine.

A stream join asks its other side for every record, and mostly for a key that was never there, which is what an engine
finds slowly. Rules: from `complete_from` on, this knows every entry of the store, so that "nothing" is an answer; before
it, nobody may ask. What no reader can reach any more goes, a group of arrivals at a time, and so does the oldest when
there are too many. Nothing is lost by that: it is all in the engine or on its way there.
"""

from __future__ import annotations

from bisect import bisect_left, insort_right
from collections import deque
from collections.abc import Sequence
from typing import Any

Entry = tuple[int, Any]
"""(time in ms, value)"""

_FEW = 8
"""Up to so many entries of a key are looked at one by one."""


class RecentEntries:
    """Values by key and time, complete from the time after `stream_time`, as far back as `retention_ms` reaches.

    `lines` has the entries of each key, by time, some of them maybe out of reach: a key that is not in it has none.
    """

    __slots__ = ("_arrivals", "_due", "_retention_ms", "_width_ms", "complete_from", "latest", "lines", "oldest")

    def __init__(self, retention_ms: int, stream_time: int) -> None:
        self.complete_from = stream_time + 1
        self.latest = stream_time
        self.oldest = stream_time - retention_ms + 1
        self.lines: dict[Any, list[Entry]] = {}
        self._retention_ms = retention_ms
        self._width_ms = max(1, retention_ms // 4)
        self._due = stream_time
        """When the next group of arrivals begins."""
        self._arrivals: deque[tuple[int, list[Any]]] = deque([(stream_time, [])])
        """Groups, oldest first: the time up to which the entries reach, known once the next group has begun; their keys."""

    def add(self, identity: Any, time: int, value: Any) -> None:
        """Take in an entry, whose key is to be `arrived` next; those of one key and time keep their order."""
        if time > self.latest:
            if time >= self._due:
                self._begin_group(time)
            self.latest = time
            self.oldest = time - self._retention_ms + 1
        elif time < self.oldest or time < self.complete_from:
            return
        line = self.lines.get(identity)
        if line is None:
            self.lines[identity] = [(time, value)]
        elif line[-1][0] <= time:
            line.append((time, value))
        else:
            insort_right(line, (time, value), key=_time)

    def arrived(self, identities: Sequence[Any]) -> None:
        """The keys of what was added since the last call: what they have is dropped when its time has come."""
        self._arrivals[-1][1].extend(identities)

    def between(self, identity: Any, first: int, last: int) -> list[Entry]:
        """What can be read of a key with first <= time <= last, by time. `first` is not before `complete_from`."""
        line = self.lines.get(identity)
        if line is None:
            return []
        if first < self.oldest:  # noqa: PLR1730  max() costs as much as all the rest of a read that finds one entry
            first = self.oldest
        if len(line) > _FEW:
            line = line[bisect_left(line, first, key=_time) : bisect_left(line, last + 1, key=_time)]
        return [entry for entry in line if first <= entry[0] <= last]

    def knows(self, first: int) -> bool:
        """Whether `between` may be asked for times from `first` on."""
        return first >= self.complete_from or self.complete_from <= self.oldest

    def bound(self, limit: int) -> None:
        """Drop the oldest arrivals while there are more than `limit` entries."""
        count = sum(len(keys) for _, keys in self._arrivals)
        while count > limit and self._arrivals:
            latest, keys = self._arrivals.popleft()
            self.complete_from = max(self.complete_from, (latest if self._arrivals else self.latest) + 1)
            count -= len(keys)
            self._forget(keys, self.complete_from)
        if not self._arrivals:
            self._arrivals.append((self.latest, []))

    def _begin_group(self, time: int) -> None:
        """Begin a group of arrivals with `time`; those that nobody can read any more go."""
        self._arrivals[-1] = self.latest, self._arrivals[-1][1]
        self._arrivals.append((time, []))
        self._due = time + self._width_ms
        oldest = time - self._retention_ms + 1
        while len(self._arrivals) > 1 and self._arrivals[0][0] < oldest:
            self._forget(self._arrivals.popleft()[1], oldest)

    def _forget(self, keys: list[Any], before: int) -> None:
        """Drop the entries of these keys from before a time."""
        lines = self.lines
        for key in keys:
            line = lines.get(key)
            if line is None:
                continue
            if line[-1][0] < before:
                del lines[key]
            elif line[0][0] < before:
                del line[: bisect_left(line, before, key=_time)]


def _time(entry: Entry) -> int:
    return entry[0]
