"""What all aggregates over windows share: the store, the loop over a batch, what is dropped, and how results pass on.

Rules: a record is taken in at the time this operator has observed, the highest timestamp it saw, this record's included
(it starts anew with the task); windows that end before observed - `open_ms` are closed. Records without a key are
dropped, and where children say so those without a value. Results pass on with every update, out of the record cache's
flush if there is one, or once when their window closes (`on_close`). What an aggregate of None deletes has the record's time
alone in the store, as in `aggregate`. Children know what a window is: `_update` takes a
record in, `_window_of` names the window of a key of the store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from state.stores import Flushed
from streams.operators.aggregate import flushed_batch
from streams.operators.base import Emit, OperatorContext
from streams.operators.columns import UNHANDLED, Output, Rows, report, rows_of
from streams.operators.emit_on_close import CloseReader
from streams.operators.folding import Fold
from streams.record import Batch, Windowed

__all__ = ["WindowedAggregate"]

LATE = "its window is closed: it is later than the grace allows; a longer grace= keeps such records"
NULL_KEY = "its key is null, and an aggregate needs one"
NULL = "its key or value is null, and an aggregate needs both"


class WindowedAggregate(ABC):
    """Folds a stream's records by key and window. `open_ms` is how far behind the observed time a window stays open."""

    _takes_null_values: ClassVar[bool] = True

    def __init__(
        self,
        node: str,
        store: str,
        fold: Fold,
        emit: Emit,
        *,
        open_ms: int,
        on_close: bool = False,
        send_old_values: bool = False,
    ) -> None:
        self._node = node
        self._store_name = store
        self._fold = fold
        self._emit = emit
        self._open_ms = open_ms
        self._on_close = on_close
        self._send_old_values = send_old_values
        self._observed = -1
        self._late = self._nulls = 0
        self._row = -1
        self._output = Output()

    def init(self, context: OperatorContext) -> None:
        """Take the store, and have its cache pass results on."""
        self._context = context
        self._store = context.store(self._store_name)
        self._emits = not self._on_close and not self._store.cached
        if self._on_close:
            self._closer = CloseReader(context, self._store_name)
        elif self._store.cached:
            self._store.set_flush_listener(self._pass_flushed, send_old_values=self._send_old_values)

    def process(self, batch: Batch) -> None:
        """Fold a batch in."""
        rows = rows_of(batch)
        self._row = -1
        with self._store.flushes:
            self._fold_to_end(batch, lambda: self._fold_rows(batch, rows))
        self._count_dropped()
        self._pass_on(batch)

    def close(self) -> None:  # noqa: B027  no child holds anything either
        """Nothing is held."""

    def _fold_to_end(self, batch: Batch, fold: Callable[[], None]) -> None:
        """Have `fold` go on with its rows after each that fails, which is `_row` then and is reported."""
        while True:
            try:
                fold()
                break
            except UNHANDLED:
                raise
            except Exception as error:
                self._store.flushes.tell()
                report(self._context, self._node, batch, self._row, error)

    def _fold_rows(self, batch: Batch, rows: Rows) -> None:
        """Take the rows in, until they end or user code raises; then `_row` is the one it raised for."""
        takes_null_values = self._takes_null_values
        for row, key, value, timestamp in rows:
            self._row = row
            if key is None or (value is None and not takes_null_values):
                self._nulls += 1
                continue
            if timestamp > self._observed:  # noqa: PLR1730  max() costs as much as the rest of the line's work
                self._observed = timestamp
            self._update(batch, row, key, value, timestamp)

    @abstractmethod
    def _update(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int) -> None:
        """Take one record in, and pass on what it closed."""

    @abstractmethod
    def _window_of(self, stored: Any) -> Windowed:
        """The window that a key of the store, as its flush gives it, stands for."""

    @property
    def _close_ms(self) -> int:
        """Windows that end before this time are closed."""
        return self._observed - self._open_ms

    def _pass_update(self, batch: Batch, row: int, window: Windowed, new: Any, timestamp: int, old: Any) -> None:
        if self._emits:
            self._pass(batch, row, window, new, timestamp, old)

    def _pass(self, batch: Batch, row: int, window: Windowed, new: Any, timestamp: int, old: Any = None) -> None:
        """Have a result passed on: at once where those behind may look into the store, which what comes next changes."""
        self._output.add(row, window, new, timestamp, old)
        if self._store.read_behind:
            self._pass_on(batch)

    def _pass_on(self, batch: Batch) -> None:
        self._output.pass_on(batch, self._emit, old_values=self._send_old_values)

    def _pass_flushed(self, flushed: Flushed) -> None:
        batch = flushed_batch(flushed, old_values=self._send_old_values)
        batch.keys = list(map(self._window_of, batch.keys))
        self._emit(batch)

    def _count_dropped(self) -> None:
        if self._nulls:
            self._context.dropped(self._node, self._nulls, NULL_KEY if self._takes_null_values else NULL)
        if self._late:
            self._context.dropped(self._node, self._late, LATE)
        self._nulls = self._late = 0
