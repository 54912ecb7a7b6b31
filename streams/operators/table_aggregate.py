"""Aggregates of grouped tables: a row that changes is taken out of its old group and put into its new one.

Rules: the old value is subtracted if there is one and the group has an aggregate, then the new value is added if there
is one, from the initializer on where there is no aggregate. The result always passes on, a null one as tombstone; its
time is the later of the record's and the stored one's as soon as both played a part. Source: Kafka's KTableAggregate,
KTableReduce.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from state.copies import copied
from state.stores import StoreKind
from streams.operators.aggregate import LATEST, NOT_PUT, passes_on_itself
from streams.operators.base import Emit, OperatorContext
from streams.operators.causes import cause_of
from streams.operators.columns import UNHANDLED, Output, report, rows_of
from streams.operators.folding import Fold
from streams.record import Batch

__all__ = ["TableAggregate"]

Remove = Callable[[Any, Any, Any], Any]
"""function(key, value, aggregate) -> aggregate without the value"""


class TableAggregate:
    """Folds the changes of a grouped table."""

    def __init__(self, node: str, store: str, fold: Fold, remove: Remove, emit: Emit, *, send_old_values: bool) -> None:
        self._node = node
        self._store_name = store
        self._fold = fold
        self._remove = remove
        self._emit = emit
        self._send_old_values = send_old_values
        self._output = Output()

    def init(self, context: OperatorContext) -> None:
        """Take the store."""
        self._context = context
        self._store = context.store(self._store_name)
        self._cached = passes_on_itself(self._store, self._emit, old_values=self._send_old_values)
        self._versioned = self._store.spec.kind is StoreKind.VERSIONED_KEY_VALUE

    def process(self, batch: Batch) -> None:
        """Fold a batch of changes in."""
        olds = batch.old_values or [None] * len(batch)
        with self._store.flushes:
            for row, key, new, timestamp in rows_of(batch):
                try:
                    self._update(batch, row, key, new, olds[row], timestamp)
                except UNHANDLED:
                    raise
                except Exception as error:
                    self._store.flushes.tell()
                    report(self._context, self._node, batch, row, error)
        self._output.pass_on(batch, self._emit, old_values=self._send_old_values)

    def _update(self, batch: Batch, row: int, key: Any, new: Any, old: Any, timestamp: int) -> None:
        if key is None:
            raise ValueError("a grouped table has no null keys, but this change has one")
        stored = self._store.get(key)
        before, before_time = (None, -1) if stored is None else stored
        aggregate, combined = copied(before), False
        if old is not None and aggregate is not None:
            aggregate, combined = self._remove(key, old, aggregate), True
        if new is not None:
            combined = combined or aggregate is not None
            aggregate = self._fold.add(key, new, self._fold.initial() if aggregate is None else aggregate)
        latest = max(timestamp, before_time) if combined else timestamp
        time = latest if aggregate is not None or self._versioned else timestamp
        code = self._store.put(key, aggregate, time, cause_of(self._store, batch, row))
        if not self._cached and code != NOT_PUT:
            self._output.add(row, key, aggregate, latest, before, latest=code is None or code == LATEST)

    def close(self) -> None:
        """Nothing is held."""
