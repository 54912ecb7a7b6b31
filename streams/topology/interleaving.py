"""Which sub-topologies are one stream join that may take its two inputs together (`operators.interleaved_join`).

That is so where nobody can tell: two sources, each with nothing but stateless steps up to the join, an inner join, and
behind it only nodes that do not ask for a record's place among others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.graph.nodes import JoinKind, StreamJoin
from streams.topology.meeting import reachable
from streams.topology.nodes import ProcessorNode, Role, SinkNode, TopologyNode

__all__ = ["JoinedPair", "JoinedSide", "joined_pair"]

BEHIND = {
    Role.STATELESS,
    Role.MERGE,
    Role.REPARTITION_FILTER,
    Role.REPARTITION_SINK,
    Role.STREAM_TABLE_JOIN,
    Role.SINK,
}
"""What may follow: it takes batches, and has no record cache, which counts the name of each record's topic."""


class JoinedSide(NamedTuple):
    """The nodes of one side of a join; `role` is its window's."""

    role: Role
    source: str
    window: str
    join: str


class JoinedPair(NamedTuple):
    """A join's sides, left and right, and the node where they meet."""

    sides: tuple[JoinedSide, JoinedSide]
    merge: str


def joined_pair(nodes: Mapping[str, TopologyNode], sources: Sequence[str]) -> JoinedPair | None:
    """The join of exactly these sources, if it may take them together."""
    sides = {side.role: side for source in sources if (side := _side(nodes, source))}
    if len(sources) != 2 or sides.keys() != {Role.JOIN_WINDOW_LEFT, Role.JOIN_WINDOW_RIGHT}:
        return None
    left, right = sides[Role.JOIN_WINDOW_LEFT], sides[Role.JOIN_WINDOW_RIGHT]
    merges = {child for side in (left, right) for child in children_of(nodes[side.join])}
    join = nodes[left.join].node
    if len(merges) != 1 or not isinstance(join, StreamJoin) or join.kind is not JoinKind.INNER:
        return None
    (merge,) = merges
    if not all(_may_follow(nodes[name]) for name in reachable(nodes, merge)):
        return None
    return JoinedPair((left, right), merge)


def _side(nodes: Mapping[str, TopologyNode], source: str) -> JoinedSide | None:
    """The way from a source to a join, if there is but one and it keeps nothing."""
    name = source
    while len(children := children_of(nodes[name])) == 1:
        (name,) = children
        node = nodes[name]
        if not isinstance(node, ProcessorNode) or len(node.parents) != 1:
            return None
        if node.role in {Role.JOIN_WINDOW_LEFT, Role.JOIN_WINDOW_RIGHT}:
            return JoinedSide(node.role, source, name, node.children[0]) if len(node.children) == 1 else None
        if node.role is not Role.STATELESS:
            return None
    return None


def children_of(node: TopologyNode) -> tuple[str, ...]:
    """What a node passes its records on to."""
    return () if isinstance(node, SinkNode) else node.children


def _may_follow(node: TopologyNode) -> bool:
    return not (isinstance(node, SinkNode) and node.chooser) and getattr(node, "role", None) in BEHIND
