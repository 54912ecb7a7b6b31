"""Suppress: how long updates wait, and what a full buffer does."""

from __future__ import annotations

from typing import Any

import pytest

from state import StoreKind, StoreSpec, open_store
from streams.dsl.builder import StreamsBuilder
from streams.dsl.suppressed import Suppressed, until_time_limit, until_window_closes
from streams.errors import ProcessingError
from streams.graph.windows import TimeWindows
from streams.operators.buffered import BufferedChange, Origin
from streams.operators.suppress import Buffer
from streams.record import Record, Windowed
from streams.serdes import serde_for
from streams.testing import TopologyTestDriver
from tests.streams.operators.cutting import Cutter, texts, topology_of


def suppressed(how: Suppressed) -> Any:
    def say(builder: StreamsBuilder) -> None:
        builder.table("in", key=str, value=str).suppress(how).to_stream().to("out")

    return say


def outputs(how: Suppressed, *records: tuple[str, str | None, int]) -> list[Record]:
    with TopologyTestDriver(topology_of(suppressed(how))) as driver:
        for record in records:
            driver.input("in").send(*record)
        return driver.output("out").read()


def test_updates_wait_for_the_time_limit_and_only_the_last_leaves() -> None:
    """At the time of the first, with the last one's own timestamp."""
    found = outputs(until_time_limit(10), ("a", "1", 0), ("a", "2", 5), ("b", "x", 10))
    assert found == [Record("a", "2", 5)]


def test_a_full_buffer_emits_its_oldest() -> None:
    """Emit-early is what a bound means for time limits."""
    found = outputs(until_time_limit(1_000, max_records=1), ("a", "1", 0), ("b", "2", 1), ("c", "3", 2))
    assert [record.key for record in found] == ["a", "b"]


def test_a_full_buffer_may_stop_the_task() -> None:
    """The error says how full it is, and what to do."""
    how = until_time_limit(1_000, max_records=1, shut_down_when_full=True)
    with pytest.raises(ProcessingError, match="suppress buffer is full.*holds 2 records"):
        outputs(how, ("a", "1", 0), ("b", "2", 1))


def test_bytes_are_counted_as_kafka_counts_them() -> None:
    """A bound in bytes lets the oldest go as well."""
    roomy = outputs(until_time_limit(1_000, max_bytes=10_000), ("a", "1", 0), ("b", "2", 1))
    tight = outputs(until_time_limit(1_000, max_bytes=50), ("a", "1", 0), ("b", "2", 1))
    assert (len(roomy), len(tight)) == (0, 1)


def test_final_results_come_once_per_window() -> None:
    """When no record can change it any more."""

    def say(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        counts = grouped.windowed_by(TimeWindows.of(10, grace=5)).count()
        counts.suppress(until_window_closes()).to_stream().to("out")

    with TopologyTestDriver(topology_of(say)) as driver:
        for timestamp in (1, 2, 14, 3, 15):
            driver.input("in").send("k", "v", timestamp)
        assert driver.output("out").read() == [Record(Windowed("k", 0, 10), 3, 3)]


def test_a_table_behind_a_suppress_is_what_was_passed_on() -> None:
    """A join that looks it up does not see what still waits."""

    def say(builder: StreamsBuilder) -> None:
        held = builder.table("in", key=str, value=str).suppress(until_time_limit(10))
        other = builder.table("other", key=str, value=str)
        held.outer_join(other, lambda one, two: f"{one}+{two}", value=str).to_stream().to("out")

    with TopologyTestDriver(topology_of(say)) as driver:
        driver.input("in").send("a", "1", 0)
        driver.input("other").send("a", "x", 1)
        driver.input("in").send("b", "2", 10)
        assert driver.output("out").read_values() == ["None+x", "1+x"]


def test_what_waits_is_found_again_in_the_store() -> None:
    """After a restart the buffer is as it was, in order and size."""
    serde = serde_for(bytes)
    store = open_store(
        StoreSpec(name="s", kind=StoreKind.KEY_VALUE, key_serde=serde, value_serde=serde), directory=None
    )
    buffer = Buffer(store)
    for time, key, value in ((7, b"b", b"1"), (5, b"a", b"2"), (9, b"b", b"3")):
        buffer.put(time, key, BufferedChange(Origin(time, 0, "in", 0, ()), None, None, value))
    buffer.save(11)
    again = Buffer(store)
    assert (len(again), again.size, again.earliest) == (2, buffer.size, 5)
    assert [again.pop()[0] for _ in range(2)] == [b"a", b"b"]
    again.save(12)
    assert list(store.all()) == []


def test_the_changelog_gets_the_latest_of_each_key_at_a_commit() -> None:
    """Not every update; marked with Kafka's version of the format, deletions excepted."""
    cutter = Cutter(topology_of(suppressed(until_time_limit(10, name="held"))))
    cutter.feed(texts("in", ("a", "1", 0), ("a", "2", 1), ("b", "3", 2)))
    cutter.feed(texts("in", ("c", "4", 10)))
    logged = cutter.broker.records("cut-held-store-changelog")
    assert [(record.key, record.value is None, record.headers) for record in logged] == [
        (b"a", False, (("v", b"\x03"),)),
        (b"b", False, (("v", b"\x03"),)),
        (b"c", False, (("v", b"\x03"),)),
        (b"a", True, ()),
    ]
