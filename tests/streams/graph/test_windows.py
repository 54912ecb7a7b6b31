"""Windows as data: what they allow, and how long they last."""

from datetime import datetime

import pytest

from streams.errors import TopologyError
from streams.graph.windows import (
    JoinWindows,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
    grace_of,
    retention_of,
)


def test_tumbling_windows_advance_by_their_size():
    """Without an advance, time windows tumble."""
    assert TimeWindows.of("1 minute", grace="10 s") == TimeWindows(60_000, 60_000, 10_000)


def test_hopping_windows_overlap():
    """An advance below the size makes windows hop, however it is given."""
    hopping = TimeWindows.of("1 minute", advance="20 s")
    assert hopping == TimeWindows.of("1 minute").advance_by("20 s") == TimeWindows(60_000, 20_000, 0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TimeWindows.of(0), "size of time windows: expected at least 1 ms, got 0"),
        (lambda: TimeWindows.of("10 s", advance="11 s"), "expected at most their size of 10000 ms, got 11000"),
        (lambda: TimeWindows.of("10 s", advance=0), "advance of time windows: expected at least 1 ms"),
        (lambda: TimeWindows.of("10 s", grace=-1), "grace of time windows: expected at least 0 ms"),
        (lambda: TimeWindows.of("soon"), "size of time windows: expected a number and a unit"),
        (lambda: SlidingWindows.of(-1), "time difference of sliding windows"),
        (lambda: SessionWindows.with_inactivity_gap(0), "inactivity gap of session windows"),
        (lambda: UnlimitedWindows.of(-5), "start of unlimited windows"),
        (lambda: UnlimitedWindows.of("10 s"), "start of unlimited windows: expected a time such as 2026-01-31T12:00"),
        (lambda: JoinWindows.of(0).before("x"), "before of join windows: expected a number and a unit"),
        (lambda: JoinWindows.of(0).after([]), "after of join windows: expected a duration"),
        (lambda: JoinWindows.of(-1), "time difference of join windows"),
        (lambda: JoinWindows.of(10).after(-11), "join windows from -10 ms to -11 ms around a record are empty"),
    ],
)
def test_impossible_windows_are_refused(make, says):
    """What no record could fall into is refused when it is written, with what was expected."""
    with pytest.raises(TopologyError, match=says):
        make()


@pytest.mark.parametrize("start", [datetime(2026, 1, 31), "2026-01-31", "2026-01-31T00:00Z", 1_769_817_600_000])
def test_unlimited_windows_start_at_a_moment(start):
    """A time, however it is written; without a zone it is UTC."""
    assert UnlimitedWindows.of(start) == UnlimitedWindows(1_769_817_600_000)


def test_join_windows_may_be_asymmetric():
    """A negative bound says that the partner must lie on the other side."""
    windows = JoinWindows.of("10 s", grace="1 s").before("2 s").after("-1 s")
    assert (windows.before_ms, windows.after_ms, windows.grace_ms, windows.size_ms) == (2_000, -1_000, 1_000, 1_000)


def test_deprecated_join_windows_have_a_day_of_grace():
    """Kafka's JoinWindows.of keeps 24 hours less the window, and never less than nothing."""
    assert JoinWindows.eager_of("1 hour") == JoinWindows(3_600_000, 3_600_000, 79_200_000, eager=True)
    assert JoinWindows.eager_of("20 hours").grace_ms == 0


@pytest.mark.parametrize(
    ("windows", "retention_ms", "wait_ms"),
    [
        (TimeWindows.of(100, grace=7), 107, 7),
        (SlidingWindows.of(100, grace=7), 207, 7),
        (SessionWindows.with_inactivity_gap(100, grace=7), 107, 107),
        (UnlimitedWindows.of(), 2**63 - 1, 0),
    ],
)
def test_how_long_windows_are_kept_and_waited_for(windows, retention_ms, wait_ms):
    """Kafka's default retention of stores, and the wait of suppress, by kind of window."""
    assert (retention_of(windows), grace_of(windows)) == (retention_ms, wait_ms)
