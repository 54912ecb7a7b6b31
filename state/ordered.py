"""A dictionary of bytes that can also be read in order of its keys, and the merge of two such orders.

Rules: writing costs what a dictionary costs; order is made when somebody asks for it, from the keys added since the
last time, which a dictionary keeps at its end. Whoever wants a range gets a copy: a snapshot of that moment.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice

ENTRY_BYTES = 250
"""What Python adds to the bytes of an entry, here and in the layers above."""
_FEW = 64
_SAMPLE = 16


class OrderedBytes(dict[bytes, bytes | None]):
    """Bytes by key; assign and read it like a dictionary, remove keys with `discard` and `discard_range` only.

    A value of None is a deletion that hides an entry of the engine below.
    """

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[bytes] = []

    def entries(
        self, start: bytes | None, end: bytes | None, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes | None]]:
        """A copy of the entries with start <= key < end, in order."""
        keys = self._range(start, end)
        if reverse:
            keys.reverse()
        return [(key, self[key]) for key in keys]

    def rough_bytes(self) -> int:
        """Roughly the memory it takes, from the size of the latest entries."""
        count = len(self)
        if not count:
            return 0
        sample = list(islice(reversed(self.items()), _SAMPLE))
        return count * (ENTRY_BYTES + sum(len(key) + len(value or b"") for key, value in sample) // len(sample))

    def discard(self, key: bytes) -> None:
        """Remove a key if it is there."""
        if key not in self:
            return
        at = bisect_left(self._keys, key)
        if at < len(self._keys) and self._keys[at] == key:
            del self._keys[at]
        del self[key]

    def discard_range(self, start: bytes | None, end: bytes | None) -> None:
        """Remove all keys with start <= key < end."""
        for key in self._range(start, end):
            del self[key]
        low, high = self._bounds(start, end)
        del self._keys[low:high]

    def clear(self) -> None:
        """Remove everything."""
        super().clear()
        self._keys.clear()

    def _range(self, start: bytes | None, end: bytes | None) -> list[bytes]:
        self._order()
        low, high = self._bounds(start, end)
        return self._keys[low:high]

    def _bounds(self, start: bytes | None, end: bytes | None) -> tuple[int, int]:
        keys = self._keys
        return (
            0 if start is None else bisect_left(keys, start),
            len(keys) if end is None else bisect_left(keys, end),
        )

    def _order(self) -> None:
        """Take in the keys added since the last call: they are the newest of the dictionary."""
        added = len(self) - len(self._keys)
        if not added:
            return
        fresh = islice(reversed(self), added)
        if added <= _FEW:
            for key in fresh:
                insort(self._keys, key)
        else:
            self._keys.extend(fresh)
            self._keys.sort()


def overlay(
    newer: list[tuple[bytes, bytes | None]], older: Iterator[tuple[bytes, bytes]], *, reverse: bool = False
) -> Iterator[tuple[bytes, bytes]]:
    """Two orders as one; an entry of `newer` replaces that of `older` with the same key, or hides it when None."""
    return _merge(newer, older, reverse=reverse) if newer else older


def _merge(
    newer: list[tuple[bytes, bytes | None]], older: Iterator[tuple[bytes, bytes]], *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    at, count = 0, len(newer)
    for entry in older:
        key = entry[0]
        while at < count and newer[at][0] != key and (newer[at][0] < key) != reverse:
            new_key, value = newer[at]
            at += 1
            if value is not None:
                yield new_key, value
        if at < count and newer[at][0] == key:
            value = newer[at][1]
            at += 1
            if value is not None:
                yield key, value
        else:
            yield entry
    for key, value in islice(newer, at, None):
        if value is not None:
            yield key, value
