"""Which record caused an update is known behind record caches and buffers, as Kafka's record context is."""

from __future__ import annotations

from typing import Any

import pytest

from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.suppressed import until_time_limit
from streams.operators.buffered import unpack_change
from streams.record import Record
from streams.testing import TopologyTestDriver
from tests.streams.operators.cutting import ALL, Cutter


class Noting:
    """Notes what it is told of each record."""

    def __init__(self, notes: list[Any]) -> None:
        self.notes = notes

    def init(self, context: Any) -> None:
        self.context = context

    def process(self, record: Record) -> None:
        metadata = self.context.record_metadata
        self.notes.append((record.key, record.value, record.headers, metadata and tuple(metadata)))

    def close(self) -> None:
        pass


def counted(notes: list[Any], *, suppressed: bool = False) -> StreamsBuilder:
    """Counts of two topics' records by key, noted."""
    builder = StreamsBuilder()
    both = builder.stream("a", key=str, value=str).merge(builder.stream("b", key=str, value=str))
    table = both.group_by_key(key=str, value=str).count(name="counts")
    if suppressed:
        table = table.suppress(until_time_limit(10))
    table.to_stream().process(lambda: Noting(notes))
    return builder


def config(**settings: Any) -> StreamsConfig:
    return StreamsConfig.of("causes", settings, environment={})


def test_a_processor_behind_a_record_cache_sees_the_record_of_the_last_update() -> None:
    """Its topic, partition, offset and headers; each update has its own, also when another evicts it."""
    notes: list[Any] = []
    settings = config(statestore_cache_max_bytes=110)
    with TopologyTestDriver(counted(notes).build(settings), config=settings) as driver:
        driver.input("a", str, str).send("x", "1", 0, (("h", b"1"),))
        driver.input("b", str, str).send("x", "2", 1, (("h", b"2"),))
        driver.input("a", str, str).send("y", "3", 2)
    assert notes == [
        ("x", 1, (("h", b"1"),), ("a", 0, 0)),
        ("x", 2, (("h", b"2"),), ("b", 0, 0)),
        ("y", 1, (), ("a", 0, 1)),
    ]


@pytest.mark.parametrize("size", [1, 3, ALL])
def test_updates_that_are_let_go_together_have_causes_of_their_own(size: int) -> None:
    """As when a commit comes after many records, however they were cut into batches."""
    notes: list[Any] = []
    topology = counted(notes).build(config())
    records = [("a", "x"), ("a", "y"), ("b", "y"), ("b", "x"), ("a", "z"), ("a", "x"), ("a", "y"), ("a", "y")]
    Cutter(topology, size, cache_bytes=1 << 20).feed(
        (topic, key.encode(), b"v", time) for time, (topic, key) in enumerate(records)
    )
    assert notes == [("z", 1, (), ("a", 0, 2)), ("x", 3, (), ("a", 0, 3)), ("y", 4, (), ("a", 0, 5))]


def test_a_processor_behind_a_suppress_sees_the_record_that_waited() -> None:
    """And the buffer logs it."""
    notes: list[Any] = []
    settings = config()
    with TopologyTestDriver(counted(notes, suppressed=True).build(settings), config=settings) as driver:
        driver.input("a", str, str).send("x", "1", 0)
        driver.input("b", str, str).send("y", "2", 50)
        (changelog,) = (topic for topic in driver.produced_topics() if "SUPPRESS" in topic)
        origins = [unpack_change(record.value).origin for record in driver.written(changelog, 0) if record.value]
    assert notes == [("x", 1, (), ("a", 0, 0))]
    assert [(origin.topic, origin.partition, origin.offset) for origin in origins] == [("a", 0, 0), ("b", 0, 0)]
