"""A record cache of numbers by name that keeps its entries in rows, once they are many, while it has room for all.

Names are of any length, so that entries take different bytes. What has to go for the sake of what comes is left to the
record cache as it is without rows: these are given up as soon as something has to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from state.cache import OVERHEAD
from state.number_cache import NumberCache
from state.number_folds import Folding
from state.number_table import Column
from state.stores import ValueAndTimestamp


class NameCache(NumberCache):
    """See the module."""

    _full = False

    def fold_columns(self, keys: list[Any], timestamps: list[int], folding: Folding) -> int:
        """As of all; the last time when something would have to go."""
        done = super().fold_columns(keys, timestamps, folding)
        if self._full:
            self._rows.give_up()
        return done

    def _counts_as_in_rows(self) -> bool:
        self._begin_fold(0)
        return True  # by its own length each, and one cause

    def _takes(self, keys: Column) -> bool:
        self._full = self._budget.used > self._budget.max_bytes
        return super()._takes(keys)

    def _puts_count_alike(self) -> bool:
        return self._cause_bytes == self._budget.cause_bytes

    def _fold_next(self, start: int, keys: Column, timestamps: Column, folding: Folding) -> int:
        budget, at = self._budget, self._columns(keys)
        new = at.uses < self._uses.oldest
        if new.any():
            try:
                more = self._bytes_of(np.unique(keys[new]))
            except Exception:
                return 0  # a name that can not be written: who puts it alone is told so
            self._full = budget.used + more > budget.max_bytes
            if self._full:
                return 0
        return self._fold_columns(start, keys, timestamps, at, folding)

    def _count_more(self, keys: Column) -> None:
        more = self._bytes_of(keys)
        self._uses.count += len(keys)
        self._bytes += more
        self._budget.used += more

    def _bytes_of(self, keys: Column) -> int:
        """What entries of these keys take together. Raises: what the serde of the names does."""
        value = ValueAndTimestamp(self._rows.kind(), 0)
        sizes = self._sizes_of(self._rows.keys.keys(keys), [value] * len(keys)) if keys.size else []
        return sum(sizes) + len(keys) * (OVERHEAD + self._cause_bytes)

    def _leave(self) -> None:
        super()._leave()
        entries, more = self.entries, OVERHEAD + self._cause_bytes
        sizes = self._sizes_of(list(entries), list(entries.values()))
        self._sizes.update(zip(entries, [size + more for size in sizes], strict=True))
