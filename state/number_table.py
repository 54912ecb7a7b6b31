"""Rows of numbers in arrays, by key: a value, a time, and the number of a last use. 28 bytes, key included.

Columns are read and written for all keys of a batch at once, by numpy: its loops are so short that the processor waits
for many rows at a time. A row that lies anywhere takes 10 ns, and 350 where each is asked for by itself.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.proof import LONGEST, SHORTEST

Column = NDArray[np.int64]
Flags = NDArray[np.bool_]

FREE = SHORTEST
"""The key of a place without a row; who has that key goes without."""
NOTHING = FREE
"""The time of a row that says nothing: before all others."""
UNUSED = -1
"""The last use of a row that no record cache has kept here."""
_ROW = np.dtype("V16")
"""A value and its time, side by side: one place in memory to wait for."""
PLACE_BYTES = 8 + _ROW.itemsize + 4
_FAR = 1_000
"""How many places a key looks at, at most: chance makes it some dozens."""


class TooFar(Exception):  # noqa: N818  not an error
    """Keys lie at such distances that too many of them want the same place."""


class Columns(NamedTuple):
    """What rows say of keys: the place of each, or the one that it would get, and whether it is there; value, time, last use."""

    places: Column
    here: Flags
    values: Column
    timestamps: Column
    uses: NDArray[np.int32]

    def first(self, count: int) -> Columns:
        """Of so many keys alone."""
        return Columns(
            self.places[:count], self.here[:count], self.values[:count], self.timestamps[:count], self.uses[:count]
        )


def column(numbers: Sequence[int]) -> Column:
    """Numbers as a column. Raises: OverflowError, TypeError when they are not all ints of 64 bits."""
    return np.frombuffer(array("q", numbers), np.int64) if numbers else np.empty(0, np.int64)


def column_of_any(numbers: Sequence[Any]) -> Column | None:
    """As `column`; None when they are not all ints of 64 bits."""
    try:
        return column(numbers)
    except (OverflowError, TypeError):
        return None


def numbers_of(values: Sequence[Any], kind: type) -> Column:
    """How ints, or floats, lie in rows: all of them up to an int that takes more than 64 bits."""
    if kind is float:
        return np.array(values, np.float64).view(np.int64)
    numbers = column_of_any(values)
    if numbers is None:
        numbers = column(list(takewhile(lambda value: SHORTEST <= value <= LONGEST, values)))
    return numbers


def values_of(numbers: Column, kind: type) -> list[Any]:
    """Ints, or floats, from how they lie in rows."""
    values: list[Any] = (numbers.copy().view(np.float64) if kind is float else numbers).tolist()
    return values


class Table:
    """Rows by key. A key's place is its remainder, or the next one on from there that is free.

    No place becomes free again: keys that are gone have rows that say nothing. Where a method takes a key more than once,
    its last row counts.
    """

    __slots__ = ("_pairs", "_rows", "count", "keys", "used", "uses")

    def __init__(self, count: int) -> None:
        self.count = count
        self.used = 0
        self.keys = np.full(count, FREE, np.int64)
        self._rows = np.zeros((count, 2), np.int64)
        self._rows[:, 1] = NOTHING
        self._pairs = self._rows.view(_ROW)[:, 0]  # the same memory, a row at a time
        self.forget_uses()

    def forget_uses(self) -> None:
        """Numbers of uses begin anew."""
        self.uses = np.full(self.count, UNUSED, np.int32)

    @property
    def crowded(self) -> bool:
        """Whether keys often meet on their way to a place."""
        return self.used * 2 > self.count

    @property
    def room(self) -> int:
        """How many other keys may come."""
        return max(self.count * 3 // 4 - self.used, 0)

    def places(self, keys: Column) -> tuple[Column, Flags]:
        """Shape: for each key its place, or the one that it would get, and whether it is there. Raises: TooFar."""
        places = keys % self.count
        there = self.keys.take(places)
        here = there == keys
        if not here.all():
            others = np.flatnonzero(~here & (there != FREE))
            self._walk(keys, places, others)
            here[others] = self.keys.take(places[others]) == keys[others]
        return places, here

    def _walk(self, keys: Column, places: Column, others: Column) -> None:
        """Have the keys at these indices go on to their place, or to a free one. Raises: TooFar."""
        for _ in range(_FAR):
            if not others.size:
                return
            on = places[others] + 1
            on[on == self.count] = 0
            places[others] = on
            there = self.keys.take(on)
            others = others[(there != keys[others]) & (there != FREE)]
        raise TooFar

    def columns(self, keys: Column) -> Columns:
        """What is known of keys. Raises: TooFar."""
        places, here = self.places(keys)
        rows = self._pairs.take(places).view(np.int64).reshape(-1, 2)
        return Columns(places, here, rows[:, 0], rows[:, 1], self.uses.take(places))

    def put(self, keys: Column, values: Column, timestamps: Column, uses: NDArray[np.int32] | None = None) -> bool:
        """Set rows; whether all are there now: none of other keys comes to a table that is full. Raises: TooFar."""
        places, here = self.places(keys)
        whole = self.settle(keys, places, here)
        if not whole:
            places, values, timestamps = places[here], values[here], timestamps[here]
            uses = None if uses is None else uses[here]
        self.write(places, values, timestamps)
        if uses is not None:
            self.uses[places] = uses
        return whole

    def write(self, places: Column, values: Column, timestamps: Column) -> None:
        """Set the rows at these places; their uses stay."""
        rows = np.empty((len(places), 2), np.int64)
        rows[:, 0], rows[:, 1] = values, timestamps
        self._pairs[places] = rows.view(_ROW)[:, 0]

    def settle(self, keys: Column, places: Column, here: Flags) -> bool:
        """Let keys that are not here in; whether there was room for all. `places` and `here` are brought up to date.

        Of several at one free place the last has it, and the others go on. Raises: TooFar.
        """
        others = np.flatnonzero(~here)
        if not others.size:
            return True
        whole = others.size <= self.room
        others = others[: self.room]
        self._take_places(keys, places, others)
        here[others] = True
        self.used += np.unique(places[others]).size
        return whole

    def _take_places(self, keys: Column, places: Column, others: Column) -> None:
        for _ in range(_FAR):
            self.keys[places[others]] = keys[others]
            others = others[self.keys.take(places[others]) != keys[others]]
            if not others.size:
                return
            self._walk(keys, places, others)
        raise TooFar

    def remove(self, keys: Column) -> None:
        """Have the rows of these keys say nothing. Raises: TooFar."""
        places, here = self.places(keys)
        self._rows[places[here], 1] = NOTHING

    def part(self, start: int, stop: int) -> tuple[Column, Column, Column, NDArray[np.int32]]:
        """Columns of the rows that lie from one place to another: keys, values, times, uses."""
        values, timestamps = self._rows[start:stop].T
        said = timestamps != NOTHING
        return self.keys[start:stop][said], values[said], timestamps[said], self.uses[start:stop][said]
