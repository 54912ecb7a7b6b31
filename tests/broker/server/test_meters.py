"""Rates and token buckets: by numbers that Kafka's Rate and TokenBucket give at the same times."""

from broker.server.meters import Meter, Rate, TokenBucket, Windows

WINDOWS = Windows(11, 1_000)
NOW = 5_000_000


def rate(limit: float) -> Meter:
    return Meter(Rate(WINDOWS, NOW), limit)


def test_ten_seconds_of_use_at_once_are_within() -> None:
    """A client that was silent may use what ten windows bring; more is waited for in full."""
    meter = rate(100)
    assert meter.use(1_000, NOW) == 0
    assert meter.use(1, NOW) == 10
    assert meter.use(499, NOW) == 5_000


def test_time_that_passes_is_taken_off() -> None:
    """Within the first ten windows time counts only inside the window under way; after them all of it does."""
    meter = rate(100)
    assert meter.use(2_000, NOW) == 10_000
    assert meter.counter.over_ms(100, NOW + 400) == 9_600
    assert meter.counter.over_ms(100, NOW + 5_000) == 10_000
    assert meter.counter.over_ms(100, NOW + 10_999) == 9_001


def test_use_is_forgotten_after_all_windows() -> None:
    """What was used eleven windows ago counts no more, and what came after it still does."""
    meter = rate(100)
    assert meter.use(2_000, NOW) == 10_000
    assert meter.use(500, NOW + 6_000) == 15_000
    assert meter.counter.over_ms(100, NOW + 11_000) == 0
    assert meter.use(501, NOW + 11_000) == 10


def test_use_can_be_taken_back() -> None:
    """An answer that is not given does not count."""
    meter = rate(100)
    assert meter.use(3_000, NOW) == 20_000
    meter.counter.record(-3_000, 100, NOW)
    assert meter.use(1_000, NOW) == 0


def test_a_rate_goes_on_over_many_windows() -> None:
    """Use within the limit is never too much, at twice the limit it is before long; places of old windows are used again."""
    within, over = rate(100), rate(100)
    assert [within.use(90, NOW + second * 1_000) for second in range(100)] == [0] * 100
    assert max(over.use(200, NOW + second * 1_000) for second in range(100)) > 5_000


def test_a_bucket_begins_full() -> None:
    """It holds what eleven windows bring; what is taken beyond that flows in again at the limit."""
    bucket = Meter(TokenBucket(WINDOWS, NOW), 2)
    assert bucket.use(22, NOW) == 0
    assert bucket.use(5, NOW) == 2_500
    assert bucket.counter.over_ms(2, NOW + 2_000) == 500
    assert bucket.counter.over_ms(2, NOW + 60_000) == 0
    assert bucket.use(23, NOW + 60_000) == 500
