"""Whether the type of every key is known that records are kept or brought together by.

A key that nobody declared could only be guessed to be JSON: the bytes "ann" that another program wrote are none, and
equal keys in other bytes meet in other partitions. Kafka Streams has no default serde either, and fails when a task
starts; here it is said when the program is built. Values have no such need, nor have steps that keep nothing.
"""

from __future__ import annotations

import inspect

from state.serde import Serde
from streams.errors import TopologyError
from streams.graph.graph import Graph
from streams.graph.nodes import (
    Aggregate,
    ForeignKeyJoin,
    Node,
    Process,
    Repartition,
    Source,
    Stateless,
    StreamJoin,
    TableJoin,
    TableSource,
    Verb,
)

__all__ = ["check_key_types"]

_CHANGES_KEY = {Verb.MAP, Verb.FLAT_MAP, Verb.SELECT_KEY, Verb.GROUP_TABLE}


def check_key_types(graph: Graph) -> None:
    """Raises: TopologyError that names the first step whose keys are of unknown type, and where to say it."""
    for node in graph:
        for serde, reason, asked in _needed(graph, node):
            if serde is None:
                raise TopologyError(
                    f"{node.name}: the type of its keys is not known, but {reason}; {_remedy(_origin(graph, asked))}, "
                    "or set default_key_serde for all keys that are not declared"
                )


def _needed(graph: Graph, node: Node) -> list[tuple[Serde[object] | None, str, str]]:
    """(serde, why it is needed, the node whose keys these are) of each key that a node needs to know."""
    match node:
        case TableSource(materialized=stored):
            asked = node.parents[0] if node.parents else node.name
            return [(stored.serdes.key, "a table is kept by key", asked)]
        case Repartition():
            return [(node.serdes.key, "a repartition topic brings records together by key", node.parents[0])]
        case Aggregate(materialized=stored):
            return [(stored.serdes.key, "aggregates are kept by key", node.parents[0])]
        case StreamJoin(parents=(left, right)):
            reason = "both sides of a join are kept by key"
            return [(node.left_serdes.key, reason, left), (node.right_serdes.key, reason, right)]
        case TableJoin(stream=True, key_mapper=None, parents=(left, _)):
            return [(graph[left].serdes.key, "a join looks records up by key", left)]
        case ForeignKeyJoin(parents=(left, right)):
            reason = "both sides of a foreign-key join are looked up by key"
            return [(node.left_serdes.key, reason, left), (node.right_serdes.key, reason, right)]
        case _:
            return []


def _origin(graph: Graph, name: str) -> Node:
    """Where the keys of a node come from: where they are read, or made."""
    node = graph[name]
    while node.parents and not _makes_keys(node):
        node = graph[next((each for each in node.parents if graph[each].serdes.key is None), node.parents[0])]
    return node


def _makes_keys(node: Node) -> bool:
    match node:
        case Stateless(verb=verb):
            return verb in _CHANGES_KEY
        case Process():
            return not node.fixed_key and not node.table
        case _:
            return False


def _remedy(origin: Node) -> str:
    match origin:
        case Source():
            return (
                f"say key=str (or another type, or a serde) where {', '.join(origin.topics) or origin.pattern} is read"
            )
        case TableSource():
            return f"say key=str (or another type, or a serde) where {origin.topic} is read"
        case _:
            return (
                f"say key=str (or another type, or a serde) at {origin.name}{_place(origin)}, or annotate its function"
            )


def _place(origin: Node) -> str:
    """The file and line of a node's function, which is more than its name says to whoever has only written a verb."""
    function = origin.functions[0] if isinstance(origin, Stateless) and origin.functions else None
    code = getattr(inspect.unwrap(function), "__code__", None) if function else None
    return f" (the verb with the function in {code.co_filename}:{code.co_firstlineno})" if code else ""
