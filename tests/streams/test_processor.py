"""The Processor API as users write it, under the TopologyTestDriver."""

from functools import partial
from typing import Any

import pytest

from streams import (
    App,
    FixedKeyProcessor,
    Processor,
    PunctuationType,
    Record,
    TopologyError,
    key_value_store,
    punctuator,
)
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


class Told(Counter):
    """Passes on what is counted, and starts anew every ten seconds of stream time."""

    told = key_value_store("told", str, int)

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def init(self, context: ProcessorContext) -> None:
        Processor.init(self, context)

    def process(self, record: Record) -> None:
        self.told.put(record.key, (self.told.get(record.key) or 0) + 1)

    @punctuator("10 s", "stream-time")
    def tell(self, time_ms: int) -> None:
        for key, count in list(self.told.all()):
            self.told.delete(key)
            if count >= self.least:
                self.context.forward(Record(key, count, time_ms))


class Shouted(Told):
    """Tells by the clock on the wall as well; what it inherits stays."""

    shouts = key_value_store("shouts", str, int, persistent=False)

    @punctuator("1 minute", PunctuationType.WALL_CLOCK_TIME)
    def shout(self, time_ms: int) -> None:
        self.shouts.put("times", (self.shouts.get("times") or 0) + 1)
        self.context.forward(Record("shout", self.shouts.get("times"), time_ms))


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


@pytest.mark.parametrize("supplier", [Shouted, partial(Shouted, 1)])
def test_a_class_brings_stores_and_punctuators(supplier: Any) -> None:
    """Stores in the body of a class and its bases are open in its instances; marked methods are called by their clock."""
    app = App("words")
    words(app).process(supplier).to("out", key=str, value=int)
    assert app.build().stores.keys() == {"told", "shouts"}
    assert Shouted.told.name == "told"
    with TopologyTestDriver(app) as driver:
        send, out = driver.input("words").send, driver.output("out")
        send("a", "x", 1_000)
        send("a", "x", 2_000)
        driver.advance_wall_clock("1 minute")
        send("b", "x", 12_000)
        assert out.read_key_values() == [("a", 1), ("shout", 1), ("a", 1), ("b", 1)]


def test_a_class_and_its_verb_may_name_the_same_store() -> None:
    """A store that is declared and given as well is one store, the given one."""
    app = App("words")
    words(app).process(Told, stores=[key_value_store("told", str, int, logged=False)])
    assert app.build().changelog_topics == {}


def test_a_processor_wired_by_hand_brings_its_stores() -> None:
    """The low-level door takes what a class declares as well."""
    app = App("words")
    app.builder.topology.add_source("read", "words", key=str, value=str).add_processor("tell", Told, "read")
    app.builder.topology.add_sink("write", "out", "tell", key=str, value=int)
    with TopologyTestDriver(app) as driver:
        driver.input("words").send("a", "x", 0)
        driver.input("words").send("a", "x", 10_000)
        assert driver.output("out").read_key_values() == [("a", 1), ("a", 1)]


def test_a_declared_store_without_its_class_says_what_to_do() -> None:
    """A function that makes the processor does not tell what it declares: the error says so."""
    app = App("words")
    words(app).process(lambda: Told())
    with pytest.raises(TopologyError, match="stores=.* or give the verb the class itself"), TopologyTestDriver(app):
        pass


@pytest.mark.parametrize(
    ("interval", "kind", "message"),
    [
        ("soon", "stream-time", "expected a number and a unit"),
        ("0 s", "stream-time", "at least 1 ms"),
        ("1 s", "moon-time", "'stream-time' or 'wall-clock-time'"),
    ],
)
def test_a_wrong_punctuator_is_told_at_once(interval: str, kind: str, message: str) -> None:
    """The class is not even made."""
    with pytest.raises(TopologyError, match=message):
        punctuator(interval, kind)
