"""How the row of a table is looked up from downstream: in its store, or computed from its parents.

Rule: one function per question, over the logical graph; getters are made anew for each operator that asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from state.stores import StoreKind, StoreSpec
from streams.graph.nodes import (
    Aggregate,
    ForeignKeyJoin,
    JoinKind,
    Node,
    Process,
    Stateless,
    TableJoin,
    TableSource,
    Verb,
)
from streams.graph.nodes import Suppress as SuppressNode
from streams.graph.windows import SessionWindows
from streams.operators.getters import Getter, JoinGetter, MappedGetter, SessionGetter, StoreGetter, WindowGetter
from streams.operators.process import Stores
from streams.operators.suppress import Suppress, SuppressGetter
from streams.operators.table import Compute, filter_compute, map_compute
from streams.operators.transform_values import Transformer, TransformGetter

__all__ = ["compute_of", "getter_of", "joiner_of"]

KeyedJoiner = Callable[[Any, Any, Any], Any]


def joiner_of(joiner: Callable[..., Any], *, with_key: bool) -> KeyedJoiner:
    """A joiner as function(key, left, right)."""
    return joiner if with_key else lambda _key, left, right: joiner(left, right)


def compute_of(node: Stateless) -> Compute:
    """What a stateless node makes of a table's row."""
    function = node.functions[0]
    assert function is not None, "only the default branch of a split has no function"
    if node.verb in {Verb.FILTER, Verb.FILTER_NOT}:
        return filter_compute(function, negate=node.verb is Verb.FILTER_NOT)
    assert node.verb is Verb.MAP_VALUES, f"{node.name}: {node.verb} is no verb of tables"
    return map_compute(function, with_key=node.with_key)


def getter_of(
    graph: Mapping[str, Node],
    stores: Mapping[str, StoreSpec],
    suppresses: Mapping[str, Suppress],
    table: str,
    attempted: Callable[[str, Callable[..., Any]], Callable[..., Any]],
    everywhere: Collection[str] = (),
) -> Getter:
    """The getter of a table, by the name of its logical node; `suppresses` is filled while operators are made.

    `attempted(node, function)` gives functions the retries of their node. `everywhere` are the names of global stores.
    """
    node = graph[table]

    def parent(index: int = 0) -> Getter:
        return getter_of(graph, stores, suppresses, node.parents[index], attempted, everywhere)

    match node:
        case TableSource(materialized=materialized) | ForeignKeyJoin(materialized=materialized):
            return stored(stores, materialized.store)
        case Aggregate(windows=None):
            return stored(stores, node.materialized.store)
        case Aggregate(windows=SessionWindows()):
            return SessionGetter(node.materialized.store)
        case Aggregate():
            return WindowGetter(node.materialized.store)
        case Stateless() | Process() | TableJoin() if node.materialized is not None:
            return stored(stores, node.materialized.store)
        case Stateless():
            return MappedGetter(parent(), attempted(node.name, compute_of(node)))
        case TableJoin():
            return JoinGetter(
                parent(0),
                parent(1),
                attempted(node.name, joiner_of(node.joiner, with_key=node.with_key)),
                keep_left=node.kind is not JoinKind.INNER,
                keep_right=node.kind is JoinKind.OUTER,
            )
        case Process():
            return TransformGetter(parent(), Transformer(table, node.supplier, Stores(node.stores, everywhere)))
        case SuppressNode():
            return SuppressGetter(lambda: suppresses[table], parent())
        case _:
            raise AssertionError(f"{table} is a {type(node).__name__}, and no table")


def stored(stores: Mapping[str, StoreSpec], store: str) -> StoreGetter:
    """The getter of a table that is stored by key."""
    return StoreGetter(store, versioned=stores[store].kind is StoreKind.VERSIONED_KEY_VALUE)
