"""What runs beside the agents: tasks, timers and crontabs, as coroutines on the application's loop.

Rules: they begin when the worker has its first task, restored, or soon after its start when it has none. One that raises
is logged; a timer goes on. With `on_leader`, only the worker that has the first partition runs it: that of the first agent
which reads a topic, or else of Faust's own topic for this.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any

from streams.compat.faust.errors import ImproperlyConfigured
from streams.compat.faust.settings import zone
from streams.compat.faust.uses import named
from streams.compat.faust.windows import Seconds, seconds
from streams.dsl.crontab import Crontab
from streams.processor import Processor, ProcessorContext
from streams.record import Record

log = logging.getLogger(__name__)

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]

WITHOUT_TASKS_S = 5.0
"""How long a worker waits for its first task before it begins without one."""
_LOOK_EVERY_S = 0.05


class Schedule:
    """A cron expression of five fields, or of six, the last of which is seconds."""

    def __init__(self, expression: str, timezone: Any = None) -> None:
        fields = expression.split()
        try:
            self._minutes = Crontab.parse(" ".join(fields[:5]), timezone)
            extra = Crontab.parse(f"{fields[5]} * * * *").minutes if len(fields) == 6 else frozenset({0})
        except (ValueError, IndexError) as problem:
            raise ImproperlyConfigured(f"app.crontab({expression!r}): {problem}") from None
        self._seconds = sorted(extra)

    def after(self, now_ms: int) -> int:
        """The first time after `now_ms` that matches, in ms."""
        minute = now_ms // 60_000 * 60_000
        if self._minutes.after(minute - 1) == minute or self._minutes.after(minute - 60_000) == minute:
            for second in self._seconds:
                if minute + second * 1000 > now_ms:
                    return minute + second * 1000
        return self._minutes.after(now_ms) + self._seconds[0] * 1000


class Lead(Processor):
    """Of the topic that elects the leader, where no agent reads a topic: nothing is written there, but one worker has it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def init(self, context: ProcessorContext) -> None:
        """This worker leads."""
        super().init(context)
        self._clock.task_opened(first=True)

    def process(self, record: Record) -> None:
        """Nothing."""

    def close(self) -> None:
        """It no longer does."""
        self._clock.task_closed(first=True)


class Clock:
    """The functions of one application that run by themselves."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._runs: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._first_tasks = 0
        self._has_task = Event()

    @property
    def leading(self) -> bool:
        """Whether this worker has the first partition."""
        return self._first_tasks > 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to run."""
        return not self._runs

    def task_opened(self, *, first: bool) -> None:
        """A task is there, restored."""
        self._first_tasks += first
        self._has_task.set()

    def task_closed(self, *, first: bool) -> None:
        """A task went away."""
        self._first_tasks -= first

    def task(self, *, on_leader: bool) -> Decorator:
        """Once."""

        def decorate(function: Function) -> Function:
            async def once() -> None:
                await self._call(function, on_leader)

            self._runs.append((named(function).__qualname__, once))
            return function

        return decorate

    def timer(self, interval: Seconds, *, on_leader: bool) -> Decorator:
        """Every `interval` seconds, the first time after one."""
        pause = seconds(interval)
        if pause <= 0:
            raise ImproperlyConfigured(f"app.timer: expected an interval above 0 seconds, got {interval!r}")

        def decorate(function: Function) -> Function:
            async def again_and_again() -> None:
                due = time.monotonic() + pause
                while True:
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    await self._safely(function, on_leader)
                    due = max(due + pause, time.monotonic())

            self._runs.append((named(function).__qualname__, again_and_again))
            return function

        return decorate

    def crontab(self, expression: str, timezone: Any, *, on_leader: bool) -> Decorator:
        """Whenever the expression says, in the time zone of the application unless it has one of its own."""
        own = None if timezone is None else zone(timezone)
        Schedule(expression)  # what is wrong with it is told when the decorator runs

        def decorate(function: Function) -> Function:
            async def by_the_clock() -> None:
                schedule = Schedule(expression, own or zone(self._app.conf.timezone))
                due_ms = time.time_ns() // 1_000_000
                while True:
                    now_ms = time.time_ns() // 1_000_000
                    due_ms = schedule.after(max(due_ms, now_ms))
                    await asyncio.sleep(max(0.0, (due_ms - now_ms) / 1000))
                    await self._safely(function, on_leader)

            self._runs.append((named(function).__qualname__, by_the_clock))
            return function

        return decorate

    def start(self) -> None:
        """Begin all, as soon as there is a task."""
        if not self.leading:  # in the test driver, tasks come first
            self._has_task.clear()
        for name, run in self._runs:
            self._app.loop_of_app.spawn(self._when_ready(run), name)

    async def _when_ready(self, run: Callable[[], Awaitable[None]]) -> None:
        until = time.monotonic() + WITHOUT_TASKS_S
        while not self._has_task.is_set() and time.monotonic() < until:  # noqa: ASYNC110  it is set on another thread
            await asyncio.sleep(_LOOK_EVERY_S)
        await run()

    async def _safely(self, function: Function, on_leader: bool) -> None:
        error = await self._app.loop_of_app.outcome_of(self._call(function, on_leader))
        if error is not None:
            log.error("%s raised", named(function).__qualname__, exc_info=error)

    async def _call(self, function: Function, on_leader: bool) -> None:
        if on_leader and not self.leading:
            return
        result = function(self._app) if inspect.signature(function).parameters else function()
        if inspect.isawaitable(result):
            await result
