"""The topology: what a program is once it is built. Frozen; printed by `describe`, run by `compile` and the runtime.

How to read one:
- `topology.nodes` holds every source, processor and sink node by name, in the order they were added (parents first);
  children of a node are in the order in which it must forward to them. A processor knows the logical node it comes
  from and its `role` in it: `compile` makes one operator per processor node from these two.
- `topology.subtopologies` are the parts that tasks are made of (0, 1, ...); global stores are apart, in
  `global_stores`, and use up a number but make no task.
- Topic names: internal topics are kept without the application id (`describe` prints them so), and every name that
  the runtime meets goes through `full_name`. What a `SubTopology` lists are full names already.
- A sub-topology has as many tasks as its source topics have partitions at most: `internal_topics.partition_counts`.

This module knows neither operators nor clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct, field

from state.stores import StoreSpec
from streams.graph.nodes import Node, Serdes
from streams.topology.describe import description
from streams.topology.nodes import (
    GlobalStore,
    InternalTopic,
    ProcessorNode,
    Role,
    SinkNode,
    SourceNode,
    StoreUse,
    SubTopology,
    TopologyNode,
)
from streams.topology.subjects import Subjects

__all__ = [
    "GlobalStore",
    "InternalTopic",
    "ProcessorNode",
    "Role",
    "SinkNode",
    "SourceNode",
    "StoreUse",
    "SubTopology",
    "Topology",
    "TopologyNode",
]


class Topology(Struct, frozen=True, kw_only=True, dict=True):
    """A program as it runs: its nodes, sub-topologies, stores and topics; see the module."""

    application_id: str
    nodes: Mapping[str, TopologyNode]
    graph: Mapping[str, Node]
    stores: Mapping[str, StoreSpec]
    store_uses: Mapping[str, StoreUse]
    subtopologies: tuple[SubTopology, ...]
    global_stores: tuple[GlobalStore, ...]
    repartition_topics: Mapping[str, InternalTopic]
    """By full name: repartition, registration and response topics."""
    changelog_topics: Mapping[str, InternalTopic]
    """By full name."""
    copartition_groups: tuple[frozenset[str], ...] = ()
    """Full names of source topics that must have equally many partitions; `/pattern/` for all that match one."""
    unnamed: tuple[str, ...] = ()
    """Stores and repartition topics whose names were generated: they change when the program does."""
    subjects: Subjects
    """Where serdes find their schemas that no topic or store of the program has bound."""
    default_serdes: Serdes = field(default_factory=Serdes)
    """Those of the configuration, for nodes whose serdes the program does not tell."""
    upgrade_from: str | None = None
    """The version of Kafka Streams whose instances may still run (their Change format knows no pairs before 3.5)."""
    default_timestamp: Callable[..., Any] | None = None
    """The configured timestamp extractor, for sources that have none of their own."""
    internal_topics: frozenset[str] = frozenset()
    """Raw names of the topics that the application makes between sub-topologies."""

    def full_name(self, topic: str) -> str:
        """The name of a topic on the broker: internal ones carry the application id."""
        return f"{self.application_id}-{topic}" if topic in self.internal_topics else topic

    @cached_property
    def source_topics(self) -> tuple[str, ...]:
        """Full names of all topics that tasks read, without those of global stores."""
        return tuple(dict.fromkeys(topic for part in self.subtopologies for topic in part.source_topics))

    @cached_property
    def sink_topics(self) -> tuple[str, ...]:
        """Full names of all topics that sinks write to, where they are known."""
        return tuple(dict.fromkeys(topic for part in self.subtopologies for topic in part.sink_topics))

    @cached_property
    def user_topics(self) -> tuple[str, ...]:
        """Topics that must exist before the start: sources that the application does not make itself."""
        own = {self.full_name(topic) for topic in self.internal_topics}
        read = (*self.source_topics, *(store.topic for store in self.global_stores))
        return tuple(topic for topic in dict.fromkeys(read) if topic not in own)

    def changelog_of(self, store: str) -> str | None:
        """The full name of the topic that a store is restored from; None when it has none."""
        for part in self.subtopologies:
            if store in part.changelogs:
                return part.changelogs[store]
        return None

    def describe(self) -> str:
        """The text that Kafka prints for this topology, to the letter."""
        return description(self.nodes, self.subtopologies, self.global_stores)
