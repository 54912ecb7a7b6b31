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

    def fold(self, rows: Iterable[Row], initial: Callable[[], Any], add: Add, kind: type) -> Row | None:
        """Replace (value, time) of each row's entry by (add(entry, the row's value, value), the later time).

        The same as `entries[entry]` and `put`, in one loop, for caches whose values are of `kind`, immutable, and all of
        one length. A row without an entry or a value is not taken: it ends the loop, and is the answer.
        Raises: what `add` raises, or the serde, when the rows up to this one are taken.
        """
        entries, dirty, sizes, read, budget = self.entries, self._dirty, self._sizes, self._read, self._budget
        below, size_of, most, causes = self._below, self._size, budget.max_bytes, self._causes
        plain = self.cause is None
        if self._unplaced:
            self._place_known()
        for row in rows:
            _, entry, value, time = row
            if entry is None or value is None:
                return row
            stored, size = entries.get(entry, ABSENT), 0
            known, fresh = stored is not ABSENT, stored is ABSENT
            if fresh and (stored := below(entry)) is not None:
                size = size_of(entry, stored) + OVERHEAD
                if budget.used + size > most and not self._drop_clean(most - size):
                    self.read(entry)
                    fresh = False
            old, before = (initial(), time) if stored is None else stored
            new = add(entry, value, old)
            latest = before if before > time else time  # noqa: FURB136  max() is four times slower
            live = None if new is None else _new_tuple(ValueAndTimestamp, (new, latest))
            alike = (
                new.__class__ is kind
                and self._cause_bytes == budget.cause_bytes
                and budget.used <= most
                and plain
                and not causes
                and self._order is None
            )
            if fresh and alike:
                size = (size or size_of(entry, live) + OVERHEAD) + self._cause_bytes
                dirty[entry] = latest
                entries[entry] = live
                sizes[entry] = size
                self._bytes += size
                budget.used += size
                if budget.used > most:
                    self._evict_excess()
            elif known and alike and stored is not None and entry not in read:
                dirty.pop(entry, None)
                dirty[entry] = latest
                entries[entry] = live
                entries.move_to_end(entry)
            else:
                if fresh and size:
                    self.read(entry)
                self.put(entry, live, latest, None)
        return None

    def _drop_clean(self, used: int) -> bool:
        """Drop what was used least recently until no more than `used` is; False when a dirty one, or nothing, is left."""
        entries, dirty, budget = self.entries, self._dirty, self._budget
        while budget.used > used:
            if not entries:
                return False
            entry, value = entries.popitem(last=False)
            if entry in dirty:
                entries[entry] = value
                entries.move_to_end(entry, last=False)
                return False
            before = self._bytes
            self._forget(entry)
            budget.used += self._bytes - before
            self._read.discard(entry)
        return True
