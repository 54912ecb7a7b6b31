"""What the keys of a store of numbers have, as rows of numbers.

A record cache of 10 MB keeps a hundred thousand entries: of a million keys nine in ten are looked up below it. RocksDB
takes 2 to 3 µs for one; a dictionary of a million objects hardly less, since each touch of it waits for memory four
times, and what it frees and keeps scatters everything else that the interpreter allocates. Here a row is 28 bytes in the
arrays of a `Table`, which have at least twice as many places as there are rows (open addressing).

Rules: a row is what the store below its record cache would answer; it may be missing, and is never wrong. So whoever writes
below puts it here. Rows of entries that a record cache keeps here instead of by itself (`state.number_cache`) have what it
has, and the number of their last use; to others that number says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress, repeat
from operator import is_, is_not, lt, not_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.engine import any_none
from state.number_keys import KeyNumbers
from state.number_table import (
    FREE,
    NOTHING,
    Column,
    Columns,
    Table,
    TooFar,
    column,
    numbers_of,
    values_of,
)
from state.rows_budget import RowsBudget
from state.stores import ValueAndTimestamp

_PLACES = (1_021, 4_093, 16_381, 65_521, 262_139, 524_287, 1_048_573, 2_097_143, 4_194_301, 8_388_593)
"""How many there may be: primes, so that keys at any regular distance have places of their own."""
_FIRST = 8
"""How many places there are at first for each key that comes first: it is not the last."""
_MOVED = 16
"""So many places move for each key that is put: the rest of the old ones suffice until the last has moved."""
_MOVED_AT_ONCE = 1_024
_LATELY = 8
"""How many lookups per place tell whether rows that cannot become more are of use."""
_LONGEST_REST = 1_024


class NumberRows:
    """The rows of one store. Values are ints of up to 64 bits, or floats of 64 bits: `kind`. `keys` says how keys lie here.

    `complete`: every key below has a row, so that one without is not there; before they have `begun`, an entry in the
    record cache. Rows become more as long as `budget` has room.
    Then they move to other arrays bit by bit, while both are written. Where keys want each other's places, there are none.

    A lookup in vain costs as much as one that finds its row saves. So rows that have no room to become more, and are not
    found by half of the lookups, are given up for as many lookups as there were places, and twice as many each time after.
    """

    def __init__(self, budget: RowsBudget, *, keys: KeyNumbers, kind: type, complete: bool) -> None:
        self._budget = budget
        self.keys = keys
        self.kind = kind
        self.complete = complete
        self._step = 0
        self._found = self._missed = 0
        self._cramped = False
        self._rest = 1
        self._resting = 0
        self._table: Table | None = None
        self._larger: Table | None = None
        self._moved = 0
        self.given_up = False
        """For good."""
        self.begun = False
        """Until then what is put is not kept, nor missed."""

    def find(self, keys: list[Any]) -> tuple[list[Any], Iterable[tuple[Any, int]], list[Any]]:
        """Shape: keys that have rows, (value, time) of each, and the other keys."""
        table = self._table
        if table is None:
            self._resting -= len(keys)
            return [], [], keys
        try:
            return self._find(table, keys)
        except TooFar:
            self.give_up()
            return [], [], keys

    def _find(self, table: Table, keys: list[Any]) -> tuple[list[Any], Iterable[tuple[Any, int]], list[Any]]:
        wanted = self.keys.known(keys)
        if wanted is None:
            return [], [], keys
        _, here, values, times, _ = table.columns(wanted)
        here &= times != NOTHING
        others: list[Any] = []
        if not here.all():
            flags = here.tolist()
            others, keys = list(compress(keys, map(not_, flags))), list(compress(keys, flags))
            values, times = values[here], times[here]
        self._found += len(keys)
        self._missed += len(others)
        if self._found + self._missed > _LATELY * table.count:
            self._found, self._missed = self._found // 2, self._missed // 2
        return keys, zip(values_of(values, self.kind), times.tolist(), strict=True), others

    def put(self, keys: Sequence[Any], values: Sequence[Any], timestamps: Sequence[int]) -> None:
        """What is below from now on, None for nothing. Kept once somebody has set `begun`."""
        if self.begun and not self.given_up and self._resting <= 0:
            try:
                self._put(keys, values, timestamps)
            except TooFar:
                self.give_up()

    def _put(self, keys: Sequence[Any], values: Sequence[Any], timestamps: Sequence[int]) -> None:
        if any_none(values):
            gone = self.keys.known(list(compress(keys, map(is_, values, repeat(None)))))
            assert gone is not None, "the store has written them"
            for table in self._tables():
                table.remove(gone)
            there = list(map(is_not, values, repeat(None)))
            keys, values, timestamps = (list(compress(given, there)) for given in (keys, values, timestamps))
        numbers = self.keys.of(keys)
        if numbers is None:  # a long name, say: what there is of the others is not true any more
            self.give_up()
            return
        rows = numbers, numbers_of(values, self.kind), column(timestamps)
        if (free := rows[0] == FREE).any():
            self.complete = False
            rows = numbers[~free], rows[1][~free], rows[2][~free]
        if self._table is None:
            self._begin_for(len(keys))
        self._make_room(len(keys))
        if self._table is None or not self._table.put(*rows):
            self.complete = False
        self._keep_up(*rows)

    def _keep_up(self, keys: Column, values: Column, timestamps: Column, uses: NDArray[np.int32] | None = None) -> None:
        """Have rows that were just set also where they move to; begin to move when keys often meet."""
        if self._larger is not None:
            self._larger.put(keys, values, timestamps, uses)
            self._move(_MOVED * len(keys))
        elif self._table is not None and self._table.crowded:
            self._grow(self._table)

    # Of a record cache that keeps its entries here

    def get(self, key: Any) -> ValueAndTimestamp | None:
        """The row of one key, None without one; for those who ask seldom. Raises: TooFar."""
        wanted = self.keys.known([key])
        if wanted is None:
            return None
        at = self.columns(wanted)
        time = int(at.timestamps[0])
        return None if time == NOTHING else ValueAndTimestamp(values_of(at.values, self.kind)[0], time)

    def takes(self, count: int) -> bool:
        """Whether so many other keys may have rows, all of them; room is made for that."""
        if not self.begun or self.given_up or self._resting > 0 or self._cramped:
            return False
        if self._table is None:
            self._begin_for(count)
        self._make_room(count)
        return self._table is not None and count <= self._table.room

    def columns(self, keys: Column) -> Columns:
        """What is known of keys, as numbers lie there. Raises: TooFar."""
        assert self._table is not None, "asked of rows that take more"
        return self._table.columns(keys)

    def use(self, keys: Column, at: Columns, uses: NDArray[np.int32]) -> NDArray[np.int32]:
        """Have keys used one after the other, which are all taken. `at`: what `columns` said of them.

        Shape: for each the number of its last use among these: a key may come more than once. Raises: TooFar.
        """
        table = self._table
        assert table is not None, "they have columns"
        table.settle(keys, at.places, at.here)
        table.uses[at.places] = uses
        return table.uses.take(at.places)

    def set(self, keys: Column, at: Columns, values: Column, timestamps: Column, uses: NDArray[np.int32]) -> None:
        """Set the rows of keys that were used; the last of each counts. Raises: TooFar."""
        assert self._table is not None, "they were used"
        self._table.write(at.places, values, timestamps)
        self._keep_up(keys, values, timestamps, uses)

    def forget_uses(self) -> None:
        """Numbers of uses begin anew."""
        for table in self._tables():
            table.forget_uses()

    def clear(self) -> None:
        """Have no rows, and take no room."""
        for table in self._tables():
            self._budget.give_back(table.count * self.keys.place_bytes)
        self.keys.clear()
        self._table = self._larger = None
        self._step = self._found = self._missed = self._resting = 0
        self._cramped = self.complete = self.begun = False

    def give_up(self) -> None:
        """Have no rows any more."""
        self.clear()
        self.given_up = True

    def _tables(self) -> list[Table]:
        return [table for table in (self._table, self._larger) if table is not None]

    def _begin_for(self, count: int) -> None:
        """Have places for several times as many keys as there are at first, so that those need not move soon."""
        self._step = min(sum(map(lt, _PLACES, repeat(_FIRST * count))), len(_PLACES) - 1)
        while (made := self._made(self._step)) is None and self._step:
            self._step -= 1
        self._table = made

    def _made(self, step: int) -> Table | None:
        if step >= len(_PLACES) or not self._budget.take(_PLACES[step] * self.keys.place_bytes):
            return None
        return Table(_PLACES[step])

    def _make_room(self, count: int) -> None:
        """See that so many keys may come, if there is room: what is small against that moves at once."""
        while self._table is not None and count > self._table.room:
            if self._larger is None:
                self._grow(self._table)
            if self._larger is None:
                return
            self._move(self._table.count)

    def _grow(self, table: Table) -> None:
        """Begin to move to more places, if there is room; if not, and the rows are of no use, do without them for a while."""
        self._moved = 0
        self._larger = self._made(self._step + 1)
        if self._larger is not None or table.room:
            return
        if not self._cramped:
            self._cramped = True
            self._found = self._missed = 0  # what was looked up while the places were filled says nothing
        elif self._missed > max(self._found, table.count // 2):
            self.clear()
            self.begun = True
            self._resting = self._rest * table.count
            self._rest = min(2 * self._rest, _LONGEST_REST)

    def _move(self, count: int) -> None:
        """Move what lies at the next places, `count` or more of them; all being moved, the old ones are given back."""
        old, new = self._table, self._larger
        assert old is not None, "it is what the larger one comes from"
        assert new is not None, "asked while rows move"
        start = self._moved
        self._moved = stop = min(start + max(count, _MOVED_AT_ONCE), old.count)
        new.put(*old.part(start, stop))
        if stop == old.count:
            self._budget.give_back(old.count * self.keys.place_bytes)
            self._table, self._larger = new, None
            self._step += 1
