"""What left and outer stream joins keep while a partner may still come: records by time, side and key.

Layout, equal to Kafka's: key = time (8) ‖ side (01 left, 00 right) ‖ key; value = 01 ‖ count (4) ‖ {length (4) ‖
side ‖ value}, because several records of a key may share a time. Order is that of the keys' bytes: by time, right before
left. Source: Kafka's TimestampedKeyAndJoinSideSerializer, LeftOrRightValueSerializer, ListSerializer.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any, NamedTuple

from state.serde import Serde
from streams.operators.base import OperatorContext

__all__ = ["JoinTime", "PendingEntry", "PendingJoins"]

KEY_HEAD = Struct(">qB")
COUNT = Struct(">BI")
ELEMENT = Struct(">IB")
LEFT, RIGHT = 1, 0
NEVER_MS = 2**63 - 1


class JoinTime:
    """The time that both sides of a join share."""

    def __init__(self) -> None:
        self.stream_time = -1
        self.earliest_pending = NEVER_MS
        self.next_scan_ms = 0

    def advance(self, timestamp: int) -> None:
        """Stream time moves up to `timestamp`."""
        self.stream_time = max(self.stream_time, timestamp)


class PendingEntry(NamedTuple):
    """All records of one time, side and key that wait."""

    stored_key: bytes
    timestamp: int
    from_left: bool
    key: Any
    values: list[Any]


class PendingJoins:
    """The store of a left or outer join. `serdes` are those of key, left value and right value."""

    def __init__(self, store: str, key: Serde[Any], left: Serde[Any], right: Serde[Any]) -> None:
        self._store_name = store
        self._key = key
        self._values = (right, left)

    def init(self, context: OperatorContext) -> None:
        """Take the store."""
        self._store = context.store(self._store_name)

    def add(self, timestamp: int, key: Any, value: Any, *, from_left: bool) -> None:
        """Keep a record that found no partner."""
        stored_key = self._stored_key(timestamp, key, from_left=from_left)
        data = self._values[from_left].serialize(value)
        element = ELEMENT.pack(len(data) + 1, from_left) + data
        before = self._store.get(stored_key)
        count, elements = (COUNT.unpack_from(before)[1], before[COUNT.size :]) if before else (0, b"")
        self._store.put(stored_key, COUNT.pack(1, count + 1) + elements + element, timestamp)

    def found_partner(self, timestamp: int, key: Any, now: int, *, from_left: bool) -> None:
        """Forget the records of that time, side and key, if any wait; `now` is the time of what was found."""
        stored_key = self._stored_key(timestamp, key, from_left=from_left)
        if self._store.get(stored_key) is not None:
            self._store.put(stored_key, None, now)

    def forget(self, entry: PendingEntry, now: int) -> None:
        """Remove an entry that was emitted."""
        self._store.put(entry.stored_key, None, now)

    def entries(self) -> Iterator[PendingEntry]:
        """All that waits, by time, right before left, then by key bytes."""
        for stored_key, data in self._store.all():
            timestamp, side = KEY_HEAD.unpack_from(stored_key)
            key = self._key.deserialize(stored_key[KEY_HEAD.size :])
            yield PendingEntry(stored_key, timestamp, side == LEFT, key, self._elements(data))

    def _stored_key(self, timestamp: int, key: Any, *, from_left: bool) -> bytes:
        return KEY_HEAD.pack(timestamp, from_left) + self._key.serialize(key)

    def _elements(self, data: bytes) -> list[Any]:
        at, values = COUNT.size, []
        while at < len(data):
            length, side = ELEMENT.unpack_from(data, at)
            end = at + 4 + length
            values.append(self._values[side].deserialize(data[at + ELEMENT.size : end]))
            at = end
        return values
