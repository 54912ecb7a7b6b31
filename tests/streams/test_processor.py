"""The Processor API as users write it, under the TopologyTestDriver."""

from typing import Any

import pytest

from streams import App, FixedKeyProcessor, Processor, PunctuationType, Record, key_value_store
from streams.errors import ProcessingError
from streams.processor import (
    ProcessorContext,
    fail_on_invalid_timestamp,
    log_and_skip_on_invalid_timestamp,
    use_partition_time_on_invalid_timestamp,
    wall_clock_timestamp,
)
from streams.testing import TopologyTestDriver


class Counter(Processor):
    """Counts per key in a store, and tells all counts every ten seconds of stream time."""

    def init(self, context: ProcessorContext) -> None:
        super().init(context)
        self.counts = context.store("counts")
        context.schedule("10 s", PunctuationType.STREAM_TIME, self.tell)

    def process(self, record: Record) -> None:
        self.counts.put(record.key, (self.counts.get(record.key) or 0) + 1)

    def tell(self, time_ms: int) -> None:
        for key, count in self.counts.all():
            self.context.forward(Record(key, count, time_ms))


def words(app: App) -> Any:
    return app.stream(app.topic("words", key=str, value=str))


def test_store_punctuation_and_forward() -> None:
    """A processor uses its store, and forwards from a punctuator on stream time."""
    app = App("words")
    words(app).process(lambda: Counter(), stores=[key_value_store("counts", str, int)]).to("out", key=str, value=int)
    with TopologyTestDriver(app) as driver:
        send, out = driver.input("words").send, driver.output("out")
        send("a", "x", 0)
        send("b", "x", 1_000)
        send("a", "x", 12_000)
        assert {record.key: record.value for record in out.read()} == {"a": 2, "b": 1}


def test_a_processor_without_process_says_so() -> None:
    """Forgetting to write `process` is an error that names the class."""
    app = App("words")

    class Empty(Processor):
        pass

    words(app).process(lambda: Empty())
    with TopologyTestDriver(app) as driver, pytest.raises(ProcessingError, match="Empty has to define process"):
        driver.input("words").send("a", "x", 0)


def test_a_fixed_key_processor_keeps_the_key() -> None:
    """`process_values` forwards values under the key they came with; changing it is an error."""

    class Upper(FixedKeyProcessor):
        def process(self, record: Record) -> None:
            key = "other" if record.value == "bad" else record.key
            self.context.forward(Record(key, record.value.upper(), record.timestamp))

    app = App("words")
    words(app).process_values(lambda: Upper()).to("out", value=str)
    with TopologyTestDriver(app) as driver:
        driver.input("words").send("a", "x", 5)
        assert driver.output("out").read() == [Record("a", "X", 5)]
        with pytest.raises(Exception, match="key"):
            driver.input("words").send("a", "bad", 6)


def test_timestamp_extractors() -> None:
    """Kafka's four: fail, skip, partition time, wall clock."""
    stamped, unstamped = Record("k", "v", 7), Record("k", "v", -1, topic="t", partition=0, offset=1)
    every = (
        fail_on_invalid_timestamp,
        log_and_skip_on_invalid_timestamp,
        use_partition_time_on_invalid_timestamp,
    )
    assert [extract(stamped, 3) for extract in every] == [7, 7, 7]
    assert log_and_skip_on_invalid_timestamp(unstamped, 3) < 0
    assert use_partition_time_on_invalid_timestamp(unstamped, 3) == 3
    assert wall_clock_timestamp(unstamped, 3) > 1_700_000_000_000
    for extract, partition_time in ((fail_on_invalid_timestamp, 3), (use_partition_time_on_invalid_timestamp, -1)):
        with pytest.raises(ValueError, match="expected a timestamp"):
            extract(unstamped, partition_time)
