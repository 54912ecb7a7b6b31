"""From a logical graph to a topology: demands, versions, rewrites, expansion into processors, split.

`build` is what `StreamsBuilder.build` calls; it decides nothing about how anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from state.stores import StoreSpec
from streams.config import StreamsConfig
from streams.errors import TopologyError
from streams.graph.graph import Graph
from streams.graph.key_types import check_key_types
from streams.graph.names import Names
from streams.graph.nodes import Process, Serdes
from streams.graph.old_values import with_demands
from streams.graph.rewrite import optimizations, optimized
from streams.graph.versions import with_versions
from streams.serdes import serde_for
from streams.serdes.schema_registry import registry_at
from streams.topology.assembly import Assembly
from streams.topology.expand import Expansion
from streams.topology.internal_topics import changelog_topic, repartition_topic
from streams.topology.nodes import InternalTopic, SubTopology
from streams.topology.split import check_fixed_partitions, copartition_groups, split
from streams.topology.store_specs import StoreDefaults
from streams.topology.subjects import Subjects
from streams.topology.topology import Topology

__all__ = ["build"]

JSON = "json"


def build(graph: Graph, names: Names, config: StreamsConfig, user_stores: Mapping[str, StoreSpec]) -> Topology:
    """The topology of a graph under a configuration. Raises: TopologyError, ConfigError."""
    if not len(graph):
        raise TopologyError(f"{config.application_id}: there is nothing to run; read a topic with stream() or table()")
    wanted = optimizations(config.topology_optimization)
    graph = with_versions(optimized(with_demands(graph), wanted, names))
    if config.default_key_serde is None:
        check_key_types(graph)
    wrapped = _wrapped(graph, config.processor_wrapper)
    _check_suppliers(wrapped)
    subjects = Subjects(config.application_id, lambda: registry_at(config.registry_url))
    assembly = _assembled(wrapped, config, user_stores, subjects)
    if config.ensure_explicit_internal_resource_naming:
        _check_named(assembly)
    return _finished(graph, assembly, config, subjects)


def _assembled(
    graph: Graph, config: StreamsConfig, user_stores: Mapping[str, StoreSpec], subjects: Subjects
) -> Assembly:
    assembly = Assembly()
    defaults = StoreDefaults(
        serde_for(config.default_key_serde or JSON),
        serde_for(config.default_value_serde),
        subjects,
        caching=config.statestore_cache_max_bytes > 0,
        persistent=config.default_dsl_store == "rocksDB",
        engine=config.dsl_store_engine,
        headers=config.dsl_store_format == "HEADERS",
    )
    expansion = Expansion(graph, assembly, defaults)
    for spec in user_stores.values():
        expansion.add_user_store(spec)
    expansion.run()
    return assembly


def _wrapped(graph: Graph, wrapper: Callable[[str, Any], Any] | None) -> Graph:
    """The graph with the suppliers of users' processors as a wrapper gives them. Source: Kafka's ProcessorWrapper."""
    if wrapper is None:
        return graph
    nodes = graph.of_type(Process)
    return graph.replace(*(replace(node, supplier=wrapper(node.name, node.supplier)) for node in nodes))


def _check_suppliers(graph: Graph) -> None:
    """Raises: TopologyError for a supplier that gives one object for all tasks, whose contexts and stores it would mix.

    It is asked twice, and here rather than by the verb, so that it may name what the program defines further down. A
    class is not asked: it makes a new object by itself. Source: Kafka's ApiUtils.checkSupplier.
    """
    for node in graph.of_type(Process):
        made_by = node.supplier
        while isinstance(made_by, partial):
            made_by = made_by.func
        if not isinstance(made_by, type) and node.supplier() is node.supplier():
            raise TopologyError(
                f"{node.name}: its supplier must make a new processor each time it is called, since each task needs its "
                "own, but gives the same object twice: give the class, or a function that calls it"
            )


def _check_named(assembly: Assembly) -> None:
    """Raises: TopologyError when a store or an internal topic has a generated name."""
    unnamed = _unnamed(assembly)
    if unnamed:
        raise TopologyError(
            f"these stores and topics have generated names: {', '.join(unnamed)}; give the steps that make them name=, "
            "or set ensure_explicit_internal_resource_naming to false"
        )


def _finished(graph: Graph, assembly: Assembly, config: StreamsConfig, subjects: Subjects) -> Topology:
    nodes = assembly.finished_nodes()
    internal = frozenset(assembly.internal_topics)

    def full_name(topic: str) -> str:
        return f"{config.application_id}-{topic}" if topic in internal else topic

    groups = copartition_groups(graph)
    check_fixed_partitions(groups, assembly.internal_topics)
    parts, global_stores = split(assembly, nodes, config.application_id, full_name)
    repartitions = (
        repartition_topic(full_name(topic), partitions, config.topic_settings)
        for topic, partitions in assembly.internal_topics.items()
    )
    return Topology(
        application_id=config.application_id,
        nodes=nodes,
        graph=graph.nodes,
        stores={name: entry.spec for name, entry in assembly.stores.items()},
        store_uses={name: entry.use for name, entry in assembly.stores.items()},
        subtopologies=parts,
        global_stores=global_stores,
        repartition_topics={topic.name: topic for topic in repartitions},
        changelog_topics=_changelogs(parts, assembly, config),
        copartition_groups=tuple(frozenset(map(full_name, group)) for group in groups),
        unnamed=_unnamed(assembly),
        internal_topics=internal,
        default_serdes=Serdes(serde_for(config.default_key_serde or JSON), serde_for(config.default_value_serde)),
        default_timestamp=config.default_timestamp_extractor,
        upgrade_from=config.upgrade_from,
        subjects=subjects,
    )


def _changelogs(parts: tuple[SubTopology, ...], assembly: Assembly, config: StreamsConfig) -> dict[str, InternalTopic]:
    """The changelog topics that the application writes, by full name."""
    additional_ms = config.windowstore_changelog_additional_retention_ms
    return {
        topic: changelog_topic(topic, assembly.stores[store].spec, config.topic_settings, additional_ms)
        for part in parts
        for store, topic in part.changelogs.items()
        if assembly.stores[store].changelog is None and assembly.stores[store].spec.logged
    }


def _unnamed(assembly: Assembly) -> tuple[str, ...]:
    stores = [name for name, entry in assembly.stores.items() if entry.generated_name]
    topics = [topic for topic in assembly.internal_topics if topic.startswith(("KSTREAM-", "KTABLE-"))]
    return (*stores, *topics)
