"""Two threads: the worker's, and the loop that runs the application's coroutines.

Agents are given records ahead of their turn, and stores beside those of the task (docs/decisions/0018), so the worker goes on
meanwhile. Whoever reads all of a table, or from elsewhere on the loop (a timer, a task), asks the worker for it. Rules: the
loop never touches a store of a task on its own; the worker never runs user code.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from streams.compat.faust.errors import FaustError
from streams.dsl.agents import LAST_WORDS_S, run_until
from streams.waiting import result_of

T = TypeVar("T")
log = logging.getLogger(__name__)

PATIENCE_S = 30.0


class Loop:
    """The event loop of an application, in a thread of its own while the worker runs."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._background: set[asyncio.Task[Any]] = set()
        self.stopping = False
        """Whether all that runs is to end."""

    # On the worker's thread

    def start(self) -> None:
        """Begin."""
        if self._loop is None:
            self.stopping = False
            self._loop = asyncio.new_event_loop()
            self._ended = threading.Event()
            self._thread = threading.Thread(target=run_until, args=(self._loop, self._ended), name="faust", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Cancel what runs, and end."""
        if self._loop is None or self._thread is None:
            return
        self.stopping = True
        self.run(self._cancel())
        self._ended.set()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()
        self._loop = self._thread = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and wait for its result; meanwhile, questions about stores are answered."""
        return result_of(self.begin(coroutine))

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop, while the worker does something else."""
        assert self._loop is not None, "start comes first"
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    # From any thread

    def spawn(self, coroutine: Coroutine[Any, Any, Any], what: str) -> None:
        """Run something beside the agents until the worker stops; what it raises is logged."""
        assert self._loop is not None, "start comes first"
        self._loop.call_soon_threadsafe(self._spawn, coroutine, what)

    def _spawn(self, coroutine: Coroutine[Any, Any, Any], what: str) -> None:
        task = asyncio.ensure_future(coroutine)
        self._background.add(task)

        def ended(done: asyncio.Task[Any]) -> None:
            self._background.discard(done)
            if done.cancelled():
                if not self.stopping:
                    log.error("%s was cancelled, and not by the worker", what)
            elif (error := done.exception()) is not None:
                log.error("%s failed", what, exc_info=error)

        task.add_done_callback(ended)

    async def outcome_of(
        self, user_code: Coroutine[Any, Any, Any], ended: Callable[[], bool] = lambda: False
    ) -> Exception | None:
        """Run code of the application in the task at hand. Shape: what it raised, None for nothing.

        A CancelledError is raised on only when the worker stops, or `ended` says that the task was to end. Any other is an
        error like others: it came out of something the code waited for, and would end the task without a word.
        """
        try:
            await user_code
        except asyncio.CancelledError as error:
            if self.stopping or ended():
                raise
            task = asyncio.current_task()
            while task is not None and task.uncancel():
                pass
            stray = RuntimeError("it was cancelled, and not by the worker")
            stray.__cause__ = error
            return stray
        except (SystemExit, KeyboardInterrupt) as error:  # they would end the loop, which others run on
            leaving = FaustError(f"it raised {error!r}: stop the worker from outside")
            leaving.__cause__ = error
            return leaving
        except Exception as error:
            return error
        return None

    async def _cancel(self) -> None:
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        if running:
            _, left = await asyncio.wait(running, timeout=LAST_WORDS_S)
            if left:
                log.warning("%d coroutines of the application did not end when they were cancelled", len(left))
