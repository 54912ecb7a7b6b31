"""Cron expressions against known dates."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from streams.dsl.crontab import Crontab


def next_after(expression: str, moment: str, zone: str = "UTC") -> str:
    timezone = ZoneInfo(zone)
    start = datetime.fromisoformat(moment).replace(tzinfo=timezone)
    due = Crontab.parse(expression, timezone).after(int(start.timestamp() * 1000))
    return datetime.fromtimestamp(due / 1000, UTC).astimezone(timezone).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("expression", "moment", "expected"),
    [
        ("* * * * *", "2026-11-21 06:30", "2026-11-21 06:31"),
        ("0 * * * *", "2026-11-21 06:30", "2026-11-21 07:00"),
        ("*/15 9-17 * * mon-fri", "2026-11-21 06:30", "2026-11-23 09:00"),
        ("30 4 1,15 * *", "2026-11-21 06:30", "2026-12-01 04:30"),
        ("0 0 29 feb *", "2026-11-21 06:30", "2028-02-29 00:00"),
        ("0 12 13 * 5", "2026-11-21 06:30", "2026-11-27 12:00"),
        ("0 0 * * 7", "2026-11-21 06:30", "2026-11-22 00:00"),
        ("5/20 * * * *", "2026-11-21 06:26", "2026-11-21 06:45"),
    ],
)
def test_next_time(expression: str, moment: str, expected: str) -> None:
    """Lists, ranges, steps, names, and day or weekday when both are restricted."""
    assert next_after(expression, moment) == expected


def test_seconds_do_not_skip_a_minute() -> None:
    """The next time is after the given one, however close."""
    assert next_after("31 6 * * *", "2026-11-21 06:30:59") == "2026-11-21 06:31"


def test_day_with_a_clock_change() -> None:
    """Midnight after the 23-hour day is found, and an hour that was skipped does not fire."""
    assert next_after("0 0 30 3 *", "2026-03-28 12:00", "Europe/Berlin") == "2026-03-30 00:00"
    assert next_after("30 2 * * *", "2026-03-29 00:00", "Europe/Berlin") == "2026-03-30 02:30"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("* * *", "expected five fields"),
        ("60 * * * *", "minute: expected numbers from 0 to 59"),
        ("* 5-3 * * *", "hour: expected numbers from 0 to 23 in order"),
        ("* * * foo *", "month: expected numbers"),
        ("*/0 * * * *", "minute: expected"),
    ],
)
def test_wrong_expressions(expression: str, message: str) -> None:
    """The error names the field and what it may hold."""
    with pytest.raises(ValueError, match=message):
        Crontab.parse(expression)


def test_a_date_that_never_comes() -> None:
    """30 February is an error, not an endless search."""
    with pytest.raises(ValueError, match="never comes due"):
        Crontab.parse("0 0 30 2 *", UTC).after(0)
