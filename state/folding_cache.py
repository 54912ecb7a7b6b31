"""A record cache of values that are all of one length: folds records in in one loop, where calls would cost the most.

Rules: what happens is what `RecordCache` would do, read by read and put by put; whatever is not the plain case goes that
way (values of another class, deletions, causes of their own, ranges that somebody has asked for).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from state.cache import ABSENT, OVERHEAD, RecordCache
from state.stores import ValueAndTimestamp

Row = tuple[int, Any, Any, int]
"""(index, entry key or None, value or None, time) of a record to fold in."""

Add = Callable[[Any, Any, Any], Any]
"""add(entry key, a record's value, the value so far) -> the new value, or None"""

_new_tuple = tuple.__new__


class FoldingCache(RecordCache):
    """See the module."""

    def fold(
        self, rows: Iterable[Row], initial: Callable[[], Any], add: Add, kind: type, entry_bytes: int = 0
    ) -> Row | None:
        """Replace (value, time) of each row's entry by (add(entry, the row's value, value), the later time).

        The same as `entries[entry]` and `put`, in one loop, for caches whose values are of `kind`, immutable, and all of
        one length; `entry_bytes` is the size of every entry, if keys are too. A row without an entry or a value is not
        taken: it ends the loop, and is the answer.
        Raises: what `add` raises, or the serde, when the rows up to this one are taken.
        """
        entries, dirty, sizes, read, budget = self.entries, self._dirty, self._sizes, self._read, self._budget
        below, size_of, most = self._below, self._size, budget.max_bytes
        if self._unplaced:
            self._place_known()
        plain = self._folds_plainly()
        for row in rows:
            _, entry, value, time = row
            if entry is None or value is None:
                return row
            stored = entries.get(entry, ABSENT)
            known = stored is not ABSENT
            if not known:
                stored = below(entry)
            old, before = (initial(), time) if stored is None else stored
            new = add(entry, value, old)
            latest = before if before > time else time  # noqa: FURB136  max() is four times slower
            live = None if new is None else _new_tuple(ValueAndTimestamp, (new, latest))
            if plain and new.__class__ is kind:
                if not known:
                    size = (entry_bytes or size_of(entry, live)) + OVERHEAD + self._cause_bytes
                    if budget.used + size <= most or self._drop_clean(most - size):
                        dirty[entry] = latest
                        entries[entry] = live
                        sizes[entry] = size
                        self._bytes += size
                        budget.used += size
                        continue
                elif stored is not None and entry not in read and budget.used <= most:
                    dirty.pop(entry, None)
                    dirty[entry] = latest
                    entries[entry] = live
                    entries.move_to_end(entry)
                    continue
            if not known and stored is not None:
                self.read(entry)
            self.put(entry, live, latest, None)
            plain = self._folds_plainly()
        return None

    def _folds_plainly(self) -> bool:
        """Whether nothing has to be told apart but entries: neither causes nor places in a range."""
        alike = self._cause_bytes == self._budget.cause_bytes
        return alike and self.cause is None and not self._causes and self._order is None

    def _drop_clean(self, used: int) -> bool:
        """Drop what was used least recently until no more than `used` is; False when a dirty one, or nothing, is left."""
        entries, dirty, budget = self.entries, self._dirty, self._budget
        while budget.used > used:
            entry = next(iter(entries), ABSENT)
            if entry is ABSENT or entry in dirty:
                return False
            del entries[entry]
            size = self._sizes.pop(entry)
            self._bytes -= size
            budget.used -= size
            self._read.discard(entry)
        return True
