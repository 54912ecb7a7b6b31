"""When timers fire."""

import asyncio
import logging
from contextvars import ContextVar
from dataclasses import dataclass

import pytest

from streams import StreamsError
from streams.timers import Timers, call, then_call


@dataclass
class Every:
    interval_ms: int
    calls: list[int]

    def function(self) -> None:
        self.calls.append(self.interval_ms)

    def after(self, time_ms: int) -> int:
        return time_ms + self.interval_ms


def test_each_by_its_own_interval() -> None:
    """A timer fires when its interval has passed, and keeps its beat when it was asked a little late."""
    calls: list[int] = []
    timers = Timers([Every(10, calls), Every(25, calls)], 100)
    assert timers.next_ms() == 110
    assert timers.fire(109) == 0
    assert timers.fire(113) == 1
    assert timers.next_ms() == 120
    assert timers.fire(125) == 2
    assert calls == [10, 10, 25]


def test_missed_rounds_are_not_made_up_for() -> None:
    """After a long pause a timer fires once and starts a new beat."""
    timers = Timers([Every(10, [])], 0)
    assert timers.fire(1_000) == 1
    assert timers.next_ms() == 1_010


def test_without_timers() -> None:
    """Nothing is ever due."""
    assert Timers([], 0).next_ms() is None


def test_asynchronous_functions_run_to_their_end() -> None:
    """A coroutine function is awaited."""
    done: list[str] = []

    async def note() -> None:
        done.append("done")

    call(note)
    assert done == ["done"]


def test_asynchronous_functions_run_where_a_loop_runs_already() -> None:
    """As in notebooks and asynchronous tests: to their end, with the caller's context, and with their errors."""
    where, done = ContextVar("where", default=""), []

    async def note() -> None:
        await asyncio.sleep(0)
        done.append(where.get())

    async def fail() -> None:
        raise ValueError("not today")

    async def cell() -> None:
        where.set("cell")
        call(note)
        with pytest.raises(StreamsError, match="fail of the application raised ValueError: not today"):
            call(fail)

    asyncio.run(cell())
    assert done == ["cell"]


def test_all_are_called_whatever_one_raises(caplog: pytest.LogCaptureFixture) -> None:
    """The first error is raised, the block's own before those of functions; the others are in the log."""
    seen: list[int] = []

    def fail() -> None:
        seen.append(0)
        raise ValueError("no")

    with (
        pytest.raises(StreamsError, match="fail of the application raised ValueError: no"),
        then_call([fail, lambda: seen.append(1), fail]),
    ):
        pass
    assert seen == [0, 1, 0]
    with pytest.raises(KeyError, match="block"), then_call([fail, lambda: seen.append(2)]):
        raise KeyError("block")
    assert seen[3:] == [0, 2]
    assert [each.levelno for each in caplog.records] == [logging.ERROR, logging.ERROR]
