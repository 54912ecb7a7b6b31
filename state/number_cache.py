"""A record cache of numbers by number that keeps its entries in rows, once they are many.

An entry of an ordered dictionary is a dozen places in memory, and a cache that is full waits for most of them with each new
key. What Kafka defines of a record cache is less: which entries are here, by when they were used last, and which of
them wait, by when they were put last. Where entries are only folded in, that is one order, a list of uses. So an entry
is a row (`state.number_rows`) with the number of its last use, and the uses lie in columns (`state.number_uses`): those
from `oldest` on are here, those from `flushed` on wait, and a use that is not its entry's last any more says nothing.

Rules: what happens is what `RecordCache` would do one by one. Columns of a batch are folded in as long as nothing that
waits has to go; that is done as Kafka does it. Whatever else is asked of the cache has it take its entries out of the rows
first, for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

import numpy as np

from state.cache import OVERHEAD, RELEASED_AT_ONCE, RecordCacheBudget
from state.folding_cache import Add, FoldingCache, Row
from state.number_folds import Folding
from state.number_rows import NumberRows
from state.number_table import FREE, NOTHING, Column, Columns, TooFar, column, column_of_any, numbers_of, values_of
from state.number_uses import Uses
from state.ordered import OrderedBytes
from state.stores import Cause, ValueAndTimestamp

_new_tuple = tuple.__new__
_MOST_USES = 1 << 31
"""How many uses there are numbers for."""
_STAY = 8
"""After its entries were taken out of the rows, a cache folds so many records per entry before they go there again: the
first time, twice as many the next time, and so on."""
_LONGEST_STAY = 1_024
COLUMNS_FROM = 128
"""For fewer records at once a cache does not move its entries into rows: columns are worth their calls from here on."""
_USES_PER_ENTRY = 4
"""So many uses may lie behind each entry, and some more, before they are numbered anew."""
_USES_BEYOND = 65_536


class NumberCache(FoldingCache):
    """See the module.

    `release_numbers` takes columns of what is let go; `look_up` sees to the rows of keys that may be below; `told_later`
    says whether what is let go for lack of room is told to others when nobody is in the middle of anything.
    """

    def __init__(
        self,
        budget: RecordCacheBudget,
        *,
        rows: NumberRows,
        entry_bytes: int,
        release_numbers: Callable[[list[Any], list[Any], list[int]], None],
        look_up: Callable[[list[Any]], None],
        told_later: Callable[[], bool],
        **options: Any,
    ) -> None:
        super().__init__(budget, **options)
        self._rows = rows
        self._entry_bytes = entry_bytes
        self._release_numbers = release_numbers
        self._look_up = look_up
        self._told_later = told_later
        self._uses = Uses()
        self.in_rows = False
        """Whether the entries are there, and none is in `entries`."""
        self._stay = _STAY
        self._staying = 0

    def fold_columns(self, keys: list[Any], timestamps: list[int], folding: Folding) -> int:
        """Fold records in: the same as `fold` of each.

        Shape: how many of the records, from the first on, were folded in; the next one is nothing for columns.
        """
        done = 0
        try:
            numbers, times = self._taken(keys, timestamps)
            while done < len(numbers):
                count = self._fold_next(done, numbers[done:], times[done:], folding)
                if not count:
                    break
                done += count
        except TooFar:
            self.have_entries()
            self._rows.give_up()
        if done < len(keys):
            self.have_entries()
        return done

    def _enter(self, coming: int) -> bool:
        """Put all entries into rows, if that makes no difference to anybody."""
        entries, rows = self.entries, self._rows
        if coming < COLUMNS_FROM:
            return False
        self._staying -= coming
        if self._staying > 0:
            return False
        self._staying = len(entries)  # what follows takes a while, and may come to nothing
        if self._read or self._read_since or FREE in entries or not rows.takes(len(entries) + coming):
            return False
        if not self._counts_as_in_rows() or not self._folds_plainly() or None in entries.values():
            return False
        if self._uses.next + len(entries) >= _MOST_USES:
            self._uses.begin(0)
            rows.forget_uses()
        if entries:
            plain, put_at = zip(*entries.values(), strict=True)
            keys, values, times = rows.keys.of(list(entries)), numbers_of(plain, rows.kind), column_of_any(put_at)
            if set(map(type, plain)) != {rows.kind} or len(values) < len(plain) or keys is None or times is None:
                return False
            self._number(keys, values, times, len(self._dirty))
        else:
            self._uses.begin(self._uses.next)
        for held in (entries, self._dirty, self._sizes):
            held.clear()
        self.in_rows = True
        return True

    def _counts_as_in_rows(self) -> bool:
        """Whether the entries take the bytes that they take in rows."""
        alike = self._begin_fold(self._entry_bytes)
        return self._bytes == alike * len(self.entries) and set(self._sizes.values()) <= {alike}

    def _number(self, keys: Column, values: Column, times: Column, waiting: int) -> None:
        """Have just these entries in rows, by the order of their uses; the last ones wait. Raises: TooFar."""
        uses, rows = self._uses, self._rows
        uses.begin(uses.next)
        at, numbers = rows.columns(keys), uses.numbers(len(keys))
        rows.use(keys, at, numbers)
        rows.set(keys, at, values, times, numbers)
        uses.add(keys, values, times)
        uses.count, uses.waiting, uses.flushed = len(keys), waiting, uses.next - waiting

    def _taken(self, keys: list[Any], timestamps: list[int]) -> tuple[Column, Column]:
        """A batch as columns, empty ones when it may not be folded in by them. Raises: TooFar."""
        if self.in_rows or self._enter(len(keys)):
            numbers, times, uses = self._rows.keys.of(keys), column_of_any(timestamps), self._uses
            if uses.next - uses.first > _USES_PER_ENTRY * uses.count + _USES_BEYOND:
                self._number(*uses.since(uses.oldest), uses.waiting)
            if numbers is not None and times is not None and self._takes(numbers):
                return numbers, times
        return column(()), column(())

    def _takes(self, keys: Column) -> bool:
        """Whether a batch may be folded in by columns."""
        budget, uses = self._budget, self._uses
        alike = self._puts_count_alike() and self.cause is None
        if not alike or budget.used > budget.max_bytes or uses.next + len(keys) >= _MOST_USES:
            return False
        return not (keys == FREE).any() and self._rows.takes(len(keys))

    def _puts_count_alike(self) -> bool:
        """Whether what is put now takes the bytes that the entries take."""
        return self._alike == self._entry_bytes + OVERHEAD + self._budget.cause_bytes

    def _fold_next(self, start: int, keys: Column, timestamps: Column, folding: Folding) -> int:
        """Fold in as many as can be at once of those from index `start` on; 0 when they are nothing for columns.

        As many as still have room beside what waits; without any, those whose entries are here, which all wait then; and
        if there are none, one that something has to go for.
        """
        budget, uses = self._budget, self._uses
        room = (budget.max_bytes - budget.used + self._bytes) // self._alike - uses.waiting
        if room <= 0:
            if not uses.waiting:
                return 0
            here = self._rows.columns(keys).uses >= uses.oldest
            room = len(keys) if here.all() else int(here.argmin())
        if not room:
            if not self._told_later():
                return 0  # who is told uses record caches, and may find this one in the middle of something
            room = 1
            read = self._alike - budget.cause_bytes  # of an entry that is read before it is put, as Kafka does
            if budget.used + read > budget.max_bytes and self._columns(keys[:1]).timestamps[0] != NOTHING:
                self._let_oldest_go()
        keys = keys[:room]
        return self._fold_columns(start, keys, timestamps[:room], self._columns(keys), folding)

    def _fold_columns(self, start: int, keys: Column, timestamps: Column, at: Columns, folding: Folding) -> int:
        """Fold in as many as `folding` takes of records that there is room for, or one. Raises: TooFar.

        `at` is what rows say of their keys.
        """
        uses, rows = self._uses, self._rows
        count = folding.begin(start, at)
        if not count:
            return 0
        if count < len(keys):
            keys, timestamps = keys[:count], timestamps[:count]
            at = at.first(count)
        times, often, numbers = np.maximum(timestamps, at.timestamps), np.ones_like(keys), uses.numbers(count)
        last_uses = rows.use(keys, at, numbers)
        last = last_uses == numbers
        if not last.all():
            others = np.flatnonzero(~last)
            theirs = last_uses[others] - uses.next
            np.add.at(often, theirs, 1)
            np.maximum.at(times, theirs, times[others])
        values = folding.values(often)
        rows.set(keys, at, values, times, numbers)
        here = at.uses >= uses.oldest
        uses.forget(at.uses[last & here])
        uses.add(np.where(last, keys, FREE), values, times)
        uses.waiting += int(np.count_nonzero(last & (at.uses < uses.flushed)))
        self._count_more(keys[last & ~here])
        return count

    def _columns(self, keys: Column) -> Columns:
        """What the rows say of keys, after those that may be below without a row were looked up."""
        at = self._rows.columns(keys)
        if not self._rows.complete and (unknown := at.timestamps == NOTHING).any():
            self._look_up(list(dict.fromkeys(self._rows.keys.keys(keys[unknown]))))
            at = self._rows.columns(keys)
        return at

    def _count_more(self, keys: Column) -> None:
        """Count entries that have come, and drop what is too much for that."""
        budget, uses, alike, count = self._budget, self._uses, self._alike, len(keys)
        uses.count += count
        self._bytes += count * alike
        budget.used += count * alike
        excess = -(-(budget.used - budget.max_bytes) // alike)
        if excess <= 0:
            return
        if excess > uses.count - uses.waiting:
            self._let_oldest_go()
            return
        self.dropped = True
        uses.drop(excess)
        self._bytes -= excess * alike
        budget.used -= excess * alike

    def _let_oldest_go(self) -> None:
        """Drop the entry that was used least recently, which waits as all others do: they go too, it first.

        As in Kafka the budget hears of it only after everything that it set off.
        """
        uses, before = self._uses, self._bytes
        columns = uses.since(uses.flushed)
        self.dropped = True
        uses.drop(1)
        self._bytes -= self._alike
        self._release_columns(*columns)
        self._budget.used += self._bytes - before

    def _release_columns(self, *columns: Column) -> None:
        """Let go of all that wait, which these are: keys, values, times."""
        uses = self._uses
        uses.flushed = uses.next
        uses.waiting = 0
        keys, values, timestamps = self._listed(*columns)
        for start in range(0, len(keys), RELEASED_AT_ONCE):
            part = slice(start, start + RELEASED_AT_ONCE)
            self._release_numbers(keys[part], values[part], timestamps[part])

    def _listed(self, keys: Column, values: Column, timestamps: Column) -> tuple[list[Any], list[Any], list[int]]:
        return self._rows.keys.keys(keys), values_of(values, self._rows.kind), timestamps.tolist()

    def _leave(self) -> None:
        """Take the entries out of the rows."""
        uses = self._uses
        keys, values, times = self._listed(*uses.since(uses.oldest))
        self.entries.update(
            zip(keys, map(_new_tuple, repeat(ValueAndTimestamp), zip(values, times, strict=True)), strict=True)
        )
        waiting = len(keys) - uses.waiting
        self._dirty.update(zip(keys[waiting:], times[waiting:], strict=True))
        self.in_rows = False
        uses.begin(uses.next)
        self._staying = self._stay * len(keys)
        self._stay = min(2 * self._stay, _LONGEST_STAY)

    # What has to be told of entries that lie in rows

    @property
    def waits(self) -> bool:
        """Whether there is anything to let go."""
        return bool(self._uses.waiting) if self.in_rows else super().waits

    @property
    def dirty(self) -> dict[Any, int]:
        """As of all record caches."""
        self.have_entries()
        return super().dirty

    def have_entries(self) -> None:
        """Have the entries out of the rows."""
        if self.in_rows:
            self._leave()

    def get(self, entry: Any) -> Any:
        """As of all record caches."""
        self.have_entries()
        return super().get(entry)

    def peek(self, entry: Any) -> Any:
        """As of all record caches; entries stay in the rows."""
        if self.in_rows:
            try:
                return self._rows.get(entry) or self._below(entry)
            except TooFar:
                self.have_entries()
        return super().peek(entry)

    def read(self, entry: Any) -> Any:
        """The value below, kept here; or that of an entry which lay in the rows."""
        self.have_entries()
        if entry in self.entries:
            return self.entries[entry]
        return super().read(entry)

    def put(self, entry: Any, value: Any, timestamp: int, cause: Cause | None) -> None:
        """As of all record caches."""
        self.have_entries()
        super().put(entry, value, timestamp, cause)

    def in_order(self, key_bytes: Callable[[Any], bytes]) -> OrderedBytes:
        """As of all record caches."""
        self.have_entries()
        return super().in_order(key_bytes)

    def fold(
        self, rows: Iterable[Row], initial: Callable[[], Any], add: Add, kind: type, size: int = 0, short: bool = False
    ) -> Row | None:
        """As of all that fold."""
        self.have_entries()
        return super().fold(rows, initial, add, kind, size, short)

    def flush(self) -> None:
        """Let go of everything that waits."""
        if not self.in_rows:
            super().flush()
        elif self._uses.waiting:
            before = self._bytes
            self._release_columns(*self._uses.since(self._uses.flushed))
            self._budget.used += self._bytes - before

    def clear(self) -> None:
        """Forget everything, also what lies in rows."""
        self.in_rows = False
        self._uses.begin(self._uses.next)
        super().clear()
