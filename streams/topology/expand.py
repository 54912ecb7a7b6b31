"""From logical nodes to the processors that Kafka's topology shows for them.

Each logical node becomes one or more parts; a part names the parts that must be there before it, and adds its sources,
processors, sinks and stores to the assembly. The part named like the node is what its children attach to.
Source: writeToTopology of the nodes in Kafka's kstream.internals.graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from state.stores import StoreKind, StoreSpec
from streams.errors import TopologyError
from streams.graph.graph import Graph
from streams.graph.nodes import (
    Aggregate,
    ForeignKeyJoin,
    Materialization,
    Merge,
    Node,
    Process,
    Repartition,
    Serdes,
    Sink,
    Source,
    Stateless,
    StreamJoin,
    Suppress,
    TableJoin,
    TableSource,
)
from streams.graph.old_values import stores_read
from streams.topology.assembly import Assembly
from streams.topology.nodes import Role, StoreUse
from streams.topology.store_specs import BYTES, StoreDefaults

__all__ = ["Expansion"]

RAW = Serdes(BYTES, BYTES)
SUPPRESS_FORMAT = (("v", b"\x03"),)
"""The header by which Kafka tells the version of a suppress buffer's changelog records."""


class Part(Struct, frozen=True):
    """A step of the assembly: `add` may run when the parts named in `after` have run."""

    name: str
    after: tuple[str, ...]
    add: Callable[[], None]


class Expansion:
    """The assembly of a whole graph."""

    def __init__(self, graph: Graph, assembly: Assembly, defaults: StoreDefaults) -> None:
        self._graph = graph
        self._assembly = assembly
        self._defaults = defaults

    def run(self) -> None:
        """Add everything, always the first part (in the graph's order) whose parents are there."""
        waiting = {part.name: part for node in self._graph for part in self._parts(node)}
        done: set[str] = set()
        while waiting:
            ready = next((part for part in waiting.values() if done.issuperset(part.after)), None)
            if ready is None:
                raise TopologyError(f"these nodes wait for each other: {', '.join(waiting)}")
            ready.add()
            done.add(ready.name)
            del waiting[ready.name]

    def add_user_store(self, spec: StoreSpec) -> None:
        """Add a store that processors use by name."""
        self._assembly.add_store(self._defaults.user(spec), StoreUse.USER)

    def _parts(self, node: Node) -> Iterator[Part]:
        match node:
            case StreamJoin():
                yield from self._stream_join(node)
            case ForeignKeyJoin():
                yield from self._foreign_key_join(node)
            case Aggregate(cogrouped=True):
                yield from self._cogroup(node)
            case _:
                yield Part(node.name, node.parents, lambda: self._add(node))

    def _add(self, node: Node) -> None:
        match node:
            case Source():
                self._source(node)
            case TableSource():
                self._table_source(node)
            case Stateless():
                self._processor(node, Role.STATELESS)
                self._materialized(node.name, node.materialized)
            case Process():
                self._process(node)
            case Merge():
                self._processor(node, Role.MERGE)
            case Repartition():
                self._repartition(node)
            case Aggregate():
                self._processor(node, Role.AGGREGATE)
                self._aggregate_store(node, node.name)
            case TableJoin():
                self._table_join(node)
            case Suppress():
                self._processor(node, Role.SUPPRESS)
                self._suppress_buffer(node)
            case Sink():
                self._sink(node)
            case _:
                raise AssertionError(f"a {type(node).__name__} has parts of its own")

    def _processor(self, node: Node, role: Role, name: str = "", parents: Iterable[str] = (), index: int = 0) -> None:
        above = tuple(parents) or tuple(dict.fromkeys(node.parents))
        self._assembly.add_processor(name or node.name, role, node, above, index)

    def _materialized(self, processor: str, stored: Materialization | None) -> None:
        if stored is not None:
            self._assembly.add_store(
                self._defaults.table(stored), StoreUse.TABLE, processor, generated_name=not stored.queryable
            )

    def _raw_store(
        self, stored: Materialization, use: StoreUse, *users: str, kind: StoreKind = StoreKind.KEY_VALUE
    ) -> None:
        self._assembly.add_store(self._defaults.raw(stored, kind), use, *users, generated_name=not stored.queryable)

    def _suppress_buffer(self, node: Suppress) -> None:
        spec = replace(self._defaults.raw(node.buffer), changelog_headers=SUPPRESS_FORMAT, engine=None)  # in memory
        generated = not node.buffer.queryable
        self._assembly.add_store(spec, StoreUse.SUPPRESS_BUFFER, node.name, generated_name=generated)

    def _source(self, node: Source) -> None:
        self._assembly.add_source(
            node.name,
            node,
            self._defaults.of_topic(node.serdes, node.topics[0] if len(node.topics) == 1 else None),
            topics=node.topics,
            pattern=node.pattern,
            timestamp=node.timestamp,
            offset_reset=node.offset_reset,
        )

    def _table_source(self, node: TableSource) -> None:
        if node.topic is None:
            self._processor(node, Role.TABLE_SOURCE)
            self._materialized(node.name, node.materialized if node.stored else None)
            return
        self._assembly.add_source(
            node.source,
            node,
            self._defaults.of_topic(node.serdes, node.topic),
            topics=(node.topic,),
            timestamp=node.timestamp,
            offset_reset=node.offset_reset,
        )
        self._processor(node, Role.TABLE_SOURCE, parents=(node.source,))
        filled_from = node.topic if node.is_global or node.reuse_source_topic else None
        spec = self._defaults.table(node.materialized, filled_from)
        if node.is_global:
            self._assembly.add_global_store(spec, StoreUse.TABLE, node.source, node.name)
        elif node.stored:
            generated = not node.materialized.queryable
            if node.reuse_source_topic:
                spec = replace(spec, logged=False)
            changelog = node.topic if node.reuse_source_topic else None
            self._assembly.add_store(spec, StoreUse.TABLE, node.name, changelog=changelog, generated_name=generated)

    def _process(self, node: Process) -> None:
        if node.global_topic is not None:
            self._global_process(node, node.global_topic)
            return
        self._processor(node, Role.PROCESS)
        for spec in node.added_stores:
            self._assembly.add_store(
                self._defaults.user(spec, node.changelog_topic), StoreUse.USER, changelog=node.changelog_topic
            )
        self._assembly.use_stores(node.name, node.stores)
        self._materialized(node.name, node.materialized)

    def _global_process(self, node: Process, topic: str) -> None:
        self._assembly.add_source(
            node.global_source,
            node,
            self._defaults.of_topic(node.serdes, topic),
            topics=(topic,),
            timestamp=node.timestamp,
        )
        self._processor(node, Role.PROCESS, parents=(node.global_source,))
        self._assembly.add_global_store(
            self._defaults.user(node.added_stores[0], topic), StoreUse.USER, node.global_source, node.name
        )

    def _repartition(self, node: Repartition) -> None:
        full_name = f"{self._defaults.subjects.application_id}-{node.topic}"
        serdes = self._defaults.of_topic(node.serdes, full_name)
        parents: tuple[str, ...] = tuple(dict.fromkeys(node.parents))
        self._assembly.add_internal_topic(node.topic, node.partitions)
        if node.filter is not None:
            self._processor(node, Role.REPARTITION_FILTER, node.filter)
            parents = (node.filter,)
        self._assembly.add_sink(
            node.sink, Role.REPARTITION_SINK, node, parents, serdes, topic=node.topic, partitioner=node.partitioner
        )
        self._assembly.add_source(node.name, node, serdes, topics=(node.topic,))

    def _aggregate_store(self, node: Aggregate, *users: str) -> None:
        self._assembly.add_store(
            self._defaults.aggregate(node), StoreUse.TABLE, *users, generated_name=not node.materialized.queryable
        )

    def _cogroup(self, node: Aggregate) -> Iterator[Part]:
        for index, aggregator in enumerate(node.aggregators):
            yield Part(aggregator.processor, (node.parents[index],), partial(self._aggregator, node, index))
        processors = tuple(aggregator.processor for aggregator in node.aggregators)
        yield Part(node.name, processors, partial(self._processor, node, Role.COGROUP_MERGE, parents=processors))

    def _aggregator(self, node: Aggregate, index: int) -> None:
        processor = node.aggregators[index].processor
        self._processor(node, Role.AGGREGATE, processor, (node.parents[index],), index)
        self._aggregate_store(node, processor)

    def _stream_join(self, node: StreamJoin) -> Iterator[Part]:
        left, right = node.parents
        yield Part(
            node.left_window, (left,), lambda: self._processor(node, Role.JOIN_WINDOW_LEFT, node.left_window, (left,))
        )
        if node.self_join:
            yield Part(node.name, (node.left_window,), lambda: self._self_join(node))
            return
        yield Part(
            node.right_window,
            (right,),
            lambda: self._processor(node, Role.JOIN_WINDOW_RIGHT, node.right_window, (right,)),
        )
        yield Part(node.name, (node.left_window, node.right_window), lambda: self._both_sides(node))

    def _self_join(self, node: StreamJoin) -> None:
        self._processor(node, Role.SELF_JOIN, parents=(node.left_window,))
        self._join_store(node, node.left_store, node.left_window, node.name)

    def _both_sides(self, node: StreamJoin) -> None:
        sides = (node.left_join, node.right_join)
        self._processor(node, Role.STREAM_JOIN_LEFT, node.left_join, (node.left_window,))
        self._processor(node, Role.STREAM_JOIN_RIGHT, node.right_join, (node.right_window,))
        self._processor(node, Role.MERGE, parents=sides)
        self._join_store(node, node.left_store, node.left_window, node.right_join)
        self._join_store(node, node.right_store, node.right_window, node.left_join)
        if node.pending is not None:
            self._raw_store(node.pending, StoreUse.JOIN_PENDING, *sides)

    def _join_store(self, node: StreamJoin, stored: Materialization, *users: str) -> None:
        spec = self._defaults.join_window(node, stored)
        self._assembly.add_store(spec, StoreUse.JOIN_WINDOW, *users, generated_name=not stored.queryable)

    def _table_join(self, node: TableJoin) -> None:
        left, right = node.parents[0], node.parents[-1]
        if node.stream:
            self._processor(node, Role.STREAM_TABLE_JOIN, parents=(left,))
            if node.buffer is not None:
                self._raw_store(node.buffer, StoreUse.JOIN_BUFFER, node.name)
            if node.key_mapper is None:
                self._assembly.use_stores(node.name, stores_read(self._graph, right))
            return
        self._processor(node, Role.TABLE_JOIN_LEFT, node.left_join, (left,))
        self._processor(node, Role.TABLE_JOIN_RIGHT, node.right_join, (right,))
        self._processor(node, Role.TABLE_JOIN_MERGE, parents=(node.left_join, node.right_join))
        self._assembly.use_stores(node.left_join, stores_read(self._graph, right))
        self._assembly.use_stores(node.right_join, stores_read(self._graph, left))
        self._materialized(node.name, node.materialized)

    def _foreign_key_join(self, node: ForeignKeyJoin) -> Iterator[Part]:
        left, right = node.parents
        send, receive, answer, change = (
            node.registration,
            node.subscription_receive,
            node.subscription_join,
            node.foreign_table,
        )
        yield Part(send, (left,), lambda: self._processor(node, Role.FOREIGN_KEY_REGISTRATION, send, (left,)))
        yield Part(node.registration_sink, (send,), lambda: self._registration_sink(node))
        yield Part(
            node.registration_source,
            (node.registration_sink,),
            lambda: self._assembly.add_source(node.registration_source, node, RAW, topics=(node.registration_topic,)),
        )
        yield Part(receive, (node.registration_source,), lambda: self._receive(node))
        yield Part(answer, (receive,), lambda: self._answer(node))
        yield Part(change, (right,), lambda: self._change(node))
        yield Part(node.response_sink, (answer, change), lambda: self._response_sink(node))
        yield Part(
            node.response_source,
            (node.response_sink,),
            lambda: self._assembly.add_source(node.response_source, node, RAW, topics=(node.response_topic,)),
        )
        yield Part(node.resolver, (node.response_source,), lambda: self._resolve(node))
        yield Part(node.name, (node.resolver,), lambda: self._foreign_key_output(node))

    def _registration_sink(self, node: ForeignKeyJoin) -> None:
        self._assembly.add_internal_topic(node.registration_topic)
        self._assembly.add_sink(
            node.registration_sink,
            Role.FOREIGN_KEY_REGISTRATION_SINK,
            node,
            (node.registration,),
            RAW,
            topic=node.registration_topic,
            partitioner=node.other_partitioner,
        )

    def _receive(self, node: ForeignKeyJoin) -> None:
        receive = node.subscription_receive
        self._processor(node, Role.FOREIGN_KEY_RECEIVE, receive, (node.registration_source,))
        self._raw_store(node.subscriptions, StoreUse.SUBSCRIPTIONS, receive, kind=StoreKind.TIMESTAMPED_KEY_VALUE)

    def _answer(self, node: ForeignKeyJoin) -> None:
        self._processor(node, Role.FOREIGN_KEY_ANSWER, node.subscription_join, (node.subscription_receive,))
        self._assembly.use_stores(node.subscription_join, stores_read(self._graph, node.parents[1]))

    def _change(self, node: ForeignKeyJoin) -> None:
        self._processor(node, Role.FOREIGN_KEY_CHANGE, node.foreign_table, (node.parents[1],))
        self._assembly.use_stores(node.foreign_table, (node.subscriptions.store,))

    def _response_sink(self, node: ForeignKeyJoin) -> None:
        self._assembly.add_internal_topic(node.response_topic)
        self._assembly.add_sink(
            node.response_sink,
            Role.FOREIGN_KEY_RESPONSE_SINK,
            node,
            (node.subscription_join, node.foreign_table),
            RAW,
            topic=node.response_topic,
            partitioner=node.partitioner,
        )

    def _resolve(self, node: ForeignKeyJoin) -> None:
        self._processor(node, Role.FOREIGN_KEY_RESOLVE, node.resolver, (node.response_source,))
        self._assembly.use_stores(node.resolver, stores_read(self._graph, node.parents[0]))

    def _foreign_key_output(self, node: ForeignKeyJoin) -> None:
        self._processor(node, Role.FOREIGN_KEY_OUTPUT, parents=(node.resolver,))
        self._materialized(node.name, node.materialized if node.stored else None)

    def _sink(self, node: Sink) -> None:
        self._assembly.add_sink(
            node.name,
            Role.SINK,
            node,
            dict.fromkeys(node.parents),
            self._defaults.of_topic(node.send, node.topic),
            topic=node.topic,
            chooser=node.chooser,
            partitioner=node.partitioner,
        )
