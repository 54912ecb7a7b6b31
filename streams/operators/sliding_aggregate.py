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

from state.copies import copied
from state.stores import Cause, ValueAndTimestamp
from streams.operators.base import Emit
from streams.operators.causes import cause_of
from streams.operators.folding import Fold
from streams.operators.windowed_aggregate import WindowedAggregate
from streams.record import Batch, Windowed

__all__ = ["SlidingAggregate"]


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

    batch: Batch
    row: int
    key: Any
    value: Any
    timestamp: int
    cause: Cause | None
    close: int


class SlidingAggregate(WindowedAggregate):
    """Folds a stream's records by key and sliding window."""

    _takes_null_values = False

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
        super().__init__(node, store, fold, emit, open_ms=grace_ms, on_close=on_close, send_old_values=send_old_values)
        self._difference_ms = difference_ms

    def _update(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int) -> None:
        self._take(Input(batch, row, key, value, timestamp, cause_of(self._store, batch, row), self._close_ms))

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
                self._update_window(record, start, stored)
            elif end == timestamp:
                found.left_exists = True
                self._update_window(record, start, stored)
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
            self._update_window(record, after_previous, None)
        if not found.left_exists:
            meets_previous = found.previous is not None and timestamp - difference <= found.previous
            begun = found.left if meets_previous else None
            self._update_window(record, timestamp - difference, begun and ValueAndTimestamp(begun[0], timestamp))
        self._create_right(record, found)

    def _create_right(self, record: Input, found: Surroundings) -> None:
        """Make the window behind a record, when it is not empty: a copy of an aggregate that holds later records."""
        if found.right_exists or found.right is None or found.right[1] <= record.timestamp:
            return
        value, latest = found.right
        start = record.timestamp + 1
        self._store.put(record.key, value, start, latest, record.cause)
        self._pass_window(record, start, value, latest, None)

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
                self._update_window(record, start, stored)
            else:
                found.right_exists = True
        if found.right is None and found.combined is not None and found.combined[1] > record.timestamp:
            found.right = found.combined
        self._create_right(record, found)
        if found.previous is not None and found.previous + 1 not in found.starts:
            self._update_window(record, found.previous + 1, None)
        self._update_window(record, 0, found.combined)

    # One window

    def _update_window(self, record: Input, start: int, stored: ValueAndTimestamp | None) -> None:
        """Fold the record into a window that is still open; without `stored` the window is new."""
        if start + self._difference_ms < record.close:
            self._late += 1
            return
        old, before = (self._fold.initial(), record.timestamp) if stored is None else stored
        new = self._fold.add(record.key, record.value, copied(old))
        latest = record.timestamp if old is None else max(record.timestamp, before)
        time = record.timestamp if new is None else latest
        self._store.put(record.key, new, start, time, record.cause)
        self._pass_window(record, start, new, latest, old)

    def _pass_window(self, record: Input, start: int, new: Any, timestamp: int, old: Any) -> None:
        window = Windowed(record.key, start, start + self._difference_ms)
        self._pass_update(record.batch, record.row, window, new, timestamp, old)

    def _pass_closed(self, record: Input) -> None:
        """Emit the windows that this record closed, in the order of (start, key)."""
        close = record.close
        last = close - self._difference_ms - 1
        if not self._closer.due(close) or last < 0:
            return
        first = max(0, self._closer.last - self._difference_ms)
        for (key, start), (value, timestamp) in self._store.fetch_by_start(first, last):
            window = Windowed(key, start, start + self._difference_ms)
            self._pass(record.batch, record.row, window, value, timestamp)
        self._closer.read_up_to(close)

    def _window_of(self, stored: Any) -> Windowed:
        key, start = stored
        return Windowed(key, start, start + self._difference_ms)
