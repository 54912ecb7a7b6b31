"""Where reading begins and ends: times that mean the same wherever the machine is."""

import time
from datetime import UTC, datetime

import pytest

from streams.durations import moment_ms
from streams.errors import ConfigError
from streams.reading import time_ms


@pytest.fixture
def new_york(monkeypatch):
    """A machine in New York."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "moment",
    ["2026-01-31T12:00", datetime(2026, 1, 31, 12), "2026-01-31T12:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)],
)
def test_a_time_without_a_zone_is_utc(new_york, moment):
    """The same time means the same when it is written and when it is read."""
    assert time_ms(moment) == moment_ms(moment) == 1_769_860_800_000


def test_a_number_is_milliseconds_also_as_text():
    """Ms since 1970, as in what is written."""
    assert time_ms("1769860800000") == time_ms(1_769_860_800_000) == 1_769_860_800_000


@pytest.mark.parametrize("moment", ["yesterday", "", None])
def test_what_is_no_time_says_what_was_expected(moment):
    """The error names all that a place may be."""
    with pytest.raises(ConfigError, match="expected 'earliest', 'latest', a time such as 2026-01-31T12:00"):
        time_ms(moment)
