"""A record cache of numbers by number that keeps its entries in rows, once they are many.

An entry of an ordered dictionary is a dozen places in memory, and a cache that is full waits for most of them with each new
key. What Kafka defines of a record cache is less: which entries are here, by when they were used last, and which of
them wait, by when they were put last. Where entries are only folded in, that is one order, a list of uses. So an entry
is a row (`state.number_rows`) with the number of its last use, and the uses lie in arrays: those from `oldest` on are
here, those from `flushed` on wait, and a use that is not its entry's last any more says nothing.

Rules: what happens is what `RecordCache` would do one by one. Columns of a batch are folded in as long as nothing that
waits has to go; that is done as Kafka does it. Whatever else is asked of the cache has it take its entries out of the rows
first, for a while.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import compress, repeat
from operator import eq, ge, lt, ne
from typing import Any

from state.cache import OVERHEAD, RELEASED_AT_ONCE, RecordCacheBudget, by_last, each
from state.folding_cache import Add, FoldingCache, Row
from state.latest import latest_of, raise_to
from state.number_rows import FREE, NOTHING, Columns, NumberRows, TooFar
from state.ordered import OrderedBytes
from state.stores import Cause, ValueAndTimestamp

_new_tuple = tuple.__new__
_NUMBERS = 1 << 31
"""How many uses there are numbers for."""
_KEPT = 65_536
"""So many uses that are over may lie before the others."""
_STAY = 8
"""After its entries were taken out of the rows, a cache folds so many records per entry before they go there again: the
first time, twice as many the next time, and so on."""
_LONGEST_STAY = 1_024


class _Uses:
    """Uses of entries, oldest first, by number: key, value and time. FREE is the key of those that say nothing."""

    __slots__ = ("count", "first", "flushed", "keys", "oldest", "timestamps", "values", "waiting")

    def __init__(self) -> None:
        self.first = 0
        """The number of the first that is kept."""
        self.begin(0)

    def begin(self, number: int) -> None:
        """Have none; the next has that number."""
        self.keys, self.values, self.timestamps = array("q"), array("q"), array("q")
        self.first = self.oldest = self.flushed = number
        self.count = self.waiting = 0
        """How many entries there are; how many of them wait."""

    @property
    def next(self) -> int:
        """The number of the next one."""
        return self.first + len(self.keys)

    def numbers(self, count: int) -> range:
        """Those of so many to come."""
        return range(self.next, self.next + count)

    def add(self, keys: array[int], values: array[int], timestamps: array[int]) -> None:
        """Entries are used, one after the other."""
        self.keys += keys
        self.values += values
        self.timestamps += timestamps

    def forget(self, numbers: Sequence[int]) -> None:
        """These are not their entries' last ones any more."""
        first = self.first
        each(map(self.keys.__setitem__, [number - first for number in numbers] if first else numbers, repeat(FREE)))

    def drop(self, count: int) -> None:
        """Have the oldest entries be gone."""
        self.count -= count
        while count:
            at = self.oldest - self.first
            self.oldest += count
            count = self.keys[at : at + count].count(FREE)
        if self.oldest - self.first > _KEPT:
            over = self.oldest - self.first
            for column in (self.keys, self.values, self.timestamps):
                del column[:over]
            self.first = self.oldest

    def since(self, number: int) -> tuple[list[int], list[int], list[int]]:
        """Columns of the entries whose last use has that number or a later one."""
        at = number - self.first
        last = list(map(ne, self.keys[at:], repeat(FREE)))
        keys, values, timestamps = (
            list(compress(column[at:], last)) for column in (self.keys, self.values, self.timestamps)
        )
        return keys, values, timestamps


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
        release_numbers: Callable[[list[int], list[int], list[int]], None],
        look_up: Callable[[list[int]], None],
        told_later: Callable[[], bool],
        **options: Any,
    ) -> None:
        super().__init__(budget, **options)
        self._rows = rows
        self._entry_bytes = entry_bytes
        self._release_numbers = release_numbers
        self._look_up = look_up
        self._told_later = told_later
        self._uses = _Uses()
        self.in_rows = False
        """Whether the entries are there, and none is in `entries`."""
        self._stay = _STAY
        self._staying = 0

    def fold_repeated(
        self, keys: list[int], timestamps: list[int], initial: int, repeated: Callable[[int, int], int]
    ) -> int:
        """Replace (value, time) of each record's entry by (repeated(value, how often), the highest time).

        The same as `fold` of each record. Shape: how many of the records, from the first on, were folded in; the others are
        nothing for columns.
        """
        done = 0
        try:
            goes_on = (self.in_rows or self._enter(len(keys))) and self._takes(keys)
            while goes_on and done < len(keys):
                count = self._fold_next(keys[done:], timestamps[done:], initial, repeated)
                goes_on = count > 0
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
        self._staying -= coming
        if self._staying > 0:
            return False
        self._staying = len(entries)  # what follows takes a while, and may come to nothing
        if self._read or self._read_since or FREE in entries or not rows.takes(len(entries) + coming):
            return False
        alike = self._begin_fold(self._entry_bytes)
        if not self._folds_plainly() or self._bytes != alike * len(entries) or None in entries.values():
            return False
        if not set(self._sizes.values()) <= {alike}:
            return False
        uses, keys = self._uses, list(entries)
        if uses.next + len(keys) >= _NUMBERS:
            uses.begin(0)
            rows.forget_uses()
        uses.begin(uses.next)
        if keys:
            values, times = zip(*entries.values(), strict=True)
            try:
                columns = array("q", keys), array("q", values), array("q", times)
            except (OverflowError, TypeError):
                return False
            uses.count, uses.waiting = len(keys), len(self._dirty)
            rows.use(keys, rows.columns(keys), values, times, uses.numbers(len(keys)))
            uses.add(*columns)
            uses.flushed = uses.next - uses.waiting
        for held in (entries, self._dirty, self._sizes):
            held.clear()
        self.in_rows = True
        return True

    def _takes(self, keys: list[int]) -> bool:
        """Whether a batch may be folded in by columns."""
        budget, uses = self._budget, self._uses
        alike = self._alike == self._entry_bytes + OVERHEAD + budget.cause_bytes and self.cause is None
        if not alike or budget.used > budget.max_bytes or uses.next + len(keys) >= _NUMBERS:
            return False
        try:
            array("q", keys)
        except (OverflowError, TypeError):
            return False
        return FREE not in keys and self._rows.takes(len(keys))

    def _fold_next(
        self, keys: list[int], timestamps: list[int], initial: int, repeated: Callable[[int, int], int]
    ) -> int:
        """Fold in as many as can be at once; 0 when they are nothing for columns.

        As many as still have room beside what waits; without any, those whose entries are here, which all wait then; and
        if there are none, one that something has to go for.
        """
        budget, uses = self._budget, self._uses
        room = (budget.max_bytes - budget.used + self._bytes) // self._alike - uses.waiting
        if room <= 0:
            if not uses.waiting:
                return 0
            here = list(map(ge, self._rows.columns(keys).uses, repeat(uses.oldest)))
            room = here.index(False) if False in here else len(keys)
        if not room:
            if not self._told_later():
                return 0  # who is told uses record caches, and may find this one in the middle of something
            room = 1
            read = self._alike - budget.cause_bytes  # of an entry that is read before it is put, as Kafka does
            if budget.used + read > budget.max_bytes and self._columns(keys[:1]).timestamps[0] != NOTHING:
                self._let_oldest_go()
        if room < len(keys):
            keys, timestamps = keys[:room], timestamps[:room]
        return len(keys) if self._fold_columns(keys, timestamps, initial, repeated) else 0

    def _fold_columns(
        self, keys: list[int], timestamps: list[int], initial: int, repeated: Callable[[int, int], int]
    ) -> bool:
        """Fold in records that there is room for, or one; whether that was done, else nothing has changed. Raises: TooFar."""
        times, counts, uses = list(timestamps), Counter(keys), self._uses
        often: Iterable[int] = repeat(1)
        if len(counts) < len(keys):
            latest, keys = latest_of(keys, timestamps), by_last(keys)
            times, often = list(map(latest.__getitem__, keys)), map(counts.__getitem__, keys)
        at = self._columns(keys)
        values: Sequence[int] = at.values
        if NOTHING in at.timestamps:
            there = zip(values, at.timestamps, strict=True)
            values = [initial if time == NOTHING else value for value, time in there]
        raise_to(times, at.timestamps)
        values = list(map(repeated, values, often))
        try:
            columns = array("q", keys), array("q", values), array("q", times)
        except (OverflowError, TypeError):
            return False
        self._rows.use(keys, at, values, times, uses.numbers(len(keys)))
        again = list(compress(at.uses, map(ge, at.uses, repeat(uses.oldest))))
        uses.forget(again)
        uses.add(*columns)
        uses.waiting += sum(map(lt, at.uses, repeat(uses.flushed)))
        self._count_more(len(keys) - len(again))
        return True

    def _columns(self, keys: list[int]) -> Columns:
        """What the rows say of keys, after those that may be below without a row were looked up."""
        at = self._rows.columns(keys)
        if not self._rows.complete and NOTHING in at.timestamps:
            self._look_up(list(compress(keys, map(eq, at.timestamps, repeat(NOTHING)))))
            at = self._rows.columns(keys)
        return at

    def _count_more(self, count: int) -> None:
        """Count so many entries more, and drop what is too much for that."""
        budget, uses, alike = self._budget, self._uses, self._alike
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

    def _release_columns(self, keys: list[int], values: list[int], timestamps: list[int]) -> None:
        """Let go of all that wait, which these are."""
        uses = self._uses
        uses.flushed = uses.next
        uses.waiting = 0
        for start in range(0, len(keys), RELEASED_AT_ONCE):
            part = slice(start, start + RELEASED_AT_ONCE)
            self._release_numbers(keys[part], values[part], timestamps[part])

    def _leave(self) -> None:
        """Take the entries out of the rows."""
        uses = self._uses
        keys, values, times = uses.since(uses.oldest)
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
        self, rows: Iterable[Row], initial: Callable[[], Any], add: Add, kind: type, entry_bytes: int = 0
    ) -> Row | None:
        """As of all that fold."""
        self.have_entries()
        return super().fold(rows, initial, add, kind, entry_bytes)

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
