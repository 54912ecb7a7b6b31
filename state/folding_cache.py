"""A record cache of values that are all of one length: folds records in in one loop, where calls would cost the most.

Rules: what happens is what `RecordCache` would do, read by read and put by put; whatever is not the plain case goes that
way (values of another class, deletions, causes of their own, ranges that somebody has asked for).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice, repeat, takewhile
from typing import Any

from state.cache import ABSENT, OVERHEAD, RecordCache, Updates, each
from state.proof import LONGEST, SHORTEST
from state.stores import ValueAndTimestamp

Row = tuple[int, Any, Any, int]
"""(index, entry key or None, value or None, time) of a record to fold in."""

Add = Callable[[Any, Any, Any], Any]
"""add(entry key, a record's value, the value so far) -> the new value, or None"""

_new_tuple = tuple.__new__
_LOOKED_THROUGH = 256


class FoldingCache(RecordCache):
    """See the module."""

    def fold(
        self, rows: Iterable[Row], initial: Callable[[], Any], add: Add, kind: type, size: int = 0, short: bool = False
    ) -> Row | None:
        """Replace (value, time) of each row's entry by (add(entry, the row's value, value), the later time).

        The same as `entries[entry]` and `put`, in one loop, for caches whose values are of `kind`, immutable, and all of
        one length; `size` is that of every entry, if keys are too. A row without an entry or a value is not
        taken: it ends the loop, and is the answer. `short`: no int becomes too long.
        Raises: what `add` raises, or the serde, when the rows up to this one are taken.
        """
        entries, dirty, sizes, read, budget = self.entries, self._dirty, self._sizes, self._read, self._budget
        below, size_of, short = self._below, self._size, short or kind is not int
        alike, entry_bytes = self._begin_fold(size), size
        plain, room, over, added = self._folds_plainly(), budget.max_bytes - budget.used, False, 0
        try:
            for row in rows:
                _, entry, value, time = row
                if entry is None or value is None:
                    return row
                stored = entries.get(entry, ABSENT)
                known = stored is not ABSENT
                if not known:
                    stored = below(entry)
                elif over:
                    room -= sizes.get(entry, alike)
                    if room < 0:
                        self._settle(added)
                        room, over, added = budget.max_bytes - budget.used, False, 0
                        known = entry in entries
                old, before = (initial(), time) if stored is None else stored
                new = add(entry, value, old)
                latest = before if before > time else time  # noqa: FURB136  max() is four times slower
                live = None if new is None else _new_tuple(ValueAndTimestamp, (new, latest))
                if plain and new.__class__ is kind and (short or SHORTEST <= new <= LONGEST):  # type: ignore[operator]
                    if not known:
                        size = (entry_bytes or size_of(entry, live)) + OVERHEAD + self._cause_bytes
                        if size > room:
                            self._settle(added)
                            room, over, added = self._room_over_clean(size), True, 0
                        if size <= room:
                            room -= size
                            added += size
                            dirty[entry] = latest
                            entries[entry] = live
                            if size != alike:
                                sizes[entry] = size
                            continue
                    elif stored is not None and entry not in read and room >= 0:
                        dirty.pop(entry, None)
                        dirty[entry] = latest
                        entries[entry] = live
                        entries.move_to_end(entry)
                        continue
                self._settle(added)
                added = 0  # also when what follows raises
                self._read_and_put(entry, stored, live, time if live is None else latest)
                plain, room, over = self._folds_plainly(), budget.max_bytes - budget.used, False
        finally:
            self._settle(added)
        return None

    def _begin_fold(self, entry_bytes: int) -> int:
        """Bring both orders up to date; the answer is the size of entries that have none noted."""
        if self._unplaced:
            self._place_known()
        if entry_bytes and len(self._sizes) == len(self.entries):
            self._alike = entry_bytes + OVERHEAD + self._budget.cause_bytes
        return self._alike

    def _read_and_put(self, entry: Any, stored: Any, live: Any, timestamp: int) -> None:
        """What is not the plain case, as it would be one by one."""
        proof = self._proof
        if live is not None and proof is not None and proof.plain not in {None, live[0].__class__}:
            live = _new_tuple(ValueAndTimestamp, (proof.settled(live[0]), live[1]))
        if not self.entries and self._folds_plainly():
            budget, before = self._budget, self._bytes
            if budget.used + self._size(entry, live) + self._cause_bytes + OVERHEAD > budget.max_bytes:
                self.dropped = True
                self._let_go(Updates([entry], [live], [timestamp], None))  # it would evict itself
                budget.used += self._bytes - before
                return
        if stored is not None and entry not in self.entries:
            self.read(entry)
        self.put(entry, live, timestamp, None)

    def _folds_plainly(self) -> bool:
        """Whether nothing has to be told apart but entries: neither causes nor places in a range."""
        alike = self._cause_bytes == self._budget.cause_bytes
        return alike and self.cause is None and not self._causes and self._order is None

    def _room_over_clean(self, least: int) -> int:
        """The bytes that may come until something dirty had to go: those of what is clean, and was used least recently.

        As far as that is looked through: all of it where nothing has to be looked at, else some entries, and at least so
        many bytes if there are.
        """
        dirty, sizes = self._dirty, self._sizes
        room = self._budget.max_bytes - self._budget.used
        if not (self._read_since or sizes):
            return room + (len(self.entries) - len(dirty)) * self._alike
        oldest = iter(self.entries)
        while room < least and (found := list(islice(oldest, _LOOKED_THROUGH))):
            clean = (
                found if dirty.keys().isdisjoint(found) else list(takewhile(lambda entry: entry not in dirty, found))
            )
            room += sum(map(sizes.get, clean, repeat(self._alike)))
            if len(clean) < len(found):
                break
        return room

    def _settle(self, added: int) -> None:
        """Count what was `added`, and drop what is too much for that: as much as `_room_over_clean` has found.

        Entries are dropped later than they would be one by one, but the same ones: those used least recently, until the
        rest has room. One that was used again meanwhile would have come back, and something else gone in its place.
        """
        entries, sizes, budget, alike = self.entries, self._sizes, self._budget, self._alike
        self._bytes += added
        budget.used += added
        excess = budget.used - budget.max_bytes
        if not added or excess <= 0:
            return
        self.dropped = True
        if sizes or self._read:
            count = freed = 0
            for entry in entries:
                count += 1
                freed += sizes.get(entry, alike)
                if freed >= excess:
                    break
            gone = list(islice(entries, count))
            each(map(sizes.pop, gone, repeat(None)))
            self._read.difference_update(gone)
        else:
            count = -(-excess // alike)
            freed = count * alike
        each(map(entries.popitem, repeat(False, count)))
        self._bytes -= freed
        budget.used -= freed
