"""The network loop of a worker: one asyncio loop that all of its Kafka clients share, run by whoever has time for it.

The processing thread runs it itself, while it waits (`wait_for`) and for a moment between two batches (`attend`). So what a
fetch has brought lies in the cache of the core that decodes it, and no thread has to wake another, or to wait for the
interpreter. Rules: one thread runs the loop at a time, and what happens on it happens in its callbacks and coroutines only;
when nobody has run it for STAND_IN_S, a thread of its own stands in until somebody comes back, so that heartbeats go on
whatever user code does. It also stands in for callers on whose thread another asyncio loop is running (a notebook's), for
loops cannot be run inside one another.
Nothing of asyncio is seen outside of this package.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, TypeVar

from streams.clients.base import Before
from streams.clients.kafka.network import translated
from streams.errors import BrokerUnreachable

T = TypeVar("T")

STAND_IN_S = 0.02
"""How long the loop may stand still: little beside the intervals of heartbeats, and much beside a batch."""
MOST_ROUNDS = 50
"""How often the loop goes round at most when it is attended to. From an answer that has come to the next request takes five;
an answer of several MB is read in pieces."""

ROUNDS_TO_CUT = 10
"""How often the loop goes round until what was cut is closed: once for a connection, some more for one that was being made."""


class AtOnceSelector(selectors.DefaultSelector):
    """Tells a loop that does `at_once` what it can when nothing is left of that: before it would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = False
        self.nothing_left: Callable[[], None] = lambda: None
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What can be read or written; a timeout of 0 says that the loop has something to do anyway."""
        if not self.at_once:
            self._rounds = 0
            return super().select(timeout)
        self._rounds += 1
        found = super().select(0)
        if (timeout != 0 and not found) or self._rounds >= MOST_ROUNDS:
            self._rounds = 0
            self.nothing_left()
        return found


class ConnectingLoop(asyncio.SelectorEventLoop):
    """Knows the connections that were made on it, as long as they last."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        super().__init__(selector)
        self.connections: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

    async def create_connection(self, *what: Any, **settings: Any) -> Any:
        """Connect; see asyncio's."""
        connect: Any = super().create_connection
        transport, protocol = await connect(*what, **settings)
        self.connections.add(transport)
        return transport, protocol


class Call(Generic[T]):
    """A coroutine that runs on the network loop. A `Pending`."""

    def __init__(self, future: Future[T], wait_for: Callable[[Callable[[], bool], float | None], None]) -> None:
        self._future = future
        self._wait_for = wait_for

    def done(self) -> bool:
        """Whether it is over."""
        return self._future.done()

    def result(self, timeout_s: float | None = None) -> T:
        """Wait for its result. Raises: ClientError, TaskMigrated."""
        self._wait_for(self._future.done, timeout_s)
        with translated():
            try:
                return self._future.result(0)
            except TimeoutError:
                self._future.cancel()
                within = "" if timeout_s is None else f" within {timeout_s:g} s"
                raise BrokerUnreachable(f"the broker did not answer{within}") from None
            except CancelledError:
                raise BrokerUnreachable("the broker has not answered, and nobody waits for it any more") from None

    async def over(self) -> None:
        """Once it is over, on the network loop. Raises: what went wrong with it."""
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


class NetworkLoop:
    """See the module. `attended_every_s` is how often `attend` does anything, as long as nothing is begun."""

    def __init__(self, name: str, attended_every_s: float) -> None:
        self._selector = AtOnceSelector()
        self.loop = ConnectingLoop(self._selector)
        self._selector.nothing_left = self.loop.stop
        self._attended_every_s = attended_every_s
        self._attend_at = 0.0
        self._calls: set[Future[Any]] = set()
        self._running = threading.Lock()
        """Held by the thread that runs the loop."""
        self._runs = 0
        """How often a caller has run it."""
        self._waits = self._stands_in = self._rests = False
        """Whether a caller runs it and waits, whether the thread stands in, and whether that is asleep meanwhile."""
        self._left = threading.Event()
        """Wakes the thread from that sleep."""
        self._beside: set[threading.Event] = set()
        """Of callers that wait while another thread runs the loop."""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._stand_by, name=f"{name}-network", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run a coroutine there and wait for its result. Raises: ClientError, TaskMigrated."""
        return self.begin(work).result(timeout_s)

    def begin(self, work: Coroutine[Any, Any, T]) -> Call[T]:
        """Run a coroutine there, without waiting for its result."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        self._attend_at = 0.0
        self._calls.add(future)
        future.add_done_callback(self._call_is_over)
        return Call(future, self.wait_for)

    def give_up(self) -> None:
        """End what was called or begun, with BrokerUnreachable; from any thread."""
        for future in list(self._calls):
            future.cancel()
        self.soon(self.tell)

    def soon(self, callback: Any, *values: Any) -> None:
        """Run a plain function there, without waiting for it; nothing happens once the loop is closed."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(callback, *values)
            self._attend_at = 0.0

    def tell(self) -> None:
        """On the loop: something has come about that may be waited for."""
        if self._waits:
            self.loop.stop()
        for beside in tuple(self._beside):
            beside.set()

    def wait_for(self, ready: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Return when `ready()`, looked at whenever it is told that something has come about, or after so many seconds.

        The loop is run here, if no other caller does that.
        """
        until = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        nested = self._is_nested()
        while not self._is_over(ready, until):
            if nested or not self._take():
                self._wait_beside(ready, min(until - time.monotonic(), STAND_IN_S))
                continue
            try:
                self._run_until(ready, until)
                self._go_on()  # the request that follows what was waited for leaves before the caller turns to that
            finally:
                self._let_go()

    def attend(self) -> None:
        """Have done what can be done at once, if it is time for it or something was begun."""
        now = time.monotonic()
        if now < self._attend_at:
            return
        self._attend_at = now + self._attended_every_s
        if self._is_nested() or not self._take():
            return
        try:
            self._go_on()
        finally:
            self._let_go()

    def close(self) -> None:
        """Cancel what still runs there, cut what is still connected, and end the thread."""
        if self.loop.is_closed():
            return
        self._closing.set()
        self._left.set()
        self.soon(self.loop.stop)
        self._thread.join()

    # On the calling thread

    def _is_nested(self) -> bool:
        """Whether this thread is inside of an asyncio loop."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return False
        assert running is not self.loop, "the network loop must not wait for itself"
        return True

    def _take(self) -> bool:
        """Become who runs the loop, unless another caller is."""
        if self._running.acquire(blocking=False):
            return True
        if not self._stands_in:
            return False
        self.soon(self.loop.stop)
        return self._running.acquire(timeout=STAND_IN_S)

    def _let_go(self) -> None:
        self._runs += 1
        self._running.release()
        if self._rests:
            self._left.set()

    def _is_over(self, ready: Callable[[], bool], until: float) -> bool:
        """Whether there is nothing left to wait for."""
        return ready() or self._closing.is_set() or time.monotonic() >= until

    def _wait_beside(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait to be told while another thread runs the loop."""
        told = threading.Event()
        self._beside.add(told)
        try:
            if not ready():
                told.wait(seconds)
        finally:
            self._beside.discard(told)

    def _run_until(self, ready: Callable[[], bool], until: float) -> None:
        """Run the loop, which was taken. What was told before was told to somebody else, so first look once more."""
        over = None if until == float("inf") else self.loop.call_at(until, self.tell)
        self._waits = True
        try:
            while not self._is_over(ready, until):
                self.loop.run_forever()
        finally:
            self._waits = False
            if over is not None:
                over.cancel()

    def _go_on(self) -> None:
        """Do what can be done at once."""
        self._selector.at_once = True
        try:
            self.loop.run_forever()
        finally:
            self._selector.at_once = False

    # On the loop

    def _call_is_over(self, future: Future[Any]) -> None:
        self._calls.discard(future)
        self.tell()

    # On the thread

    def _stand_by(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._closing.is_set():
            runs = self._runs
            if self._closing.wait(STAND_IN_S) or self._runs != runs:
                continue
            self._rest()
            if self._runs == runs:
                self._stand_in()
        with self._running:
            ending = self.loop.create_task(self._end_all())
            while not ending.done():  # who asked for the loop a moment ago may have it stop meanwhile
                self.loop.run_forever()
            self.loop.close()

    async def _end_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._cut_all()
        self.loop.stop()

    async def _cut_all(self) -> None:
        """Cut every connection: one over TLS that was closed waits for the other side's goodbye."""
        for transport in tuple(self.loop.connections):
            transport.abort()
        for _ in range(ROUNDS_TO_CUT):
            await asyncio.sleep(0)

    def _rest(self) -> None:
        """Sleep for as long as a caller waits and runs the loop."""
        self._left.clear()
        self._rests = True
        if self._waits and not self._closing.is_set():
            self._left.wait()
        self._rests = False

    def _stand_in(self) -> None:
        """Run the loop until a caller takes it."""
        self._stands_in = True
        if self._running.acquire(blocking=False):
            try:
                if not self._closing.is_set():  # else a caller may have taken the stop that was meant for this thread
                    self.loop.run_forever()
            finally:
                self._running.release()
        self._stands_in = False
