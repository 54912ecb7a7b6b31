"""Faust's windows: which ranges of time a timestamp belongs to. Times are in seconds, as in Faust.

Rules: ranges are [start, end) with end = start + size - 0.1, which is how Faust writes them in keys of changelogs.
"""

from __future__ import annotations

from datetime import timedelta

from streams.compat.faust.errors import ImproperlyConfigured

Seconds = float | int | str | timedelta
Range = tuple[float, float]

_LAST = 0.1
"""Faust ends a range this much before the next begins."""


def seconds(duration: Seconds) -> float:
    """Seconds of what Faust takes for a duration: a number or a timedelta."""
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        raise ImproperlyConfigured(f"expected seconds or a timedelta, got {duration!r}")
    return float(duration)


class HoppingWindow:
    """Windows of `size` seconds, one beginning every `step`; kept for `expires` seconds, or for ever."""

    def __init__(self, size: Seconds, step: Seconds, expires: Seconds | None = None) -> None:
        self.size = seconds(size)
        self.step = seconds(step)
        self.expires = seconds(expires) if expires else None
        if not 0 < self.step <= self.size:
            raise ImproperlyConfigured(f"expected 0 < step <= size in seconds, got step {step!r} and size {size!r}")

    def ranges(self, timestamp: float) -> list[Range]:
        """All windows that a time belongs to, the earliest first."""
        first = int(self._earliest_start(timestamp))
        return [self._from(float(start)) for start in range(first, int(timestamp) + 1, max(1, int(self.step)))]

    def current(self, timestamp: float) -> Range:
        """The latest window that a time belongs to."""
        first = self._earliest_start(timestamp)
        return self._from(first + self.step * ((timestamp - first) // self.step))

    def delta(self, timestamp: float, duration: Seconds) -> Range:
        """The window `duration` before."""
        return self.current(timestamp - seconds(duration))

    def earliest(self, timestamp: float) -> Range:
        """The earliest window that a time belongs to."""
        return self._from(float(self._earliest_start(timestamp)))

    def stale(self, end: float, now: float) -> bool:
        """Whether a window that ends at `end` has expired."""
        return self.expires is not None and end <= self.current(now - self.expires)[0]

    def _earliest_start(self, timestamp: float) -> float:
        return timestamp // self.step * self.step - self.size + self.step

    def _from(self, start: float) -> Range:
        return start, start + self.size - _LAST


class TumblingWindow(HoppingWindow):
    """Windows of `size` seconds, one after another."""

    def __init__(self, size: Seconds, expires: Seconds | None = None) -> None:
        super().__init__(size, size, expires)
