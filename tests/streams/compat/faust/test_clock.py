"""Cron expressions of five and six fields."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streams.compat import faust
from streams.compat.faust.clock import Schedule
from streams.compat.faust.errors import ImproperlyConfigured
from streams.testing import TopologyTestDriver


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


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time is eight hours ahead."""
    monkeypatch.setenv("TZ", "Asia/Singapore")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize(
    ("settings", "own", "ahead"),
    [
        ({}, None, timedelta(0)),
        ({"timezone": "Asia/Singapore"}, None, timedelta(hours=8)),
        ({"timezone": ZoneInfo("Asia/Singapore")}, UTC, timedelta(0)),
        ({}, timezone(timedelta(hours=3)), timedelta(hours=3)),
    ],
)
def test_a_crontab_goes_by_the_time_zone_of_the_application(settings: Any, own: Any, ahead: timedelta) -> None:
    """As in Faust: by UTC unless the setting or the decorator says otherwise, whatever the machine has."""
    app = faust.App("app", broker="kafka://unused:9092", **settings)
    there, elsewhere = threading.Event(), threading.Event()
    now = datetime.now(UTC) + ahead
    hours = {now.hour, (now + timedelta(minutes=1)).hour}
    others = ",".join(str(hour) for hour in range(24) if hour not in hours)
    app.crontab(f"* {','.join(map(str, hours))} * * * *", timezone=own)(lambda: there.set())
    app.crontab(f"* {others} * * * *", timezone=own)(lambda: elsewhere.set())
    app.loop_of_app.start()
    try:
        app.clock.start()
        app.clock.task_opened(first=True)
        assert there.wait(10)
        assert not elsewhere.is_set()
    finally:
        app.loop_of_app.stop()


def test_a_wrong_time_zone_is_refused() -> None:
    """The message says what was expected."""
    with pytest.raises(ImproperlyConfigured, match="expected a zone such as Europe/Berlin, got 'Middle/Earth'"):
        faust.App("app", timezone="Middle/Earth")


def _with_a_channel(app: faust.App) -> None:
    @app.agent(app.channel())
    async def inside(stream: Any) -> None:
        async for _ in stream:
            pass


def _with_a_topic(app: faust.App) -> None:
    _with_a_channel(app)

    @app.agent(app.topic("words", value_type=str))
    async def outside(stream: Any) -> None:
        async for _ in stream:
            pass


@pytest.mark.parametrize("add_agents", [lambda _app: None, _with_a_channel, _with_a_topic])
def test_what_only_the_leader_does_is_done(add_agents: Callable[[faust.App], None]) -> None:
    """Also where the first agent reads a channel, or there is none: one worker leads."""
    app = faust.App("app", broker="kafka://unused:9092", topic_partitions=1)
    add_agents(app)
    led = threading.Event()

    @app.timer(0.01, on_leader=True)
    async def lead() -> None:
        led.set()

    assert not app.is_leader()
    with TopologyTestDriver(app):
        assert led.wait(10)
        assert app.is_leader()
    assert not app.is_leader()
