"""A program while it is written: the graph so far, the counter of its names, and what handles of it share.

Verbs append nodes here and nothing else. Rules: one program per App; handles (streams, tables) are immutable and know
their program; only this object changes.
"""

from __future__ import annotations

from copy import copy
from typing import TypeVar

from msgspec.structs import replace

from state.stores import StoreSpec
from streams.config import StreamsConfig
from streams.errors import TopologyError
from streams.graph.graph import Graph
from streams.graph.names import Names
from streams.graph.nodes import Node, Repartition, Serdes
from streams.graph.repartitions import repartition_node
from streams.on_error import OnError
from streams.topology.topology import Topology

__all__ = ["Program"]

N = TypeVar("N", bound=Node)


class Program:
    """See the module."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.names = Names()
        self.stores: dict[str, StoreSpec] = {}
        self._repartitions: dict[object, str] = {}
        self._groups = 0

    def build(self, config: StreamsConfig) -> Topology:
        """The topology of all that was said so far. Raises: TopologyError, ConfigError."""
        from streams.topology.build import build  # a dozen modules, which who only says a program does without

        return build(self.graph, copy(self.names), config, self.stores)

    def add(self, node: N) -> N:
        """Append a node. Raises: TopologyError for a name that is taken."""
        self.graph = self.graph.add(node)
        return node

    def set_on_error(self, name: str, policy: OnError | None) -> None:
        """Say what becomes of records that a node cannot handle."""
        self.graph = self.graph.update(name, on_error=policy)

    def add_store(self, spec: StoreSpec) -> None:
        """Add a store that processors use by name. Raises: TopologyError when there is another one of this name."""
        known = self.stores.setdefault(spec.name, spec)
        if known is not spec and known != spec:
            raise TopologyError(f"{spec.name}: there is another store of this name; give one of the two another name")

    def new_group(self) -> int:
        """A number for a grouping, by which its aggregates find the repartition they share."""
        self._groups += 1
        return self._groups

    def repartition_once(
        self, owner: object, parent: str, prefix: str, serdes: Serdes, *, again: bool, like: int = 0
    ) -> str:
        """A repartition that several verbs of `owner` may share; its name.

        Numbers are burned each time, as in Kafka. `again`: make a new one although there is one. `like`: how many of the
        same name there are already, which a rewrite has to merge with this one.
        """
        node = repartition_node(self.names, prefix, serdes, parent=parent)
        if not like and self._repartitions.get(owner) is None:
            like = self._namesakes(node.name)
        if like:
            node = replace(node, name=f"{node.name} ({like + 1})", built_as=node.name)
        return self.share(owner, node, again=again)

    def _namesakes(self, name: str) -> int:
        """How many repartitions that users have named have a name."""
        return sum(name in (node.name, node.built_as) for node in self.graph.of_type(Repartition) if node.optimizable)

    def share(self, owner: object, node: Repartition, *, again: bool) -> str:
        """Append a repartition, or build the one that `owner` has already behind everything that came since."""
        known = self._repartitions.get(owner)
        if known is not None and not again:
            return known
        self._repartitions[owner] = self.add(node).name
        return node.name

    def build_later(self, name: str) -> None:
        """Have a shared repartition built after what was added since."""
        self.graph = self.graph.move_to_end(name)
