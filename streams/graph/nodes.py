"""The logical graph's twelve nodes: all that a program can say, as frozen data.

A node is what one verb appended. It names its parents (never holds them, so that rewriting is a matter of names), the
processors it becomes in the topology (their names are drawn when the verb is called, as Kafka does) and its stores.
Variants of an operation (inner or left, tumbling or session, stream or table) differ by fields, never by class.

Rules: user functions are stored as given; `with_key` says that Kafka's arity passes the key first. A serde of None
means "the default one". This module knows neither operators nor how anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct, field

from state.serde import Serde
from state.stores import OpenEngine, StoreKind, StoreSpec
from streams.graph.windows import EmitStrategy, JoinWindows, Windows
from streams.on_error import OnError

__all__ = [
    "Aggregate",
    "Aggregation",
    "Aggregator",
    "ForeignKeyJoin",
    "JoinKind",
    "Materialization",
    "Merge",
    "Node",
    "Process",
    "Repartition",
    "Serdes",
    "Sink",
    "Source",
    "Stateless",
    "StreamJoin",
    "Suppress",
    "TableJoin",
    "TableSource",
    "Verb",
]

Function = Callable[..., Any]


class Verb(Enum):
    """What a stateless node does with a record; Kafka's prefix of its name stands in `graph.names`."""

    FILTER = "filter"
    FILTER_NOT = "filter_not"
    MAP = "map"
    """function(key, value) -> (key, value)"""
    MAP_VALUES = "map_values"
    FLAT_MAP = "flat_map"
    """function(key, value) -> iterable of (key, value)"""
    FLAT_MAP_VALUES = "flat_map_values"
    SELECT_KEY = "select_key"
    """function(key, value) -> key"""
    PEEK = "peek"
    FOR_EACH = "for_each"
    PRINT = "print"
    """function(key, value) writes it down"""
    SPLIT = "split"
    """`functions` are the predicates; the record goes to the child `branches[i]` of the first that holds"""
    BRANCH = "branch"
    """one branch of a split: passes on what it is given"""
    TO_STREAM = "to_stream"
    """table -> stream: the new values only"""
    GROUP_TABLE = "group_table"
    """table -> table edge under another key: function(key, value) -> (key, value); may part a change in two"""


KEY_CHANGING = frozenset({Verb.MAP, Verb.FLAT_MAP, Verb.SELECT_KEY})
VALUE_CHANGING = frozenset({Verb.MAP_VALUES, Verb.FLAT_MAP_VALUES})


class JoinKind(Enum):
    """Which side is emitted without a partner."""

    INNER = "inner"
    LEFT = "left"
    OUTER = "outer"


class Aggregation(Enum):
    """How an aggregate combines."""

    COUNT = "count"
    REDUCE = "reduce"
    """the first value starts it"""
    AGGREGATE = "aggregate"
    """an initializer starts it"""


class Serdes(Struct, frozen=True):
    """Serdes of key and value as they are on the wire (windowed keys have a windowed serde); None: the default one."""

    key: Serde[Any] | None = None
    value: Serde[Any] | None = None


class Materialization(Struct, frozen=True, kw_only=True):
    """The store of a node. `queryable` is True when the user named it; otherwise the name was generated.

    `retention_ms` None: what the windows need. `history_ms` set: a versioned store; `max_entries`: one in memory of so many. `persistent` None: on disk, unless
    whoever opens the stores decides otherwise (the driver may). `cached` may still be overruled by the operator (versioned, emit on close).
    """

    store: str
    kind: StoreKind = StoreKind.TIMESTAMPED_KEY_VALUE
    queryable: bool = False
    serdes: Serdes = Serdes()
    persistent: bool | None = None
    cached: bool = True
    logged: bool = True
    retention_ms: int | None = None
    history_ms: int | None = None
    max_entries: int | None = None
    topic_config: Mapping[str, str] = field(default_factory=dict)
    engine: OpenEngine | None = None


class Node(Struct, frozen=True, kw_only=True):
    """What all nodes have: a name that is unique in the graph, parents by name, and the serdes of what comes out.

    `serdes` are what is known of the key and value that this node passes on; `on_error` is what becomes of a record it
    cannot handle, None: what the configuration says.
    """

    name: str
    parents: tuple[str, ...] = ()
    serdes: Serdes = Serdes()
    on_error: OnError | None = None

    @property
    def fed_by(self) -> tuple[str, ...]:
        """The parents whose records it handles; the table of a stream-table join is only looked up."""
        return self.parents


class Source(Node, frozen=True, kw_only=True):
    """A stream read from topics. `pattern` (a regular expression) or `topics`.

    `timestamp` is a timestamp extractor: function(record: Record, partition_time: int) -> int; None: the
    configured one. `offset_reset` is "earliest", "latest", "none", a duration in ms counted back from now, or None.
    """

    topics: tuple[str, ...] = ()
    pattern: str | None = None
    timestamp: Function | None = None
    offset_reset: str | int | None = None


class TableSource(Node, frozen=True, kw_only=True):
    """A table read from a topic (no parents; `source` names its source node), or made of a stream (one parent).

    `name` is that of the processor (KTABLE-SOURCE-…, KSTREAM-TOTABLE-…). `materialized` is what its store is or would
    be; `stored` says whether there is one: it was named, or someone needs its values (set by `graph.rewrite`).
    `is_global`: all partitions on every worker, filled before the start.
    """

    materialized: Materialization
    stored: bool = False
    topic: str | None = None
    source: str = ""
    is_global: bool = False
    timestamp: Function | None = None
    offset_reset: str | int | None = None
    reuse_source_topic: bool = False
    """The topic serves as changelog (topology optimization)."""
    send_old_values: bool = False


class Stateless(Node, frozen=True, kw_only=True):
    """A function per record, on a stream or (`table`) on a table, where it may have a store of its results.

    `functions` has one entry, save for SPLIT (its predicates; None is the default branch), BRANCH and TO_STREAM (none).
    `branches` are the names of a SPLIT's children, entry by entry.
    """

    verb: Verb
    functions: tuple[Function | None, ...] = ()
    with_key: bool = False
    table: bool = False
    materialized: Materialization | None = None
    branches: tuple[str, ...] = ()
    send_old_values: bool = False
    versioned: bool = False
    """The table it reads is versioned: a filter must not suppress, a grouping skips what is not latest."""
    ends_history: bool = False
    """How its results are stored was said, but no name was given: nothing is stored, and rows have no versions."""


class Process(Node, frozen=True, kw_only=True):
    """Processor API: `supplier()` makes one processor per task. `stores` are the names it is connected to.

    `added_stores` come with the processor. `fixed_key`: it may not change the key. `table`: `transform_values` of a
    table (may be materialized). `global_topic` set (no parents): it fills the global store `added_stores[0]` from that
    topic, read by the source node `global_source`. `changelog_topic` set: the topic it reads is what `added_stores[0]` is
    restored from (a read-only store).
    """

    supplier: Callable[[], Any]
    stores: tuple[str, ...] = ()
    added_stores: tuple[StoreSpec, ...] = ()
    fixed_key: bool = False
    table: bool = False
    materialized: Materialization | None = None
    global_topic: str | None = None
    global_source: str = ""
    changelog_topic: str | None = None
    timestamp: Function | None = None
    send_old_values: bool = False
    ends_history: bool = False


class Merge(Node, frozen=True, kw_only=True):
    """Several streams as one, in the order of arrival. (Merges inside joins and cogroups belong to those.)"""


class Repartition(Node, frozen=True, kw_only=True):
    """Through a topic of its own, so that a key's records meet in one task. `name` is that of the source at its end.

    `topic` is the name without the application id, and with `-repartition`. `filter` None: no filter before the sink
    (tables); `keep_null_keys` is set by `graph.rewrite` when a left or outer join lies downstream. `changes`: the values are
    Kafka's Change format (a table's repartition). `built_as` is the name that a group, or an input of a cogroup, shares with
    another one: unless a rewrite merges the two, the program cannot be built.
    """

    topic: str
    filter: str | None = None
    sink: str
    partitions: int | None = None
    partitioner: Function | None = None
    keep_null_keys: bool = False
    changes: bool = False
    optimizable: bool = True
    explicit: bool = False
    """The user wrote `repartition()`."""
    built_as: str | None = None


class Aggregator(Struct, frozen=True, kw_only=True):
    """One input of an aggregate: the processor's name, and the function(s) that fold a value of that input in.

    COUNT: none. REDUCE: add(aggregate, value). AGGREGATE: add(key, value, aggregate). Grouped tables also `remove`.
    """

    processor: str
    add: Function | None = None
    remove: Function | None = None


class Aggregate(Node, frozen=True, kw_only=True):
    """Fold the records of a key (and window). `aggregators[i]` takes the records of `parents[i]`.

    `cogrouped`: there is a merge named `name` behind the aggregators, however many there are; otherwise `name` is the
    only aggregator's. `windows` None: unwindowed. `table`: the input is a grouped table (retraction).
    `merger(key, aggregate, aggregate)` joins sessions. `initializer()` starts an AGGREGATE.
    """

    kind: Aggregation
    aggregators: tuple[Aggregator, ...]
    materialized: Materialization
    initializer: Function | None = None
    merger: Function | None = None
    windows: Windows | None = None
    emit: EmitStrategy = EmitStrategy.ON_WINDOW_UPDATE
    cogrouped: bool = False
    table: bool = False
    send_old_values: bool = False


class StreamJoin(Node, frozen=True, kw_only=True):
    """Join two streams within windows; `parents` are (left, right). `name` is that of the merge at its end.

    `joiner(key?, left, right)`. `pending` (left and outer joins, not eager) keeps what has found no partner yet.
    `self_join` is set by `graph.rewrite`: one store, one joining processor (named `name`).
    """

    kind: JoinKind
    joiner: Function
    with_key: bool = False
    windows: JoinWindows
    left_window: str
    right_window: str
    left_join: str
    right_join: str
    left_store: Materialization
    right_store: Materialization
    pending: Materialization | None = None
    self_join: bool = False
    left_serdes: Serdes = Serdes()
    right_serdes: Serdes = Serdes()


class TableJoin(Node, frozen=True, kw_only=True):
    """Look a stream's record up in a table, or join two tables; `parents` are (left, right).

    `stream`: the left side is a stream, and only it triggers; `joiner(key?, left, right)`. With `key_mapper` the right
    side is a global table: mapper(key, value) -> its key (`with_mapped_key`: joiner(key, mapped key, left, right)).
    Two tables: `left_join` and `right_join` name the processors, `name` the merge, which may be materialized.
    `grace_ms` and `buffer`: the stream waits for its versioned table.
    """

    kind: JoinKind
    joiner: Function
    with_key: bool = False
    stream: bool = False
    key_mapper: Function | None = None
    with_mapped_key: bool = False
    left_join: str = ""
    right_join: str = ""
    grace_ms: int | None = None
    buffer: Materialization | None = None
    materialized: Materialization | None = None
    send_old_values: bool = False
    left_versioned: bool = False
    right_versioned: bool = False

    @property
    def fed_by(self) -> tuple[str, ...]:
        """Both tables, or the stream alone."""
        return self.parents[:1] if self.stream else self.parents


class ForeignKeyJoin(Node, frozen=True, kw_only=True):
    """Join two tables where a row of the left names its row of the right; `parents` are (left, right).

    `foreign_key(key?, value)`. Registrations travel to the right table's task through `registration_topic`, answers back
    through `response_topic`. `name` is that of the output processor. Left and inner only.
    """

    kind: JoinKind
    joiner: Function
    with_key: bool = False
    foreign_key: Function
    foreign_key_with_key: bool = False
    registration: str
    registration_topic: str
    registration_sink: str
    registration_source: str
    subscription_receive: str
    subscription_join: str
    foreign_table: str
    response_topic: str
    response_sink: str
    response_source: str
    resolver: str
    subscriptions: Materialization
    materialized: Materialization
    stored: bool = False
    partitioner: Function | None = None
    other_partitioner: Function | None = None
    left_serdes: Serdes = Serdes()
    right_serdes: Serdes = Serdes()
    send_old_values: bool = False
    left_versioned: bool = False
    right_versioned: bool = False


class Suppress(Node, frozen=True, kw_only=True):
    """Hold a table's updates back until a time limit passed or (`until_window_closes`) until windows are final.

    `wait_ms` is the time limit, or the grace of the windows upstream. Bounds of None: no bound.
    `emit_early`: a full buffer emits its oldest; otherwise it stops the task.
    """

    until_window_closes: bool
    wait_ms: int
    max_records: int | None = None
    max_bytes: int | None = None
    emit_early: bool = False
    buffer: Materialization
    send_old_values: bool = False


class Sink(Node, frozen=True, kw_only=True):
    """Write a stream to a topic. `chooser(key, value, record)` picks one per record instead.

    `partitioner(topic, key, value, count)` returns a partition, several, none (drop) or None (Kafka's own).
    """

    topic: str | None = None
    chooser: Function | None = None
    partitioner: Function | None = None
    by_plain_key: bool = False
    """Without a partitioner, all windows of a key go where the key by itself would."""
    send: Serdes = Serdes()
    """Serdes to write with."""
