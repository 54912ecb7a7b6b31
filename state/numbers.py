"""Key-value stores of numbers by number or name, which keep rows of what is below a large record cache: `state.number_rows`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import compress, repeat
from typing import Any

from state.cache import RecordCache, RecordCacheBudget, Updates
from state.engine import Engine
from state.folding_cache import Add
from state.key_value import TimestampedStore, known_size
from state.name_cache import NameCache
from state.number_cache import COLUMNS_FROM, NumberCache
from state.number_folds import Adding, Folding, Repeating
from state.number_keys import key_numbers
from state.number_rows import NumberRows
from state.rows_budget import SlowerThanRows
from state.stores import Cause, ChangelogWriter, Flushed, StoreSpec, ValueAndTimestamp

_new_tuple = tuple.__new__
_ROOMY = 512
"""Bytes that an entry of numbers stays below in a record cache, whatever topic its cause is of."""

_MANY = 512
"""From so many entries on a dictionary waits for memory so often that columns are the quicker way to fold, in rows."""


class NumberStore(TimestampedStore):
    """A `TimestampedStore` that is open on an engine slower than rows."""

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        assert isinstance(engine, SlowerThanRows), "others have no budget for rows"
        kind: type = spec.value_serde.type  # type: ignore[attr-defined]  # numbers have it
        new = cache is not None and next(engine.scan(None, None), None) is None
        self._names = spec.key_serde.type is not int  # type: ignore[attr-defined]  # those who have numbers by them have it
        keys = key_numbers(spec.key_serde.type)  # type: ignore[attr-defined]
        self._rows = NumberRows(engine.rows_budget, keys=keys, kind=kind, complete=new)
        super().__init__(spec, engine, changelog, cache)

    def preload(self, keys: Iterable[Any]) -> None:
        """As for all stores. What the record cache has in rows it takes out first: there it hides what lies below."""
        if isinstance(self._cache, NumberCache):
            self._cache.have_entries()
        super().preload(keys)

    def _look_up(self, missing: list[Any]) -> None:
        if not self._passes:
            super()._look_up(missing)
            return
        live, rows = self._live, self._rows
        if not rows.begun:
            self._begin_if_full(len(missing))
        found, pairs, others = rows.find(missing)
        live.update(zip(found, map(_new_tuple, repeat(ValueAndTimestamp), pairs), strict=True))
        if rows.complete:
            live.update(zip(others, repeat(None)))
        elif others:
            self._look_up_rows(others)

    def _look_up_rows(self, keys: list[Any]) -> None:
        """Read entries from below into the live values and into rows."""
        super()._look_up(keys)
        read = list(map(self._live.__getitem__, keys))
        if any(read):
            self._rows.put(list(compress(keys, read)), *zip(*filter(None, read), strict=True))

    def _begin_if_full(self, coming: int) -> None:
        """Have rows from the moment when the record cache can not hold all any more; those of all that it holds, then.

        Before that a store that was new needs none: what the cache does not hold is not there.
        """
        cache, budget = self._cache, self._budget
        assert cache is not None, "asked of a store with a record cache"
        assert budget is not None, "it comes with the cache"
        if cache.dropped:
            self._rows.complete = False
        full = cache.dropped or budget.used + coming * _ROOMY > budget.max_bytes
        if full and not self._names:  # those of names are for a record cache that holds all
            self._begin(cache)

    def _begin(self, cache: RecordCache) -> None:
        """Have rows from now on, first of what the record cache holds."""
        rows = self._rows
        if cache.dropped:
            rows.complete = False
        rows.begun = True
        held = [(entry, *live) for entry, live in cache.entries.items() if live is not None]
        if held:
            rows.put(*zip(*held, strict=True))

    def _write(self, entry: Any, value: Any, timestamp: int, cause: Cause | None = None) -> None:
        super()._write(entry, value, timestamp, cause)
        if self._passes:
            self._rows.put((entry,), (value and value[0],), (timestamp,))

    def _write_updates(self, updates: Updates) -> tuple[Updates, list[Any]]:
        written, old_values = super()._write_updates(updates)
        if self._passes and len(written.entries) < len(updates.entries):
            gone = list(set(updates.entries).difference(written.entries))  # deleted, and nothing was below
            self._rows.put(gone, [None] * len(gone), [0] * len(gone))
        return written, old_values

    def _write_columns(self, entries: list[Any], plain: list[Any], timestamps: list[int]) -> None:
        super()._write_columns(entries, plain, timestamps)
        if self._passes:
            self._rows.put(entries, plain, timestamps)

    def _release_numbers(self, keys: list[Any], values: list[Any], timestamps: list[int]) -> None:
        """Write and forward what a record cache that keeps its entries in rows lets go."""
        super()._write_columns(keys, values, timestamps)
        self._live.clear()
        self.flushes.take(Flushed(keys, values, [None] * len(keys), timestamps, None))

    def folds_columns(self, count: int) -> bool:
        """Whether `fold_columns` may be used, and be of use to so many records.

        So it is once there are rows, which begin here where the record cache has many entries, and more than a few records come.
        """
        cache = self._cache
        if not isinstance(cache, NumberCache) or self.read_behind or self.flushes.listener is None:
            return False
        rows, had_room = self._rows, not (self._names and cache.dropped)
        if not rows.begun and self._passes and had_room and count >= COLUMNS_FROM and len(cache.entries) >= _MANY:
            self._begin(cache)
        return rows.begun and not rows.given_up

    def fold_columns(
        self,
        keys: list[Any],
        values: list[Any],
        timestamps: list[int],
        initial: Callable[[], Any],
        add: Add,
        repeated: Callable[[Any, Any], Any] | None,
    ) -> int:
        """Replace (value, time) of each record's entry by (add(entry, the record's value, value), the later time), by columns.

        `repeated`, where it does not matter what the records' values are: takes numbers and how often each record comes, or
        columns of both, and makes no less of more.
        Shape: how many of the records were folded in, from the first on: none, while the record cache has room for all that
        is put, and none beyond one for which `add` raises, which is asked for it again.
        """
        cache = self._cache
        assert isinstance(cache, NumberCache), "asked of a store that folds no columns"
        kind = self._rows.kind
        folding: Folding = Adding(keys, values, initial, add, kind)
        if repeated is not None and kind is int:
            folding = Repeating(initial(), repeated)
        return cache.fold_columns(keys, timestamps, folding)

    def _cache_kind(self) -> Callable[..., RecordCache]:
        return partial(
            NameCache if self._names else NumberCache,
            rows=self._rows,
            entry_bytes=known_size(self.spec, stored=self._value_overhead),
            release_numbers=self._release_numbers,
            look_up=self._look_up_rows,
            told_later=lambda: self.flushes.together,
        )

    def _forget_live(self) -> None:
        super()._forget_live()
        self._forget_rows()

    def _choose_passing(self) -> None:
        super()._choose_passing()
        if not self._passes:
            self._forget_rows()

    def _forget_rows(self) -> None:
        if isinstance(self._cache, NumberCache):
            self._cache.have_entries()
        self._rows.clear()
