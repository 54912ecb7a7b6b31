"""What a broker does by itself, now and then: retention, compaction, forgetting old offsets.

Each job is a timer of the event loop with a period of its own; a job that fails says so and is tried again next time.
"""

import asyncio
import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Housekeeping:
    """Jobs and their periods."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def every(self, period_ms: int, name: str, job: Callable[[], object]) -> None:
        """Run `job` each `period_ms`, the first time after one period; a new period takes the place of the old."""
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self._loop.call_later(period_ms / 1000, self._run, period_ms, name, job)

    def _run(self, period_ms: int, name: str, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception:
            logger.exception("%s failed; it is tried again in %g s", name, period_ms / 1000)
        self.every(period_ms, name, job)

    def stop(self) -> None:
        """No more jobs."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
