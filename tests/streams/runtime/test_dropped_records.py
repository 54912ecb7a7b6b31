"""What is dropped is counted, as Kafka Streams counts it: also what a store no longer keeps, and in global tables."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.graph.windows import JoinWindows
from streams.operators.murmur3 import fingerprint
from streams.operators.subscriptions import Response
from streams.testing import TopologyTestDriver
from tests.streams.operators.cutting import Cutter, topology_of

HOUR_MS = 3_600_000
Records = list[tuple[str, str | None, str | None, int]]


def dropped(build: Callable[[StreamsBuilder], None], records: Records) -> dict[str, int]:
    """How many records each node dropped of records (topic, key, value, time)."""
    with TopologyTestDriver(topology_of(build)) as driver:
        for topic, key, value, timestamp in records:
            driver.input(topic).send(key, value, timestamp)
        return dict(driver.dropped_records)


def joined(builder: StreamsBuilder) -> None:
    left, right = (builder.stream(topic, key=str, value=str) for topic in ("in", "right"))
    left.join(right, lambda one, other: one + other, within=JoinWindows.of("1 s"), value=str).to("out")


def test_a_record_that_a_join_cannot_keep_is_counted() -> None:
    """It finds who came before it, but nobody finds it: that is told under the name of the store."""
    records: Records = [("in", "a", "v", HOUR_MS), ("in", "a", "late", 0), ("in", "a", "w", HOUR_MS)]
    assert dropped(joined, records) == {"KSTREAM-JOINTHIS-0000000004-store": 1}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_join_counts_them_one_after_the_other(size: int) -> None:
    """However many are processed at once: each comes after those before it, and not after the latest of all."""
    times = [0, HOUR_MS, 0, 1, 2 * HOUR_MS]
    cutter = Cutter(topology_of(joined), size)
    cutter.feed([("in", b"a", b"v", time) for time in times])
    assert cutter.task.dropped_records == {"KSTREAM-JOINTHIS-0000000004-store": 2}


def test_a_row_older_than_the_history_is_counted() -> None:
    """A versioned table does not take it."""

    def table(builder: StreamsBuilder) -> None:
        builder.table("in", key=str, value=str, store=Materialized(name="rows", history="1 min"))

    records: Records = [("in", "a", "v", HOUR_MS), ("in", "b", "old", 0), ("in", "a", "older", HOUR_MS - 60_000)]
    assert dropped(table, records) == {"rows": 1}


@pytest.mark.parametrize("verb", ["join", "left_join"])
def test_rows_without_a_foreign_key_are_counted(verb: str) -> None:
    """By inner joins: also when the row had a foreign key before, but not when it is deleted."""

    def tables(builder: StreamsBuilder) -> None:
        left, right = (builder.table(topic, key=str, value=str) for topic in ("in", "right"))
        result = getattr(left, verb)(right, lambda one, other: one, on=lambda value: value or None, value=str)
        result.to_stream().to("out")

    rows = ["fk", "", "fk", "", None]
    counts = dropped(tables, [("in", "a", value, 0) for value in rows])
    assert sum(counts.values()) == (2 if verb == "join" else 0)


def test_an_answer_that_was_overtaken_is_counted_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A row on the left that changes twice in a moment has one: Kafka counts it, and tells it at its lowest level."""
    caplog.set_level(logging.DEBUG)

    def tables(builder: StreamsBuilder) -> None:
        left, right = (builder.table(topic, key=str, value=str) for topic in ("in", "right"))
        left.join(right, lambda one, other: one + other, on=lambda value: value, value=str).to_stream().to("out")

    topology = topology_of(tables)
    (answers,) = (topic for topic in topology.source_topics if "SUBSCRIPTION-RESPONSE" in topic)
    with TopologyTestDriver(topology) as driver:
        driver.input("right").send("fk", "r", 0)
        driver.input("in").send("a", "fk", 0)
        driver.pipe(answers, b"a", Response(fingerprint(b"before"), b"r").to_bytes(), 1)
        assert sum(driver.dropped_records.values()) == 1
    (said,) = (each for each in caplog.records if "its row on the left has changed" in each.getMessage())
    assert said.levelno == logging.DEBUG


@pytest.mark.parametrize("on", [None, lambda value: value])
def test_a_version_that_comes_late_is_no_warning(
    on: Callable[[str], str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A versioned table has it, and joins the latest alone: as in Kafka, information."""
    caplog.set_level(logging.INFO)

    def tables(builder: StreamsBuilder) -> None:
        left = builder.table("in", key=str, value=str, store=Materialized(name="rows", history="1 min"))
        right = builder.table("right", key=str, value=str)
        how = {} if on is None else {"on": on}
        left.join(right, lambda one, other: one + other, value=str, **how).to_stream().to("out")

    assert sum(dropped(tables, [("in", "a", "v", 9), ("in", "a", "older", 8)]).values()) == 1
    (said,) = (each for each in caplog.records if "a later version of its row was joined" in each.getMessage())
    assert said.levelno == logging.INFO


def test_what_a_global_table_drops_is_counted() -> None:
    """Rows without a key."""

    def table(builder: StreamsBuilder) -> None:
        builder.global_table("in", key=str, value=str, name="rows")

    assert list(dropped(table, [("in", None, "v", 0), ("in", "a", "v", 0)]).values()) == [1]
