"""Users' keys and values are never asked whether they equal something: numpy arrays answer that with an array."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.graph.windows import JoinWindows
from tests.streams.operators.cutting import Cutter, topology_of


class Answers:
    """What a comparison by element gives: it is neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


class Vector(msgspec.Struct, eq=False):
    """A value that is compared by element."""

    x: int

    def __eq__(self, other: object) -> Any:
        return Answers()

    def __ne__(self, other: object) -> Any:
        return Answers()

    __hash__ = None  # type: ignore[assignment]  # as numpy's arrays


def joined(builder: StreamsBuilder) -> None:
    left, right = (builder.stream(topic, key=Vector, value=Vector) for topic in ("in", "right"))
    left.join(right, lambda one, other: one.x + other.x, within=JoinWindows.of("1 h")).to("out", value=int)


def regrouped(builder: StreamsBuilder) -> None:
    rows = builder.stream("in", key=Vector, value=Vector).select_key(lambda key, _: Vector(key.x), key=Vector)
    rows.group_by_key().reduce(lambda one, other: Vector(one.x + other.x)).to_stream().to("out")


def uncached(builder: StreamsBuilder) -> None:
    rows = builder.stream("in", key=Vector, value=Vector).group_by_key()
    rows.reduce(lambda one, other: Vector(one.x + other.x), store=Materialized(cached=False)).to_stream().to("out")


def table(builder: StreamsBuilder) -> None:
    builder.table("in", key=Vector, value=Vector).map_values(lambda value: value).to_stream().to("out")


def regrouped_table(builder: StreamsBuilder) -> None:
    rows = builder.table("in", key=Vector, value=Vector)
    rows.group_by(lambda key, value: (Vector(value.x % 2), value), key=Vector, value=Vector).count().to_stream().to(
        "out", value=int
    )


@pytest.mark.parametrize("say", [joined, regrouped, uncached, table, regrouped_table])
@pytest.mark.parametrize("cache_bytes", [0, 10 << 20])
def test_objects_that_equal_nothing_pass(say: Any, cache_bytes: int) -> None:
    """As values and as keys, wherever records are dropped for want of one, and where a row is put under another key."""
    cutter = Cutter(topology_of(say), cache_bytes=cache_bytes)
    topics = [topic for topic in ("in", "right") if topic in cutter.topics]
    cutter.feed([(topic, b'{"x":1}', b'{"x":%d}' % (time % 3), time) for time in range(40) for topic in topics])
    assert cutter.written("out")
