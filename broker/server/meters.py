"""What is used, measured against a limit: a rate over the last windows, or the tokens of a bucket.

Both say after how many ms, without more use, it would be within the limit again. Times are ms of any clock that only goes on.
Must not know who uses what.
Source: Kafka's Rate, SampledStat, TokenBucket and QuotaUtils.
"""

import math
from typing import NamedTuple, Protocol


class Windows(NamedTuple):
    """Over how much time usage is averaged: `number` windows, the one under way among them, of `size_ms` each."""

    number: int
    size_ms: int


class Counter(Protocol):
    """What was used."""

    used_at_ms: int

    def record(self, value: float, limit: float, now_ms: int) -> None:
        """That much more was used."""
        ...

    def over_ms(self, limit: float, now_ms: int) -> int:
        """After how long, without more use, it is within the limit; 0 if it is."""
        ...


class _Window:
    """A piece of time and what was used in it."""

    __slots__ = ("start_ms", "used_at_ms", "value")

    def __init__(self, now_ms: int) -> None:
        self.restart(now_ms)

    def restart(self, now_ms: int) -> None:
        self.value = 0.0
        self.start_ms = self.used_at_ms = now_ms


class Rate:
    """Use per second. A client that is new, or was silent, counts as one that used nothing in the windows before."""

    __slots__ = ("_at", "_kept", "_windows", "used_at_ms")

    def __init__(self, windows: Windows, now_ms: int) -> None:
        self._windows = windows
        self._kept: list[_Window] = []
        self._at = 0
        self.used_at_ms = now_ms

    def record(self, value: float, limit: float, now_ms: int) -> None:
        """That much more was used."""
        del limit
        if not self._kept:
            self._kept.append(_Window(now_ms))
        window = self._kept[self._at]
        if now_ms - window.start_ms >= self._windows.size_ms:
            window = self._next(now_ms)
        window.value += value
        window.used_at_ms = self.used_at_ms = now_ms

    def _next(self, now_ms: int) -> _Window:
        """Kept is one more than counts: the oldest reaches into the time that counts when the newest begins."""
        self._at = (self._at + 1) % (self._windows.number + 1)
        if self._at == len(self._kept):
            self._kept.append(_Window(now_ms))
        else:
            self._kept[self._at].restart(now_ms)
        return self._kept[self._at]

    def over_ms(self, limit: float, now_ms: int) -> int:
        """After how long, without more use, it is within the limit; 0 if it is."""
        number, size_ms = self._windows
        for window in self._kept:
            if now_ms - window.used_at_ms >= number * size_ms:
                window.restart(now_ms)
        elapsed_ms = now_ms - min(window.start_ms for window in self._kept)
        elapsed_ms += max(number - 1 - elapsed_ms // size_ms, 0) * size_ms
        rate = sum(window.value for window in self._kept) * 1000 / elapsed_ms
        return _rounded((rate - limit) / limit * elapsed_ms) if rate > limit else 0


class TokenBucket:
    """Tokens flow in at the limit, up to as many as all windows bring; use takes them out, and may leave less than none."""

    __slots__ = ("_tokens", "_windows", "used_at_ms")

    def __init__(self, windows: Windows, now_ms: int) -> None:
        self._windows = windows
        self._tokens = math.inf  # full, whatever the limit is
        self.used_at_ms = now_ms

    def record(self, value: float, limit: float, now_ms: int) -> None:
        """That much more was used."""
        self._fill(limit, now_ms)
        self._tokens -= value

    def over_ms(self, limit: float, now_ms: int) -> int:
        """After how long, without more use, it is within the limit; 0 if it is."""
        self._fill(limit, now_ms)
        return _rounded(-self._tokens / limit * 1000) if self._tokens < 0 else 0

    def _fill(self, limit: float, now_ms: int) -> None:
        most = limit * self._windows.number * self._windows.size_ms / 1000
        self._tokens = min(most, self._tokens + limit * (now_ms - self.used_at_ms) / 1000)
        self.used_at_ms = now_ms


def _rounded(value: float) -> int:
    """As Java rounds: a half goes up."""
    return math.floor(value + 0.5)


class Meter(NamedTuple):
    """A limit, and what was used of it."""

    counter: Counter
    limit: float

    def use(self, value: float, now_ms: int) -> int:
        """Count it; for how long who used it is to be throttled, in ms."""
        self.counter.record(value, self.limit, now_ms)
        return self.counter.over_ms(self.limit, now_ms)
