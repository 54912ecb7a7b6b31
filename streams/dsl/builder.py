"""Where a program starts: streams and tables from topics, stores, and the topology in the end. Kafka's StreamsBuilder.

Rules: verbs only append to the logical graph; nothing is opened or connected before `build` has given a topology to a
runtime. `build` may be called again: it changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from state.stores import StoreSpec
from streams.config import StreamsConfig
from streams.dsl.handle import processor_name
from streams.dsl.kstream import KStream, KTable
from streams.dsl.ktable import GlobalKTable
from streams.dsl.options import (
    Field,
    Function,
    Materialized,
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
from streams.dsl.topology_builder import TopologyBuilder
from streams.errors import TopologyError
from streams.graph.nodes import Process, Serdes, Source, TableSource
from streams.topology.topology import Topology

__all__ = ["StreamsBuilder"]


class StreamsBuilder:
    """One program. An App has one; it can also be used alone, as in Kafka."""

    def __init__(self) -> None:
        self.program = Program()

    def stream(
        self,
        topic: Topic | str | Sequence[Topic | str] | re.Pattern[str],
        *,
        key: Any = None,
        value: Any = None,
        timestamp: Field | Function | None = None,
        offset_reset: str | None = None,
        name: str | None = None,
    ) -> KStream:
        """Read a topic, several of the same types, or all whose names match a compiled pattern, now or later.

        `key` and `value` are types or serdes. `timestamp` gives the time of a record (ms, a datetime, or ISO 8601 text):
        a field of the value, a function of it, or an extractor (record, partition_time). `offset_reset` says where to
        start without a committed offset: "earliest", "latest", "none", or a duration back from now.
        """
        pattern = pattern_of(topic, "stream")
        topics = [] if isinstance(topic, re.Pattern) else self._topics(topic, key, value, timestamp)
        said = said_together(topics, "stream") if topics else None
        serdes = said.serdes if said else Serdes(serde_of(key), serde_of(value))
        node = Source(
            name=self.program.names.named(processor_name(name), "KSTREAM-SOURCE-"),
            serdes=serdes,
            topics=tuple(dict.fromkeys(each.name for each in topics)),
            pattern=pattern,
            timestamp=said.timestamp if said else extractor(timestamp),
            offset_reset=checked_reset(offset_reset),
            on_error=said.on_error if said else None,
        )
        self.program.add(node)
        return KStream(self.program, node.name, serdes)

    def _topics(self, topic: Topic | str | Sequence[Topic | str], key: Any, value: Any, timestamp: Any) -> list[Topic]:
        given = listed_topics(topic, "stream")
        if not given:
            raise TopologyError("stream: expected at least one topic, got none")
        return [Topic.of(each, key=key, value=value, timestamp=timestamp) for each in given]

    def table(
        self,
        topic: Topic | str,
        *,
        key: Any = None,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        timestamp: Field | Function | None = None,
        offset_reset: str | None = None,
        processor: str | None = None,
    ) -> KTable:
        """Read a topic as a table: the latest value of each key. With `name` (or `store`) its store can be queried."""
        node = self._table_source(
            Topic.of(topic, key=key, value=value, timestamp=timestamp),
            Materialized.of(store, name) or Materialized(),
            processor_name(processor),
            checked_reset(offset_reset),
        )
        self.program.add(node)
        return KTable(self.program, node.name, node.serdes)

    def global_table(
        self,
        topic: Topic | str,
        *,
        key: Any = None,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        timestamp: Field | Function | None = None,
        processor: str | None = None,
    ) -> GlobalKTable:
        """Read all partitions of a topic as a table on every worker, which is filled before anything is processed."""
        given = Materialized.of(store, name) or Materialized()
        if given.history is not None:
            raise TopologyError(f"global table of {topic}: it cannot be versioned; leave `history` out")
        source = Topic.of(topic, key=key, value=value, timestamp=timestamp)
        node = self._table_source(source, replace(given, logged=False), processor_name(processor), None)
        node = replace(node, is_global=True, stored=True)
        self.program.add(node)
        return GlobalKTable(self.program, node.name, node.serdes)

    def _table_source(
        self, topic: Topic, given: Materialized, processor: str | None, offset_reset: str | int | None
    ) -> TableSource:
        names = self.program.names
        stored = given.materialization(names, f"{topic.name}-", topic.serdes)
        return TableSource(
            source=names.named(processor, "KSTREAM-SOURCE-", "-source"),
            name=names.named(processor, "KTABLE-SOURCE-"),
            serdes=Serdes(topic.key_serde or stored.serdes.key, topic.value_serde or stored.serdes.value),
            materialized=stored,
            stored=stored.queryable,
            topic=topic.name,
            timestamp=topic.timestamp,
            offset_reset=offset_reset,
            on_error=topic.on_error,
        )

    def add_state_store(self, store: StoreSpec) -> StreamsBuilder:
        """Add a store (see `streams.dsl.stores`) that processors use by its name."""
        if not isinstance(store, StoreSpec):
            raise TopologyError(f"add_state_store: expected a store such as key_value_store(...), got {store!r}")
        self.program.add_store(store)
        return self

    def add_global_store(
        self,
        store: StoreSpec,
        topic: Topic | str,
        supplier: Callable[[], Any],
        *,
        key: Any = None,
        value: Any = None,
        timestamp: Field | Function | None = None,
        name: str | None = None,
    ) -> StreamsBuilder:
        """Add a store that every worker fills from all partitions of `topic`, by a processor that updates nothing else."""
        callable_or_error(supplier, "add_global_store")
        source = Topic.of(topic, key=key, value=value, timestamp=timestamp)
        names, given = self.program.names, processor_name(name)
        self.program.add(
            Process(
                global_source=names.named(given, "KSTREAM-SOURCE-", "-source"),
                name=names.named(given, "KTABLE-SOURCE-"),
                serdes=source.serdes,
                supplier=supplier,
                stores=(store.name,),
                added_stores=(replace(store, logged=False, cached=False),),
                global_topic=source.name,
                timestamp=source.timestamp,
                on_error=source.on_error,
            )
        )
        return self

    @property
    def topology(self) -> TopologyBuilder:
        """A builder for the same program by which sources, processors and sinks are wired by hand."""
        return TopologyBuilder(self.program)

    def build(self, config: StreamsConfig) -> Topology:
        """The topology of everything added so far. Raises: TopologyError, ConfigError."""
        return self.program.build(config)
