"""A topology while it is put together: sources, processors, sinks and stores, one after the other, checked as they come.

Nodes that share an edge or a store end up in one group; groups become sub-topologies (`topology.split`). Rules: parents
come before children; a topic has one source; a name is used once.
Source: Kafka's InternalTopologyBuilder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from state.stores import StoreSpec
from streams.errors import TopologyError
from streams.graph.nodes import Node, Serdes
from streams.topology.java_order import hash_ordered
from streams.topology.nodes import ProcessorNode, Role, SinkNode, SourceNode, StoreUse, TopologyNode

__all__ = ["Assembly", "StoreEntry"]


class StoreEntry(Struct):
    """A store and the processors that use it. `changelog` is a topic it is restored from that it does not write.

    `owner` is the logical node that has it, "" for users' stores: two nodes do not share one by giving it the same name.
    """

    spec: StoreSpec
    use: StoreUse
    owner: str
    users: list[str] = field(default_factory=list)
    changelog: str | None = None
    generated_name: bool = False


class Assembly:
    """See the module."""

    def __init__(self) -> None:
        self.nodes: dict[str, TopologyNode] = {}
        self.stores: dict[str, StoreEntry] = {}
        self.global_stores: dict[str, tuple[str, str]] = {}
        self.internal_topics: dict[str, int | None] = {}
        self._group: dict[str, str] = {}

    def add_source(
        self,
        name: str,
        node: Node,
        serdes: Serdes,
        *,
        topics: tuple[str, ...] = (),
        pattern: str | None = None,
        timestamp: Callable[..., Any] | None = None,
        offset_reset: str | int | None = None,
    ) -> None:
        """Read topics; internal ones from their beginning, since the input of what waits there is committed upstream.

        Raises: TopologyError when another source reads one of them.
        """
        self._check_new(name)
        self._check_topics(name, topics, pattern)
        internal = bool(topics) and topics[0] in self.internal_topics
        self.nodes[name] = SourceNode(
            name=name,
            children=(),
            topics=topics,
            pattern=pattern,
            serdes=serdes,
            timestamp=timestamp,
            offset_reset="earliest" if internal else offset_reset,
            internal=internal,
            node=node,
        )
        self._group[name] = name

    def add_processor(self, name: str, role: Role, node: Node, parents: Iterable[str], index: int = 0) -> None:
        """Add a processor behind its parents."""
        self._check_new(name)
        added = ProcessorNode(name=name, parents=tuple(parents), children=(), role=role, node=node, index=index)
        self.nodes[name] = added
        self._connect(name, added.parents)

    def add_sink(
        self,
        name: str,
        role: Role,
        node: Node,
        parents: Iterable[str],
        serdes: Serdes,
        *,
        topic: str | None,
        chooser: Callable[..., Any] | None = None,
        partitioner: Callable[..., Any] | None = None,
    ) -> None:
        """Write to a topic."""
        self._check_new(name)
        added = SinkNode(
            name=name,
            parents=tuple(parents),
            role=role,
            topic=topic,
            chooser=chooser,
            serdes=serdes,
            partitioner=partitioner,
            internal=topic in self.internal_topics,
            node=node,
        )
        self.nodes[name] = added
        self._connect(name, added.parents)

    def add_internal_topic(self, topic: str, partitions: int | None = None) -> None:
        """Make a topic the application's own."""
        self.internal_topics[topic] = partitions

    def add_store(
        self, spec: StoreSpec, use: StoreUse, *users: str, changelog: str | None = None, generated_name: bool = False
    ) -> None:
        """Add a store and connect processors to it. Raises: TopologyError when another store has its name."""
        known = self.stores.get(spec.name)
        owner = self.nodes[users[0]].node.name if users else ""
        if known is not None and (known.owner != owner or known.spec != spec):
            raise TopologyError(f"{spec.name}: there is another store of this name; give one of the two another name")
        if spec.name in self.global_stores:
            raise TopologyError(f"{spec.name}: there is a global store of this name; give one of the two another name")
        self.stores.setdefault(
            spec.name, StoreEntry(spec, use, owner, changelog=changelog, generated_name=generated_name)
        )
        for user in users:
            self.use_stores(user, (spec.name,))

    def add_global_store(self, spec: StoreSpec, use: StoreUse, source: str, processor: str) -> None:
        """Make the store of two nodes that are there already a global one."""
        if spec.name in self.stores or spec.name in self.global_stores:
            raise TopologyError(f"{spec.name}: there is another store of this name; give one of the two another name")
        self.stores[spec.name] = StoreEntry(spec, use, processor, [processor])
        self.global_stores[spec.name] = (source, processor)
        self._set_stores(processor, (spec.name,))

    def use_stores(self, processor: str, stores: Iterable[str]) -> None:
        """Connect a processor to stores, which also puts it into the group of their other users.

        Raises: TopologyError for a store that nobody added.
        """
        node = self.nodes[processor]
        assert isinstance(node, ProcessorNode)
        for store in stores:
            if store in self.global_stores:
                raise TopologyError(
                    f"{processor}: {store} is a global store, which every processor may read: leave it out of `stores`"
                )
            if store not in self.stores:
                known = ", ".join(self.stores) or "none"
                raise TopologyError(
                    f"{processor}: there is no store {store!r} (known: {known}): add it with add_state_store first"
                )
            users = self.stores[store].users
            if users:
                self._unite(users[0], processor)
            users.append(processor)
        self._set_stores(processor, stores)

    def group(self, name: str) -> str:
        """A name that all nodes of one group share."""
        while self._group[name] != name:
            name = self._group[name]
        return name

    def _set_stores(self, processor: str, stores: Iterable[str]) -> None:
        node = self.nodes[processor]
        assert isinstance(node, ProcessorNode)
        self.nodes[processor] = replace(
            node, stores=(*node.stores, *(each for each in stores if each not in node.stores))
        )

    def _connect(self, name: str, parents: tuple[str, ...]) -> None:
        self._group[name] = name
        for parent in parents:
            above = self.nodes[parent]
            if isinstance(above, SinkNode):
                raise TopologyError(f"{name}: its parent {parent} is a sink, and nothing comes after a sink")
            self.nodes[parent] = replace(above, children=(*above.children, name))
            self._unite(parent, name)

    def _unite(self, name: str, other: str) -> None:
        self._group[self.group(other)] = self.group(name)

    def _check_new(self, name: str) -> None:
        if name in self.nodes:
            raise TopologyError(f"{name}: there is a node of this name already; give one of the two another name")

    def _check_topics(self, name: str, topics: tuple[str, ...], pattern: str | None) -> None:
        for other in self.nodes.values():
            if not isinstance(other, SourceNode):
                continue
            both = [topic for topic in topics if _reads(other, topic)]
            both += [topic for topic in other.topics if pattern and re.fullmatch(pattern, topic)]
            if both:
                raise TopologyError(
                    f"{name}: the topic {both[0]} has a source already, {other.name}: read it once, and use that "
                    "stream or table twice"
                )

    def finished_nodes(self) -> dict[str, TopologyNode]:
        """All nodes, their stores in Kafka's order."""
        return {
            name: replace(node, stores=hash_ordered(node.stores)) if isinstance(node, ProcessorNode) else node
            for name, node in self.nodes.items()
        }


def _reads(source: SourceNode, topic: str) -> bool:
    return topic in source.topics or (source.pattern is not None and re.fullmatch(source.pattern, topic) is not None)
