"""What the keys of a store of numbers have, as rows of numbers in two arrays.

A record cache of 10 MB keeps a hundred thousand entries: of a million keys nine in ten are looked up below it. RocksDB
takes 2 to 3 µs for one; a dictionary of a million objects hardly less, since each touch of it waits for memory four
times, and what it frees and keeps scatters everything else that the interpreter allocates. Here a row is a key, a value,
a time and a use, 28 bytes, and the arrays have at least twice as many places as there are rows (open addressing).

Rules: a row is what the store below its record cache would answer; it may be missing, and is never wrong. So whoever writes
below puts it here. Rows of entries that a record cache keeps here instead of by itself (`state.number_cache`) have what it
has, and the number of their last use; to others that number says nothing.
Columns are read with `itemgetter`: its loop in C is so short that the processor waits for several rows at once, which
makes 0.1 µs per row of the 0.35 that they take one by one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import compress, count, islice, repeat
from operator import add, and_, eq, is_, is_not, itemgetter, lt, mod, mul, ne, not_
from struct import Struct, pack, unpack
from typing import Any, NamedTuple, Protocol, runtime_checkable

from state.cache import each
from state.engine import any_none

_PLACES = (1_021, 4_093, 16_381, 65_521, 262_139, 524_287, 1_048_573, 2_097_143, 4_194_301, 8_388_593)
"""How many there may be: primes, so that keys at any regular distance have places of their own."""
FREE = -(1 << 63)
"""The key of a place without a row; who has that key goes without."""
NOTHING = FREE
"""The time of a row that says nothing."""
UNUSED = -1
"""The last use of a row that no record cache has kept here."""
_ROW_BYTES = 16
PLACE_BYTES = 8 + _ROW_BYTES + 4
_FAR = 1_000
"""How many places a key looks at, at most: chance makes it some dozens."""
_FIRST = 8
"""How many places there are at first for each key that comes first: it is not the last."""
_MOVED = 16
"""So many places move for each key that is put: the rest of the old ones suffice until the last has moved."""
_MOVED_AT_ONCE = 1_024
_LATELY = 8
"""How many lookups per place tell whether rows that cannot become more are of use."""
_LONGEST_REST = 1_024


class RowsBudget:
    """Bytes that the rows of all stores of a process may take together."""

    __slots__ = ("max_bytes", "used")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used = 0

    def take(self, count: int) -> bool:
        """Whether there is room for so many bytes more, which are taken then."""
        if self.used + count > self.max_bytes:
            return False
        self.used += count
        return True

    def give_back(self, count: int) -> None:
        """So many bytes are free again."""
        self.used -= count


@runtime_checkable
class SlowerThanRows(Protocol):
    """An engine that takes longer than rows do, and says how many bytes of them there may be for all that share it."""

    rows_budget: RowsBudget
    """Shared."""


class TooFar(Exception):  # noqa: N818  not an error
    """Keys lie at such distances that too many of them want the same place."""


class Columns(NamedTuple):
    """What rows say of keys: the place of each, or the one that it would get, and whether it is there; value, time, last use."""

    places: list[int]
    here: list[bool]
    values: Sequence[Any]
    timestamps: Sequence[int]
    uses: Sequence[int]


class _Table:
    """Rows by key. A key's place is its remainder, or the next one on from there that is free.

    No place becomes free again: keys that are gone have rows that say nothing.
    """

    __slots__ = ("_write", "count", "keys", "rows", "used", "uses")

    def __init__(self, count: int, write: Callable[..., None]) -> None:
        self._write = write
        self.count = count
        self.used = 0
        self.keys = array("q", [FREE]) * count
        self.rows = array("q", [0, NOTHING]) * count
        self.uses = array("i", [UNUSED]) * count

    @property
    def crowded(self) -> bool:
        """Whether keys often meet on their way to a place."""
        return self.used * 2 > self.count

    def takes(self, count: int) -> bool:
        """Whether so many other keys may come."""
        return (self.used + count) * 4 <= self.count * 3

    def places(self, keys: Sequence[int]) -> tuple[list[int], list[bool]]:
        """Shape: for each key its place, or the one that it would get, and whether it is there."""
        places = list(map(mod, keys, repeat(self.count)))
        there = _column(self.keys, places)
        here = list(map(eq, there, keys))
        if not all(here):
            others = map(and_, map(not_, here), map(ne, there, repeat(FREE)))
            for index in compress(range(len(places)), others):
                places[index], here[index] = self._walk(keys[index], places[index])
        return places, here

    def _walk(self, key: int, place: int) -> tuple[int, bool]:
        """The key's place, or the free one that it would get, on from `place`; whether it is there. Raises: TooFar."""
        keys, count = self.keys, self.count
        for _ in range(_FAR):
            place = place + 1 if place + 1 < count else 0
            if keys[place] == key:
                return place, True
            if keys[place] == FREE:
                return place, False
        raise TooFar

    def put(
        self, keys: Sequence[int], values: Sequence[Any], timestamps: Sequence[int], uses: Iterable[int] | None = None
    ) -> bool:
        """Set rows; whether all are there now: none of other keys comes to a table that is full."""
        places, here = self.places(keys)
        if all(here) or self.settle(keys, places, here):
            self.write(places, values, timestamps, uses)
            return True
        places, values, timestamps = _only(here, places, values, timestamps)
        self.write(places, values, timestamps, None if uses is None else compress(uses, here))
        return False

    def write(
        self, places: list[int], values: Sequence[Any], timestamps: Sequence[int], uses: Iterable[int] | None
    ) -> None:
        """Set the rows at these places; their uses stay without new ones."""
        each(map(self._write, repeat(self.rows), map(mul, places, repeat(_ROW_BYTES)), values, timestamps))
        if uses is not None:
            each(map(self.uses.__setitem__, places, uses))

    def settle(self, keys: Sequence[int], places: list[int], here: list[bool]) -> bool:
        """Let keys that are not here in; whether there was room for all.

        Those that met at a free place: the last one has it, the others walk on.
        """
        room = max(self.count * 3 // 4 - self.used, 0)
        other = list(islice(compress(count(), map(not_, here)), room + 1))
        whole = len(other) <= room
        del other[room:]
        names, wanted = list(map(keys.__getitem__, other)), list(map(places.__getitem__, other))
        each(map(self.keys.__setitem__, wanted, names))
        each(map(here.__setitem__, other, repeat(True)))
        self.used += len(other)
        for at in compress(other, map(ne, _column(self.keys, wanted), names)):
            places[at], known = self._walk(keys[at], places[at])
            self.keys[places[at]] = keys[at]
            self.used -= known
        return whole

    def remove(self, keys: Sequence[int]) -> None:
        """Have the rows of these keys say nothing."""
        places, here = self.places(keys)
        times = (place * 2 + 1 for place in compress(places, here))
        each(map(self.rows.__setitem__, times, repeat(NOTHING)))

    def part(self, start: int, stop: int) -> tuple[list[int], list[int], list[int], list[int]]:
        """Columns of the rows that lie from one place to another: keys, values as they lie there, times, uses."""
        rows = self.rows[2 * start : 2 * stop]
        said = list(map(ne, rows[1::2], repeat(NOTHING)))
        keys, values, timestamps, uses = _only(
            said, self.keys[start:stop], rows[::2], rows[1::2], self.uses[start:stop]
        )
        return keys, values, timestamps, uses


class NumberRows:
    """The rows of one store. Keys are ints of up to 64 bits; so are values, or floats of 64 bits if `floats` says so.

    `complete`: every key below has a row, so that one without is not there; before they have `begun`, an entry in the
    record cache. Rows become more as long as `budget` has room.
    Then they move to other arrays bit by bit, while both are written. Where keys want each other's places, there are none.

    A lookup in vain costs as much as one that finds its row saves. So rows that have no room to become more, and are not
    found by half of the lookups, are given up for as many lookups as there were places, and twice as many each time after.
    """

    def __init__(self, budget: RowsBudget, *, floats: bool, complete: bool) -> None:
        self._budget = budget
        self._write = Struct("=dq" if floats else "=qq").pack_into
        self._floats = floats
        self.complete = complete
        self._step = 0
        self._found = self._missed = 0
        self._cramped = False
        self._rest = 1
        self._resting = 0
        self._table: _Table | None = None
        self._larger: _Table | None = None
        self._moved = 0
        self._given_up = False
        self.begun = False
        """Until then what is put is not kept, nor missed."""

    def find(self, keys: list[int]) -> tuple[list[int], Iterable[tuple[Any, int]], list[int]]:
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

    def _find(self, table: _Table, keys: list[int]) -> tuple[list[int], Iterable[tuple[Any, int]], list[int]]:
        places, here = table.places(keys)
        times = _column(table.rows, _times_at(places))
        here = list(map(and_, here, map(ne, times, repeat(NOTHING))))
        others: list[int] = []
        if not all(here):
            others = list(compress(keys, map(not_, here)))
            keys, places, times = _only(here, keys, places, times)
        values = self._values(_column(table.rows, list(map(add, places, places))))
        self._found += len(keys)
        self._missed += len(others)
        if self._found + self._missed > _LATELY * table.count:
            self._found, self._missed = self._found // 2, self._missed // 2
        return keys, zip(values, times, strict=True), others

    def _values(self, numbers: Sequence[int]) -> Sequence[Any]:
        """A column of values, from how they lie in rows."""
        return unpack(f"={len(numbers)}d", pack(f"={len(numbers)}q", *numbers)) if self._floats else numbers

    def put(self, keys: Sequence[int], values: Sequence[Any], timestamps: Sequence[int]) -> None:
        """What is below from now on, None for nothing. Kept once somebody has set `begun`."""
        if self.begun and not self._given_up and self._resting <= 0:
            try:
                self._put(keys, values, timestamps)
            except TooFar:
                self.give_up()

    def _put(self, keys: Sequence[int], values: Sequence[Any], timestamps: Sequence[int]) -> None:
        if any_none(values):
            gone = list(compress(keys, map(is_, values, repeat(None))))
            for table in self._tables():
                table.remove(gone)
            keys, values, timestamps = _only(list(map(is_not, values, repeat(None))), keys, values, timestamps)
        if FREE in keys:
            self.complete = False
            keys, values, timestamps = _only(list(map(ne, keys, repeat(FREE))), keys, values, timestamps)
        if self._table is None:
            self._begin_for(len(keys))
        self._make_room(len(keys))
        if self._table is None or not self._table.put(keys, values, timestamps):
            self.complete = False
        self._keep_up(keys, values, timestamps)

    def _keep_up(
        self, keys: Sequence[int], values: Sequence[Any], timestamps: Sequence[int], uses: Iterable[int] | None = None
    ) -> None:
        """Have rows that were just set also where they move to; begin to move when keys often meet."""
        if self._larger is not None:
            self._larger.put(keys, values, timestamps, uses)
            self._move(_MOVED * len(keys))
        elif self._table is not None and self._table.crowded:
            self._grow(self._table)

    # Of a record cache that keeps its entries here

    def takes(self, count: int) -> bool:
        """Whether so many other keys may have rows, all of them; room is made for that."""
        if not self.begun or self._given_up or self._resting > 0 or self._cramped:
            return False
        if self._table is None:
            self._begin_for(count)
        self._make_room(count)
        return self._table is not None and self._table.takes(count)

    def columns(self, keys: Sequence[int]) -> Columns:
        """What is known of keys, as numbers lie there. Raises: TooFar."""
        table = self._table
        assert table is not None, "asked of rows that take more"
        places, here = table.places(keys)
        values, times = _column(table.rows, list(map(add, places, places))), _column(table.rows, _times_at(places))
        return Columns(places, here, values, times, _column(table.uses, places))

    def use(self, keys: list[int], at: Columns, values: Sequence[Any], timestamps: Sequence[int], uses: range) -> None:
        """Set rows and last uses of keys that are all taken. `at`: what `columns` said of them. Raises: TooFar."""
        table = self._table
        assert table is not None, "they have columns"
        if not all(at.here):
            table.settle(keys, at.places, at.here)
        table.write(at.places, values, timestamps, uses)
        self._keep_up(keys, values, timestamps, uses)

    def forget_uses(self) -> None:
        """Numbers of uses begin anew."""
        for table in self._tables():
            table.uses = array("i", [UNUSED]) * table.count

    def clear(self) -> None:
        """Have no rows, and take no room."""
        for table in self._tables():
            self._budget.give_back(table.count * PLACE_BYTES)
        self._table = self._larger = None
        self._step = self._found = self._missed = self._resting = 0
        self._cramped = self.complete = self.begun = False

    def give_up(self) -> None:
        """Have no rows any more: keys want each other's places."""
        self.clear()
        self._given_up = True

    def _tables(self) -> list[_Table]:
        return [table for table in (self._table, self._larger) if table is not None]

    def _begin_for(self, count: int) -> None:
        """Have places for several times as many keys as there are at first, so that those need not move soon."""
        self._step = min(sum(map(lt, _PLACES, repeat(_FIRST * count))), len(_PLACES) - 1)
        while (made := self._made(self._step)) is None and self._step:
            self._step -= 1
        self._table = made

    def _made(self, step: int) -> _Table | None:
        if step >= len(_PLACES) or not self._budget.take(_PLACES[step] * PLACE_BYTES):
            return None
        return _Table(_PLACES[step], self._write)

    def _make_room(self, count: int) -> None:
        """See that so many keys may come, if there is room: what is small against that moves at once."""
        while self._table is not None and not self._table.takes(count):
            if self._larger is None:
                self._grow(self._table)
            if self._larger is None:
                return
            self._move(self._table.count)

    def _grow(self, table: _Table) -> None:
        """Begin to move to more places, if there is room; if not, and the rows are of no use, do without them for a while."""
        self._moved = 0
        self._larger = self._made(self._step + 1)
        if self._larger is not None or table.takes(1):
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
        keys, values, timestamps, uses = old.part(start, stop)
        new.put(keys, self._values(values), timestamps, uses)
        if stop == old.count:
            self._budget.give_back(old.count * PLACE_BYTES)
            self._table, self._larger = new, None
            self._step += 1


def _only(keep: Sequence[bool], *columns: Iterable[Any]) -> Iterable[list[Any]]:
    """The columns without the rows that are not to be kept."""
    return (list(compress(column, keep)) for column in columns)


def _column(numbers: array[int], places: list[int]) -> Sequence[int]:
    """The numbers at these places."""
    return itemgetter(*places)(numbers) if len(places) > 1 else [numbers[place] for place in places]


def _times_at(places: list[int]) -> list[int]:
    """Where the times of rows lie."""
    return [2 * place + 1 for place in places]
