"""Where a worker is in its life, what it shows of itself, and whether it is well.

Rules: states are Kafka's, and their transitions a table; lagging is no illness, lagging without progress is. It knows
neither tasks nor clients.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

STALLED_S = 60.0
"""Work that waits this long, with nothing done, is no pause any more."""


def wall_clock_ms() -> int:
    """Wall-clock time in ms since 1970."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Time in ms by a clock that is never set, for what is to happen after a while."""
    return time.monotonic_ns() // 1_000_000


class WorkerState(Enum):
    """Where a worker is in its life; Kafka's names."""

    CREATED = "created"
    REBALANCING = "rebalancing"
    RUNNING = "running"
    PENDING_SHUTDOWN = "pending shutdown"
    NOT_RUNNING = "not running"
    ERROR = "error"


TRANSITIONS: Mapping[WorkerState, frozenset[WorkerState]] = {
    WorkerState.CREATED: frozenset({WorkerState.REBALANCING, WorkerState.PENDING_SHUTDOWN, WorkerState.ERROR}),
    WorkerState.REBALANCING: frozenset({WorkerState.RUNNING, WorkerState.PENDING_SHUTDOWN, WorkerState.ERROR}),
    WorkerState.RUNNING: frozenset({WorkerState.REBALANCING, WorkerState.PENDING_SHUTDOWN, WorkerState.ERROR}),
    WorkerState.PENDING_SHUTDOWN: frozenset({WorkerState.NOT_RUNNING, WorkerState.ERROR}),
    WorkerState.NOT_RUNNING: frozenset(),
    WorkerState.ERROR: frozenset(),
}

StateListener = Callable[[WorkerState, WorkerState], None]
"""Told of (new, old), on the processing thread."""


class WorkerStatus(NamedTuple):
    """What a worker shows of itself; `lag` counts records that the broker has and no task has processed yet.

    `skipped` counts the records that `on_error` went on without, `dead_letters` those among them that lie in a topic now.
    `metrics` are the application's own numbers (`app.metrics`).
    """

    state: WorkerState
    tasks: tuple[str, ...]
    restoring: bool
    processed: int
    lag: int
    skipped: int
    dropped: int
    dead_letters: int = 0
    metrics: Mapping[str, Any] = MappingProxyType({})


class Health(NamedTuple):
    """Whether a worker is well, and why not; `ready`: it runs all of its tasks, so that queries are answered."""

    healthy: bool
    ready: bool
    reason: str
    stalled_s: float


class Progress:
    """When a worker last did something, or had nothing to do."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._processed = 0
        self._at = clock()

    def note(self, processed: int, *, idle: bool) -> None:
        """Told after each turn."""
        if idle or processed != self._processed:
            self._processed = processed
            self._at = self._clock()

    def health(self, status: WorkerStatus) -> Health:
        """As of now."""
        stalled_s = self._clock() - self._at
        ready = status.state is WorkerState.RUNNING
        if status.state in {WorkerState.ERROR, WorkerState.NOT_RUNNING, WorkerState.PENDING_SHUTDOWN}:
            return Health(False, False, f"the worker is {status.state.value}", stalled_s)
        if stalled_s < STALLED_S:
            return Health(True, ready, f"the worker is {status.state.value}", stalled_s)
        what = f"{status.lag:,} records behind" if status.lag else "something waits to be done"
        return Health(False, ready, f"{what}, and no progress for {stalled_s:.0f} s", stalled_s)
