"""A topology as text, equal to Kafka's TopologyDescription to the letter.

Shape: sub-topologies and global stores by number; in each, nodes with the larger subtree first (a node counts once
per path that leads to it), then by name; `-->` successors, `<--` predecessors.
Source: Kafka's InternalTopologyBuilder.describe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from streams.topology.java_order import TreeOrder, hash_ordered
from streams.topology.nodes import GlobalStore, ProcessorNode, SinkNode, SourceNode, SubTopology, TopologyNode

__all__ = ["description"]


def description(
    nodes: Mapping[str, TopologyNode], subtopologies: Sequence[SubTopology], global_stores: Sequence[GlobalStore]
) -> str:
    """Kafka's text for a topology."""
    parts = {part.id: _subtopology(part, nodes) for part in subtopologies}
    parts |= {store.id: _global_store(store) for store in global_stores}
    return "Topologies:\n " + "".join(f"  {parts[number]}" for number in sorted(parts))


def _subtopology(part: SubTopology, nodes: Mapping[str, TopologyNode]) -> str:
    inside = {name: nodes[name] for name in part.nodes}
    neighbours = _Neighbours(inside)
    lines = [f"Sub-topology: {part.id}"]
    for name in sorted(inside, key=neighbours.rank):
        lines += _lines(inside[name], neighbours)
    return "\n".join(lines) + "\n\n"


class _Neighbours:
    """Predecessors and successors in the order in which Kafka lists them, and subtree sizes.

    Nodes are connected in the order of a hash map, and sizes grow on the way, as in Kafka's describeSubtopology.
    """

    def __init__(self, nodes: Mapping[str, TopologyNode]) -> None:
        self.sizes = dict.fromkeys(nodes, 1)
        self.predecessors = {name: TreeOrder(self._precedes) for name in nodes}
        self.successors = {name: TreeOrder(self._precedes) for name in nodes}
        for name in hash_ordered(nodes):
            node = nodes[name]
            for parent in () if isinstance(node, SourceNode) else node.parents:
                self.predecessors[name].add(parent)
                self.successors[parent].add(name)
                self._grow(parent, self.sizes[name])

    def rank(self, name: str) -> tuple[int, str]:
        """Larger subtrees first, then by name."""
        return -self.sizes[name], name

    def _precedes(self, name: str, other: str) -> bool:
        return self.rank(name) < self.rank(other)

    def _grow(self, name: str, size: int) -> None:
        self.sizes[name] += size
        for parent in self.predecessors[name]:
            self._grow(parent, size)


def _lines(node: TopologyNode, neighbours: _Neighbours) -> list[str]:
    after = f"      --> {_names(neighbours.successors[node.name])}"
    before = f"      <-- {_names(neighbours.predecessors[node.name])}"
    match node:
        case SourceNode():
            return [f"    Source: {node.name} (topics: {_topics(node)})", after]
        case ProcessorNode():
            return [f"    Processor: {node.name} (stores: [{', '.join(node.stores)}])", after, before]
        case SinkNode():
            return [f"    Sink: {node.name} ({_target(node)})", before]


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _topics(node: SourceNode) -> str:
    return node.pattern if node.pattern is not None else f"[{', '.join(hash_ordered(node.topics))}]"


def _target(node: SinkNode) -> str:
    if node.topic is not None:
        return f"topic: {node.topic}"
    return f"extractor class: {getattr(node.chooser, '__qualname__', node.chooser)}"


def _global_store(store: GlobalStore) -> str:
    return (
        f"Sub-topology: {store.id} for global store (will not generate tasks)\n"
        f"    Source: {store.source.name} (topics: [{store.topic}])\n"
        f"      --> {store.processor.name}\n"
        f"    Processor: {store.processor.name} (stores: [{store.store.name}])\n"
        f"      --> none\n"
        f"      <-- {store.source.name}\n"
    )
