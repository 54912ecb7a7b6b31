"""Key-value stores of numbers by number, which keep rows of what is below a large record cache: `state.number_rows`."""

from __future__ import annotations

from itertools import compress, repeat
from typing import Any

from state.cache import RecordCacheBudget, Updates
from state.engine import Engine
from state.key_value import TimestampedStore
from state.number_rows import NumberRows, SlowerThanRows
from state.stores import Cause, ChangelogWriter, StoreSpec, ValueAndTimestamp

_new_tuple = tuple.__new__
_ROOMY = 512
"""Bytes that an entry of numbers stays below in a record cache, whatever topic its cause is of."""


class NumberStore(TimestampedStore):
    """A `TimestampedStore` that is open on an engine slower than rows."""

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        assert isinstance(engine, SlowerThanRows), "others have no budget for rows"
        floats = spec.value_serde.type is float  # type: ignore[attr-defined]  # numbers have it
        new = cache is not None and next(engine.scan(None, None), None) is None
        self._rows = NumberRows(engine.rows_budget, floats=floats, complete=new)
        super().__init__(spec, engine, changelog, cache)

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
            super()._look_up(others)
            read = list(map(live.__getitem__, others))
            if any(read):
                rows.put(list(compress(others, read)), *zip(*filter(None, read), strict=True))

    def _begin_if_full(self, coming: int) -> None:
        """Have rows from the moment when the record cache can not hold all any more; those of all that it holds, then.

        Before that a store that was new needs none: what the cache does not hold is not there.
        """
        cache, budget, rows = self._cache, self._budget, self._rows
        assert cache is not None, "asked of a store with a record cache"
        assert budget is not None, "it comes with the cache"
        if cache.dropped:
            rows.complete = False
        elif budget.used + coming * _ROOMY <= budget.max_bytes:
            return
        rows.begun = True
        held = [(entry, *live) for entry, live in cache.entries.items() if live is not None]
        if held:
            rows.put(*zip(*held, strict=True))

    def _write(self, entry: Any, value: Any, timestamp: int, cause: Cause | None = None) -> None:
        super()._write(entry, value, timestamp, cause)
        if self._passes:
            self._rows.put((entry,), (value and value[0],), (timestamp,))

    def _write_columns(self, updates: Updates) -> None:
        super()._write_columns(updates)
        if self._passes:
            self._rows.put(updates.entries, self._plain(updates.values), updates.timestamps)

    def _forget_live(self) -> None:
        super()._forget_live()
        self._rows.clear()

    def _choose_passing(self) -> None:
        super()._choose_passing()
        if not self._passes:
            self._rows.clear()


def holds_numbers(spec: StoreSpec) -> bool:
    """Whether keys are ints and values ints or floats, of 64 bits at most."""
    kinds = [
        getattr(serde, "type", None) for serde in (spec.key_serde, spec.value_serde) if hasattr(serde, "size_bytes")
    ]
    return kinds in ([int, int], [int, float])
