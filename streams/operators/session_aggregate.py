"""Aggregates over sessions: windows of a key that grow while records come at most a gap apart.

Rules: a record at t meets the sessions that end at t - gap or later and start at t + gap or earlier. They become one:
the sessions' aggregates are merged, in the order of the store and beginning with the initializer's, then the record is
folded in. The old sessions leave as tombstones, each at its own end; the new one comes at its end. If even the merged
session has closed (end < observed - grace - gap), the record is dropped. Null keys are dropped, null values folded in.
Results carry headers only if a record cache passes them on. Source: Kafka's KStreamSessionWindowAggregate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from state.stores import Flushed
from streams.operators.aggregate import flushed_batch
from streams.operators.base import Emit, OperatorContext
from streams.operators.columns import UNHANDLED, Output, report, rows_of
from streams.operators.emit_on_close import CloseReader
from streams.operators.folding import Fold, copied
from streams.operators.window_aggregate import LATE, NULL_KEY
from streams.record import Batch, Windowed

__all__ = ["Merger", "SessionAggregate", "count_merger", "reduce_merger"]

Merger = Callable[[Any, Any, Any], Any]
"""function(key, aggregate, aggregate of a session) -> aggregate"""


def count_merger(_key: Any, one: int, other: int) -> int:
    """Counts add up."""
    return one + other


def reduce_merger(reducer: Callable[[Any, Any], Any]) -> Merger:
    """Aggregates are reduced like values; before the first there is None."""
    return lambda _key, one, other: other if one is None else reducer(one, other)


class SessionAggregate:
    """Folds a stream's records by key and session."""

    def __init__(
        self,
        node: str,
        store: str,
        fold: Fold,
        merger: Merger,
        emit: Emit,
        *,
        gap_ms: int,
        grace_ms: int,
        on_close: bool = False,
        send_old_values: bool = False,
    ) -> None:
        self._node = node
        self._store_name = store
        self._fold = fold
        self._merger = merger
        self._emit = emit
        self._gap_ms = gap_ms
        self._grace_ms = grace_ms
        self._on_close = on_close
        self._send_old_values = send_old_values
        self._observed = -1
        self._late = 0
        self._output = Output()

    def init(self, context: OperatorContext) -> None:
        """Take the store, and have its cache pass results on."""
        self._context = context
        self._store = context.store(self._store_name)
        self._emits = not self._on_close and not self._store.cached
        if self._on_close:
            self._closer = CloseReader(context, self._store_name)
        elif self._store.cached:
            self._store.set_flush_listener(self._flushed, send_old_values=self._send_old_values)

    def process(self, batch: Batch) -> None:
        """Fold a batch in."""
        rows = rows_of(batch)
        null_keys = 0
        while True:
            try:
                for row, key, value, timestamp in rows:
                    if key is None:
                        null_keys += 1
                        continue
                    self._observed = max(self._observed, timestamp)
                    close = self._observed - self._grace_ms - self._gap_ms
                    self._update(batch, row, key, value, timestamp, close)
                    if self._on_close:
                        self._pass_closed(row, close)
                break
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
        self._count_dropped(null_keys)
        self._output.pass_on(batch, self._emit, old_values=self._send_old_values, headers=self._on_close)

    def _count_dropped(self, null_keys: int) -> None:
        if null_keys:
            self._context.dropped(self._node, null_keys, NULL_KEY)
        if self._late:
            self._context.dropped(self._node, self._late, LATE)
            self._late = 0

    def _update(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int, close: int) -> None:
        start = end = timestamp
        aggregate = self._fold.initial()
        met = list(self._store.find_sessions(key, timestamp - self._gap_ms, timestamp + self._gap_ms))
        for session_start, session_end, session in met:
            aggregate = self._merger(key, aggregate, copied(session))
            start, end = min(start, session_start), max(end, session_end)
        if end < close:
            self._late += 1
            return
        aggregate = self._fold.add(key, value, aggregate)
        headers = batch.headers[row] if batch.headers else None
        if (start, end) != (timestamp, timestamp):
            for session_start, session_end, session in met:
                self._store.remove(key, session_start, session_end, headers, timestamp=timestamp)
                self._pass_update(row, Windowed(key, session_start, session_end), None, session)
        self._store.put(key, start, end, aggregate, headers, timestamp=timestamp)
        self._pass_update(row, Windowed(key, start, end), aggregate, None)

    def _pass_update(self, row: int, key: Windowed, new: Any, old: Any) -> None:
        if self._emits:
            self._output.add(row, key, new, key.end_ms, old)

    def _pass_closed(self, row: int, close: int) -> None:
        """Emit the sessions that this record closed, in the order of (end, start, key)."""
        if not self._closer.due(close) or close < 1:
            return
        for key, start, end, value in self._store.fetch_by_end(max(0, self._closer.last), close - 1):
            self._output.add(row, Windowed(key, start, end), value, end)
        self._closer.read_up_to(close)

    def _flushed(self, flushed: Flushed) -> None:
        batch = flushed_batch(flushed, old_values=self._send_old_values)
        batch.keys = [Windowed(*key) for key in batch.keys]
        batch.timestamps = [key.end_ms for key in batch.keys]
        self._emit(batch)

    def close(self) -> None:
        """Nothing is held."""
