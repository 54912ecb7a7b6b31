"""Cron expressions of five and six fields."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from streams.compat import faust
from streams.compat.faust.clock import Schedule
from streams.compat.faust.errors import ImproperlyConfigured


def ms(text: str) -> int:
    """A time in ms."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("expression", "now", "due"),
    [
        ("*/5 * * * *", "2026-01-01T00:01:30+00:00", "2026-01-01T00:05:00+00:00"),
        ("* * * * * *", "2026-01-01T00:01:30.500+00:00", "2026-01-01T00:01:31+00:00"),
        ("* * * * * */20", "2026-01-01T00:01:45+00:00", "2026-01-01T00:02:00+00:00"),
        ("0 12 * * *", "2026-01-01T12:00:00+00:00", "2026-01-02T12:00:00+00:00"),
        ("0 12 * * * 30", "2026-01-01T12:00:00+00:00", "2026-01-01T12:00:30+00:00"),
    ],
)
def test_next(expression: str, now: str, due: str) -> None:
    """The next time after now; the sixth field is seconds."""
    assert Schedule(expression, UTC).after(ms(now)) == ms(due)


def test_a_wrong_expression_is_refused() -> None:
    """It is told when the decorator runs."""
    with pytest.raises(ImproperlyConfigured, match="minute: expected numbers from 0 to 59"):
        Schedule("61 * * * *")


def test_a_timer_outlives_a_stray_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    """A CancelledError out of what it waited for is logged as other errors are, and it goes on; a task is told of too."""
    app = faust.App("app", broker="kafka://unused:9092")
    calls, again, failed = [], threading.Event(), threading.Event()

    async def cancelled_elsewhere() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    @app.timer(0.01)
    async def tick() -> None:
        calls.append(1)
        if len(calls) > 1:
            again.set()
        await cancelled_elsewhere()

    @app.task
    async def once() -> None:
        failed.set()
        await cancelled_elsewhere()

    app.loop_of_app.start()
    try:
        app.clock.start()
        app.clock.task_opened(first=True)
        assert again.wait(10)
        assert failed.wait(10)
    finally:
        app.loop_of_app.stop()
    assert "tick raised" in caplog.text
    assert "once was cancelled, and not by the worker" in caplog.text
