"""Trying again what raised, for one node: in this thread, in another, or in a coroutine.

Rules: the policy says what is tried again, how often and after which pauses (`on_error.retry`); a pause ends with
Interrupted as soon as the worker is asked to stop, or what it is for is abandoned, for then the record will be read
again. Other errors, and that of the last attempt, are the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from streams.errors import Interrupted
from streams.on_error import Retry

__all__ = ["NO_TIME", "Attempts", "Patience", "Retrying"]

T = TypeVar("T")

LOOK_EVERY_S = 0.05
UNDONE_RECORD = "the worker stops before a record was done: it is processed anew at the next start"


class Patience:
    """Lets time pass, as long as nobody asks to stop; `hurried`: none passes."""

    def __init__(self, stopping: Callable[[], bool], *, hurried: bool = False) -> None:
        self._stopping = stopping
        self._hurried = hurried

    def wait(
        self, seconds: float, interrupted: str = UNDONE_RECORD, abandoned: Callable[[], bool] = lambda: False
    ) -> None:
        """Let time pass in this thread. Raises: Interrupted, with that text, when there is nothing to wait for any more."""
        for pause_s in self._pauses(seconds, interrupted, abandoned):
            time.sleep(pause_s)

    async def sleep(self, seconds: float) -> None:
        """Let time pass in a coroutine. Raises: Interrupted."""
        import asyncio  # it comes with the first agent

        for pause_s in self._pauses(seconds, UNDONE_RECORD, lambda: False):
            await asyncio.sleep(pause_s)

    def _pauses(self, seconds: float, interrupted: str, abandoned: Callable[[], bool]) -> Iterator[float]:
        until = time.monotonic() + (0 if self._hurried else seconds)
        while not self._stopping() and not abandoned():
            if (left := until - time.monotonic()) <= 0:
                return
            yield min(left, LOOK_EVERY_S)
        raise Interrupted(interrupted)


NO_TIME = Patience(lambda: False, hurried=True)
"""For whoever has all the time there is (the TopologyTestDriver): nothing is waited for."""


class Retrying:
    """See the module. `tell(error, pause_ms)` hears of each attempt that failed and is followed by another."""

    def __init__(self, retry: Retry, patience: Patience, tell: Callable[[Exception, int], None]) -> None:
        self.retry = retry
        self.patience = patience
        self.tell = tell

    def wrapped(self, function: Callable[..., T]) -> Callable[..., T]:
        """The function, called as often as it takes."""

        def attempt(*arguments: object) -> T:
            return self.call(lambda: function(*arguments))

        return attempt

    def call(self, attempt: Callable[[], T], abandoned: Callable[[], bool] = lambda: False) -> T:
        """The result of the first attempt that has one. Raises: Interrupted, and what the last attempt raised."""
        for pause_ms in self.retry.pauses_ms():
            try:
                return attempt()
            except self.retry.errors as error:
                self.tell(error, pause_ms)
                self.patience.wait(pause_ms / 1000, abandoned=abandoned)
        return attempt()

    async def awaited(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The same for a coroutine, made anew for each attempt."""
        attempts = Attempts(self)
        while True:
            try:
                return await attempt()
            except Exception as error:
                if not await attempts.another(error):
                    raise


class Attempts:
    """Those that one record still has, for whoever calls again by itself."""

    def __init__(self, retrying: Retrying) -> None:
        self._retrying = retrying
        self._pauses_ms = retrying.retry.pauses_ms()

    async def another(self, error: Exception) -> bool:
        """Whether it is to be tried again after this error; then the pause is over. Raises: Interrupted."""
        pause_ms = next(self._pauses_ms, None) if isinstance(error, self._retrying.retry.errors) else None
        if pause_ms is None:
            return False
        self._retrying.tell(error, pause_ms)
        await self._retrying.patience.sleep(pause_ms / 1000)
        return True
