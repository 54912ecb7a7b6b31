"""Aggregates over sliding windows: one window [t - difference, t] or [t + 1, t + 1 + difference] per set of records.

A record at t makes its left window, which ends with it; it makes the right window of the record before it, if it falls
into that; and its own right window, if later records are there already. All windows around t are updated. Records below
`difference` share one window [0, difference]. Null keys and values are dropped. A window is closed when its end lies
before observed - grace. The time stored with a window is that of its latest record: the algorithm relies on it.
Source: Kafka's KStreamSlidingWindowAggregate (its reverse scan, which all its stores support).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from state.stores import Flushed, ValueAndTimestamp
from streams.operators.aggregate import flushed_batch
from streams.operators.base import Emit, OperatorContext
from streams.operators.columns import UNHANDLED, Output, report, rows_of
from streams.operators.emit_on_close import CloseReader
from streams.operators.folding import Fold, copied
from streams.operators.window_aggregate import LATE
from streams.record import Batch, Windowed

__all__ = ["SlidingAggregate"]

NULL = "its key or value is null, and an aggregate needs both"


@dataclass(slots=True)
class Surroundings:
    """What a scan around a record found: windows that exist, and aggregates that new windows begin with."""

    starts: set[int] = field(default_factory=set)
    left: ValueAndTimestamp | None = None
    right: ValueAndTimestamp | None = None
    left_exists: bool = False
    right_exists: bool = False
    previous: int | None = None
    combined: ValueAndTimestamp | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """The record in hand. `close`: windows that end before it are closed."""

    row: int
    key: Any
    value: Any
    timestamp: int
    headers: Any
    close: int


class SlidingAggregate:
    """Folds a stream's records by key and sliding window."""

    def __init__(
        self,
        node: str,
        store: str,
        fold: Fold,
        emit: Emit,
        *,
        difference_ms: int,
        grace_ms: int,
        on_close: bool = False,
        send_old_values: bool = False,
    ) -> None:
        self._node = node
        self._store_name = store
        self._fold = fold
        self._emit = emit
        self._difference_ms = difference_ms
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
        nulls = 0
        while True:
            try:
                for row, key, value, timestamp in rows:
                    if key is None or value is None:
                        nulls += 1
                        continue
                    headers = batch.headers[row] if batch.headers else None
                    self._observed = max(self._observed, timestamp)
                    close = self._observed - self._grace_ms
                    self._take(Input(row, key, value, timestamp, headers, close))
                break
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
        self._count_dropped(nulls)
        self._output.pass_on(batch, self._emit, old_values=self._send_old_values)

    def _count_dropped(self, nulls: int) -> None:
        if nulls:
            self._context.dropped(self._node, nulls, NULL)
        if self._late:
            self._context.dropped(self._node, self._late, LATE)
            self._late = 0

    def _take(self, record: Input) -> None:
        if record.timestamp + self._difference_ms < record.close:
            self._late += 1
        elif record.timestamp < self._difference_ms:
            self._take_early(record)
        else:
            found = self._update_around(record)
            if found is not None:
                self._create(record, found)
            if self._on_close:
                self._pass_closed(record)

    # Records from `difference` on

    def _update_around(self, record: Input) -> Surroundings | None:
        """Update the windows around a record, latest first; None when a record of the same time was there before."""
        found = Surroundings()
        timestamp, first = record.timestamp, max(0, record.timestamp - 2 * self._difference_ms)
        for start, stored in self._store.backward_fetch_range(record.key, first, timestamp + 1):
            found.starts.add(start)
            end, latest = start + self._difference_ms, stored[1]
            if start == timestamp + 1:
                found.right_exists = True
            elif end > timestamp:
                found.right = found.right or stored
                self._update(record, start, stored)
            elif end == timestamp:
                found.left_exists = True
                self._update(record, start, stored)
                if latest >= timestamp:
                    return None
                found.previous = latest
            else:
                found.left, found.previous = stored, latest
                break
        return found

    def _create(self, record: Input, found: Surroundings) -> None:
        """Make the windows that a record brings about."""
        timestamp, difference = record.timestamp, self._difference_ms
        after_previous = -1 if found.previous is None else found.previous + 1
        if (
            found.previous is not None
            and after_previous not in found.starts
            and after_previous + difference >= timestamp
        ):
            self._update(record, after_previous, None)
        if not found.left_exists:
            meets_previous = found.previous is not None and timestamp - difference <= found.previous
            begun = found.left if meets_previous else None
            self._update(record, timestamp - difference, begun and ValueAndTimestamp(begun[0], timestamp))
        self._create_right(record, found)

    def _create_right(self, record: Input, found: Surroundings) -> None:
        """Make the window behind a record, when it is not empty: a copy of an aggregate that holds later records."""
        if found.right_exists or found.right is None or found.right[1] <= record.timestamp:
            return
        value, latest = found.right
        start = record.timestamp + 1
        self._store.put(record.key, value, start, latest, record.headers)
        self._pass_update(record, start, value, latest, None)

    # Records below `difference`

    def _take_early(self, record: Input) -> None:
        found = Surroundings()
        for start, stored in self._store.fetch_range(record.key, 0, record.timestamp + 1):
            found.starts.add(start)
            if start == 0:
                found.combined = stored
                if stored[1] < record.timestamp:
                    found.previous = stored[1]
            elif start <= record.timestamp:
                found.right = stored
                self._update(record, start, stored)
            else:
                found.right_exists = True
        if found.right is None and found.combined is not None and found.combined[1] > record.timestamp:
            found.right = found.combined
        self._create_right(record, found)
        if found.previous is not None and found.previous + 1 not in found.starts:
            self._update(record, found.previous + 1, None)
        self._update(record, 0, found.combined)

    # One window

    def _update(self, record: Input, start: int, stored: ValueAndTimestamp | None) -> None:
        """Fold the record into a window that is still open; without `stored` the window is new."""
        if start + self._difference_ms < record.close:
            self._late += 1
            return
        old, before = (self._fold.initial(), record.timestamp) if stored is None else stored
        new = self._fold.add(record.key, record.value, copied(old))
        latest = record.timestamp if old is None else max(record.timestamp, before)
        self._store.put(record.key, new, start, latest, record.headers)
        self._pass_update(record, start, new, latest, old)

    def _pass_update(self, record: Input, start: int, new: Any, timestamp: int, old: Any) -> None:
        if self._emits:
            window = Windowed(record.key, start, start + self._difference_ms)
            self._output.add(record.row, window, new, timestamp, old)

    def _pass_closed(self, record: Input) -> None:
        """Emit the windows that this record closed, in the order of (start, key)."""
        close = record.close
        last = close - self._difference_ms - 1
        if not self._closer.due(close) or last < 0:
            return
        first = max(0, self._closer.last - self._difference_ms)
        for (key, start), (value, timestamp) in self._store.fetch_by_start(first, last):
            self._output.add(record.row, Windowed(key, start, start + self._difference_ms), value, timestamp)
        self._closer.read_up_to(close)

    def _flushed(self, flushed: Flushed) -> None:
        batch = flushed_batch(flushed, old_values=self._send_old_values)
        batch.keys = [Windowed(key, start, start + self._difference_ms) for key, start in batch.keys]
        self._emit(batch)

    def close(self) -> None:
        """Nothing is held."""
