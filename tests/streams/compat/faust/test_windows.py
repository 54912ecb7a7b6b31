"""Windows are Faust's: the same ranges for the same times."""

import pytest

from streams.compat import faust
from streams.compat.faust.tables import Expiry


@pytest.mark.parametrize(("size", "step"), [(60, 60), (60, 20), (10, 5), (1, 1)])
def test_ranges_equal_faust(size: float, step: float) -> None:
    """All ranges, the current, the earliest and the one before, for times around the edges."""
    theirs = pytest.importorskip("faust.windows").HoppingWindow(size, step, expires=100.0)
    ours = faust.HoppingWindow(size, step, expires=100.0)
    for tenth in range(5 * size, 30 * size):
        time = tenth / 10
        assert ours.ranges(time) == theirs.ranges(time)
        assert ours.current(time) == theirs.current(time)
        assert ours.earliest(time) == theirs.earliest(time)
        assert ours.delta(time, 15) == theirs.delta(time, 15)
        assert ours.stale(time, time + 120) == theirs.stale(time, time + 120)


def test_a_wrong_window_is_refused() -> None:
    """A step beyond the size would leave gaps."""
    with pytest.raises(faust.ImproperlyConfigured, match="0 < step <= size"):
        faust.HoppingWindow(10, 20)


def test_windows_that_nobody_was_done_with_stay() -> None:
    """Whoever stops in the middle of the windows of an end finds that one and the rest again."""
    expiry = Expiry()
    for key in "abc":
        expiry.add((key, (0.0, 9.9)))
    gone = expiry.take(lambda _end: True)
    first, second = next(gone), next(gone)
    gone.close()
    again = list(expiry.take(lambda _end: True))
    assert first not in again
    assert second in again
    assert len(again) == 2
    assert not list(expiry.take(lambda _end: True))
