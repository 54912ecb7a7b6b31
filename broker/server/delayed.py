"""Those who wait for a log: answers that must be durable first, and fetches that want more than there is.

Both wait for the high watermark to move. The log tells `advanced` whenever it does; durable answers leave at once, in order,
while fetches are woken together once per turn of the event loop, so that ten appends cost one look. No task and no future
per request: a waiter is a callback in a list. Knows logs and the loop; must not know messages.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from broker.errors import ErrorCode
from broker.log.partition_log import PartitionLog

logger = logging.getLogger(__name__)

Callback = Callable[[ErrorCode], None]
"""Gets NONE, or what kept the log from committing."""


class Waiter(Protocol):
    """A fetch that waits."""

    def woken(self) -> None:
        """A log it waits for has more: look again."""
        ...


class Delayed:
    """All waiting of one broker."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._commits: dict[PartitionLog, deque[tuple[int, Callback]]] = {}
        self._waiters: dict[PartitionLog, dict[Waiter, None]] = {}
        self._to_wake: dict[Waiter, None] = {}

    # ---- durable answers

    def when_committed(self, log: PartitionLog, offset: int, ready: Callback) -> None:
        """Call back when the log's high watermark has reached `offset`; now, if it has."""
        if log.high_watermark >= offset:
            ready(ErrorCode.NONE)
        else:
            self._commits.setdefault(log, deque()).append((offset, ready))

    def advanced(self, log: PartitionLog) -> None:
        """The log's high watermark, or its last stable offset, has moved; or the disk refused and the end came back."""
        commits = self._commits.get(log)
        if commits is not None:
            self._answer(log, commits)
        waiters = self._waiters.get(log)
        if waiters:
            if not self._to_wake:
                self._loop.call_soon(self._wake)
            self._to_wake.update(waiters)

    def _answer(self, log: PartitionLog, commits: deque[tuple[int, Callback]]) -> None:
        """Offsets need not ascend: a repeated batch waits for its first place, behind later ones."""
        reached = log.high_watermark
        if reached == log.log_end_offset:  # nothing is under way: who waits for more waits for what was taken back
            del self._commits[log]  # an answer may lead to the next append, which is for the next time
            while commits:
                offset, ready = commits.popleft()
                _call(ready, ErrorCode.NONE if offset <= reached else ErrorCode.KAFKA_STORAGE_ERROR)
            return
        while commits and commits[0][0] <= reached:
            _call(commits.popleft()[1], ErrorCode.NONE)
        if not commits and self._commits.get(log) is commits:
            del self._commits[log]

    # ---- fetches

    def wait(self, waiter: Waiter, logs: Iterable[PartitionLog]) -> None:
        """Wake the waiter whenever one of the logs moves, until `stop`."""
        for log in logs:
            self._waiters.setdefault(log, {})[waiter] = None

    def stop(self, waiter: Waiter, logs: Iterable[PartitionLog]) -> None:
        """Wake the waiter no more."""
        self._to_wake.pop(waiter, None)
        for log in logs:
            waiters = self._waiters.get(log)
            if waiters is not None:
                waiters.pop(waiter, None)
                if not waiters:
                    del self._waiters[log]

    def _wake(self) -> None:
        to_wake, self._to_wake = self._to_wake, {}
        for waiter in to_wake:
            _wake(waiter)

    def forget(self, log: PartitionLog) -> None:
        """The log is deleted: who waits for it learns so by looking again."""
        for _, ready in self._commits.pop(log, ()):
            _call(ready, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        for waiter in list(self._waiters.get(log, ())):
            _wake(waiter)


def _call(ready: Callback, error: ErrorCode) -> None:
    """One answer that goes wrong must not keep the others, or the log, from going on."""
    try:
        ready(error)
    except Exception:
        logger.exception("an answer could not be given")


def _wake(waiter: Waiter) -> None:
    try:
        waiter.woken()
    except Exception:
        logger.exception("a fetch could not be answered")
