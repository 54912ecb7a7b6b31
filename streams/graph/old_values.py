"""Which tables need a store, and which must pass on old values: what operators downstream ask of those upstream.

A table read from a topic keeps its rows only if someone needs them; a change carries the value it replaces only if
someone asks. Asking may make a table store its rows, unless it is soft (a filter asks softly). Kafka asks while verbs
are called, so the answer depends on their order: nodes are visited in that order.
Source: Kafka's KTableImpl.enableSendingOldValues and valueGetterSupplier, and the processor suppliers' own.
"""

from __future__ import annotations

from msgspec.structs import replace

from streams.graph.graph import Graph
from streams.graph.nodes import (
    Aggregate,
    ForeignKeyJoin,
    JoinKind,
    Node,
    Process,
    Stateless,
    Suppress,
    TableJoin,
    TableSource,
    Verb,
)

__all__ = ["stores_read", "with_demands"]


def with_demands(graph: Graph) -> Graph:
    """The graph with `stored` and `send_old_values` set where operators downstream need them."""
    demands = _Demands(graph)
    for node in graph:
        demands.visit(node)
    return graph.replace(*demands.changed())


def stores_read(graph: Graph, table: str) -> tuple[str, ...]:
    """The stores from which the value of a table's key can be looked up: its own, or those of its parents."""
    node = graph[table]
    match node:
        case Aggregate():
            return (node.materialized.store,)
        case TableSource() | ForeignKeyJoin():
            return (node.materialized.store,) if node.stored else ()
        case Suppress():
            return (node.buffer.store, *stores_read(graph, node.parents[0]))
        case Stateless() | Process() | TableJoin() if node.materialized is not None:
            return (node.materialized.store,)
        case _:
            read = [store for parent in node.parents for store in stores_read(graph, parent)]
            return tuple(dict.fromkeys(read))


class _Demands:
    """What has been asked so far."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.stored = {node.name for node in graph if isinstance(node, TableSource | ForeignKeyJoin) and node.stored}
        self.asked: set[str] = set()

    def visit(self, node: Node) -> None:
        """Ask what this node needs of the tables before it."""
        match node:
            case Stateless(table=True, verb=Verb.FILTER | Verb.FILTER_NOT):
                if self.ask(node.parents[0], force=False):
                    self.asked.add(node.name)
            case Stateless(verb=Verb.GROUP_TABLE) | Suppress():
                self.ask(node.parents[0], force=True)
            case TableJoin(stream=True, key_mapper=None):
                self.look_up(node.parents[1])
            case TableJoin(stream=False):
                self._join(node)
            case ForeignKeyJoin(parents=(left, right)):
                self.ask(right, force=True)
                self.ask(left, force=True)
                self.look_up(right)
                self.look_up(left)
            case _:
                pass

    def _join(self, node: TableJoin) -> None:
        left, right = node.parents
        if node.kind is not JoinKind.INNER:
            self.ask(left, force=True)
        if node.kind is JoinKind.OUTER:
            self.ask(right, force=True)
        self.look_up(left)
        self.look_up(right)

    def ask(self, table: str, *, force: bool) -> bool:
        """Have a table pass on old values; False when it does not, for want of a store that may not be forced."""
        if table not in self.asked and not self._enabled(self.graph[table], force=force):
            return False
        self.asked.add(table)
        return True

    def _enabled(self, node: Node, *, force: bool) -> bool:
        match node:
            case TableSource() | ForeignKeyJoin():
                if not force and node.name not in self.stored:
                    return False
                self.stored.add(node.name)
                return True
            case Stateless() | Process():
                return node.materialized is not None or self.ask(node.parents[0], force=force)
            case TableJoin():
                return [self.ask(parent, force=True) for parent in node.parents] == [True, True]
            case Suppress():
                return self.ask(node.parents[0], force=force)
            case _:
                return True

    def look_up(self, table: str) -> None:
        """Make sure that a table's values can be looked up."""
        node = self.graph[table]
        match node:
            case TableSource() | ForeignKeyJoin():
                self.stored.add(table)
            case Aggregate():
                pass
            case Stateless() | Process() | TableJoin() if node.materialized is not None:
                pass
            case _:
                for parent in node.parents:
                    self.look_up(parent)

    def changed(self) -> list[Node]:
        """The nodes that differ now."""
        nodes: list[Node] = []
        for node in self.graph:
            match node:
                case TableSource() | ForeignKeyJoin():
                    asked = node.name in self.asked
                    nodes.append(replace(node, stored=node.name in self.stored, send_old_values=asked))
                case Stateless() | Process() | Aggregate() | TableJoin() | Suppress() if node.name in self.asked:
                    nodes.append(replace(node, send_old_values=True))
                case _:
                    pass
        return nodes
