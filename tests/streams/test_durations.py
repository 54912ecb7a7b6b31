"""Durations as people write them."""

from datetime import timedelta

import pytest

from streams.durations import milliseconds


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


@pytest.mark.parametrize("duration", [True, None, 1.5, [1]])
def test_other_types_are_refused(duration):
    """A float or None is more likely a mistake than a duration."""
    with pytest.raises(TypeError, match="the gap: expected a duration"):
        milliseconds(duration, "the gap")
