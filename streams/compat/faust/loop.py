"""Two threads, one of them at a time with the tables: the worker's, and the loop that runs the application's coroutines.

Agents with tables get their records from the worker, which waits while they have them; so whatever an agent does to a
table happens within its task's turn, and in its commit. Whoever reads a table from elsewhere on the loop (a timer, a task) asks the
worker to read for it, between two batches or while it waits. Rules: the loop never touches a store on its own; the
worker never runs user code.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from streams.compat.faust.errors import FaustError
from streams.waiting import result_of

T = TypeVar("T")
log = logging.getLogger(__name__)

LOOK_EVERY_MS = 50
"""How often an idle worker looks for those who want to read a table."""
PATIENCE_S = 30.0


class Loop:
    """The event loop of an application, in a thread of its own while the worker runs."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._wishes: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._background: set[asyncio.Task[Any]] = set()

    # On the worker's thread

    def start(self) -> None:
        """Begin."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="faust", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Cancel what runs, and end."""
        if self._loop is None or self._thread is None:
            return
        self.run(self._cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()
        self._loop = self._thread = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and wait for its result; meanwhile, read tables for others."""
        future = self.begin(coroutine)
        future.add_done_callback(lambda _: self._wishes.put(None))
        while (wish := self._wishes.get()) is not None:
            wish()
        return result_of(future)

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop, while the worker does something else."""
        assert self._loop is not None, "start comes first"
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def serve(self) -> None:
        """Read tables for those who asked since the last batch."""
        while not self._wishes.empty():
            wish = self._wishes.get()
            if wish is not None:
                wish()

    # On the loop

    def read(self, reading: Callable[[], T]) -> T:
        """Have the worker read from its stores. Raises: FaustError when it does not come to it."""
        if threading.current_thread() is not self._thread:
            return reading()
        answer: Future[T] = Future()

        def wish() -> None:
            try:
                answer.set_result(reading())
            except Exception as error:
                answer.set_exception(error)

        self._wishes.put(wish)
        try:
            return answer.result(PATIENCE_S)
        except TimeoutError:
            raise FaustError(f"the worker did not read a table for {PATIENCE_S:g} s: is it restoring?") from None

    def spawn(self, coroutine: Coroutine[Any, Any, Any], what: str) -> None:
        """Run something beside the agents until the worker stops; what it raises is logged."""
        assert self._loop is not None, "start comes first"
        self._loop.call_soon_threadsafe(self._spawn, coroutine, what)

    def _spawn(self, coroutine: Coroutine[Any, Any, Any], what: str) -> None:
        task = asyncio.ensure_future(coroutine)
        self._background.add(task)

        def ended(done: asyncio.Task[Any]) -> None:
            self._background.discard(done)
            if not done.cancelled() and (error := done.exception()) is not None:
                log.error("%s failed", what, exc_info=error)

        task.add_done_callback(ended)

    async def _cancel(self) -> None:
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class Looking:
    """A timer of the worker that serves the readers. Satisfies `streams.timers.Timed`."""

    def __init__(self, loop: Loop) -> None:
        self.function = loop.serve

    def after(self, time_ms: int) -> int:
        """When it is due next."""
        return time_ms + LOOK_EVERY_MS
