"""What a store with duplicates was given lately, by key and time: answers without a look at the engine.

A stream join asks its other side for every record, and mostly for a key that was never there, which is what an engine
finds slowly. Rules: from `complete_from` on, this knows every entry of the store, so that "nothing" is an answer; before
it, nobody may ask. Entries lie in buckets of time that go as a whole, when no reader can reach them any more or when
there are too many. Nothing is lost by that: it is all in the engine or on its way there.
"""

from __future__ import annotations

from bisect import insort_right
from typing import Any

Entry = tuple[int, Any]
"""(time in ms, value)"""


class RecentEntries:
    """Values by key and time, complete from the time after `stream_time`, as far back as `retention_ms` reaches."""

    __slots__ = ("_buckets", "_count", "_retention_ms", "_width_ms", "complete_from", "latest", "oldest")

    def __init__(self, retention_ms: int, stream_time: int) -> None:
        self.complete_from = stream_time + 1
        self.latest = stream_time
        self.oldest = stream_time - retention_ms + 1
        self._retention_ms = retention_ms
        self._width_ms = max(1, retention_ms // 2)
        self._buckets: dict[int, dict[Any, list[Entry]]] = {}
        self._count = 0

    def add(self, identity: Any, time: int, value: Any) -> None:
        """Take in an entry; entries of one key and time keep the order in which they came."""
        if time > self.latest:
            self.latest = time
            self.oldest = time - self._retention_ms + 1
        elif time < self.oldest or time < self.complete_from:
            return
        bucket = self._buckets.get(time // self._width_ms)
        if bucket is None:
            bucket = self._new_bucket(time // self._width_ms)
        self._count += 1
        line = bucket.get(identity)
        if line is None:
            bucket[identity] = [(time, value)]
        elif line[-1][0] <= time:
            line.append((time, value))
        else:
            insort_right(line, (time, value), key=_time)

    def between(self, identity: Any, first: int, last: int) -> list[Entry]:
        """What can be read of a key with first <= time <= last, by time. `first` is not before `complete_from`."""
        if first < self.oldest:  # noqa: PLR1730  max() and min() cost as much as all the rest of a read that finds nothing
            first = self.oldest
        if last > self.latest:  # noqa: PLR1730  as above
            last = self.latest
        found: list[Entry] = []
        buckets, width = self._buckets, self._width_ms
        for number in range(first // width, last // width + 1):
            bucket = buckets.get(number)
            if bucket is not None and identity in bucket:
                found += [entry for entry in bucket[identity] if first <= entry[0] <= last]
        return found

    def knows(self, first: int) -> bool:
        """Whether `between` may be asked for times from `first` on."""
        return first >= self.complete_from or self.complete_from <= self.oldest

    def bound(self, limit: int) -> None:
        """Drop the oldest buckets while there are more than `limit` entries."""
        while self._count > limit and self._buckets:
            self._drop(min(self._buckets))

    def _new_bucket(self, number: int) -> dict[Any, list[Entry]]:
        """A bucket that is not there yet; those that nobody can read any more go."""
        oldest = self.oldest // self._width_ms
        for gone in [each for each in self._buckets if each < oldest]:
            self._drop(gone)
        bucket = self._buckets[number] = {}
        return bucket

    def _drop(self, number: int) -> None:
        self._count -= sum(map(len, self._buckets.pop(number).values()))
        self.complete_from = max(self.complete_from, (number + 1) * self._width_ms)


def _time(entry: Entry) -> int:
    return entry[0]
