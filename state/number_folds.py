"""How the records of a batch are folded into numbers, by columns: counted, or added by a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from state.cache import ABSENT
from state.folding_cache import Add
from state.number_table import NOTHING, Column, Columns, numbers_of, values_of
from state.proof import LONGEST


class Folding(Protocol):
    """What a batch does to numbers. `begin` comes first, then `values`, for a part of the batch after the other."""

    def begin(self, start: int, at: Columns) -> int:
        """How many of the records from index `start` on can be folded in; `at` is what rows say of their keys."""
        ...

    def values(self, often: Column) -> Column:
        """The numbers of those records' keys then, as they lie in rows.

        `often` says at the last record of each key how many there are of it; only those have to be right.
        """
        ...


class Repeating:
    """Values of which it does not matter which they are: `repeated(number, how often)` takes columns as it takes numbers.

    It makes no less of more.
    """

    def __init__(self, initial: int, repeated: Callable[[Any, Any], Any]) -> None:
        self._initial = initial
        self._repeated = repeated

    def begin(self, start: int, at: Columns) -> int:
        """All, as long as no number becomes too large."""
        del start
        count = len(at.values)
        self._before = np.where(at.timestamps == NOTHING, self._initial, at.values)
        return count if self._repeated(int(self._before.max()), count) <= LONGEST else 0

    def values(self, often: Column) -> Column:
        """By columns."""
        numbers: Column = self._repeated(self._before, often)
        return numbers


class Adding:
    """`add(key, value, number so far)` makes the next number, record by record; the first is made of `initial()`."""

    def __init__(
        self, keys: Sequence[int], values: Sequence[Any], initial: Callable[[], Any], add: Add, kind: type
    ) -> None:
        self._keys = keys
        self._values = values
        self._initial = initial
        self._add = add
        self._kind = kind
        self._refused = -1
        """The index of a record that makes no number of the kind."""

    def begin(self, start: int, at: Columns) -> int:
        """As many as make numbers of the kind. A function that raises is asked once more, by who takes the next record."""
        if start == self._refused:
            return 0
        stop = start + len(at.values)
        made: list[Any] = []
        with suppress(Exception):
            self._fold(self._keys[start:stop], self._values[start:stop], at, made)
        self._made = numbers_of(made, self._kind)
        if len(self._made) < len(at.values):
            self._refused = start + len(self._made)
        return len(self._made)

    def _fold(self, keys: Sequence[int], values: Sequence[Any], at: Columns, made: list[Any]) -> None:
        initial, add, kind, keep = self._initial, self._add, self._kind, made.append
        latest: dict[int, Any] = {}
        here = (at.timestamps != NOTHING).tolist()
        for key, value, stored, known in zip(keys, values, values_of(at.values, kind), here, strict=True):
            number = latest.get(key, ABSENT)
            if number is ABSENT:
                number = stored if known else initial()
            number = add(key, value, number)
            if number.__class__ is not kind:
                return
            latest[key] = number
            keep(number)

    def values(self, often: Column) -> Column:
        """As they were made."""
        del often
        return self._made
