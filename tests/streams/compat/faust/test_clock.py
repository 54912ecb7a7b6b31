"""Cron expressions of five and six fields."""

from datetime import UTC, datetime

import pytest

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
