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

from state.copies import copied
from state.stores import Flushed
from streams.operators.base import Emit
from streams.operators.causes import cause_of
from streams.operators.folding import Fold
from streams.operators.windowed_aggregate import WindowedAggregate
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


class SessionAggregate(WindowedAggregate):
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
        super().__init__(
            node, store, fold, emit, open_ms=grace_ms + gap_ms, on_close=on_close, send_old_values=send_old_values
        )
        self._merger = merger
        self._gap_ms = gap_ms

    def _update(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int) -> None:
        close = self._close_ms
        self._fold_in(batch, row, key, value, timestamp, close)
        if self._on_close:
            self._pass_closed(row, close)

    def _fold_in(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int, close: int) -> None:
        cause = cause_of(self._store, batch, row)
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
        if (start, end) != (timestamp, timestamp):
            for session_start, session_end, session in met:
                self._store.remove(key, session_start, session_end, cause, timestamp=timestamp)
                self._pass_update(batch, row, Windowed(key, session_start, session_end), None, session_end, session)
        self._store.put(key, start, end, aggregate, cause, timestamp=timestamp)
        self._pass_update(batch, row, Windowed(key, start, end), aggregate, end, None)

    def _pass_closed(self, row: int, close: int) -> None:
        """Emit the sessions that this record closed, in the order of (end, start, key)."""
        if not self._closer.due(close) or close < 1:
            return
        for key, start, end, value in self._store.fetch_by_end(max(0, self._closer.last), close - 1):
            self._output.add(row, Windowed(key, start, end), value, end)
        self._closer.read_up_to(close)

    def _window_of(self, stored: Any) -> Windowed:
        return Windowed(*stored)

    def _pass_on(self, batch: Batch) -> None:
        self._output.pass_on(batch, self._emit, old_values=self._send_old_values, headers=self._on_close)

    def _pass_flushed(self, flushed: Flushed) -> None:
        """As for all windows, each result at the end of its session."""
        causes = flushed.causes
        if causes and self._store.spec.format_bytes:  # Kafka takes the headers from the value, which has none
            causes = [cause and ((), *cause[1:]) for cause in causes]
        super()._pass_flushed(flushed._replace(timestamps=[end for _, _, end in flushed.keys], causes=causes))
