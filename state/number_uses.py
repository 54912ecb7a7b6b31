"""Uses of entries of a record cache, in columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from state.number_table import FREE, Column

_KEPT = 65_536
"""So many uses that are over may lie before the others."""
_LEAST = 1_024


class Uses:
    """Uses of entries, oldest first, by number: key, value and time. FREE is the key of those that say nothing.

    Those from `oldest` on are in the cache, those from `flushed` on wait to be let go. `count` entries are there, of which
    `waiting` wait.
    """

    __slots__ = ("_columns", "_length", "count", "first", "flushed", "oldest", "waiting")

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, number: int) -> None:
        """Have none; the next has that number."""
        self._columns = np.empty((3, _LEAST), np.int64)
        self._length = 0
        self.first = self.oldest = self.flushed = number
        """The number of the first that is kept, and see the class."""
        self.count = self.waiting = 0

    @property
    def next(self) -> int:
        """The number of the next one."""
        return self.first + self._length

    def numbers(self, count: int) -> NDArray[np.int32]:
        """Those of so many to come."""
        return np.arange(self.next, self.next + count, dtype=np.int32)

    def add(self, keys: Column, values: Column, timestamps: Column) -> None:
        """Entries are used, one after the other."""
        start, self._length = self._length, self._length + len(keys)
        if self._length > self._columns.shape[1]:
            kept = self._columns
            self._columns = np.empty((3, 2 * self._length), np.int64)
            self._columns[:, :start] = kept[:, :start]
        for kept, new in zip(self._columns, (keys, values, timestamps), strict=True):
            kept[start : self._length] = new

    def forget(self, numbers: NDArray[np.int32]) -> None:
        """These are not their entries' last ones any more."""
        self._columns[0, numbers - self.first] = FREE

    def drop(self, count: int) -> None:
        """Have the oldest entries be gone."""
        keys = self._columns[0]
        self.count -= count
        while count:
            at = self.oldest - self.first
            self.oldest += count
            count = int(np.count_nonzero(keys[at : at + count] == FREE))
        over = self.oldest - self.first
        if over > _KEPT:
            self._columns[:, : self._length - over] = self._columns[:, over : self._length]
            self._length -= over
            self.first = self.oldest

    def since(self, number: int) -> tuple[Column, Column, Column]:
        """Columns of the entries whose last use has that number or a later one."""
        keys, values, timestamps = self._columns[:, number - self.first : self._length]
        last = keys != FREE
        return keys[last], values[last], timestamps[last]
