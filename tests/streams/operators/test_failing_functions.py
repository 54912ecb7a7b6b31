"""Functions that raise where the handler says to go on: the record fails, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.errors import ProcessingError
from streams.graph.windows import JoinWindows, SessionWindows
from streams.on_error import on_error_of
from streams.record import Record
from streams.runtime.error_handlers import ErrorHandlers
from streams.serdes import SessionWindowedSerde, serde_for
from tests.streams.operators.cutting import Cutter, Input, skipping, texts, topology_of


def unless_bad(left: str, right: str | None) -> str:
    """Raises for a left value that says so and has no partner, or is told not to have any."""
    if left == "bad":
        raise ValueError(left)
    return f"{left}+{right}"


def asked(decisions: list[tuple[Record, str]]) -> ErrorHandlers:
    """Handlers that go on, and write down for which record, and what was raised."""

    def decide(error: Exception, record: Record) -> str:
        decisions.append((record, str(error.__cause__)))
        return "continue"

    return ErrorHandlers(processing=on_error_of(decide))


def values(cutter: Cutter) -> list[str]:
    return [(value or b"").decode() for _, value, _ in cutter.written("out")]


@pytest.mark.parametrize("verb", ["left_join", "outer_join"])
def test_a_record_without_a_partner_that_cannot_be_emitted_fails_alone(verb: str) -> None:
    """Kafka asks for it again with every record that comes, and joins none of them any more."""

    def say(builder: StreamsBuilder) -> None:
        left, right = (builder.stream(topic, key=str, value=str) for topic in ("left", "right"))
        getattr(left, verb)(right, unless_bad, within=JoinWindows.of(10), value=str).to("out")

    decisions: list[tuple[Record, str]] = []
    cutter = Cutter(topology_of(say), handlers=asked(decisions))
    cutter.feed(texts("left", ("a", "bad", 1), ("a", "bad", 1), ("b", "v", 2)))
    cutter.feed(texts("left", ("c", "w", 100), ("d", "x", 101)))
    cutter.feed(texts("right", ("c", "W", 102)))
    cutter.feed(texts("left", ("e", "y", 200)))
    assert values(cutter) == ["v+None", "w+W", "x+None"]
    assert decisions == [(Record("a", "bad", 1), "bad")] * 2
    assert [key for key, _ in cutter.task.stores["KSTREAM-OUTERSHARED-0000000004-store"].all()] == [
        (200).to_bytes(8, "big") + b"\x01e"
    ]


def test_a_record_that_waited_for_its_table_and_cannot_be_joined_fails_alone() -> None:
    """Kafka asks for it again with every record that comes, and joins none of them any more."""

    def say(builder: StreamsBuilder) -> None:
        table = builder.table("table", key=str, value=str, store=Materialized(name="rows", history="1 h"))
        stream = builder.stream("stream", key=str, value=str)
        stream.left_join(table, unless_bad, grace=10, value=str, name="join").to("out")

    decisions: list[tuple[Record, str]] = []
    cutter = Cutter(topology_of(say), handlers=asked(decisions))
    cutter.feed(texts("table", ("a", "A", 0), ("b", "B", 0)))
    cutter.feed(texts("stream", ("a", "bad", 1), ("b", "v", 2)))
    cutter.feed(texts("stream", ("c", "w", 30), ("d", "x", 31)))
    cutter.feed(texts("stream", ("e", "y", 60)))
    assert values(cutter) == ["v+B", "w+None", "x+None"]
    assert decisions == [(Record("a", "bad", 1, (), "stream", 0, 0), "bad")]


def test_a_session_stays_as_it_was_when_its_next_record_fails() -> None:
    """Kafka deletes the sessions that a record merges before it asks the aggregator, and has lost them then."""

    def add(_key: str, value: str, total: str) -> str:
        if value == "bad":
            raise ValueError(value)
        return total + value

    def say(builder: StreamsBuilder) -> None:
        sessions = (
            builder.stream("in", key=str, value=str).group_by_key().windowed_by(SessionWindows.with_inactivity_gap(10))
        )
        sessions.aggregate(str, add, lambda _key, one, other: one + other, value=str).to_stream().to("out")

    cutter = Cutter(topology_of(say, statestore_cache_max_bytes=0), handlers=skipping())
    cutter.feed(texts("in", ("a", "x", 1), ("a", "bad", 5), ("a", "y", 6)))
    windowed = SessionWindowedSerde(serde_for(str))
    found = [(windowed.deserialize(key or b"")[1:], value) for key, value, _ in cutter.written("out")]
    assert found == [((1, 1), b"x"), ((1, 1), None), ((1, 6), b"xy")]


PLACES: dict[str, Any] = {"x": 0, "nowhere": []}


def foreign(builder: StreamsBuilder) -> None:
    left, right = (builder.table(topic, key=str, value=str) for topic in ("left", "right"))
    joined = left.join(
        right,
        lambda _row, name: name,
        on=lambda row: row,
        value=str,
        other_partitioner=lambda _topic, key, _value, _count: PLACES[key],
    )
    joined.to_stream().to("out")


LEFT: list[Input] = texts("left", ("1", "x", 2), ("2", "nowhere", 3), ("3", "unknown", 4), ("4", "x", 5))


def test_a_row_that_a_foreign_key_joins_partitioner_fails_for_is_left_out() -> None:
    """It raises, or does not choose one partition, which is how Kafka has it too."""
    decisions: list[tuple[Record, str]] = []
    cutter = Cutter(topology_of(foreign), handlers=asked(decisions))
    cutter.feed([*texts("right", ("x", "X", 1)), *LEFT])
    assert [key for key, *_ in cutter.written("out")] == [b"1", b"4"]
    assert [record.key for record, _ in decisions] == [b"nowhere", b"unknown"]
    assert [said for _, said in decisions] == [
        "the partitioner of a foreign-key join has to choose one partition, but chose []",
        "'unknown'",
    ]


def test_a_foreign_key_joins_partitioner_that_fails_stops_the_task_with_its_node() -> None:
    """By default; Kafka names the node before the sink."""
    cutter = Cutter(topology_of(foreign))
    with pytest.raises(ProcessingError, match=r"raised ValueError(?s:.)*node: KTABLE-SINK-"):
        cutter.feed([*texts("right", ("x", "X", 1)), *LEFT])
