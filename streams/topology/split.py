"""From an assembly to sub-topologies: what shares an edge or a store runs in one task; what a topic parts, does not.

Numbers follow the order in which nodes were added; a global store uses one up. Joined inputs are recorded as groups of
topics that must have equally many partitions.
Source: Kafka's InternalTopologyBuilder.makeNodeGroups, subtopologyToTopicsInfo, copartitionSources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from state.stores import StoreSpec
from streams.errors import TopologyError
from streams.graph.graph import Graph
from streams.graph.nodes import Aggregate, ForeignKeyJoin, Node, Repartition, Source, StreamJoin, TableJoin, TableSource
from streams.topology.assembly import Assembly, StoreEntry
from streams.topology.internal_topics import changelog_name
from streams.topology.nodes import GlobalStore, ProcessorNode, SinkNode, SourceNode, SubTopology, TopologyNode

__all__ = ["check_fixed_partitions", "copartition_groups", "split"]

FullName = Callable[[str], str]


def split(
    assembly: Assembly, nodes: Mapping[str, TopologyNode], application_id: str, full_name: FullName
) -> tuple[tuple[SubTopology, ...], tuple[GlobalStore, ...]]:
    """The sub-topologies and global stores of a finished assembly."""
    groups: dict[str, list[str]] = {}
    for name in nodes:
        groups.setdefault(assembly.group(name), []).append(name)
    globals_by_processor = {processor: store for store, (_, processor) in assembly.global_stores.items()}
    parts: list[SubTopology] = []
    global_stores: list[GlobalStore] = []
    for number, names in enumerate(groups.values()):
        store = next((globals_by_processor[name] for name in names if name in globals_by_processor), None)
        if store is not None:
            global_stores.append(_global_store(number, store, assembly, nodes))
        else:
            parts.append(_subtopology(number, [nodes[name] for name in names], assembly, application_id, full_name))
    return tuple(parts), tuple(global_stores)


def _subtopology(
    number: int, nodes: list[TopologyNode], assembly: Assembly, application_id: str, full_name: FullName
) -> SubTopology:
    sources = tuple(node for node in nodes if isinstance(node, SourceNode))
    sinks = [node.topic for node in nodes if isinstance(node, SinkNode) and node.topic is not None]
    topics = [topic for source in sources for topic in source.topics]
    entries = _stores(nodes, assembly)
    return SubTopology(
        id=number,
        nodes=tuple(node.name for node in nodes),
        sources=sources,
        source_topics=tuple(map(full_name, topics)),
        patterns=tuple(source.pattern for source in sources if source.pattern is not None),
        sink_topics=tuple(map(full_name, dict.fromkeys(sinks))),
        repartition_topics=tuple(full_name(topic) for topic in topics if topic in assembly.internal_topics),
        stores=tuple(entry.spec for entry in entries),
        changelogs={
            entry.spec.name: entry.changelog
            or entry.spec.changelog_topic
            or changelog_name(application_id, entry.spec.name)
            for entry in entries
            if entry.changelog is not None or entry.spec.logged or entry.spec.changelog_topic is not None
        },
    )


def _stores(nodes: list[TopologyNode], assembly: Assembly) -> list[StoreEntry]:
    """The stores of a sub-topology, in the order in which their first users were added; not the global ones."""
    names = (store for node in nodes if isinstance(node, ProcessorNode) for store in node.stores)
    return [assembly.stores[name] for name in dict.fromkeys(names) if name not in assembly.global_stores]


def _global_store(number: int, store: str, assembly: Assembly, nodes: Mapping[str, TopologyNode]) -> GlobalStore:
    source, processor = (nodes[name] for name in assembly.global_stores[store])
    assert isinstance(source, SourceNode)
    assert isinstance(processor, ProcessorNode)
    spec: StoreSpec = assembly.stores[store].spec
    return GlobalStore(id=number, source=source, processor=processor, topic=source.topics[0], store=spec)


def copartition_groups(graph: Graph) -> tuple[frozenset[str], ...]:
    """Raw names of the topics that must have equally many partitions, one group per join or cogroup.

    A pattern, which stands for several topics, is in them as `/pattern/`: no topic is called so.
    """
    groups = (frozenset(group) for node in graph for group in _joined(graph, node))
    return tuple(dict.fromkeys(group for group in groups if len(group) > 1 or any(map(_is_pattern, group))))


def _is_pattern(member: str) -> bool:
    return member.startswith("/")


def _joined(graph: Graph, node: Node) -> Iterator[set[str]]:
    match node:
        case StreamJoin() | TableJoin(key_mapper=None) | Aggregate(cogrouped=True):
            yield set().union(*(_topics_above(graph, parent) for parent in node.parents))
        case ForeignKeyJoin(parents=(left, right)):
            yield _topics_above(graph, right) | {node.registration_topic}
            yield _topics_above(graph, left) | {node.response_topic}
        case _:
            pass


def _topics_above(graph: Graph, name: str) -> set[str]:
    """The topics whose partitions decide in which task a node's records are."""
    node = graph[name]
    match node:
        case Source(pattern=str(pattern)):
            return {f"/{pattern}/"}
        case Source(topics=topics):
            return set(topics)
        case TableSource(topic=str(topic)):
            return {topic}
        case Repartition(topic=topic):
            return {topic}
        case ForeignKeyJoin(response_topic=topic):
            return {topic} | _topics_above(graph, node.parents[0])
        case _:
            return set().union(*(_topics_above(graph, parent) for parent in node.fed_by))


def check_fixed_partitions(groups: tuple[frozenset[str], ...], fixed: Mapping[str, int | None]) -> None:
    """Raises: TopologyError when `repartition(partitions=...)` of joined streams disagree."""
    for group in groups:
        counts = {topic: count for topic in sorted(group) if (count := fixed.get(topic)) is not None}
        if len(counts) == len(group) and len(set(counts.values())) > 1:
            shown = ", ".join(f"{topic} {count}" for topic, count in counts.items())
            raise TopologyError(
                f"joined streams must have the same number of partitions, but their repartitions say: {shown}; "
                "give them the same number, or let one follow the other"
            )
