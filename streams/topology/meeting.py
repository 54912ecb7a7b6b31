"""Where branches of one source meet again, so that its records must run through one at a time.

Between operators whole batches are passed on, child after child. Nobody can tell, unless two ways from one source lead
to the same place: a node with two parents, a store with two users, a topic with two sinks. There the order of records
would differ from one by one, depth first, and a join could see a table's future. The same holds for two record caches
on different branches, whose evictions compete for one budget, and for user code that asks what time it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from streams.graph.nodes import Stateless
from streams.topology.nodes import ProcessorNode, Role, SinkNode, TopologyNode

__all__ = ["caches_behind", "causes_seen", "meets", "reachable", "read_behind"]

_BLIND = {Role.MERGE, Role.COGROUP_MERGE, Role.REPARTITION_FILTER, Role.REPARTITION_SINK}


def reachable(nodes: Mapping[str, TopologyNode], start: str) -> list[str]:
    """All nodes that records of `start` can reach, itself first."""
    found: dict[str, None] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            node = nodes[name]
            if not isinstance(node, SinkNode):
                waiting.extend(node.children)
    return list(found)


def meets(nodes: Mapping[str, TopologyNode], start: str, *, caches: Collection[str] = ()) -> bool:
    """Whether ways from `start` meet again; `caches` are the stores with a record cache."""
    reached = reachable(nodes, start)
    return (
        _twice(parent_edges(nodes, reached))
        or _twice(store for name in reached for store in stores_of(nodes[name]))
        or _twice(topic for name in reached for topic in topics_of(nodes[name]))
        or _compete(nodes, start, caches)
    )


def read_behind(nodes: Mapping[str, TopologyNode]) -> frozenset[str]:
    """The stores that a node uses and one behind it too: what sets a record off there can look into them meanwhile."""
    found: set[str] = set()
    for name, node in nodes.items():
        if stores := set(stores_of(node)) - found:
            behind = {store for other in reachable(nodes, name) if other != name for store in stores_of(nodes[other])}
            found |= stores & behind
    return frozenset(found)


def caches_behind(nodes: Mapping[str, TopologyNode], caches: AbstractSet[str]) -> frozenset[str]:
    """The stores of nodes behind which a record cache is filled or looked into, maybe their own. `caches` are all."""
    return frozenset(
        store
        for name, node in nodes.items()
        for store in stores_of(node)
        if any(not caches.isdisjoint(stores_of(nodes[other])) for other in reachable(nodes, name) if other != name)
    )


def causes_seen(nodes: Mapping[str, TopologyNode]) -> frozenset[str]:
    """The stores of nodes behind which somebody can tell from which record an update came."""
    return frozenset(
        store
        for name, node in nodes.items()
        for store in stores_of(node)
        if any(_tells_causes(nodes[behind]) for behind in reachable(nodes, name) if behind != name)
    )


def _tells_causes(node: TopologyNode) -> bool:
    """Whether a node looks at more of a record than its key, value, time and headers, or hands it to who may."""
    if isinstance(node, SinkNode):
        return node.chooser is not None
    if isinstance(node, ProcessorNode) and isinstance(node.node, Stateless):
        return any(function is not None for function in node.node.functions)
    return not (isinstance(node, ProcessorNode) and node.role in _BLIND)


def parent_edges(nodes: Mapping[str, TopologyNode], reached: Collection[str]) -> Iterable[str]:
    """Each reached node as often as it has reached parents."""
    for name in reached:
        node = nodes[name]
        if not isinstance(node, SinkNode):
            yield from node.children


def stores_of(node: TopologyNode) -> tuple[str, ...]:
    """The stores a node uses."""
    return node.stores if isinstance(node, ProcessorNode) else ()


def topics_of(node: TopologyNode) -> tuple[str, ...]:
    """What a sink writes to; all sinks with a topic chooser might write to the same."""
    return (node.topic or "",) if isinstance(node, SinkNode) else ()


def _compete(nodes: Mapping[str, TopologyNode], start: str, caches: Collection[str]) -> bool:
    """Whether caches lie on different branches: on ways of which none is part of another."""
    cached = [name for name in reachable(nodes, start) if any(store in caches for store in stores_of(nodes[name]))]
    return any(
        second not in reachable(nodes, first) and first not in reachable(nodes, second)
        for index, first in enumerate(cached)
        for second in cached[index + 1 :]
    )


def _twice(names: Iterable[str]) -> bool:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return True
        seen.add(name)
    return False
