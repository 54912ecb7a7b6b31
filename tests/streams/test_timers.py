"""When timers fire."""

from dataclasses import dataclass

from streams.timers import Timers, call


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
