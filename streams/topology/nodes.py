"""The parts of a topology, as data: its three kinds of node, sub-topologies, global stores and internal topics.

`topology.topology` says how they belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct

from state.stores import StoreSpec
from streams.graph.nodes import Node, Serdes

__all__ = [
    "GlobalStore",
    "InternalTopic",
    "ProcessorNode",
    "Role",
    "SinkNode",
    "SourceNode",
    "StoreUse",
    "SubTopology",
    "TopologyNode",
]


class Role(Enum):
    """What a processor or sink does for the logical node it comes from."""

    STATELESS = "the function of a Stateless node; splits, branches and TO_STREAM too"
    TABLE_SOURCE = "puts a topic's or stream's records into a table (also a global one)"
    PROCESS = "runs a user's processor"
    MERGE = "passes on what its parents give: Merge, or the end of a stream join"
    REPARTITION_FILTER = "drops null keys before a repartition topic, unless `keep_null_keys`"
    REPARTITION_SINK = "writes to a repartition topic, in Change format if the node says `changes`"
    AGGREGATE = "folds the records of parent `index` into the aggregate; has the store"
    COGROUP_MERGE = "passes on what the aggregators of a cogroup give; the value getter is their store"
    JOIN_WINDOW_LEFT = "puts the left stream's records into the left window store, and passes them on"
    JOIN_WINDOW_RIGHT = "the same for the right stream"
    STREAM_JOIN_LEFT = "joins the left stream's records with the right window store"
    STREAM_JOIN_RIGHT = "joins the right stream's records with the left window store"
    SELF_JOIN = "joins a stream with itself over one window store"
    STREAM_TABLE_JOIN = "looks a stream's records up in a table or global table"
    TABLE_JOIN_LEFT = "joins a change of the left table with the right table's value"
    TABLE_JOIN_RIGHT = "joins a change of the right table with the left table's value"
    TABLE_JOIN_MERGE = "passes on both sides' results; may store them"
    FOREIGN_KEY_REGISTRATION = "turns a change of the left table into subscriptions (key: foreign key)"
    FOREIGN_KEY_REGISTRATION_SINK = "writes subscriptions to the registration topic"
    FOREIGN_KEY_RECEIVE = "keeps subscriptions in the subscription store, and passes them on"
    FOREIGN_KEY_ANSWER = "answers a subscription from the right table"
    FOREIGN_KEY_CHANGE = "answers all subscribers of a changed row of the right table"
    FOREIGN_KEY_RESPONSE_SINK = "writes answers to the response topic, to the left row's partition"
    FOREIGN_KEY_RESOLVE = "joins an answer with the left table's row, if that is still the one that asked"
    FOREIGN_KEY_OUTPUT = "the resulting table; may store it"
    SUPPRESS = "holds updates back in its buffer"
    SINK = "writes a stream to a topic"


class StoreUse(Enum):
    """What a store is for, where its kind alone does not say how operators use it."""

    TABLE = "a table or an aggregate: kind as the spec says"
    USER = "given to a Process node by the user"
    JOIN_WINDOW = "one side of a stream join: values by key and time, duplicates kept"
    JOIN_PENDING = "records of a stream join without a partner yet: bytes by time, side and key"
    JOIN_BUFFER = "stream records that wait for their versioned table"
    SUPPRESS_BUFFER = "updates held back: in memory"
    SUBSCRIPTIONS = "foreign-key subscriptions: bytes by foreign and primary key"


class SourceNode(Struct, frozen=True, kw_only=True):
    """Reads topics (raw names; `internal` ones get the application id) or a `pattern`. `node`: where it comes from.

    `serdes` have no None left, except for topics whose bytes an operator reads itself (`raw`): foreign-key topics
    and, for the value, repartition topics in Change format.
    """

    name: str
    children: tuple[str, ...]
    topics: tuple[str, ...]
    pattern: str | None
    serdes: Serdes
    timestamp: Callable[..., Any] | None
    offset_reset: str | int | None
    internal: bool
    node: Node


class ProcessorNode(Struct, frozen=True, kw_only=True):
    """One operator. `stores` are the stores it may use, in Kafka's order; `index` is the aggregator's in a cogroup."""

    name: str
    parents: tuple[str, ...]
    children: tuple[str, ...]
    role: Role
    node: Node
    stores: tuple[str, ...] = ()
    index: int = 0


class SinkNode(Struct, frozen=True, kw_only=True):
    """Writes to a topic (raw name), or to where `chooser(key, value, record)` says."""

    name: str
    parents: tuple[str, ...]
    role: Role
    topic: str | None
    chooser: Callable[..., Any] | None
    serdes: Serdes
    partitioner: Callable[..., Any] | None
    internal: bool
    node: Node


TopologyNode = SourceNode | ProcessorNode | SinkNode


class InternalTopic(Struct, frozen=True, kw_only=True):
    """A topic that the application makes: its full name and topic configuration.

    `partitions` is what the user fixed, or None: then it follows from `internal_topics.partition_counts`. `given`: it is a
    topic of the user's, whose settings are the user's to choose.
    """

    name: str
    config: Mapping[str, str]
    partitions: int | None = None
    given: bool = False


class SubTopology(Struct, frozen=True, kw_only=True):
    """A part whose records never leave a task. All topic names are full.

    `stores` in the order of registration (flushes follow it). `changelogs` by store name: the topic that logs it; for a
    store whose source topic serves as changelog, that topic (it is not in `topology.changelog_topics`).
    """

    id: int
    nodes: tuple[str, ...]
    sources: tuple[SourceNode, ...]
    source_topics: tuple[str, ...]
    patterns: tuple[str, ...]
    sink_topics: tuple[str, ...]
    repartition_topics: tuple[str, ...]
    stores: tuple[StoreSpec, ...]
    changelogs: Mapping[str, str]


class GlobalStore(Struct, frozen=True, kw_only=True):
    """A store that every worker fills from all partitions of `topic` before it starts."""

    id: int
    source: SourceNode
    processor: ProcessorNode
    topic: str
    store: StoreSpec
