"""Functions of an application that run by the clock, and when each is due.

Rules: whoever runs the application asks `fire` between two batches, on the thread that owns the tasks, so that stores
may be read; one that comes late runs once, not once per interval missed. `call` is how user functions without
arguments are called everywhere.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Protocol

from state.errors import StateError
from streams.errors import StreamsError

log = logging.getLogger(__name__)


class Timed(Protocol):
    """A function and its schedule."""

    @property
    def function(self) -> Callable[[], Any]:
        """What to call."""
        ...

    def after(self, time_ms: int) -> int:
        """When it is due next after this time, in ms since 1970."""
        ...


class Timers:
    """All timers of an application; the first round comes one interval after `now_ms`."""

    def __init__(self, timed: Sequence[Timed], now_ms: int) -> None:
        self._due = [(each.after(now_ms), each) for each in timed]

    def next_ms(self) -> int | None:
        """When something is due next, in ms since 1970; None when there are no timers."""
        return min((due_ms for due_ms, _ in self._due), default=None)

    def fire(self, now_ms: int) -> int:
        """Call what is due. Shape: how many were called. What they raise is passed on."""
        called = 0
        for index, (due_ms, timed) in enumerate(self._due):
            if due_ms <= now_ms:
                # A periodic timer keeps its beat; after a long pause it starts a new one.
                following = timed.after(due_ms)
                self._due[index] = (following if following > now_ms else timed.after(now_ms), timed)
                call(timed.function)
                called += 1
        return called


def call(function: Callable[[], Any]) -> None:
    """Call a user's function without arguments, to its end if it is asynchronous.

    Raises: StreamsError that names the function, with what it raised as its cause.
    """
    try:
        result = function()
        if inspect.iscoroutine(result):
            _finish(result)
    except (StreamsError, StateError):
        raise
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        raise StreamsError(f"the function {name} of the application raised {type(error).__name__}: {error}") from error


@contextmanager
def then_call(functions: Sequence[Callable[[], Any]]) -> Iterator[None]:
    """When the block is over, call all functions in turn, whatever it or others of them raise.

    Raises: what was raised first, by the block or by a function; the rest is logged.
    """
    first: BaseException | None = None
    try:
        yield
    except BaseException as error:
        first = error
    for function in functions:
        try:
            call(function)
        except Exception as error:
            if first is None:
                first = error
            else:
                log.exception("also, while stopping")
    if first is not None:
        raise first


def _finish(coroutine: Coroutine[Any, Any, Any]) -> None:
    import asyncio  # costs as much as all of ours together, and most programs never come here

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    # A driver in a notebook, or in an asynchronous test: its thread is taken, and another loop needs one of its own.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, asyncio.run, coroutine).result()
