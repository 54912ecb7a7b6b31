"""Kafka's arithmetic of retention and segments."""

import pytest

from state.segments import Segments


@pytest.mark.parametrize(("retention", "interval"), [(0, 60_000), (100_000, 60_000), (600_000, 300_000)])
def test_interval_is_kafkas(retention, interval):
    """Half the retention, but not less than a minute."""
    assert Segments(retention).interval_ms == interval


def test_time_moves_what_is_read_and_what_is_kept():
    """Reads reach back retention - 1; segments stay until all of them is older than the retention."""
    segments = Segments(100_000)
    assert not segments.observe(159_999)
    assert (segments.oldest_readable, segments.oldest_kept) == (60_000, 0)
    assert segments.observe(160_000)
    assert (segments.oldest_readable, segments.oldest_kept) == (60_001, 60_000)
    assert not segments.observe(10)
    assert segments.stream_time == 160_000


def test_time_ordered_stores_read_one_ms_further_back():
    """Kafka's stores for emit on close; what is kept is the same."""
    segments = Segments(100_000, stream_time=160_000, time_ordered=True)
    assert (segments.oldest_readable, segments.oldest_kept) == (60_000, 60_000)


def test_live_segments_cover_a_range_of_time():
    """Each with its prefix and bounds; neither expired ones nor those after the stream time."""
    segments = Segments(100_000, stream_time=250_000)
    assert [(low, high) for _, low, high in segments.live(0, 10**9)] == [
        (120_000, 180_000),
        (180_000, 240_000),
        (240_000, 300_000),
    ]
    assert segments.live(200_000, 210_000) == [(segments.prefix(200_000), 180_000, 240_000)]
    assert segments.live(0, 100_000) == []
    assert segments.expired_before() == segments.prefix(120_000)
