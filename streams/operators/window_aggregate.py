"""Aggregates over time windows: tumbling, hopping, unlimited, and of a user's own.

Rules: a record belongs to every window [start, start + size) that holds its timestamp, in ascending order; null keys
are dropped, null values are folded in. A window is closed when its end is not after observed - grace, where observed is
the highest timestamp this operator saw (this record's included; it starts anew with the task); closed windows drop the
record, which is counted. Results pass on with every update, or once when their window closes (`emit_on_close`).
Source: Kafka's KStreamWindowAggregate, TimeWindows.windowsFor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain, islice
from types import NoneType
from typing import Any

from state.copies import IMMUTABLE, copied
from state.stores import Cause
from streams.operators.base import Emit, OperatorContext
from streams.operators.causes import cause_of, causes_of
from streams.operators.columns import Rows, rows_of
from streams.operators.folding import Fold, held_add
from streams.operators.held_updates import UNTOUCHED, HeldWindows, Unwritable
from streams.operators.reading import copier_for
from streams.operators.windowed_aggregate import WindowedAggregate
from streams.record import Batch, Windowed

__all__ = ["UNLIMITED_END_MS", "CustomWindowAggregate", "TimeWindowAggregate", "starts_of"]

UNLIMITED_END_MS = 2**63 - 1


def starts_of(timestamp: int, size_ms: int, advance_ms: int) -> Iterable[int]:
    """The starts of the windows that hold `timestamp`, ascending."""
    first = max(0, timestamp - size_ms + advance_ms) // advance_ms * advance_ms
    return range(first, timestamp + 1, advance_ms)


class TimeWindowAggregate(WindowedAggregate):
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
        super().__init__(node, store, fold, emit, open_ms=grace_ms, on_close=on_close, send_old_values=send_old_values)
        self._size_ms = size_ms
        self._advance_ms = advance_ms
        self._start_ms = start_ms
        self._copier = copier_for(fold.add)

    def init(self, context: OperatorContext) -> None:
        """Take the store, and have its cache pass results on."""
        assert self._size_ms is not None or not self._on_close, "a window without end never closes"
        super().init(context)

    def _fold_rows(self, batch: Batch, rows: Rows) -> None:
        if self._size_ms == self._advance_ms and not self._on_close and not batch.headers and not batch.topics:
            causes = causes_of(self._store, batch)
            if not self._emits and self._store.holds_updates:
                self._fold_held(batch, rows, causes)
            self._fold_tumbling(rows, causes)
        else:
            super()._fold_rows(batch, rows)

    def _fold_tumbling(self, rows: Rows, causes: list[Cause] | None) -> None:
        """Fold the rows into tumbling windows: the same as by `_update`, without a call per record."""
        size, grace, observed = self._advance_ms, self._open_ms, self._observed
        fetch, put, add, initial = self._store.fetch, self._store.put, self._fold.add, self._fold.initial
        emits, output = self._emits, self._output.add
        row, start, end, closing = -1, 0, 0, 0
        try:
            for row, key, value, timestamp in rows:
                if key is None:
                    self._nulls += 1
                    continue
                if timestamp > observed:  # noqa: PLR1730  max() costs as much as the rest of the line's work
                    observed = timestamp
                if not start <= timestamp < end:  # else the window is that of the record before, as mostly
                    start = timestamp - timestamp % size
                    end = start + size
                    closing = end + grace
                if closing <= observed:
                    self._late += 1
                    continue
                stored = fetch(key, start)
                old, before = (initial(), timestamp) if stored is None else stored
                new = add(key, value, old if old.__class__ in IMMUTABLE else copied(old))
                latest = before if before > timestamp else timestamp  # noqa: FURB136  as above
                put(key, new, start, timestamp if new is None else latest, causes[row] if causes else None)
                if emits:
                    output(row, Windowed(key, start, end), new, latest, old)
        finally:
            self._row, self._observed = row, observed

    def _fold_held(self, batch: Batch, rows: Rows, causes: list[Cause] | None) -> None:
        """As `_fold_tumbling`, as far as updates of a window may be held back (see `held_updates`).

        Where what is put cannot be written, the rows that were held are folded in one by one; the user's functions are
        called again for them.
        """
        held = HeldWindows(self._store, causes, (self._row + 1, self._observed, self._nulls, self._late))
        try:
            rows = self._hold_window(held, batch.timestamps, rows, causes)
            if self._store.holds_updates:
                self._hold(held, rows, causes)
        except Unwritable:
            stop = self._row + 1
            first, self._observed, self._nulls, self._late = held.begun
            again = islice(rows_of(batch), first, stop)
            self._fold_to_end(batch, lambda: self._fold_tumbling(again, causes))

    def _hold_window(self, held: HeldWindows, times: list[int], rows: Rows, causes: list[Cause] | None) -> Rows:
        """As `_hold`, where all rows lie in one window that is open, as mostly: nothing has to be asked of each one's time.

        The answer are the rows that are left: from the first on whose key is not known, or behind a deletion. `times` are
        those of all rows.
        """
        store, begun, observed = self._store, self._row + 1, self._observed
        first, last = min(times, default=0), max(times, default=0)
        start = last - last % self._advance_ms
        if first < start or start + self._advance_ms + self._open_ms <= observed:
            return rows
        known, add, cells = store.known, held_add(self._fold, store), held.cells_of(start)
        row, kind, copier, copy = self._row, NoneType, self._copier, None
        try:
            for row, key, value, timestamp in rows:
                cell = cells.get(key)
                if cell is None:
                    stored = known((key, start))
                    if stored is None:
                        rows = chain([(row, key, value, timestamp)], rows)
                        row -= 1  # noqa: PLW2901  it is not done
                        break
                    cell = cells[key] = [*stored, (key, start), UNTOUCHED]
                old = cell[0]
                if old.__class__ is not kind:
                    kind = old.__class__
                    copy = copier(kind)
                new = add(key, value, old if copy is None else copy(old))
                if new is None:
                    held.put(row)
                    held.begun = row + 1, max([observed, *times[begun : row + 1]]), self._nulls, self._late
                    store.put(key, None, start, timestamp, causes[row] if causes else None)
                    break
                cell[0], cell[3] = new, row
                if timestamp > cell[1]:  # noqa: PLR1730  as above
                    cell[1] = timestamp
        except Exception:
            held.put(row)
            with suppress(TypeError):  # of what is no key
                store.fetch(key, start)  # no put follows, so this time it was a use
            raise
        finally:
            self._row, self._observed = row, max([observed, *times[begun : row + 1]])
        return rows

    def _hold(self, held: HeldWindows, rows: Rows, causes: list[Cause] | None) -> None:
        """Have the rows held, until they end or user code raises. Raises: Unwritable, and `_row` is the last one then."""
        store = self._store
        size, grace, observed = self._advance_ms, self._open_ms, self._observed
        known, add, initial = store.known, held_add(self._fold, store), self._fold.initial
        row, start, end, closing, cells, entry = self._row, 0, 0, 0, held.cells_of(0), None
        kind, copier, copy = NoneType, self._copier, None
        try:
            for row, key, value, timestamp in rows:
                entry = None
                if key is None:
                    self._nulls += 1
                    continue
                if timestamp > observed:  # noqa: PLR1730  as above
                    observed = timestamp
                if not start <= timestamp < end:  # as above
                    start = timestamp - timestamp % size
                    end = start + size
                    closing = end + grace
                    cells = held.cells_of(start)
                if closing <= observed:
                    self._late += 1
                    continue
                cell = cells.get(key)
                if cell is not None:
                    old, before, entry, _ = cell
                else:
                    entry = key, start
                    stored = known(entry)
                    new_here = stored is None
                    if new_here:
                        stored = store.fetch(key, start)
                    old, before = (initial(), timestamp) if stored is None else stored
                if old.__class__ is not kind:
                    kind = old.__class__
                    copy = copier(kind)
                new = add(key, value, old if copy is None else copy(old))
                latest = before if before > timestamp else timestamp  # noqa: FURB136  as above
                if new is not None:
                    if cell is not None:
                        cell[0], cell[1], cell[3] = new, latest, row
                        continue
                    if not new_here or held.has_room_for(entry, new):
                        cells[key] = [new, latest, entry, row]
                        continue
                held.put(row)
                cells = held.cells_of(start)
                held.begun = row + 1, observed, self._nulls, self._late
                store.put(key, new, start, timestamp if new is None else latest, causes[row] if causes else None)
                if not store.holds_updates:
                    return
        except Exception:
            held.put(row)
            if entry is not None:
                store.fetch(*entry)  # no put follows, so this time it was a use
            raise
        finally:
            self._row, self._observed = row, observed
            held.put(row)

    def _update(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int) -> None:
        if self._size_ms is None:
            if timestamp >= self._start_ms:
                self._fold_in(batch, row, key, value, timestamp, self._start_ms, UNLIMITED_END_MS)
            return
        close = self._close_ms
        for start in starts_of(timestamp, self._size_ms, self._advance_ms):
            end = start + self._size_ms
            if end > close:
                self._fold_in(batch, row, key, value, timestamp, start, end)
            else:
                self._late += 1
        if self._on_close:
            self._pass_closed(batch, row, close)

    def _fold_in(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int, start: int, end: int) -> None:
        stored = self._store.fetch(key, start)
        if stored is None:
            old, latest = self._fold.initial(), timestamp
        else:
            old, before = stored
            latest = max(timestamp, before)
        mine = old if old.__class__ in IMMUTABLE else copied(old)
        new = self._fold.add(key, value, mine)
        time = timestamp if new is None else latest
        self._store.put(key, new, start, time, cause_of(self._store, batch, row))
        self._pass_update(batch, row, Windowed(key, start, end), new, latest, old)

    def _pass_closed(self, batch: Batch, row: int, close: int) -> None:
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
            self._pass(batch, row, Windowed(key, start, start + size), value, timestamp)
        self._closer.read_up_to(close)

    def _window_of(self, stored: Any) -> Windowed:
        key, start = stored
        return Windowed(key, start, UNLIMITED_END_MS if self._size_ms is None else start + self._size_ms)


class CustomWindowAggregate(TimeWindowAggregate):
    """Folds a stream's records into the windows that a function of the user's chooses. Source: Kafka's own Windows.

    What a record cache lets go has ends by `size_ms`, since a store knows starts only.
    """

    def __init__(
        self,
        node: str,
        store: str,
        fold: Fold,
        emit: Emit,
        *,
        of_time: Callable[[int], list[tuple[int, int]]],
        size_ms: int,
        grace_ms: int,
        send_old_values: bool = False,
    ) -> None:
        super().__init__(node, store, fold, emit, size_ms=size_ms, grace_ms=grace_ms, send_old_values=send_old_values)
        self._of_time = of_time

    def _update(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int) -> None:
        close = self._close_ms
        for start, end in self._of_time(timestamp):
            if end > close:
                self._fold_in(batch, row, key, value, timestamp, start, end)
            else:
                self._late += 1


def any_start(first: int, last: int, advance_ms: int) -> bool:
    """Whether a window starts within [first, last]."""
    return last // advance_ms * advance_ms >= first
