"""What is dropped is counted, as Kafka Streams counts it: also what a store no longer keeps, and in global tables."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.graph.windows import JoinWindows
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


def test_what_a_global_table_drops_is_counted() -> None:
    """Rows without a key."""

    def table(builder: StreamsBuilder) -> None:
        builder.global_table("in", key=str, value=str, name="rows")

    assert list(dropped(table, [("in", None, "v", 0), ("in", "a", "v", 0)]).values()) == [1]
