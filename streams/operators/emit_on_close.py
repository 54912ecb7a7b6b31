"""Emit on close: how far closed windows have been read, and when to read again.

Rules: at most one attempt per throttle interval of wall-clock time (none under the driver), and only when the close
time moved on. How far reading came is kept with the committed offsets, so that nothing is emitted twice after a
restart. Source: Kafka's AbstractKStreamTimeWindowAggregateProcessor.shouldEmitFinal.
"""

from __future__ import annotations

from streams.operators.base import OperatorContext

__all__ = ["CloseReader"]


class CloseReader:
    """The close time of the last read, -1 before the first."""

    def __init__(self, context: OperatorContext, store: str) -> None:
        self._context = context
        self._store = store
        self._next_ms = 0
        remembered = context.remembered(store)
        self.last = -1 if remembered is None else remembered

    def due(self, close_ms: int) -> bool:
        """Whether to try now; a try starts the next throttle interval."""
        now = self._context.now_ms()
        if now < self._next_ms:
            return False
        self._next_ms = now + self._context.emit_throttle_ms()
        return self.last == -1 or self.last < close_ms

    def read_up_to(self, close_ms: int) -> None:
        """Everything that closed before `close_ms` is read."""
        self.last = close_ms
        self._context.remember(self._store, close_ms)
