"""Windows that a function chooses: what comes out is what Kafka Streams 4.3.1 gives for a class that extends Windows."""

from __future__ import annotations

import pytest

from streams import App, CustomWindows, EmitStrategy, TopologyError, until_window_closes
from streams.errors import ProcessingError
from streams.testing import TopologyTestDriver

TIMES = (1, 7, 4, 18, 8, 23, 2, 24, 19, 30, 44, 45, 9, 66)

# (window, count, timestamp), as Kafka Streams wrote them; a cache and a suppress buffer know the starts of windows only.
UNCACHED = [
    ("[a@0/5]", 1, 1),
    ("[a@5/20]", 1, 7),
    ("[a@0/5]", 2, 4),
    ("[a@5/20]", 2, 18),
    ("[a@5/20]", 3, 18),
    ("[a@20/25]", 1, 23),
    ("[a@20/25]", 2, 24),
    ("[a@25/40]", 1, 30),
    ("[a@40/45]", 1, 44),
    ("[a@45/60]", 1, 45),
    ("[a@65/80]", 1, 66),
]
BY_SIZE = {"[a@0/5]": "[a@0/15]", "[a@20/25]": "[a@20/35]", "[a@40/45]": "[a@40/55]"}
CACHED = [(BY_SIZE.get(window, window), count, timestamp) for window, count, timestamp in UNCACHED]
SUPPRESSED = [
    ("[a@0/15]", 2, 4),
    ("[a@5/20]", 3, 18),
    ("[a@20/35]", 2, 24),
    ("[a@25/40]", 1, 30),
    ("[a@40/55]", 1, 44),
    ("[a@45/60]", 1, 45),
]


def halves(timestamp: int) -> list[tuple[int, int]]:
    """A window of 5 ms and one of 15 in turn."""
    start = timestamp // 20 * 20
    return [(start, start + 5)] if timestamp < start + 5 else [(start + 5, start + 20)]


@pytest.mark.parametrize(
    ("cache", "final", "expected"),
    [(0, False, UNCACHED), (0, True, SUPPRESSED), (10**6, False, CACHED), (10**6, True, SUPPRESSED)],
    ids=["uncached", "uncached-final", "cached", "cached-final"],
)
def test_results_are_those_of_kafka_streams(cache: int, final: bool, expected: list[tuple[str, int, int]]) -> None:
    """Windows of two sizes, records out of order and too late ones, with and without a cache and a buffer."""
    app = App("custom", broker="kafka://nowhere:9092", statestore_cache_max_bytes=cache)
    windows = CustomWindows.of(halves, size="15 ms", grace=3)
    counts = app.stream("in", key=str, value=str).group_by_key().windowed_by(windows).count()
    if final:
        counts = counts.suppress(until_window_closes())
    counts.to_stream().map(lambda window, count: (str(window), count), key=str, value=int).to("out")
    with TopologyTestDriver(app) as driver:
        for timestamp in TIMES:
            driver.input("in").send("a", "x", timestamp)
        found = [(record.key, record.value, record.timestamp) for record in driver.output("out").read()]
        assert found == expected
        assert sum(driver.dropped_records.values()) == 3  # 2, 19 and 9


def test_cogrouped_streams_have_them_too() -> None:
    """Several streams fold into the same windows."""
    app = App("custom", broker="kafka://nowhere:9092")
    grouped = app.stream("in", key=str, value=int).group_by_key()
    sums = grouped.cogroup(lambda _key, value, total: total + value).windowed_by(CustomWindows.of(halves, size=15))
    sums.aggregate(lambda: 0, value=int, name="sums")
    with TopologyTestDriver(app) as driver:
        for timestamp, value in ((1, 10), (3, 5), (7, 2)):
            driver.input("in").send("a", value, timestamp)
        assert [(window.start_ms, total) for window, total in driver.store("sums").fetch("a")] == [(0, 15), (5, 2)]


def test_mistakes_are_told() -> None:
    """No function, no window, and emitting on close, which Kafka Streams does not do either."""
    with pytest.raises(TopologyError, match="custom windows: expected a function of a time in ms, got 5"):
        CustomWindows.of(5, size=15)  # type: ignore[arg-type]  # the mistake
    app = App("custom", broker="kafka://nowhere:9092")
    grouped = app.stream("in", key=str, value=int).group_by_key()
    with pytest.raises(TopologyError, match="custom windows emit on update"):
        grouped.windowed_by(CustomWindows.of(halves, size=15)).emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
    grouped.windowed_by(CustomWindows.of(lambda _time: [(50, 60)], size=10)).count()
    with (
        TopologyTestDriver(app) as driver,
        pytest.raises(ProcessingError, match="expected windows that hold 7, got 50 to 60"),
    ):
        driver.input("in").send("a", 1, 7)
