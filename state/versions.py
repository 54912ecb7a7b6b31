"""All that is known of one key over time: the latest value, and what was valid before.

Model (Kafka's versioned store, without its segments): a history of adjoining intervals, each valid from its start to
the next one's, the last one up to `end`; a value of None says that there was none. The latest value, if any, is valid
from `latest_from` >= `end` on; between the two there was none. Times are in ms.

Quirk kept from Kafka: a deletion at the very time of the latest value erases it, and leaves no boundary unless the
history ends there.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any

_HEAD = struct.Struct(">?qqi")
_ENTRY = struct.Struct(">qi")
LATEST = -1
"""What `put` answers when nothing later is known of the key."""


class Versions:
    """The versions of one key. Values are live objects."""

    __slots__ = ("end", "latest", "latest_from", "starts", "values")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.values: list[Any] = []
        self.end = 0
        self.latest: Any = None
        self.latest_from = 0

    def at(self, time: int) -> tuple[Any, int] | None:
        """(value, valid from) at `time`, or None."""
        if self.latest is not None and self.latest_from <= time:
            return self.latest, self.latest_from
        if not self.starts or not self.starts[0] <= time < self.end:
            return None
        index = bisect_right(self.starts, time) - 1
        value = self.values[index]
        return None if value is None else (value, self.starts[index])

    def between(self, from_ms: int, to_ms: int) -> list[tuple[Any, int, int | None]]:
        """(value, valid from, until when; None: still) of the versions valid at some time in [from, to], ascending."""
        ends = [*self.starts[1:], self.end][: len(self.starts)]  # none without a history
        found: list[tuple[Any, int, int | None]] = [
            (value, start, end)
            for value, start, end in zip(self.values, self.starts, ends, strict=True)
            if value is not None and start <= to_ms and end > from_ms and end > start
        ]
        if self.latest is not None and self.latest_from <= to_ms:
            found.append((self.latest, self.latest_from, None))
        return found

    def put(self, value: Any, time: int) -> int:
        """Set what is valid from `time` on (None: nothing); returns until when it is valid, or LATEST."""
        if self.latest is None:
            return self._put_before(value, time, None)
        if time < self.latest_from:
            return self._put_before(value, time, self.latest_from)
        if time > self.latest_from:
            self._append(self.latest, self.latest_from, time)
        self.latest, self.latest_from = value, time
        return LATEST

    def _put_before(self, value: Any, time: int, later: int | None) -> int:
        """Put a version that starts before the latest value, which starts at `later` (None: there is none)."""
        if self.starts and time < self.end:
            return self._insert(value, time)
        if later is not None:
            self._append(value, time, later)
            return later
        if value is not None:
            self.latest, self.latest_from = value, time
        elif not self.starts:
            self._append(None, time, time)
        elif time > self.end:
            self._append(None, self.end, time)
        return LATEST

    def _insert(self, value: Any, time: int) -> int:
        """Split the interval that holds `time`, or put one before all others."""
        index = bisect_left(self.starts, time)
        if index < len(self.starts) and self.starts[index] == time:
            self.values[index] = value
        else:
            self.starts.insert(index, time)
            self.values.insert(index, value)
        return self.starts[index + 1] if index + 1 < len(self.starts) else self.end

    def _append(self, value: Any, start: int, end: int) -> None:
        """Add the last interval; a gap before it becomes an interval without a value.

        A lone deletion is an interval without length: it becomes the gap, or gives way.
        """
        empty = bool(self.starts) and self.starts[-1] == self.end
        if empty and self.end == start:
            del self.starts[-1], self.values[-1]
        elif self.starts and self.end < start and not empty:
            self.starts.append(self.end)
            self.values.append(None)
        self.starts.append(start)
        self.values.append(value)
        self.end = end

    def forget(self, time: int) -> None:
        """Drop intervals that ended at or before `time`."""
        if self.starts and self.starts[0] < time:
            gone = len(self.starts) if self.end < time else bisect_right(self.starts, time) - 1
            del self.starts[:gone], self.values[:gone]

    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return self.latest is None and not self.starts


def to_bytes(versions: Versions, serialize: Callable[[Any], bytes]) -> bytes:
    """Layout: latest? (1), latest from (8), end (8), intervals (4); per interval start (8), length (4, -1: none), value.

    The latest value follows at the end.
    """
    has_latest = versions.latest is not None
    parts = [_HEAD.pack(has_latest, versions.latest_from, versions.end, len(versions.starts))]
    for start, value in zip(versions.starts, versions.values, strict=True):
        data = None if value is None else serialize(value)
        parts.append(_ENTRY.pack(start, -1 if data is None else len(data)))
        parts.append(data or b"")
    parts.append(serialize(versions.latest) if has_latest else b"")
    return b"".join(parts)


def from_bytes(data: bytes, deserialize: Callable[[bytes], Any]) -> Versions:
    """What `to_bytes` made."""
    versions = Versions()
    has_latest, versions.latest_from, versions.end, count = _HEAD.unpack_from(data)
    offset = _HEAD.size
    for _ in range(count):
        start, length = _ENTRY.unpack_from(data, offset)
        offset += _ENTRY.size
        versions.starts.append(start)
        versions.values.append(None if length < 0 else deserialize(data[offset : offset + length]))
        offset += max(length, 0)
    if has_latest:
        versions.latest = deserialize(data[offset:])
    return versions
