"""An index of the entries of a key in time, made for the keys that are asked for.

Rules: the timeline of a key holds at least every entry the store may have for it (the store checks each when it reads
it), in order of time; a key that was never asked for costs nothing. The oldest timelines are dropped when they become
many, and made again from engine and uncommitted bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import islice
from typing import Any

_MAX_ENTRIES = 200_000


class Timelines:
    """Sorted entry keys by identity; `load` gives all that a store has of one, sorted."""

    __slots__ = ("_entries", "_lines", "_load")

    def __init__(self, load: Callable[[Any], list[Any]]) -> None:
        self._load = load
        self._lines: dict[Any, list[Any]] = {}
        self._entries = 0

    def of(self, identity: Any) -> list[Any]:
        """All entry keys of one key. Not to be changed by the caller."""
        line = self._lines.get(identity)
        if line is None:
            line = self._lines[identity] = self._load(identity)
            self._entries += len(line)
        return line

    def between(self, identity: Any, first_time: int, last_time: int) -> list[Any]:
        """A copy of the entry keys of one key with first <= time <= last."""
        line = self.of(identity)
        low = bisect_left(line, (identity, first_time))
        return line[low : bisect_left(line, (identity, last_time + 1), low)]

    def add(self, entry: Any, oldest: int) -> None:
        """Take in a written entry; what is older than `oldest` at the front of its line may go."""
        line = self.of(entry[0])
        at = bisect_left(line, entry)
        if at == len(line) or line[at] != entry:
            line.insert(at, entry)
            self._entries += 1
        if line[0][1] < oldest:
            gone = bisect_left(line, (entry[0], oldest))
            del line[:gone]
            self._entries -= gone

    def knows(self, identity: Any) -> bool:
        """Whether there is a timeline of this key."""
        return identity in self._lines

    def remove(self, entry: Any) -> None:
        """Forget an entry that turned out not to exist."""
        line = self._lines.get(entry[0])
        if line is not None:
            at = bisect_left(line, entry)
            if at < len(line) and line[at] == entry:
                del line[at]
                self._entries -= 1

    def bound(self, needed: Callable[[Any], bool]) -> None:
        """When there are too many, drop the older half, except lines with an entry that is `needed`."""
        if self._entries + len(self._lines) <= _MAX_ENTRIES:
            return
        for identity in list(islice(self._lines, len(self._lines) // 2)):
            if not any(map(needed, self._lines[identity])):
                self._entries -= len(self._lines.pop(identity))
