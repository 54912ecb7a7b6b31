"""The low-level door: sources, processors, sinks and stores, named and wired by hand. Kafka's Topology.

Verbs of the DSL and calls of this builder append to one graph, so a processor may stand behind a step of a stream (the
step's name is the parent), and an App may use both (`app.builder.topology`). Rules: a name is used once; parents come
before children; nothing comes after a sink; a topic has one source. Every call returns the builder.
Source: Kafka's Topology and InternalTopologyBuilder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from state.stores import StoreKind, StoreSpec
from streams.config import StreamsConfig
from streams.dsl.handle import checked_partitioner, topic_or_chooser
from streams.dsl.options import (
    Field,
    Function,
    Topic,
    callable_or_error,
    checked_reset,
    extractor,
    listed_topics,
    pattern_of,
    said_together,
    serde_of,
)
from streams.dsl.program import Program
from streams.dsl.stores import stores_of
from streams.errors import TopologyError
from streams.graph.names import checked_name
from streams.graph.nodes import Process, Serdes, Sink, Source
from streams.topology.topology import Topology

__all__ = ["TopologyBuilder"]

Names = str | Sequence[str]


class TopologyBuilder:
    """Sources, processors, sinks and stores that are named and wired by hand: Kafka's Topology.

    `program` is that of a StreamsBuilder; by default a new one.
    """

    def __init__(self, program: Program | None = None) -> None:
        self.program = Program() if program is None else program

    def add_source(
        self,
        name: str,
        topics: Topic | str | Sequence[Topic | str] | re.Pattern[str],
        *,
        key: Any = None,
        value: Any = None,
        timestamp: Field | Function | None = None,
        offset_reset: str | None = None,
    ) -> TopologyBuilder:
        """Read a topic, several, or all whose names match a compiled pattern; options as `StreamsBuilder.stream`.

        Raises: TopologyError when one of the topics has a source already.
        """
        pattern = pattern_of(topics, name)
        listed = [] if isinstance(topics, re.Pattern) else listed_topics(topics, name)
        if pattern is None and not listed:
            raise TopologyError(f"{name}: a source reads at least one topic, got none")
        read = [Topic.of(each, key=key, value=value, timestamp=timestamp) for each in listed]
        for topic in read:
            self._check_unread(name, topic.name)
        said = said_together(read, name) if read else None
        self.program.add(
            Source(
                name=checked_name(name, "the name of a source"),
                serdes=said.serdes if said else Serdes(serde_of(key), serde_of(value)),
                topics=tuple(dict.fromkeys(topic.name for topic in read)),
                pattern=pattern,
                timestamp=said.timestamp if said else extractor(timestamp),
                offset_reset=checked_reset(offset_reset),
                on_error=said.on_error if said else None,
            )
        )
        return self

    def add_processor(
        self,
        name: str,
        supplier: Callable[[], Any],
        parents: Names,
        *,
        stores: Sequence[str | StoreSpec] = (),
    ) -> TopologyBuilder:
        """Run a Processor behind its parents: `supplier()` makes one per task.

        `stores` are those it uses: names of stores that were added before, or stores that come with it, as those do that
        its class declares, if that is the supplier.
        """
        callable_or_error(supplier, f"{name}: the supplier of its processor")
        stores = stores_of(supplier, stores)
        own = tuple(store for store in stores if isinstance(store, StoreSpec))
        names = tuple(store.name if isinstance(store, StoreSpec) else store for store in stores)
        self._check_stores(name, (store for store in stores if isinstance(store, str)))
        self.program.add(
            Process(
                name=checked_name(name, "the name of a processor"),
                parents=self._parents(name, parents),
                supplier=supplier,
                stores=names,
                added_stores=own,
            )
        )
        return self

    def add_sink(
        self,
        name: str,
        topic: Topic | str | Function,
        parents: Names,
        *,
        key: Any = None,
        value: Any = None,
        partitioner: Function | None = None,
    ) -> TopologyBuilder:
        """Write what the parents forward to a topic, or to the one that `topic(key, value, record)` names.

        `partitioner(topic, key, value, count)` gives a partition, several, none to drop, or None for Kafka's choice.
        """
        target, chooser = topic_or_chooser(topic, key, value, name)
        checked_partitioner(partitioner, name)
        self.program.add(
            Sink(
                name=checked_name(name, "the name of a sink"),
                parents=self._parents(name, parents),
                topic=target.name if target else None,
                chooser=chooser,
                partitioner=partitioner,
                send=target.serdes if target else Serdes(serde_of(key), serde_of(value)),
                on_error=target.on_error if target else None,
            )
        )
        return self

    def add_state_store(self, store: StoreSpec, *processors: str) -> TopologyBuilder:
        """Add a store (see `streams.dsl.stores`), and connect processors to it."""
        _check_store("add_state_store", store)
        self.program.add_store(store)
        for processor in processors:
            self.connect_processor_and_state_stores(processor, store.name)
        return self

    def connect_processor_and_state_stores(self, processor: str, *stores: str) -> TopologyBuilder:
        """Let a processor use stores; all processors of a store run in one task.

        Raises: TopologyError for an unknown processor or store, or without stores.
        """
        node = self.program.graph.nodes.get(processor)
        if not isinstance(node, Process):
            raise TopologyError(f"{processor}: there is no processor of this name to connect stores to; add it first")
        if not stores:
            raise TopologyError(f"{processor}: expected the name of at least one store to connect, got none")
        self._check_stores(processor, stores)
        graph = self.program.graph
        self.program.graph = graph.update(processor, stores=tuple(dict.fromkeys((*node.stores, *stores))))
        return self

    def add_global_store(
        self,
        store: StoreSpec,
        source: str,
        topic: Topic | str,
        processor: str,
        supplier: Callable[[], Any],
        *,
        key: Any = None,
        value: Any = None,
        timestamp: Field | Function | None = None,
    ) -> TopologyBuilder:
        """Add a store that every worker fills from all partitions of `topic` before it starts.

        `supplier()` makes the processor that updates it; `source` and `processor` name the two nodes.
        """
        _check_store("add_global_store", store)
        callable_or_error(supplier, f"{processor}: the supplier of its processor")
        read = Topic.of(topic, key=key, value=value, timestamp=timestamp)
        self._check_unread(source, read.name)
        self.program.add(
            Process(
                name=checked_name(processor, "the name of a processor"),
                serdes=read.serdes,
                supplier=supplier,
                stores=(store.name,),
                added_stores=(replace(store, logged=False, cached=False),),
                global_topic=read.name,
                global_source=checked_name(source, "the name of a source"),
                timestamp=read.timestamp,
                on_error=read.on_error,
            )
        )
        return self

    def add_read_only_state_store(
        self,
        store: StoreSpec,
        source: str,
        topic: Topic | str,
        processor: str,
        supplier: Callable[[], Any],
        *,
        key: Any = None,
        value: Any = None,
        timestamp: Field | Function | None = None,
    ) -> TopologyBuilder:
        """Add a store that is filled from its topic by a processor and restored from it; it has no changelog.

        Others may be connected to it, to read. The topic has to be compacted, and its bytes those of the store.
        """
        _check_store("add_read_only_state_store", store)
        if store.kind not in {StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE}:
            raise TopologyError(f"{store.name}: a read-only store is a key-value store, got one of {store.kind.value}")
        callable_or_error(supplier, f"{processor}: the supplier of its processor")
        self.add_source(source, topic, key=key, value=value, timestamp=timestamp)
        read = self.program.graph[source]
        assert isinstance(read, Source)
        self.program.add(
            Process(
                name=checked_name(processor, "the name of a processor"),
                parents=(source,),
                supplier=supplier,
                stores=(store.name,),
                added_stores=(replace(store, logged=False),),
                changelog_topic=read.topics[0],
            )
        )
        return self

    def build(self, config: StreamsConfig) -> Topology:
        """The topology of everything added so far. Raises: TopologyError, ConfigError."""
        return self.program.build(config)

    def _parents(self, name: str, parents: Names) -> tuple[str, ...]:
        given = (parents,) if isinstance(parents, str) else tuple(dict.fromkeys(parents))
        if not given:
            raise TopologyError(f"{name}: expected the name of at least one parent, got none")
        for parent in given:
            if parent not in self.program.graph:
                known = ", ".join(self.program.graph.nodes) or "none"
                raise TopologyError(
                    f"{name}: there is no node {parent!r} to be its parent (nodes: {known}): add it first"
                )
            if isinstance(self.program.graph[parent], Sink):
                raise TopologyError(f"{name}: its parent {parent} is a sink, and nothing comes after a sink")
        return given

    def _check_unread(self, name: str, topic: str) -> None:
        for node in self.program.graph:
            read = node.topics if isinstance(node, Source) else (getattr(node, "global_topic", None),)
            if topic in read:
                raise TopologyError(f"{name}: the topic {topic} has a source already, {node.name}: use that one twice")

    def _check_stores(self, processor: str, stores: Any) -> None:
        brought = {spec.name for node in self.program.graph.of_type(Process) for spec in node.added_stores}
        known = {**self.program.stores, **dict.fromkeys(brought)}
        for store in stores:
            if store not in known:
                raise TopologyError(
                    f"{processor}: there is no store {store!r} (known: {', '.join(known) or 'none'}): "
                    "add it with add_state_store first"
                )


def _check_store(verb: str, store: Any) -> None:
    if not isinstance(store, StoreSpec):
        raise TopologyError(f"{verb}: expected a store such as key_value_store(...), got {store!r}")
