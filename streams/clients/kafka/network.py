"""The network thread of a worker: one asyncio loop that all of its Kafka clients share.

The processing thread calls in with `call`, which blocks; nothing of asyncio is seen outside of this package. Foreign
errors become ours here and nowhere else (`translated`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from enum import IntEnum
from typing import Any, Generic, TypeVar

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    ProducerFenced,
    UnknownMemberIdError,
)

from streams.clients.base import Before
from streams.clients.kafka.frames import framed_client
from streams.errors import BrokerUnreachable, ClientError, TaskMigrated

log = logging.getLogger(__name__)

T = TypeVar("T")

FENCED = (CommitFailedError, IllegalGenerationError, InvalidProducerEpoch, ProducerFenced, UnknownMemberIdError)
RETRY_EVERY_S = 0.1
OUTAGE_EVERY_S = 10.0
WAITING_EVERY_S = 2.0


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


class Call(Generic[T]):
    """A coroutine that runs on the network thread. A `Pending`."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def done(self) -> bool:
        """Whether it is over."""
        return self._future.done()

    def result(self, timeout_s: float | None = None) -> T:
        """Wait for its result. Raises: ClientError, TaskMigrated."""
        with translated():
            try:
                return self._future.result(timeout_s)
            except TimeoutError:
                self._future.cancel()
                raise BrokerUnreachable(f"the broker did not answer within {timeout_s:g} s") from None
            except CancelledError:
                raise BrokerUnreachable("the broker has not answered, and nobody waits for it any more") from None

    async def over(self) -> None:
        """Once it is over, on the network thread. Raises: what went wrong with it."""
        await asyncio.wrap_future(self._future)


async def passed(after: Sequence[Before]) -> None:
    """Wait for each, and say that it was reached. Raises: what went wrong with one."""
    for pending, reached in after:
        if isinstance(pending, Call):
            await pending.over()
        else:
            pending.result()
        reached()


class Over:
    """What needs no waiting for. A `Pending`."""

    def done(self) -> bool:
        """Always."""
        return True

    def result(self) -> None:
        """Nothing went wrong."""


class NetworkThread:
    """An asyncio loop on a thread of its own."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._calls: set[Future[Any]] = set()
        self._thread = threading.Thread(target=self._run, name=f"{name}-network", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run a coroutine there and wait for its result. Raises: ClientError, TaskMigrated."""
        assert threading.current_thread() is not self._thread, "the network thread must not wait for itself"
        return self.begin(work).result(timeout_s)

    def begin(self, work: Coroutine[Any, Any, T]) -> Call[T]:
        """Run a coroutine there, without waiting for its result."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        return Call(future)

    def give_up(self) -> None:
        """End what was called or begun, with BrokerUnreachable; from any thread."""
        for future in list(self._calls):
            future.cancel()

    def soon(self, callback: Any, *values: Any) -> None:
        """Run a plain function there, without waiting for it; nothing happens once the thread has ended."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(callback, *values)

    def close(self) -> None:
        """Cancel what still runs there, and end the thread."""
        if self.loop.is_closed():
            return
        self.soon(self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            pending = asyncio.all_tasks(self.loop)
            for task in pending:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        finally:
            self.loop.close()


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


async def connect(
    bootstrap: Sequence[str], *, client_id: str, timeout_s: float, given_up: Callable[[], bool], **settings: Any
) -> AIOKafkaClient:
    """A client that has met a broker, tried for up to `timeout_s`, or until it is given up.

    Raises: ClientError that names the addresses.
    """
    client = framed_client(bootstrap_servers=list(bootstrap), client_id=client_id, **settings)
    begun = said = time.monotonic()
    while True:
        try:
            await client.bootstrap()
        except asyncio.CancelledError:
            await client.close()
            raise
        except KafkaConnectionError as error:
            now = time.monotonic()
            if now >= begun + timeout_s or given_up():
                await client.close()
                raise BrokerUnreachable(
                    f"no broker answers at {', '.join(bootstrap)} (tried for {timeout_s:g} s): is it running? "
                    "Start one with `streams broker`, or correct the broker address"
                ) from error
            if now - said >= WAITING_EVERY_S:
                said = now
                log.warning(
                    "waiting for a broker at %s, for %.0f of %g s", ", ".join(bootstrap), now - begun, timeout_s
                )
            await asyncio.sleep(RETRY_EVERY_S)
        else:
            return client
