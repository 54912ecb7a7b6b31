"""Aggregates over time windows: tumbling, hopping and unlimited.

Rules: a record belongs to every window [start, start + size) that holds its timestamp, in ascending order; null keys
are dropped, null values are folded in. A window is closed when its end is not after observed - grace, where observed is
the highest timestamp this operator saw (this record's included; it starts anew with the task); closed windows drop the
record, which is counted. Results pass on with every update, or once when their window closes (`emit_on_close`).
Source: Kafka's KStreamWindowAggregate, TimeWindows.windowsFor.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from state.stores import Flushed
from streams.operators.aggregate import flushed_batch
from streams.operators.base import Emit, OperatorContext
from streams.operators.columns import UNHANDLED, Output, Rows, report, rows_of
from streams.operators.emit_on_close import CloseReader
from streams.operators.folding import IMMUTABLE, Fold, copied
from streams.record import Batch, Windowed

__all__ = ["UNLIMITED_END_MS", "TimeWindowAggregate", "starts_of"]

UNLIMITED_END_MS = 2**63 - 1

LATE = "its window is closed: it is later than the grace allows"
NULL_KEY = "its key is null, and an aggregate needs one"


def starts_of(timestamp: int, size_ms: int, advance_ms: int) -> Iterable[int]:
    """The starts of the windows that hold `timestamp`, ascending."""
    first = max(0, timestamp - size_ms + advance_ms) // advance_ms * advance_ms
    return range(first, timestamp + 1, advance_ms)


class TimeWindowAggregate:
    """Folds a stream's records by key and time window. Without a `size_ms` there is one window from `start_ms` on."""

    def __init__(
        self,
        node: str,
        store: str,
        fold: Fold,
        emit: Emit,
        *,
        size_ms: int | None,
        advance_ms: int = 0,
        grace_ms: int = 0,
        start_ms: int = 0,
        on_close: bool = False,
        send_old_values: bool = False,
    ) -> None:
        self._node = node
        self._store_name = store
        self._fold = fold
        self._emit = emit
        self._size_ms = size_ms
        self._advance_ms = advance_ms
        self._grace_ms = grace_ms
        self._start_ms = start_ms
        self._on_close = on_close
        self._send_old_values = send_old_values
        self._observed = -1
        self._late = self._null_keys = 0
        self._row = -1
        self._output = Output()

    def init(self, context: OperatorContext) -> None:
        """Take the store, and have its cache pass results on."""
        self._context = context
        self._store = context.store(self._store_name)
        self._emits = not self._on_close and not self._store.cached
        if self._on_close:
            assert self._size_ms is not None, "a window without end never closes"
            self._closer = CloseReader(context, self._store_name)
        elif self._store.cached:
            self._store.set_flush_listener(self._flushed, send_old_values=self._send_old_values)

    def process(self, batch: Batch) -> None:
        """Fold a batch in."""
        simple = self._size_ms == self._advance_ms and not self._on_close and not batch.headers
        fold = self._fold_tumbling if simple else self._fold_any
        rows = rows_of(batch)
        while True:
            try:
                fold(batch, rows)
                break
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, self._row, error)
        self._count_dropped()
        self._output.pass_on(batch, self._emit, old_values=self._send_old_values)

    def _count_dropped(self) -> None:
        if self._null_keys:
            self._context.dropped(self._node, self._null_keys, NULL_KEY)
        if self._late:
            self._context.dropped(self._node, self._late, LATE)
        self._null_keys = self._late = 0

    def _fold_tumbling(self, batch: Batch, rows: Rows) -> None:
        """Fold the rows into tumbling windows: what `_fold_any` does, without a call per record."""
        del batch
        size, grace, observed = self._advance_ms, self._grace_ms, self._observed
        fetch, put, add, initial = self._store.fetch, self._store.put, self._fold.add, self._fold.initial
        emits, output = self._emits, self._output.add
        row = -1
        try:
            for row, key, value, timestamp in rows:
                if key is None:
                    self._null_keys += 1
                    continue
                if timestamp > observed:  # noqa: PLR1730  max() costs as much as the rest of the line's work
                    observed = timestamp
                start = timestamp - timestamp % size
                if start + size <= observed - grace:
                    self._late += 1
                    continue
                stored = fetch(key, start)
                old, before = (initial(), timestamp) if stored is None else stored
                new = add(key, value, old if old.__class__ in IMMUTABLE else copied(old))
                latest = before if before > timestamp else timestamp  # noqa: FURB136  as above
                put(key, new, start, latest)
                if emits:
                    output(row, Windowed(key, start, start + size), new, latest, old)
        finally:
            self._row, self._observed = row, observed

    def _fold_any(self, batch: Batch, rows: Rows) -> None:
        for row, key, value, timestamp in rows:
            self._row = row
            if key is None:
                self._null_keys += 1
            else:
                self._update_all(batch, row, key, value, timestamp)

    def _update_all(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int) -> None:
        self._observed = max(self._observed, timestamp)
        close = self._observed - self._grace_ms
        if self._size_ms is None:
            if timestamp >= self._start_ms:
                self._fold_in(batch, row, key, value, timestamp, self._start_ms, UNLIMITED_END_MS)
            return
        for start in starts_of(timestamp, self._size_ms, self._advance_ms):
            end = start + self._size_ms
            if end > close:
                self._fold_in(batch, row, key, value, timestamp, start, end)
            else:
                self._late += 1
        if self._on_close:
            self._pass_closed(row, close)

    def _fold_in(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int, start: int, end: int) -> None:
        stored = self._store.fetch(key, start)
        if stored is None:
            old = self._fold.initial()
        else:
            old, before = stored
            timestamp = max(timestamp, before)
        mine = old if old.__class__ in IMMUTABLE else copied(old)
        new = self._fold.add(key, value, mine)
        self._store.put(key, new, start, timestamp, batch.headers[row] if batch.headers else None)
        if self._emits:
            self._output.add(row, Windowed(key, start, end), new, timestamp, old)
            if len(batch) == 1:  # those downstream may read the store, and its next window makes others expire
                self._output.pass_on(batch, self._emit, old_values=self._send_old_values)

    def _pass_closed(self, row: int, close: int) -> None:
        """Emit the windows that this record closed, in the order of (start, key).

        Source: Kafka's KStreamWindowAggregate.maybeForwardFinalResult: the range is skipped when no window starts in it.
        """
        assert self._size_ms is not None, "checked at init"
        if not self._closer.due(close):
            return
        size = self._size_ms
        first = 0 if self._closer.last == -1 else max(0, self._closer.last - size) + 1
        last = close - size
        if last < 0 or not any_start(first, last, self._advance_ms):
            return
        for (key, start), (value, timestamp) in self._store.fetch_by_start(first, last):
            self._output.add(row, Windowed(key, start, start + size), value, timestamp)
        self._closer.read_up_to(close)

    def _flushed(self, flushed: Flushed) -> None:
        batch = flushed_batch(flushed, old_values=self._send_old_values)
        if self._size_ms is None:
            batch.keys = [Windowed(key, start, UNLIMITED_END_MS) for key, start in batch.keys]
        else:
            size = self._size_ms
            batch.keys = [Windowed(key, start, start + size) for key, start in batch.keys]
        self._emit(batch)

    def close(self) -> None:
        """Nothing is held."""


def any_start(first: int, last: int, advance_ms: int) -> bool:
    """Whether a window starts within [first, last]."""
    return last // advance_ms * advance_ms >= first
