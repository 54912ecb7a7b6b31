"""Punctuators: callbacks on stream time or wall-clock time, on a grid of their interval.

Rules, as in Kafka: a punctuator fires when its due time is not after the clock, with the clock's time, once per check;
the next due time is the first point of its grid after the clock, so missed intervals are not made up for. On stream
time the grid starts at 0, so the first record ever seen fires it; one that starts at a given time goes on from the
present where that is past (KIP-1146). Whoever asks decides when to check.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from streams.java_queue import JavaQueue

Callback = Callable[[int], None]


class Punctuator:
    """One scheduled callback; `cancel` works at any time, also inside the callback."""

    __slots__ = ("_cancelled", "callback", "due", "interval_ms")

    def __init__(self, due: int, interval_ms: int, callback: Callback) -> None:
        self.due = due
        self.interval_ms = interval_ms
        self.callback = callback
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether it will never be called again."""
        return self._cancelled

    def cancel(self) -> None:
        """Never call it again."""
        self._cancelled = True

    def advance(self, now: int) -> None:
        """Move the due time to the first point of the grid after `now`."""
        missed = (now - self.due) // self.interval_ms
        self.due += self.interval_ms * (missed + 1)


class PunctuationQueue:
    """The punctuators of one task on one clock, by due time.

    Those that are due at the same time fire in the order in which Kafka Streams' java.util.PriorityQueue hands them out:
    by no rule of its own, but the same each time, and what they forward follows from it. So a cancelled one keeps its
    place until it is due.
    """

    def __init__(self) -> None:
        self._queue = JavaQueue[Punctuator](attrgetter("due"))

    def schedule(
        self, due: int, interval_ms: int, callback: Callback, start: int | None = None, now: int = 0
    ) -> Punctuator:
        """Call `callback(time)` first at `due`, then every `interval_ms`.

        With a `start` it is called at that time first, or, where that is before `now`, at the next point of its grid.
        """
        if interval_ms < 1:
            raise ValueError(f"a punctuator's interval must be at least 1 ms, not {interval_ms} ms")
        punctuator = Punctuator(due if start is None else start, interval_ms, callback)
        if start is not None and start < now:
            punctuator.advance(now)
        self._queue.offer(punctuator)
        return punctuator

    @property
    def due(self) -> int | None:
        """When the next punctuator falls due, also where it is cancelled by now; None when there is none."""
        first = self._queue.first
        return None if first is None else first.due

    def fire(self, now: int) -> int:
        """Call all that are due at `now`; the answer is how many were called."""
        fired = 0
        while (due := self.due) is not None and due <= now:
            punctuator = self._queue.poll()
            if punctuator.cancelled:
                continue
            punctuator.callback(now)
            fired += 1
            if not punctuator.cancelled:
                punctuator.advance(now)
                self._queue.offer(punctuator)
        return fired
