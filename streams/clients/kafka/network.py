"""What all clients do alike on the network loop: tell connections apart, wait, and speak of failures.

Foreign errors become ours here and nowhere else (`translated`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from enum import IntEnum

from aiokafka.client import ConnectionGroup
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    ProducerFenced,
    UnknownMemberIdError,
)

from streams.errors import BrokerUnreachable, ClientError, TaskMigrated

log = logging.getLogger(__name__)

FENCED = (CommitFailedError, IllegalGenerationError, InvalidProducerEpoch, ProducerFenced, UnknownMemberIdError)
OUTAGE_EVERY_S = 10.0


class Line(IntEnum):
    """Connections of a client to one broker, which answers one request per connection at a time, in order.

    So what may wait there (a fetch for records, a join for the other members) has lines of its own.
    """

    FETCHING = int(ConnectionGroup.DEFAULT)
    REQUESTS = int(ConnectionGroup.COORDINATION)
    JOINING = 7
    FETCHING_BESIDE = 8


async def changed_within(changed: asyncio.Event, seconds: float | None) -> None:
    """Wait until an event is set, or the time is over; None: no limit.

    Python 3.11's `asyncio.wait_for` forgets a cancellation that comes when the event does, and who closes waits for ever.
    """
    if seconds is None:
        await changed.wait()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()


class Outage:
    """Tells in the log that requests keep failing, every OUTAGE_EVERY_S and not at once, and when they work again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since: float | None = None
        self._said = 0.0

    def failed(self, reason: str) -> None:
        """A request failed; it is going to be tried again."""
        now = time.monotonic()
        if self._since is None:
            self._since = self._said = now
        elif now - self._said >= OUTAGE_EVERY_S:
            self._said = now
            log.warning("%s has failed for %.0f s and is tried again: %s", self._what, now - self._since, reason)

    def over(self) -> None:
        """A request worked."""
        if self._since is not None and self._said > self._since:
            log.warning("%s works again", self._what)
        self._since = None


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn aiokafka's errors into ours."""
    try:
        yield
    except FENCED as error:
        raise TaskMigrated(f"the broker no longer accepts this member: {described(error)}") from error
    except KafkaConnectionError as error:
        raise BrokerUnreachable(f"the connection to the broker failed: {described(error)}") from error
    except KafkaError as error:
        if getattr(error, "retriable", False):
            raise BrokerUnreachable(f"the broker has no better answer than: {described(error)}") from error
        raise ClientError(f"the broker answered: {described(error)}") from error


def described(error: Exception) -> str:
    """An error of aiokafka in one line: its name, and what it says beyond it."""
    text = str(error).strip()
    name = type(error).__name__.removesuffix("Error")
    return text if name in text else f"{name} {text}".strip()
