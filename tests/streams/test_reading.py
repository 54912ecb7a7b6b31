"""Where reading begins and ends: times as users write them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from streams.durations import moment_ms
from streams.errors import ConfigError
from streams.reading import time_ms

EIGHT_MS = 1_772_352_000_000


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's own time is not UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_new_york")
@pytest.mark.parametrize(
    "point",
    [
        "2026-03-01T08:00",
        "2026-03-01T08:00+00:00",
        datetime(2026, 3, 1, 8),
        datetime(2026, 3, 1, 8, tzinfo=UTC),
        EIGHT_MS,
    ],
)
def test_a_time_without_a_zone_is_utc_wherever_it_is_read(point: datetime | str | int) -> None:
    """What is written with a time is found by it, on any machine."""
    assert time_ms(point) == moment_ms(point) == EIGHT_MS


def test_what_is_no_time_says_what_would_be_one() -> None:
    """Words and times."""
    with pytest.raises(ConfigError, match="expected 'earliest', 'latest', a time such as 2026-01-31T12:00"):
        time_ms("noon")
