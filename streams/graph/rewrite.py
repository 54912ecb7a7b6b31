"""Rewrites of the logical graph: pure functions graph -> graph, applied in Kafka's order when a program is built.

Always: sources of the same topics become one; repartitions keep null keys where a left or outer join lies downstream.
With `topology_optimization`: a table's source topic serves as its changelog, the repartitions below one change of key
become one, a stream joined with itself keeps one store.
Source: Kafka's InternalStreamsBuilder (mergeDuplicateSourceNodes, optimizeTopology).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from streams.errors import ConfigError, TopologyError
from streams.graph.graph import Graph
from streams.graph.names import Names
from streams.graph.nodes import (
    KEY_CHANGING,
    VALUE_CHANGING,
    JoinKind,
    Merge,
    Node,
    Repartition,
    Serdes,
    Source,
    Stateless,
    StreamJoin,
    TableJoin,
    TableSource,
)
from streams.graph.repartitions import repartition_node

__all__ = [
    "MERGE_REPARTITION_TOPICS",
    "OPTIMIZATIONS",
    "REUSE_KTABLE_SOURCE_TOPICS",
    "SINGLE_STORE_SELF_JOIN",
    "merge_repartitions",
    "merge_sources",
    "optimizations",
    "optimized",
    "relax_null_keys",
    "reuse_source_topics",
    "single_store_self_joins",
]

REUSE_KTABLE_SOURCE_TOPICS = "reuse.ktable.source.topics"
MERGE_REPARTITION_TOPICS = "merge.repartition.topics"
SINGLE_STORE_SELF_JOIN = "single.store.self.join"
OPTIMIZATIONS = frozenset({REUSE_KTABLE_SOURCE_TOPICS, MERGE_REPARTITION_TOPICS, SINGLE_STORE_SELF_JOIN})


def optimizations(setting: str) -> frozenset[str]:
    """The rewrites that a setting `topology_optimization` asks for. Raises: ConfigError for an unknown one."""
    wanted = {word.strip() for word in setting.split(",")} - {""}
    if wanted <= {"none"}:
        return frozenset()
    if wanted == {"all"}:
        return OPTIMIZATIONS
    if wanted <= OPTIMIZATIONS:
        return frozenset(wanted)
    raise ConfigError(
        f"topology_optimization: expected none, all or some of {', '.join(sorted(OPTIMIZATIONS))}, got {setting!r}"
    )


def optimized(graph: Graph, wanted: frozenset[str], names: Names) -> Graph:
    """The graph as it is built: merged sources, the rewrites asked for, null keys where joins need them.

    `names` is the program's counter: a merged repartition draws new numbers, as it does in Kafka.
    """
    graph = merge_sources(graph)
    if REUSE_KTABLE_SOURCE_TOPICS in wanted:
        graph = reuse_source_topics(graph)
    if MERGE_REPARTITION_TOPICS in wanted:
        graph = merge_repartitions(graph, names)
    if SINGLE_STORE_SELF_JOIN in wanted:
        graph = single_store_self_joins(graph)
    return relax_null_keys(_named_apart(graph))


def _named_apart(graph: Graph) -> Graph:
    """Repartitions under the names they are built with. Raises: TopologyError when two of them still share one."""
    for node in graph.of_type(Repartition):
        if node.built_as is not None:
            if node.built_as in graph:
                raise TopologyError(
                    f"{node.topic}: the repartition topics of two groups, whose streams have changed their key, would have "
                    "the same name: name all but one of them with group_by(..., name=...), each its own way"
                )
            graph = _renamed(graph, node.name, node.built_as)
    return graph


def merge_sources(graph: Graph) -> Graph:
    """One source for all streams of the same topics, or of the same pattern.

    Raises: TopologyError when two sources share some topics but not all, or start at different offsets.
    """
    first: dict[object, Source] = {}
    for source in graph.of_type(Source):
        if source.pattern is not None:
            graph = _merged(graph, first.setdefault(source.pattern, source), source)
            continue
        for topic in source.topics:
            other = first.setdefault(("topic", topic), source)
            if set(other.topics) != set(source.topics):
                raise TopologyError(
                    f"{other.name} and {source.name} both read {topic}, but not the same topics "
                    f"({', '.join(other.topics)} and {', '.join(source.topics)}): a topic has one source; "
                    "read it once, and use that stream twice"
                )
        graph = _merged(graph, first["topic", source.topics[0]], source)
    return graph


def _merged(graph: Graph, source: Source, other: Source) -> Graph:
    """The graph where the children of `other` read from `source`."""
    if source.name == other.name:
        return graph
    if source.offset_reset != other.offset_reset:
        raise TopologyError(
            f"{source.name} and {other.name} read {', '.join(source.topics) or source.pattern}, but start at different "
            f"offsets ({source.offset_reset} and {other.offset_reset}): give both the same offset_reset"
        )
    children = graph.children(other.name)
    return graph.replace(*(_adopted(child, other.name, (source.name,)) for child in children)).remove(other.name)


def _swapped(parents: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    """Parents with one taking another's place, in a join's both places too."""
    return tuple(new if parent == old else parent for parent in parents)


def reuse_source_topics(graph: Graph) -> Graph:
    """Tables read from a topic restore from that topic, and log no changes of their own."""
    tables = (table for table in graph.of_type(TableSource) if table.topic is not None and not table.is_global)
    return graph.replace(*(replace(table, reuse_source_topic=True) for table in tables))


def single_store_self_joins(graph: Graph) -> Graph:
    """Inner and outer joins of a stream with itself need one store only."""
    joins = (join for join in graph.of_type(StreamJoin) if len(set(join.parents)) == 1)
    return graph.replace(*(replace(join, self_join=True, pending=None) for join in joins))


def relax_null_keys(graph: Graph) -> Graph:
    """Repartitions drop null keys, unless a left or outer join lies downstream, which may emit them (KIP-962)."""
    relaxed: set[str] = set()
    for node in reversed(graph.build_order()):
        fed = (child for child in graph.children(node.name) if node.name in child.fed_by)
        if any(child.name in relaxed or _keeps_null_keys(child) for child in fed):
            relaxed.add(node.name)
    kept = (node for node in graph.of_type(Repartition) if node.name in relaxed)
    return graph.replace(*(replace(node, keep_null_keys=True) for node in kept))


def _keeps_null_keys(node: Node) -> bool:
    match node:
        case StreamJoin(kind=kind):
            return kind is not JoinKind.INNER
        case TableJoin(stream=True, kind=kind):
            return kind is not JoinKind.INNER
        case _:
            return False


def merge_repartitions(graph: Graph, names: Names) -> Graph:
    """One repartition right below a change of key instead of several further down.

    Only where nothing between the two changes values, since the topic's serdes would not fit. One below two merges goes
    to the first of them; Kafka refuses such a program.
    """
    merged: set[str] = set()
    for changer, repartitions in _by_key_changer(graph).items():
        left = [name for name in repartitions if name not in merged]
        if left:
            graph = _merged_below(graph, changer, left, names)
            merged.update(left)
    return graph


def _by_key_changer(graph: Graph) -> dict[str, list[str]]:
    """The optimizable repartitions by the node that changed their key; below a merge, by that merge."""
    found: dict[str, list[str]] = {}
    for node in graph:
        if _changes_key(node):
            found[node.name] = []
        elif isinstance(node, Repartition) and node.optimizable:
            changer = _key_changer(graph, node)
            if changer is not None:
                found[changer].append(node.name)
    return _moved_to_merges(graph, found)


def _moved_to_merges(graph: Graph, found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Where all repartitions of a key changer lie below a merge, the merge takes them over."""
    by_merge: dict[str, list[str]] = {}
    for merge in graph.of_type(Merge):
        by_merge[merge.name] = [
            changer
            for changer, repartitions in found.items()
            if all(_path_start(graph, each, merge.name) for each in repartitions)
            and _path_start(graph, merge.name, changer)
        ]
    result = dict(found)
    for merge_name, changers in by_merge.items():
        result[merge_name] = list(dict.fromkeys(each for changer in changers for each in found[changer]))
    for changer in {each for changers in by_merge.values() for each in changers}:
        result.pop(changer, None)
    return result


def _key_changer(graph: Graph, repartition: Repartition) -> str | None:
    """The nearest change of key upstream, unless a change of values comes first."""
    nearest = _upstream(graph, repartition.name, lambda node: _changes_key(node) or _changes_value(node))
    changer = _upstream(graph, repartition.name, _changes_key)
    return changer if changer is not None and nearest == changer else None


def _changes_key(node: Node) -> bool:
    return isinstance(node, Stateless) and node.verb in KEY_CHANGING


def _changes_value(node: Node) -> bool:
    return isinstance(node, Stateless) and not node.table and node.verb in VALUE_CHANGING


def _upstream(graph: Graph, start: str, matches: Callable[[Node], bool], around: str | None = None) -> str | None:
    """The node itself or the first one upstream that matches, depth first, on ways around one node if it is given."""
    if matches(graph[start]):
        return start
    found = (_upstream(graph, parent, matches, around) for parent in graph[start].fed_by if parent != around)
    return next((name for name in found if name is not None), None)


def _path_start(graph: Graph, start: str, top: str, around: str | None = None) -> str | None:
    """The child of `top` on the way up from `start`, which may be `start` itself; None when there is no such way."""
    return _upstream(graph, start, lambda node: top in node.fed_by, around)


def _merged_below(graph: Graph, changer: str, repartitions: list[str], names: Names) -> Graph:
    """The graph with one repartition right below `changer` instead of these.

    Kafka looks for ways up to the change of key that do not lead through the new repartition yet: behind a join, the other
    side moves behind it too. One that also depends on another change of key stays where it is; Kafka refuses such a
    program, and one where no other way is left.
    """
    old = [_repartition(graph, name) for name in repartitions]
    merged = repartition_node(names, old[0].topic, _first_serdes(old), parent=changer)
    for each in old:
        graph = _renamed(graph, each.name, _gone(each.name))
    if merged.name in graph:
        merged = replace(merged, name=f"{merged.name} (below {changer})", built_as=merged.name)
    graph = graph.insert_after(changer, merged)
    for each in old:
        gone = _gone(each.name)
        top = _path_start(graph, gone, changer, around=merged.name) or _path_start(graph, gone, changer)
        if top is None:
            graph = _renamed(graph, gone, each.name)
            continue
        if top != merged.name:
            graph = _reparented(graph, top, changer, merged.name)
        graph = _without(graph, gone)
    return graph


def _gone(name: str) -> str:
    """The name of a repartition while it is merged: the merged one may take over its own."""
    return f"{name} (merged)"


def _renamed(graph: Graph, old: str, new: str) -> Graph:
    renamed = (
        replace(node, name=new if node.name == old else node.name, parents=_swapped(node.parents, old, new))
        for node in graph
    )
    return Graph.of(renamed)


def _repartition(graph: Graph, name: str) -> Repartition:
    node = graph[name]
    assert isinstance(node, Repartition)
    return node


def _first_serdes(repartitions: Iterable[Repartition]) -> Serdes:
    """The first known key serde and the first known value serde."""
    serdes = [node.serdes for node in repartitions]
    key = next((each.key for each in serdes if each.key is not None), None)
    return Serdes(key, next((each.value for each in serdes if each.value is not None), None))


def _reparented(graph: Graph, name: str, old: str, new: str) -> Graph:
    """One node below `new` instead of below `old`."""
    return graph.replace(_adopted(graph[name], old, (new,)))


def _without(graph: Graph, name: str) -> Graph:
    """The graph where the children of one node take its parents' records instead."""
    gone = graph[name]
    return graph.replace(*(_adopted(child, name, gone.parents) for child in graph.children(name))).remove(name)


def _adopted(node: Node, old: str, new: tuple[str, ...]) -> Node:
    """A node with other parents in the place of one; a merge has no places, and takes them on as its last."""
    if isinstance(node, Merge):
        rest = tuple(parent for parent in node.parents if parent != old)
        return replace(node, parents=tuple(dict.fromkeys((*rest, *new))))
    return replace(
        node, parents=tuple(each for parent in node.parents for each in (new if parent == old else (parent,)))
    )
