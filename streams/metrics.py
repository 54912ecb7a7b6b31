"""Numbers of an application's own: counters, gauges and timings, beside those that a worker shows of itself.

Rules: a name is one number of the process, whoever asks for it: `app.metrics` and every processor's `context.metrics` are
the same. They count what was run here, also what is run again after an aborted transaction, and begin at nothing when the
process does. All of it may be used from any thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from msgspec import Struct

from streams.errors import TopologyError

__all__ = ["Counter", "Gauge", "Metrics", "Timing", "TimingValue"]


class TimingValue(Struct, frozen=True):
    """How often something was timed, and how long it took: in total, and at most."""

    count: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0

    def __str__(self) -> str:
        mean_ms = self.total_ms / self.count if self.count else 0.0
        return f"{mean_ms:,.1f} ms (at most {self.max_ms:,.1f})"


Value = float | TimingValue


class _Metric:
    """One number under a lock of its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Start again from zero."""
        raise NotImplementedError


class Counter(_Metric):
    """How often something happened, or how much of it there was."""

    value: float

    def reset(self) -> None:
        """Start again from zero."""
        self.value = 0

    def add(self, amount: float = 1) -> None:
        """Add one, or `amount`. Raises: ValueError for an amount below 0."""
        if amount < 0:
            raise ValueError(f"a counter never goes down, so expected 0 or more, got {amount}: take a gauge")
        with self._lock:
            self.value += amount


class Gauge(_Metric):
    """The current value of something."""

    value: float

    def reset(self) -> None:
        """Start again from zero."""
        self.value = 0

    def set(self, value: float) -> None:
        """Set the value."""
        self.value = value

    def add(self, amount: float) -> None:
        """Change the value by `amount`, which may be negative."""
        with self._lock:
            self.value += amount


class Timing(_Metric):
    """How long something takes: `with timing.measure(): ...`, which several threads may do at once."""

    value: TimingValue

    def reset(self) -> None:
        """Start again from zero."""
        self.value = TimingValue()

    def record(self, duration_ms: float) -> None:
        """Add one duration."""
        with self._lock:
            before = self.value
            longest_ms = max(before.max_ms, float(duration_ms))
            self.value = TimingValue(before.count + 1, before.total_ms + duration_ms, longest_ms)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Time the block, even if it raises."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.record((time.perf_counter() - begin) * 1000)


MetricT = TypeVar("MetricT", bound=_Metric)


class Metrics:
    """The numbers of an application by name; whoever asks for one first makes it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._metrics: dict[str, Counter | Gauge | Timing] = {}

    def counter(self, name: str) -> Counter:
        """The counter of this name. Raises: TopologyError when the name is that of another kind."""
        return self._metric(name, Counter)

    def gauge(self, name: str) -> Gauge:
        """The gauge of this name. Raises: TopologyError when the name is that of another kind."""
        return self._metric(name, Gauge)

    def timing(self, name: str) -> Timing:
        """The timing of this name. Raises: TopologyError when the name is that of another kind."""
        return self._metric(name, Timing)

    def values(self) -> Mapping[str, Value]:
        """The current values by name, in alphabetical order; the value of a timing is a `TimingValue`."""
        with self._lock:
            return {name: self._metrics[name].value for name in sorted(self._metrics)}

    def reset(self) -> None:
        """Start all again from zero, as the TopologyTestDriver does at its start."""
        with self._lock:
            for metric in self._metrics.values():
                metric.reset()

    def _metric(self, name: str, kind: type[MetricT]) -> MetricT:
        with self._lock:
            metric = self._metrics.get(name)
            if metric is None:
                metric = self._metrics[name] = kind()  # type: ignore[assignment]  # one of the three
        if not isinstance(metric, kind):
            raise TopologyError(
                f"the metric {name!r} is a {type(metric).__name__}, not a {kind.__name__}: use another name"
            )
        return metric
