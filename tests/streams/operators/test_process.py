"""The Processor API: forwarding, stores, punctuation and context."""

from __future__ import annotations

from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.stores import key_value_store
from streams.errors import ProcessingError, TopologyError
from streams.processor import FixedKeyProcessor, Processor, ProcessorContext, PunctuationType
from streams.record import Batch, Record
from streams.testing import TopologyTestDriver
from tests.streams.operators.cutting import Cutter, skipping, texts, topology_of


def driver_of(processor: type[Processor], *, stores: tuple[str, ...] = (), verb: str = "process") -> TopologyTestDriver:
    def say(builder: StreamsBuilder) -> None:
        builder.add_state_store(key_value_store("counts", key=str, value=int))
        stream = builder.stream("in", key=str, value=str)
        result = getattr(stream, verb)(processor, stores=list(stores), name="mine")
        result.filter(lambda key, value: True, name="one").to("one")
        result.filter(lambda key, value: True, name="two").to("two")

    return TopologyTestDriver(topology_of(say), start_ms=0)


class Echo(Processor):
    """Passes everything on."""

    def process(self, record: Record) -> None:
        self.context.forward(record)


class ToOne(Processor):
    """Passes everything on to one child."""

    def process(self, record: Record) -> None:
        self.context.forward(record, to="one")


class ToNobody(Processor):
    """Names a child that does not exist."""

    def process(self, record: Record) -> None:
        self.context.forward(record, to="three")


class Counting(Processor):
    """Counts keys, and tells its metadata."""

    def process(self, record: Record) -> None:
        counts = self.context.store("counts")
        counts.put(record.key, (counts.get(record.key) or 0) + 1)
        self.context.forward(Record(record.key, [counts.get(record.key), *(self.context.record_metadata or ())], 7))


class Renaming(FixedKeyProcessor):
    """Breaks the promise to keep the key."""

    def process(self, record: Record) -> None:
        self.context.forward(Record("other", record.value, record.timestamp))


class Ticking(Processor):
    """Tells both clocks, and stops after the second tick of the wall clock."""

    def init(self, context: Any) -> None:
        super().init(context)
        context.schedule(10, PunctuationType.STREAM_TIME, lambda time: self.tell("stream", time))
        self.ticks = context.schedule("1 s", PunctuationType.WALL_CLOCK_TIME, self.tick)

    def process(self, record: Record) -> None:
        assert self.context.record_metadata is not None

    def tick(self, time: int) -> None:
        self.tell("wall", time)
        if time >= 2_000:
            self.ticks.cancel()

    def tell(self, clock: str, time: int) -> None:
        assert self.context.record_metadata is None
        self.context.forward(Record(clock, time, time))


def test_records_go_to_all_children_or_to_the_one_named() -> None:
    """In the order they were attached."""
    for processor, expected in ((Echo, [1, 1]), (ToOne, [1, 0])):
        with driver_of(processor) as driver:
            driver.input("in").send("k", "v", 1)
            assert [len(driver.output(topic).read()) for topic in ("one", "two")] == expected


def test_a_child_that_does_not_exist_is_named_with_those_that_do() -> None:
    """A mistake in the program, so no handler may skip it."""
    with driver_of(ToNobody) as driver, pytest.raises(TopologyError, match=r"no child 'three'.*one, two"):
        driver.input("in").send("k", "v", 1)


def test_a_processor_uses_its_stores_and_knows_its_record() -> None:
    """The store is read as it is written; topic, partition and offset are the record's."""
    with driver_of(Counting, stores=("counts",)) as driver:
        for _ in range(2):
            driver.input("in").send("k", "v", 1)
        assert driver.output("one").read() == [Record("k", [1, "in", 0, 0], 7), Record("k", [2, "in", 0, 1], 7)]
        assert driver.store("counts").get("k") == 2


def test_a_store_that_is_not_connected_is_refused() -> None:
    """The message says how to connect it."""
    with driver_of(Counting) as driver, pytest.raises(TopologyError, match="mine is not connected to a store 'counts'"):
        driver.input("in").send("k", "v", 1)


def test_a_fixed_key_processor_may_not_change_the_key() -> None:
    """Whatever comes behind it relies on that."""
    with (
        driver_of(Renaming, verb="process_values") as driver,
        pytest.raises(TopologyError, match="must keep the key 'k'"),
    ):
        driver.input("in").send("k", "v", 1)


def test_punctuators_follow_their_clocks() -> None:
    """Stream time fires with records, wall-clock time when it is advanced; cancelling inside the callback works."""
    with driver_of(Ticking) as driver:
        for timestamp in (3, 9, 25):
            driver.input("in").send("k", "v", timestamp)
        for _ in range(3):
            driver.advance_wall_clock("1 s")
        assert driver.output("one").read_key_values() == [
            ("stream", 3),
            ("stream", 25),
            ("wall", 1_000),
            ("wall", 2_000),
        ]


class Untimely(Processor):
    """Passes records on as of another time, their value."""

    def process(self, record: Record) -> None:
        self.context.forward(Record(record.key, record.value, int(record.value)))


class UntimelyBatches:
    """The same, batch by batch."""

    def init(self, context: ProcessorContext) -> None:
        pass

    def process_batch(self, batch: Batch) -> Batch:
        return Batch(batch.keys, batch.values, list(map(int, batch.values)))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("processor", [Untimely, UntimelyBatches])
def test_a_negative_timestamp_is_the_fault_of_who_forwards_it(processor: Any) -> None:
    """Not of whatever follows, which places records in time. Kafka: StreamsException, "Malformed Record"."""
    with (
        driver_of(processor) as driver,
        pytest.raises(ProcessingError, match=r"in ms since 1970, got -7 .*\n  node: mine"),
    ):
        driver.input("in").send("k", "-7", 1)


@pytest.mark.parametrize("processor", [Untimely, UntimelyBatches])
def test_a_handler_decides_on_a_negative_timestamp(processor: Any) -> None:
    """As in Kafka, where the constructor of Record raises in the processor."""
    program = topology_of(
        lambda builder: builder.stream("in", key=str, value=str).process(processor, key=str, value=str).to("out")
    )
    cutter = Cutter(program, handlers=skipping())
    cutter.feed(texts("in", ("a", "4", 1), ("b", "-7", 2), ("c", "0", 3)))
    cutter.feed(texts("in", ("d", "-1", 4)))
    assert [key for key, *_ in cutter.written("out")] == [b"a", b"c"]


def test_an_error_in_a_processor_names_its_node() -> None:
    """As for every other user code."""

    class Failing(Processor):
        def process(self, record: Record) -> None:
            raise KeyError(record.value)

    with driver_of(Failing) as driver, pytest.raises(ProcessingError, match="node: mine"):
        driver.input("in").send("k", "v", 1)


def test_a_transformer_of_a_table_sees_deletions() -> None:
    """transform_values is called with None, and may use stores."""

    class Describe:
        def transform(self, key: str, value: str | None) -> str:
            return f"{key} is {value or 'gone'}"

    def say(builder: StreamsBuilder) -> None:
        builder.table("in", key=str, value=str).transform_values(Describe, value=str).to_stream().to("out")

    with TopologyTestDriver(topology_of(say)) as driver:
        driver.input("in").send("a", "here", 1)
        driver.input("in").send("a", None, 2)
        assert driver.output("out").read_values() == ["a is here", "a is gone"]


def test_the_transformer_that_looks_rows_up_is_as_good_as_the_other() -> None:
    """Rows that a join asks for are made anew by one of its own: it reads global stores, and is closed in the end."""
    closed: list[str] = []

    class Named:
        def init(self, context: ProcessorContext) -> None:
            self.names = context.store("names")

        def transform(self, key: str, value: str | None) -> str | None:
            found = self.names.get(value) if value else None
            return found and found.value

        def close(self) -> None:
            closed.append("it")

    def say(builder: StreamsBuilder) -> None:
        builder.global_table("names", key=str, value=str, name="names")
        named = builder.table("in", key=str, value=str).transform_values(Named, value=str)
        asked = builder.stream("asked", key=str, value=str)
        asked.join(named, lambda question, name: f"{question}: {name}", value=str).to("out")

    with TopologyTestDriver(topology_of(say)) as driver:
        driver.input("names").send("1", "Ann", 1)
        driver.input("in").send("a", "1", 2)
        driver.input("asked").send("a", "who", 3)
        assert driver.output("out").read_values() == ["who: Ann"]
    assert closed == ["it", "it"]


def test_a_transformer_of_a_table_does_not_forward() -> None:
    """What it returns goes on, and nothing else went. Kafka: StreamsException, "forward() not supported"."""

    class Forwarding(Echo):
        def transform(self, key: str, value: str) -> str:
            self.context.forward(Record(key, value, 1))
            return value

    program = topology_of(
        lambda builder: builder.table("in", key=str, value=str).transform_values(Forwarding, name="mine")
    )
    with TopologyTestDriver(program) as driver, pytest.raises(TopologyError, match="mine transforms .*cannot forward"):
        driver.input("in").send("k", "v", 1)


def test_what_fills_a_global_store_does_not_schedule() -> None:
    """It runs outside of all tasks. Kafka: UnsupportedOperationException, "schedule() not supported"."""

    def say(builder: StreamsBuilder) -> None:
        builder.add_global_store(key_value_store("rates", str, int), "rates", Ticking, key=str, value=int, name="mine")
        builder.stream("in", key=str, value=str).to("out")

    with pytest.raises(TopologyError, match="mine fills a global store, .* cannot schedule callbacks"):
        TopologyTestDriver(topology_of(say))


class Lazily(Processor):
    """Schedules with the first record."""

    ticks: Any = None

    def process(self, record: Record) -> None:
        self.ticks = self.ticks or self.context.schedule(10, PunctuationType.STREAM_TIME, self.tick)
        self.context.forward(record)

    def tick(self, time: int) -> None:
        self.context.forward(Record("tick", str(time), time))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_what_a_record_schedules_is_due_right_after_it(size: int) -> None:
    """However many records are processed at once; then on its grid, with the time of each record that passes it."""

    def say(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=str).process(Lazily, key=str, value=str).to("out")

    cutter = Cutter(topology_of(say), size)
    cutter.feed(texts("in", *(("k", str(time), time) for time in (3, 4, 12, 13, 25))))
    found = [(key, value) for key, value, _ in cutter.written("out")]
    k, tick = b"k", b"tick"
    first = [(k, b"3"), (tick, b"3"), (k, b"4"), (k, b"12"), (tick, b"12")]
    assert found == [*first, (k, b"13"), (k, b"25"), (tick, b"25")]


def test_a_row_that_a_punctuator_put_out_gets_its_foreign_row() -> None:
    """No record is in hand then, but the answer goes to the row's own partition; Kafka asks for partition -1 and fails."""

    class Late(Processor):
        def init(self, context: Any) -> None:
            super().init(context)
            self.last: Record | None = None
            context.schedule(10, PunctuationType.STREAM_TIME, self.put_out)

        def process(self, record: Record) -> None:
            self.last = record

        def put_out(self, _: int) -> None:
            if self.last is not None:
                self.context.forward(self.last)

    def say(builder: StreamsBuilder) -> None:
        right = builder.table("right", key=str, value=str)
        rows = builder.stream("left", key=str, value=str).map(lambda key, value: (key, value), key=str, value=str)
        table = rows.process(Late, key=str, value=str).to_table(key=str, value=str)
        table.join(right, lambda row, name: f"{row} is {name}", on=lambda row: row).to_stream().to("out")

    with TopologyTestDriver(topology_of(say, topology_optimization="all")) as driver:
        driver.input("right").send("r", "here", 1)
        for timestamp in (2, 20):
            driver.input("left").send("a", "r", timestamp)
        subscriptions = next(topic for topic in driver.produced_topics() if "REGISTRATION" in topic)
        assert [record.value[-4:] for record in driver.written(subscriptions, 0)] == [bytes(4)]
        assert driver.output("out").read_key_values() == [("a", "r is here")]
