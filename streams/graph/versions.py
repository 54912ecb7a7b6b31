"""Which tables are versioned, and which operators must know: history passes through steps that keep no store.

Rules: a table with a store is versioned when the store has a history; one without is versioned when all its parents
are, unless it was given a Materialized without a name. A windowed cogroup has a store, but says nothing of it, and
counts as one without. Suppress is not possible on versioned tables. A stream join that waits (grace) needs a versioned table.
Source: Kafka's InternalStreamsBuilder.enableVersionedSemantics.
"""

from __future__ import annotations

from msgspec.structs import replace

from streams.errors import TopologyError
from streams.graph.graph import Graph
from streams.graph.nodes import (
    Aggregate,
    ForeignKeyJoin,
    Materialization,
    Node,
    Process,
    Source,
    Stateless,
    Suppress,
    TableJoin,
    TableSource,
    Verb,
)
from streams.graph.old_values import stores_read

__all__ = ["is_versioned", "with_versions"]

USES_VERSIONS = {Verb.FILTER, Verb.FILTER_NOT, Verb.GROUP_TABLE}


def is_versioned(graph: Graph, name: str) -> bool:
    """Whether a table keeps, or inherits, the history of its rows."""
    node = graph[name]
    match node:
        case TableSource() | ForeignKeyJoin():
            return _has_history(node.materialized)
        case Aggregate() if node.windows is None:
            return _has_history(node.materialized)
        case Aggregate(cogrouped=False):
            return False
        case Stateless() | Process() if node.materialized is not None:
            return _has_history(node.materialized)
        case Stateless(ends_history=True) | Process(ends_history=True):
            return False
        case TableJoin():
            return _has_history(node.materialized)
        case Suppress() | Source():
            return False
        case _:
            return bool(node.parents) and all(is_versioned(graph, parent) for parent in node.parents)


def _has_history(stored: Materialization | None) -> bool:
    return stored is not None and stored.history_ms is not None


def with_versions(graph: Graph) -> Graph:
    """The graph where operators know which of their tables are versioned. Raises: TopologyError for what cannot be."""
    return graph.replace(*(_informed(graph, node) for node in graph))


def _informed(graph: Graph, node: Node) -> Node:
    match node:
        case Stateless(table=True, verb=verb) if verb in USES_VERSIONS:
            return replace(node, versioned=is_versioned(graph, node.parents[0]))
        case TableJoin(stream=False) | ForeignKeyJoin():
            left, right = (is_versioned(graph, parent) for parent in node.parents)
            return replace(node, left_versioned=left, right_versioned=right)
        case TableJoin(stream=True, key_mapper=None):
            _check_grace(graph, node)
            return replace(node, right_versioned=is_versioned(graph, node.parents[1]))
        case Suppress() if is_versioned(graph, node.parents[0]):
            raise TopologyError(
                f"{node.name}: suppress is not possible on a versioned table, and {node.parents[0]} is one (or inherits "
                "it): suppress before the history is kept, or leave the history out"
            )
        case _:
            return node


def _check_grace(graph: Graph, node: TableJoin) -> None:
    """A join that waits `grace_ms` needs the table's rows of that long ago."""
    if node.grace_ms is None:
        return
    table = node.parents[1]
    histories = [_history_ms(graph, store) for store in stores_read(graph, table)]
    if not histories or any(history_ms is None for history_ms in histories):
        raise TopologyError(
            f"{node.name}: a stream-table join with grace needs a versioned table, and {table} is not one: "
            "give the table a history, or the join no grace"
        )
    shortest_ms = min(history_ms for history_ms in histories if history_ms is not None)
    if node.grace_ms > shortest_ms:
        raise TopologyError(
            f"{node.name}: its grace of {node.grace_ms:,} ms is longer than the history of {table} "
            f"({shortest_ms:,} ms): raise the history or lower the grace"
        )


def _history_ms(graph: Graph, store: str) -> int | None:
    stored = (getattr(node, "materialized", None) for node in graph)
    return next((each.history_ms for each in stored if each is not None and each.store == store), None)
