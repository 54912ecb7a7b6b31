"""Tables: made of a topic or a stream, filtered, mapped, and turned for grouping.

Rules: on a table's edge `values` are the new values and None means deleted; `old_values` come along where asked for.
The record processed last wins, whatever its time; only versioned stores order by time, and say so in `latest`. An
update that changes nothing is passed on again. A table without a store recomputes what is asked of it (`getters`).
Source: Kafka's KTableSource, KTableFilter, KTableMapValues, KTableRepartitionMap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from state.engine import any_none
from streams.operators.aggregate import LATEST, NOT_PUT, passes_on_itself
from streams.operators.base import Emit, OperatorContext
from streams.operators.causes import causes_of
from streams.operators.columns import UNHANDLED, Output, kept, mapped, report, rows_of
from streams.record import Batch

__all__ = ["Compute", "TableSource", "TableStateless", "filter_compute", "grouping_table", "map_compute"]

NULL_KEY = "its key is null, and a table needs one"

Compute = Callable[[Any, Any], Any]
"""function(key, value) -> value: what a stateless step makes of a table's row; None: no row."""


class TableWriter:
    """Puts a table's updates into its store, and passes them on; shared by all operators that store a table.

    `looks_first`: Kafka's operator of this kind reads the row before it puts another. What the store cannot keep is the
    fault of the record it comes from, in `node`. `as_read`: what is written was read by the serde that the store writes by.
    """

    def __init__(
        self,
        node: str,
        store: str,
        emit: Emit,
        *,
        send_old_values: bool,
        looks_first: bool,
        as_read: bool = False,
    ) -> None:
        self._as_read = as_read
        self._node = node
        self._store_name = store
        self._emit = emit
        self._send_old_values = send_old_values
        self._looks_first = looks_first

    def init(self, context: OperatorContext) -> None:
        """Take the store, and have its cache pass updates on."""
        self._context = context
        self.store = context.store(self._store_name)
        self._cached = passes_on_itself(self.store, self._emit, old_values=self._send_old_values)
        if self._cached and self._looks_first:
            self.store.look_before_puts()

    def write(self, batch: Batch, *, skip_nothings: bool = False) -> None:
        """Put a batch of updates. The old values passed on are the store's, or the batch's where no row is looked at.

        `skip_nothings`: where there is no row and was none, nothing is put.
        """
        causes: Any = causes_of(self.store, batch) or repeat(None)
        reads = self._send_old_values and self._looks_first and (skip_nothings or not self._cached)
        with self.store.flushes:
            if reads:
                batch, codes = self._put_reading(batch, causes, skip_nothings=skip_nothings)
            else:
                batch, codes = self._put_all(batch, causes)
        if self._cached:
            return
        result = batch.with_columns(batch.keys, batch.values)
        result.old_values = batch.old_values if self._send_old_values else None
        result.latest = batch.latest
        self._emit_put(result, codes)

    def _put_all(self, batch: Batch, causes: Any) -> tuple[Batch, list[Any]]:
        """Put a batch. The answer is what was put, and the codes."""
        columns = (batch.keys, batch.values, batch.timestamps, causes)
        store = self.store
        if self._cached:
            store.vouch(() if self._as_read else batch.values)
        try:
            codes, failed = mapped(self._context, self._node, batch, store.put, *columns, first=store.flushes.tell)
        finally:
            if self._cached:
                store.vouch(None)
        for row in reversed(failed):
            del codes[row]
        return kept(batch, failed), codes

    def _report(self, batch: Batch, row: int, error: Exception) -> None:
        self.store.flushes.tell()
        report(self._context, self._node, batch, row, error)

    def _put_reading(self, batch: Batch, causes: Any, *, skip_nothings: bool) -> tuple[Batch, list[Any]]:
        """Put record by record, each after a look at the row it replaces. The answer is what was put, and the codes."""
        store = self.store
        old_values: list[Any] = []
        codes: list[Any] = []
        put: list[bool] = []
        for (row, key, value, timestamp), cause in zip(rows_of(batch), causes, strict=False):
            try:
                stored = store.get(key)
                old = None if stored is None else stored[0]
                counts = not skip_nothings or old is not None or value is not None
                if counts:
                    codes.append(store.put(key, value, timestamp, cause))
            except UNHANDLED:
                raise
            except Exception as error:
                old, counts = None, False
                self._report(batch, row, error)
            old_values.append(old)
            put.append(counts)
        result = batch.with_columns(batch.keys, batch.values)
        result.old_values = old_values
        result.latest = batch.latest
        return (result if all(put) else result.select(put)), codes

    def _emit_put(self, batch: Batch, codes: list[Any]) -> None:
        """Pass on what was put: versioned stores refuse what is older than their history."""
        if codes.count(None) < len(codes):
            batch.latest = [code is None or code == LATEST for code in codes]
            if NOT_PUT in codes:
                batch = batch.select([code != NOT_PUT for code in codes])
        if batch.keys:
            self._emit(batch)


class TableSource:
    """A topic's or stream's records as a table: each is an upsert, a null value deletes, a null key is dropped.

    `as_read`: see `TableWriter`.
    """

    def __init__(
        self, node: str, store: str | None, emit: Emit, *, send_old_values: bool, as_read: bool = False
    ) -> None:
        self._node = node
        self._emit = emit
        self._writer = (
            None
            if store is None
            else TableWriter(node, store, emit, send_old_values=send_old_values, looks_first=True, as_read=as_read)
        )

    def init(self, context: OperatorContext) -> None:
        """Take the store, if there is one."""
        self._context = context
        if self._writer:
            self._writer.init(context)

    def process(self, batch: Batch) -> None:
        """Put a batch into the table."""
        if any_none(batch.keys):
            mask = [key is not None for key in batch.keys]
            self._context.dropped(self._node, mask.count(False), NULL_KEY)
            batch = batch.select(mask)
        if not batch.keys:
            return
        if self._writer:
            self._writer.write(batch)
        else:
            self._emit(batch)

    def close(self) -> None:
        """Nothing is held."""


def filter_compute(predicate: Callable[[Any, Any], Any], *, negate: bool = False) -> Compute:
    """The value where predicate(key, value) holds (with `negate`: does not); the predicate never sees None."""

    def compute(key: Any, value: Any) -> Any:
        return value if value is not None and bool(predicate(key, value)) is not negate else None

    return compute


def map_compute(function: Callable[..., Any], *, with_key: bool) -> Compute:
    """function(value) or function(key, value); None stays None."""

    def compute(key: Any, value: Any) -> Any:
        if value is None:
            return None
        return function(key, value) if with_key else function(value)

    return compute


class TableStateless:
    """A table whose rows are computed from another's, stored or not.

    `drops_nothings` (filters): where old values are known, an update from no row to no row is not passed on.
    """

    def __init__(
        self,
        node: str,
        compute: Compute,
        store: str | None,
        emit: Emit,
        *,
        send_old_values: bool,
        drops_nothings: bool = False,
    ) -> None:
        self._node = node
        self._compute = compute
        self._emit = emit
        self._send_old_values = send_old_values
        self._drops_nothings = drops_nothings
        self._writer = (
            None
            if store is None
            else TableWriter(node, store, emit, send_old_values=send_old_values, looks_first=send_old_values)
        )

    def init(self, context: OperatorContext) -> None:
        """Take the store, if there is one."""
        self._context = context
        if self._writer:
            self._writer.init(context)

    def process(self, batch: Batch) -> None:
        """Compute a batch of changes."""
        new, failed = mapped(self._context, self._node, batch, self._compute, batch.keys, batch.values)
        result = batch.with_columns(batch.keys, new)
        result.latest = batch.latest
        if self._writer:
            result = kept(result, failed)
            if result.keys:
                self._writer.write(result, skip_nothings=self._drops_nothings and self._send_old_values)
            return
        if self._send_old_values:
            olds = list(batch.old_values or [None] * len(batch))
            for row in failed:  # a record fails once: its old value is not asked for any more
                olds[row] = None
            result.old_values, failed_too = mapped(self._context, self._node, batch, self._compute, batch.keys, olds)
            failed = sorted({*failed, *failed_too})
        self._pass_on(kept(result, failed))

    def _pass_on(self, result: Batch) -> None:
        if self._drops_nothings and result.old_values is not None:
            pairs = zip(result.values, result.old_values, strict=True)
            result = result.select([new is not None or old is not None for new, old in pairs])
        if result.keys:
            self._emit(result)

    def close(self) -> None:
        """Nothing is held."""


def equal(one: Any, other: Any) -> bool:
    """Whether two keys are; those that cannot tell, as numpy's arrays, are taken for different ones."""
    try:
        return one is other or bool(one == other)
    except Exception:
        return False


def grouping_table(
    context: OperatorContext,
    node: str,
    function: Callable[[Any, Any], Any],
    emit: Emit,
    *,
    two_records: bool = False,
    versioned: bool = False,
) -> Emit:
    """A table's changes under other keys: function(key, value) -> (key, value).

    An update that keeps its key is one change (new, old); otherwise the old pair leaves first, then the new one comes.
    `two_records`: always two, as before Kafka 3.5. `versioned`: changes that are not the latest of their key are
    skipped. Pairs without key or value are skipped. The result's edge carries old values.
    """
    output = Output()

    def pair(key: Any, value: Any) -> tuple[Any, Any] | None:
        found = None if value is None else function(key, value)
        if found is None:
            return None
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(f"{node} expects its function to return a pair (key, value) or None, got {found!r}")
        return found if found[0] is not None and found[1] is not None else None

    def stage(batch: Batch) -> None:
        olds: Sequence[Any] = batch.old_values or [None] * len(batch)
        for row, (key, new, old, timestamp) in enumerate(
            zip(batch.keys, batch.values, olds, batch.timestamps, strict=True)
        ):
            if versioned and batch.latest is not None and not batch.latest[row]:
                continue
            try:
                new_pair, old_pair = pair(key, new), pair(key, old)
            except UNHANDLED:
                raise
            except Exception as error:
                report(context, node, batch, row, error)
                continue
            if new_pair and old_pair and not two_records and equal(new_pair[0], old_pair[0]):
                output.add(row, new_pair[0], new_pair[1], timestamp, old_pair[1])
                continue
            if old_pair:
                output.add(row, old_pair[0], None, timestamp, old_pair[1])
            if new_pair:
                output.add(row, new_pair[0], new_pair[1], timestamp, None)
        output.pass_on(batch, emit, old_values=True)

    return stage
