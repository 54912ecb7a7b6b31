"""Rows of G (Processor API): what a processor may ask of its context."""

from __future__ import annotations

from copy import copy
from typing import Any

from streams.dsl.builder import StreamsBuilder
from streams.dsl.stores import key_value_store
from streams.processor import Processor, PunctuationType, wall_clock_timestamp
from streams.record import Record
from streams.testing import TopologyTestDriver
from tests.checklist.proofs import texts, topology_of


class Noting(Processor):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    def init(self, context: Any) -> None:
        self.context = context
        self.notes.append("init")

    def process(self, record: Record) -> None:
        self.notes.append(record.value)

    def close(self) -> None:
        self.notes.append("close")


def driven(processor: Processor, stores: Any = ()) -> TopologyTestDriver:
    """A driver of copies of a processor, which share its notes."""

    def say(builder: StreamsBuilder) -> None:
        stream = texts(builder).process(lambda: copy(processor), stores=stores, key=str, value=str)
        stream.filter(lambda key, value: True, name="one").to("one")
        stream.filter(lambda key, value: True, name="other").to("other")

    return TopologyTestDriver(topology_of(say), start_ms=1_000)


def test_life() -> None:
    """Row 126: init, process, close."""
    processor = Noting()
    with driven(processor) as driver:
        driver.input("in").send("a", "x", 5)
    assert processor.notes == ["init", "x", "close"]


def test_forward() -> None:
    """Row 128: to all children, or to the one that is named."""

    class Forwarding(Noting):
        def process(self, record: Record) -> None:
            self.context.forward(record)
            self.context.forward(record, to="other")

    with driven(Forwarding()) as driver:
        driver.input("in").send("a", "x", 5)
        assert (driver.output("one").read_values(), driver.output("other").read_values()) == (["x"], ["x", "x"])


class Scheduled(Noting):
    """Notes when it is called; stops after the second time."""

    kind = PunctuationType.STREAM_TIME
    start_ms: int | None = None

    def init(self, context: Any) -> None:
        super().init(context)
        self.timer = context.schedule("10 ms", self.kind, self.note, start_ms=self.start_ms)

    def process(self, record: Record) -> None:
        pass

    def note(self, time_ms: int) -> None:
        self.notes.append(time_ms)
        if len(self.notes) == 3:
            self.timer.cancel()


def test_punctuation_by_stream_time() -> None:
    """Rows 129, 132: on the first known time, then on the grid, with the time as it is; cancelled inside the callback."""
    processor = Scheduled()
    with driven(processor) as driver:
        for timestamp in (3, 9, 25, 60):
            driver.input("in").send("a", "x", timestamp)
    assert processor.notes == ["init", 3, 25, "close"]


def test_punctuation_by_the_clock_on_the_wall() -> None:
    """Rows 130, 200: due an interval from now; the driver's clock moves when it is told."""
    processor = Scheduled()
    processor.kind = PunctuationType.WALL_CLOCK_TIME
    with driven(processor) as driver:
        for _ in range(4):
            driver.advance_wall_clock("5 ms")
    assert processor.notes == ["init", 1_010, 1_020, "close"]


def test_anchored_punctuation() -> None:
    """Row 131: on a grid through the time that was given."""
    processor = Scheduled()
    processor.start_ms = 7
    with driven(processor) as driver:
        for timestamp in (3, 8, 16, 17):
            driver.input("in").send("a", "x", timestamp)
    assert processor.notes == ["init", 8, 17, "close"]


def test_context() -> None:
    """Rows 133, 134, 135: where a record was read, its headers, both clocks, and a request to commit."""

    class Asking(Noting):
        def process(self, record: Record) -> None:
            context = self.context
            self.notes += [context.record_metadata, record.headers, context.stream_time_ms(), context.system_time_ms()]
            context.commit()

    processor = Asking()
    with driven(processor) as driver:
        driver.input("in").send("a", "x", 5, (("h", b"1"),))
    assert processor.notes[1:-1] == [("in", 0, 0), (("h", b"1"),), 5, 1_000]


def test_stores_that_come_with_a_processor() -> None:
    """Row 136: they are added and connected."""

    class Keeping(Noting):
        def process(self, record: Record) -> None:
            self.context.store("kept").put(record.key, record.value)

    with driven(Keeping(), [key_value_store("kept", str, str)]) as driver:
        driver.input("in").send("a", "x", 5)
        assert driver.store("kept").get("a") == "x"


def test_timestamp_extractors() -> None:
    """Row 137: a negative time drops the record; the wall clock is one of Kafka's four extractors."""

    def say(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=int, timestamp=lambda value: value).to("out")
        builder.stream("now", key=str, value=int, timestamp=wall_clock_timestamp).to("then")

    with TopologyTestDriver(topology_of(say)) as driver:
        for value in (7, -1):
            driver.input("in").send("a", value, 1)
        driver.input("now").send("a", 1, 1)
        assert [record.timestamp for record in driver.output("out").read()] == [7]
        assert driver.output("then").read_record().timestamp > 1
