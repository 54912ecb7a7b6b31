"""Tables and records that fail: each is blamed itself, once, and the rows before it stay."""

from __future__ import annotations

from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.on_error import dead_letter
from streams.runtime.error_handlers import ErrorHandlers
from tests.streams.operators.cutting import ALL, Cutter, Input, texts, topology_of

UNCACHED = Materialized(cached=False)
CACHED = [0, 10 << 20]
FED = texts("in", ("a", "1", 1), ("b", "2", 2), ("a", "bad", 3), ("c", "4", 4), ("b", "bad", 5), ("b", "6", 6))


def bad(value: str) -> Any:
    return object() if value == "bad" else int(value)


def fail_at_cd(value: str) -> str:
    if value in {"c", "d"}:
        raise ValueError(value)
    return value


def fed(say: Any, size: int, cache_bytes: int, records: list[Input]) -> Cutter:
    """A program that buries what fails, fed with records."""
    cutter = Cutter(topology_of(say), size, cache_bytes, ErrorHandlers(processing=dead_letter("letters")))
    for record in records if size == 1 else ():
        cutter.feed([record])
    cutter.feed([] if size == 1 else records)
    return cutter


def letters(cutter: Cutter) -> list[tuple[bytes | None, int]]:
    """Value and time of the dead letters."""
    return [(value, time) for _, value, time in cutter.written("letters")]


def to_table(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).map_values(bad, value=int).to_table(name="rows")


def mapped(builder: StreamsBuilder) -> None:
    builder.table("in", key=str, value=str).map_values(bad, value=int, store="rows")


def mapped_for_a_reader(builder: StreamsBuilder) -> None:
    builder.table("in", key=str, value=str).map_values(bad, value=int, store="rows").group_by(
        lambda key, value: (key, value), value=int
    ).count()


def joined(builder: StreamsBuilder) -> None:
    tables = [builder.table(topic, key=str, value=str, store=UNCACHED) for topic in ("in", "right")]
    tables[0].left_join(tables[1], lambda one, _: bad(one), value=int, store="rows")


class Transform:
    """Makes rows that cannot be kept."""

    def transform(self, _key: str, value: str | None) -> Any:
        return None if value is None else bad(value)


def transformed(builder: StreamsBuilder) -> None:
    builder.table("in", key=str, value=str).transform_values(Transform, value=int, store="rows")


@pytest.mark.parametrize("say", [to_table, mapped, mapped_for_a_reader, joined, transformed])
@pytest.mark.parametrize("cache_bytes", CACHED)
@pytest.mark.parametrize("size", [1, ALL])
def test_a_row_that_cannot_be_kept_is_its_records_fault(say: Any, size: int, cache_bytes: int) -> None:
    """The row before it stays, as where Kafka's store raises in the processor, and the others are put."""
    cutter = fed(say, size, cache_bytes, FED)
    store = cutter.task.stores["rows"]
    assert {key: store.get(key)[0] for key in "abc"} == {"a": 1, "b": 6, "c": 4}
    assert letters(cutter) == [(b"bad", 3), (b"bad", 5)]


def bad_dict(value: str) -> Any:
    return {"held": object() if value == "bad" else value}


@pytest.mark.parametrize("cache_bytes", CACHED)
@pytest.mark.parametrize("size", [1, ALL])
def test_rows_that_have_to_be_written_to_be_seen_to(size: int, cache_bytes: int) -> None:
    """Of most classes only the bytes tell: a batch that can be written at once is, others row by row."""

    def say(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=str).map_values(bad_dict, value=dict).to_table(name="rows")

    cutter = fed(say, size, cache_bytes, FED)
    store = cutter.task.stores["rows"]
    assert {key: store.get(key)[0]["held"] for key in "abc"} == {"a": "1", "b": "6", "c": "4"}
    assert letters(cutter) == [(b"bad", 3), (b"bad", 5)]


@pytest.mark.parametrize("size", [1, ALL])
def test_a_row_that_cannot_be_kept_is_not_passed_on(size: int) -> None:
    """An uncached table passes on what it put, each with the row before."""
    uncached = Materialized(name="rows", cached=False)
    say = lambda builder: mapped_uncached(builder, uncached)  # noqa: E731
    out = fed(say, size, 0, FED).written("out")
    assert [(key, value) for key, value, _ in out] == [(b"a", b"1"), (b"b", b"2"), (b"c", b"4"), (b"b", b"6")]


def mapped_uncached(builder: StreamsBuilder, store: Materialized) -> None:
    rows = builder.table("in", key=str, value=str).map_values(bad, value=int, store=store)
    rows.to_stream().map_values(str).to("out", value=str)


@pytest.mark.parametrize("size", [1, ALL])
def test_a_record_that_fails_for_its_new_and_its_old_value_fails_once(size: int) -> None:
    """One record, one dead letter; one that fails for its old value alone has one too."""

    def say(builder: StreamsBuilder) -> None:
        rows = builder.table("in", key=str, value=str).map_values(fail_at_cd, value=str)
        rows.group_by(lambda _, value: (value, value)).count()

    records = texts("in", ("a", "c", 1), ("a", "d", 2), ("a", "e", 3), ("a", "f", 4))
    assert letters(fed(say, size, 0, records)) == [(b"c", 1), (b"d", 2), (b"e", 3)]
