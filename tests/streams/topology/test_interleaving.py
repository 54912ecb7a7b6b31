"""Which topologies take the two inputs of a join together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.kstream import KStream
from streams.graph.windows import JoinWindows
from streams.topology.interleaving import joined_pair
from tests.streams.operators.cutting import topology_of

Say = Callable[[StreamsBuilder], Any]

WITHIN = JoinWindows.of("5 s")


def inputs(builder: StreamsBuilder) -> tuple[KStream, KStream]:
    return builder.stream("left", key=str, value=str), builder.stream("right", key=str, value=str)


def together(left: str, right: str) -> str:
    return left + right


def joined(builder: StreamsBuilder) -> None:
    left, right = inputs(builder)
    left.filter(lambda *_: True).join(right, together, within=WITHIN).map_values(str, value=str).to("out")


def left_joined(builder: StreamsBuilder) -> None:
    left, right = inputs(builder)
    left.left_join(right, together, within=WITHIN).to("out", value=str)


def used_twice(builder: StreamsBuilder) -> None:
    left, right = inputs(builder)
    left.join(right, together, within=WITHIN).to("out", value=str)
    left.to("copy")


def counted(builder: StreamsBuilder) -> None:
    left, right = inputs(builder)
    left.join(right, together, within=WITHIN).group_by_key().count()


def self_joined(builder: StreamsBuilder) -> None:
    left, _ = inputs(builder)
    left.join(left, together, within=WITHIN).to("out", value=str)


@pytest.mark.parametrize(
    ("say", "taken"),
    [(joined, True), (left_joined, False), (used_twice, False), (counted, False), (self_joined, False)],
)
def test_only_where_nobody_can_tell(say: Say, taken: bool) -> None:
    """An inner join of two streams that go nowhere else, with stateless steps around it."""
    topology = topology_of(say)
    (part,) = topology.subtopologies[:1]
    assert (joined_pair(topology.nodes, [source.name for source in part.sources]) is not None) is taken
