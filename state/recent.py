"""What a store with duplicates was given lately, by key and time: answers without a look at the engine.

A stream join asks its other side for every record, and mostly for a key that was never there, which is what an engine
finds slowly. Rules: from `complete_from` on, this knows every entry of the store, so that "nothing" is an answer; before
it, nobody may ask. Entries lie in two generations; when the younger one is as long as the retention, nobody can read the
older one any more, and it is dropped as a whole, without a look at its keys. So is the older one when there are too
many. Nothing is lost by that: it is all in the engine or on its way there.
"""

from __future__ import annotations

from bisect import bisect_left, insort_right
from collections.abc import Iterable, Sequence
from typing import Any

Entry = tuple[int, Any]
"""(time in ms, value)"""

Lines = dict[Any, Entry | list[Entry]]
"""The entries of each key, by time: a list where there are several, for most keys come once, and each object costs."""

_FEW = 8
"""Up to so many entries of a key are looked at one by one."""


class RecentEntries:
    """Values by key and time, complete from the time after `stream_time`, as far back as `retention_ms` reaches.

    A key that is neither in `younger` nor in `older` has no entries; some of those that are there may be out of reach.
    """

    __slots__ = ("_counts", "_due", "_older_latest", "_retention_ms", "complete_from", "latest", "older", "younger")

    def __init__(self, retention_ms: int, stream_time: int) -> None:
        self.complete_from = stream_time + 1
        self.latest = stream_time
        self.younger: Lines = {}
        self.older: Lines = {}
        self._retention_ms = retention_ms
        self._due = stream_time + retention_ms
        """When the next generation begins: what was there before is out of reach one retention later."""
        self._older_latest = stream_time
        """The time up to which the entries of the older generation reach, at most."""
        self._counts = [0, 0]
        """Entries of the younger and of the older generation."""

    @property
    def oldest(self) -> int:
        """The earliest time that can still be read."""
        return self.latest - self._retention_ms + 1

    def add(self, identity: Any, time: int, value: Any) -> None:
        """Take in an entry, to be `counted` next; those of one key and time keep their order."""
        if time > self.latest:
            if time >= self._due:
                self._begin_generation(time)
            self.latest = time
        elif time <= self.latest - self._retention_ms or time < self.complete_from:
            return
        line = self.younger.get(identity)
        if line is None:
            self.younger[identity] = (time, value)
            return
        if isinstance(line, tuple):
            line = self.younger[identity] = [line]
        if line[-1][0] <= time:
            line.append((time, value))
        else:
            insort_right(line, (time, value), key=_time)

    def order_matters(self, earliest: int, latest: int, read_from: int) -> bool:
        """Whether it matters when entries from `earliest` to `latest` are added, among them and reads from `read_from` on.

        It does not where all of that can still be read when all of them are here; then they are of one generation.
        """
        latest = max(latest, self.latest)
        if earliest < self.complete_from or min(earliest, read_from) <= latest - self._retention_ms:
            return True
        if latest >= self._due:
            self._begin_generation(latest)
        return False

    def add_new(self, identities: Iterable[Any], times: Sequence[int], values: Iterable[Any]) -> None:
        """Take in entries of which the order does not matter, each of a key that is not in `younger`; see `add`."""
        self.younger.update(zip(identities, zip(times, values, strict=True), strict=True))
        self.latest = max(self.latest, max(times, default=self.latest))

    def counted(self, count: int) -> None:
        """So many were added since the last call."""
        self._counts[0] += count

    def between(self, identity: Any, first: int, last: int) -> list[Entry]:
        """What can be read of a key with first <= time <= last, by time. `first` is not before `complete_from`."""
        line, older = self.younger.get(identity), self.older.get(identity)
        if line is None and older is None:
            return []
        if line is None or older is None:
            line = _listed(older if line is None else line)
        else:
            line = sorted(_listed(older) + _listed(line), key=_time)
        oldest = self.latest - self._retention_ms + 1
        if first < oldest:  # noqa: PLR1730  max() costs as much as all the rest of a read that finds one entry
            first = oldest
        if len(line) > _FEW:
            line = line[bisect_left(line, first, key=_time) : bisect_left(line, last + 1, key=_time)]
        return [entry for entry in line if first <= entry[0] <= last]

    def knows(self, first: int) -> bool:
        """Whether `between` may be asked for times from `first` on."""
        return first >= self.complete_from or self.complete_from <= self.oldest

    def bound(self, limit: int) -> None:
        """Drop what is older while there are more than `limit` entries, if need be all there is."""
        while sum(self._counts) > limit:
            self._make_room()
        if self._counts[0] > limit // 2:
            self._make_room()

    def _make_room(self) -> None:
        """Begin a generation before its time: what goes may still be read, so that it is not known from now on."""
        if self.older:
            self.complete_from = max(self.complete_from, self._older_latest + 1)
        self._begin_generation(self.latest)

    def _begin_generation(self, time: int) -> None:
        """Begin a generation with `time`; the one before the last goes."""
        self.older, self.younger = self.younger, {}
        self._counts = [0, self._counts[0]]
        self._older_latest = self.latest
        self._due = time + self._retention_ms


def _listed(line: Entry | list[Entry] | None) -> list[Entry]:
    if isinstance(line, tuple):
        return [line]
    return line or []


def _time(entry: Entry) -> int:
    return entry[0]
