"""Durations and times as people write them."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from streams.durations import milliseconds, moment_ms, record_time_ms


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("10 s", 10_000),
        ("1 minute", 60_000),
        ("1.5 minutes", 90_000),
        ("250ms", 250),
        ("2 hours", 7_200_000),
        ("1 day", 86_400_000),
        (timedelta(seconds=3), 3_000),
        (42, 42),
        (np.int64(42), 42),
        (np.timedelta64(3, "s"), 3_000),
        (np.timedelta64(2, "W"), 1_209_600_000),
        (np.timedelta64(5_000_000, "ns"), 5),
        (pd.Timedelta("3s"), 3_000),
    ],
)
def test_durations_in_milliseconds(duration, expected):
    """A text with a unit, a timedelta and a number of ms mean the same thing everywhere."""
    assert milliseconds(duration) == expected


@pytest.mark.parametrize("duration", ["10", "s", "ten seconds", "10 fortnights", ""])
def test_a_text_that_is_no_duration_names_what_it_was_for(duration):
    """The error says which duration is wrong, and what units there are."""
    with pytest.raises(ValueError, match=r"the gap: expected a number and a unit \(ms, s"):
        milliseconds(duration, "the gap")


NOT_ONES = [True, np.True_, None, 1.5, np.float64(5), [1], pd.NaT, np.timedelta64("NaT", "s"), pd.offsets.MonthEnd()]


@pytest.mark.parametrize("duration", [*NOT_ONES, np.timedelta64(1, "M")])
def test_other_types_are_refused(duration):
    """A float or None is more likely a mistake than a duration; numpy's months have no length."""
    with pytest.raises(TypeError, match="the gap: expected a duration"):
        milliseconds(duration, "the gap")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (7, 7),
        (7.0, 7),
        ("-7", -7),
        (datetime(1970, 1, 1, 0, 0, 7), 7_000),
        (datetime(1970, 1, 1, 0, 0, 7, 999, tzinfo=UTC), 7_000),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0),
        ("1970-01-01T00:00:07Z", 7_000),
        ("1970-01-02", 86_400_000),
        (date(1970, 1, 2), 86_400_000),
        (np.int64(7), 7),
        (np.datetime64("1970-01-02"), 86_400_000),
        (np.datetime64("1970-01-01T00:00:00.007999999"), 7),
        (pd.Timestamp("1970-01-01T01:00", tz="Europe/Berlin"), 0),
    ],
)
def test_times_in_milliseconds(moment, expected):
    """A number of ms, a datetime and ISO 8601 text mean the same thing; without a zone it is UTC."""
    assert moment_ms(moment) == expected


@pytest.mark.parametrize("moment", ["soon", "", None, True, 1.5, float("nan"), [1], pd.NaT, np.datetime64("NaT", "s")])
def test_what_is_no_time_names_where_it_came_from(moment):
    """The error says what was expected."""
    with pytest.raises(ValueError, match=r"column at: expected a time"):
        moment_ms(moment, "column at")


@pytest.mark.parametrize("moment", [-1, "-7", datetime(1969, 12, 31, 23, 59, 59, 999_000), "1969-07-20T20:17:00"])
def test_no_record_is_older_than_1970(moment):
    """Kafka takes no such time; one of exactly -1 is not taken for none."""
    with pytest.raises(ValueError, match=r"column at: expected a time since 1970, got"):
        record_time_ms(moment, "column at")
    assert record_time_ms("1970-01-01") == 0
