"""The logical graph: nodes by name, in the order in which they are to be built.

Rules: immutable; every change gives a new graph. Parents are names, and may stand behind their children only while a
rewrite is under way (`build_order` sorts that out). Order matters: children forward in it, numbers follow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from streams.errors import TopologyError
from streams.graph.nodes import Node

__all__ = ["Graph"]

N = TypeVar("N", bound=Node)


class Graph(Struct, frozen=True):
    """See the module."""

    nodes: Mapping[str, Node] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Graph:
        """The graph of these nodes, in this order."""
        return cls(MappingProxyType({node.name: node for node in nodes}))

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __contains__(self, name: str) -> bool:
        return name in self.nodes

    def __len__(self) -> int:
        return len(self.nodes)

    def add(self, node: Node) -> Graph:
        """With one node more, at the end. Raises: TopologyError for a name that is taken, or an unknown parent."""
        if node.name in self.nodes:
            raise TopologyError(
                f"{node.name}: there is a {type(self.nodes[node.name]).__name__} node of this name already; "
                "give one of the two another name"
            )
        unknown = [parent for parent in node.parents if parent not in self.nodes]
        if unknown:
            raise TopologyError(
                f"{node.name}: its parent {unknown[0]} belongs to another program; "
                "build all streams and tables of a program with one App"
            )
        return Graph(MappingProxyType({**self.nodes, node.name: node}))

    def replace(self, *nodes: Node) -> Graph:
        """With other nodes in the place of those of the same names."""
        changed = {node.name: node for node in nodes}
        return Graph(MappingProxyType({name: changed.get(name, node) for name, node in self.nodes.items()}))

    def update(self, name: str, **fields: object) -> Graph:
        """With some fields of one node changed."""
        return self.replace(replace(self.nodes[name], **fields))

    def move_to_end(self, name: str) -> Graph:
        """With one node built last."""
        rest = {key: node for key, node in self.nodes.items() if key != name}
        return Graph(MappingProxyType({**rest, name: self.nodes[name]}))

    def remove(self, *names: str) -> Graph:
        """Without these nodes."""
        return Graph.of(node for node in self if node.name not in names)

    def insert_after(self, name: str, node: Node) -> Graph:
        """With one node more, right behind another."""
        ordered: list[Node] = []
        for each in self:
            ordered.append(each)
            if each.name == name:
                ordered.append(node)
        return Graph.of(ordered)

    def parents(self, name: str) -> tuple[Node, ...]:
        """The nodes that one node takes its records from."""
        return tuple(self.nodes[parent] for parent in self.nodes[name].parents)

    def children(self, name: str) -> tuple[Node, ...]:
        """The nodes that take their records from this one, in build order."""
        return tuple(node for node in self if name in node.parents)

    def of_type(self, kind: type[N]) -> tuple[N, ...]:
        """All nodes of a class, in build order."""
        return tuple(node for node in self if isinstance(node, kind))

    def build_order(self) -> tuple[Node, ...]:
        """The nodes with parents before children, otherwise in their order. Raises: TopologyError for a cycle."""
        waiting = dict(self.nodes)
        ordered: dict[str, Node] = {}
        while waiting:
            ready = next((node for node in waiting.values() if all(parent in ordered for parent in node.parents)), None)
            if ready is None:
                raise TopologyError(f"these nodes wait for each other: {', '.join(waiting)}")
            ordered[ready.name] = waiting.pop(ready.name)
        return tuple(ordered.values())
