"""Topology to operators: the one place that knows both what a program says and what runs it.

A run of stateless nodes becomes a chain of closures over batches, a stateful node one object. Children are made before
their parents, so that each operator is made with what follows it. Nothing is opened or read here: stores are asked for
in `TaskProgram.init`. Whoever runs a program hands a `one_by_one` source batches of one record (see `meeting`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

from msgspec import Struct

from state.serde import Serde, exact
from state.stores import StoreSpec
from streams.graph.nodes import Aggregate, Aggregation, Repartition, Sink
from streams.operators.base import Emit, Operator, OperatorContext
from streams.operators.columns import each_alone, fan_out
from streams.operators.interleaved_join import InterleavedJoin, Side
from streams.operators.observing import Observer
from streams.operators.process import runs_ahead, takes_batches
from streams.operators.sink import RecordSink, choosing_sink, sink
from streams.operators.source import Decode, source_decoder
from streams.operators.stream_join import JoinWindow, StreamJoinSide
from streams.processor import AheadProcessor
from streams.serdes.primitives import BYTES
from streams.topology.interleaving import joined_pair
from streams.topology.join_makers import JOIN_MAKERS, make_foreign_key_sink
from streams.topology.making import Making
from streams.topology.meeting import caches_behind, causes_seen, meets, reachable, read_behind
from streams.topology.nodes import ProcessorNode, Role, SinkNode, SourceNode, SubTopology
from streams.topology.operator_makers import MAKERS
from streams.topology.topology import Topology

__all__ = ["SourceProgram", "TaskProgram", "compile_global", "compile_task"]

ALL_MAKERS = {**MAKERS, **JOIN_MAKERS}


class SourceProgram(Struct, frozen=True):
    """One source node: what reads its records, and what runs them through all that follows.

    `topics` are full names. `one_by_one`: `process` wants batches of one record. `ahead` are processors right behind it that
    can run its records before they are processed, `ahead_stores` the stores that these use.
    """

    node: str
    topics: tuple[str, ...]
    one_by_one: bool
    deserialize: Decode
    process: Emit
    ahead: tuple[AheadProcessor, ...] = ()
    ahead_stores: tuple[str, ...] = ()


class TaskProgram(Struct, frozen=True):
    """What a task runs. `stores` in the order of registration; `changelog_topics` by store, full names.

    `interleaved` may run the records of its two sources together. `paced` are users' processors that say how many
    records they can do in a moment (`records_at_once`). `read_behind` are the stores that are looked into behind the
    node that fills them, `caches_behind` those behind which a record cache is used, maybe their own, `causes_seen` those
    behind which somebody can tell what record an update came from.
    """

    sources: tuple[SourceProgram, ...]
    operators: tuple[Operator, ...]
    stores: tuple[StoreSpec, ...]
    changelog_topics: Mapping[str, str]
    context: OperatorContext
    interleaved: InterleavedJoin | None = None
    paced: tuple[Any, ...] = ()
    read_behind: frozenset[str] = frozenset()
    caches_behind: frozenset[str] = frozenset()
    causes_seen: frozenset[str] = frozenset()

    def records_at_once(self, limit: int) -> int:
        """How many records to process before looking up again."""
        limits: list[int] = [limit, *(each.records_at_once for each in self.paced)]
        return min(limits)

    def init(self, ready: list[Operator]) -> None:
        """Init the operators, parents first, when the stores are open and restored; those that are `ready` are listed."""
        for spec in self.stores:
            store = self.context.store(spec.name)
            store.read_behind, store.causes_seen = spec.name in self.read_behind, spec.name in self.causes_seen
            store.flushes.together = spec.name not in self.caches_behind
        for operator in self.operators:
            operator.init(self.context)
            ready.append(operator)

    def close(self, ready: list[Operator]) -> None:
        """Close the operators that are `ready`, parents first, and all of them: what one raises comes afterwards.

        Source: Kafka's StreamTask.closeTopology.
        """
        with ExitStack() as closings:  # the last in is the first out
            while ready:
                closings.callback(ready.pop().close)


def compile_task(
    topology: Topology,
    subtopologies: Iterable[SubTopology],
    context: OperatorContext,
    topics: Collection[str] = (),
    observer: Observer | None = None,
) -> TaskProgram:
    """The program of a task that runs these sub-topologies (one, or all of them under the driver).

    `topics` are the full names of topics that exist, among which sources with a pattern find theirs. An `observer` is
    asked to look at what goes from node to node.
    """
    parts = tuple(subtopologies)
    stores = tuple(spec for part in parts for spec in part.stores)
    nodes = {name: topology.nodes[name] for part in parts for name in part.nodes}
    compiler = _Compiler(topology, context, set(nodes), topics, observer)
    sources = tuple(compiler.source(source) for part in parts for source in part.sources)
    return TaskProgram(
        sources=sources,
        operators=compiler.operators(),
        interleaved=compiler.interleaved(sources),
        paced=compiler.paced(),
        read_behind=read_behind(nodes),
        caches_behind=caches_behind(nodes, {spec.name for spec in stores if spec.cached}),
        causes_seen=causes_seen(nodes),
        stores=stores,
        changelog_topics={store: topic for part in parts for store, topic in part.changelogs.items()},
        context=context,
    )


def compile_global(topology: Topology, context: OperatorContext) -> TaskProgram:
    """The program that fills the global stores, from all of their topics."""
    names = {name for each in topology.global_stores for name in (each.source.name, each.processor.name)}
    compiler = _Compiler(topology, context, names, ())
    return TaskProgram(
        sources=tuple(compiler.source(each.source) for each in topology.global_stores),
        operators=compiler.operators(),
        stores=tuple(each.store for each in topology.global_stores),
        changelog_topics={each.store.name: each.topic for each in topology.global_stores},
        context=context,
    )


class _Compiler:
    """Makes the operators of some nodes, each once."""

    def __init__(
        self,
        topology: Topology,
        context: OperatorContext,
        names: set[str],
        topics: Collection[str],
        observer: Observer | None = None,
    ) -> None:
        self._topology = topology
        self._context = context
        self._names = names
        self._topics = topics
        self._observer = observer
        self._stages: dict[str, Emit] = {}
        self._operators: dict[str, Operator] = {}
        self._making = Making(topology=topology, context=context)
        self._make_processors()
        self._one_by_one = {name for name in names if self._runs_one_by_one(name)}
        self._alone = {name for start in self._one_by_one for name in reachable(topology.nodes, start)}

    def source(self, node: SourceNode) -> SourceProgram:
        """A source, and with it all that follows."""
        topology = self._topology
        key, value = serdes_of(node)
        if self._observer is None and self._never_reads_values(node):
            value = BYTES
        timestamp = node.timestamp or (None if node.internal else topology.default_timestamp)
        decode = source_decoder(
            self._context,
            node.name,
            key,
            value,
            timestamp,
            changes=carries_changes(node),
            keeps_keys=self._keeps_keys(node, key),
            keeps_bytes=self._keeps_bytes(node, value),
        )
        topics = tuple(topology.full_name(topic) for topic in node.topics) or self._matching(node.pattern)
        process = self._after(node.name, node.children)
        if self._observer is not None:
            process = self._observer.source(node.name, topics, process)
        ahead = self._ahead(node)
        return SourceProgram(
            node=node.name,
            topics=topics,
            one_by_one=node.name in self._one_by_one,
            deserialize=decode,
            process=process,
            ahead=tuple(self._making.processors[each.name] for each in ahead),
            ahead_stores=tuple(dict.fromkeys(store for each in ahead for store in each.stores)),
        )

    def _ahead(self, node: SourceNode) -> tuple[ProcessorNode, ...]:
        """The nodes right behind a source whose processors can run its records ahead.

        Not those with stores that somebody may write to meanwhile: who is not right behind a source may be run by a flush.
        """
        nodes = self._topology.nodes
        behind = [nodes[child] for child in node.children if runs_ahead(self._making.processors.get(child))]
        return tuple(each for each in behind if isinstance(each, ProcessorNode) and self._has_its_stores_alone(each))

    def _has_its_stores_alone(self, node: ProcessorNode) -> bool:
        nodes, stores = self._topology.nodes, {*node.stores}
        users = [each for each in nodes.values() if isinstance(each, ProcessorNode) and stores & {*each.stores}]
        return all(isinstance(nodes[parent], SourceNode) for user in users for parent in user.parents)

    def _never_reads_values(self, node: SourceNode) -> bool:
        """Whether values may stay bytes: they are our own, on a repartition topic, and all that follows is counting.

        A user's topic is read all the same, so that what is no record of its type is found.
        """
        children = [self._topology.nodes[child] for child in node.children]
        return node.internal and all(
            isinstance(child, ProcessorNode)
            and child.role is Role.AGGREGATE
            and isinstance(child.node, Aggregate)
            and child.node.kind is Aggregation.COUNT
            and not child.node.table
            for child in children
        )

    def _keeps_keys(self, node: SourceNode, key: Serde[Any]) -> bool:
        """Whether keys as they are read of a source are, as long as nobody changes them, what every sink would write."""
        reached = [self._topology.nodes[name] for name in reachable(self._topology.nodes, node.name)]
        sinks = [each for each in reached if isinstance(each, SinkNode)]
        return exact(key) and bool(sinks) and all(each.serdes.key is key for each in sinks)

    def _keeps_bytes(self, node: SourceNode, value: Serde[Any]) -> bool:
        """Whether what is read of a source may be written as it is, somewhere."""
        if self._joins_as_read(node):
            return True
        reached = filter(self._writes_as_read, reachable(self._topology.nodes, node.name))
        return any(cast("SinkNode", self._topology.nodes[name]).serdes.value is value for name in reached)

    def _joins_as_read(self, node: SourceNode) -> bool:
        """Whether nothing but a stream join follows, which keeps values by the serde they are read with."""
        children = [self._topology.nodes[child] for child in node.children]
        return all(
            isinstance(child, ProcessorNode)
            and child.role in {Role.JOIN_WINDOW_LEFT, Role.JOIN_WINDOW_RIGHT}
            and self._topology.stores[child.stores[0]].value_serde is node.serdes.value
            for child in children
        )

    def _writes_as_read(self, name: str) -> bool:
        """Whether a node writes to a repartition topic whose values are never read: then nobody need write them anew."""
        node = self._topology.nodes[name]
        if not isinstance(node, SinkNode) or node.role is not Role.REPARTITION_SINK or carries_changes(node):
            return False
        readers = [each for each in self._topology.nodes.values() if isinstance(each, SourceNode) and each.internal]
        return all(self._never_reads_values(reader) for reader in readers if node.topic in reader.topics)

    def _matching(self, pattern: str | None) -> tuple[str, ...]:
        named = self._topology.source_topics
        return tuple(topic for topic in self._topics if pattern and re.fullmatch(pattern, topic) and topic not in named)

    def operators(self) -> tuple[Operator, ...]:
        """The stateful operators made so far, in the order of the topology: parents first."""
        return tuple(self._operators[name] for name in self._topology.nodes if name in self._operators)

    def paced(self) -> tuple[Any, ...]:
        """The users' processors that say how many records they can do in a moment."""
        return tuple(each for each in self._making.processors.values() if hasattr(each, "records_at_once"))

    def interleaved(self, sources: tuple[SourceProgram, ...]) -> InterleavedJoin | None:
        """The join that can run its two sources together, if that is all there is and nobody wants to see it."""
        if self._observer is not None:
            return None
        pair = joined_pair(self._topology.nodes, [source.node for source in sources])
        if pair is None or any(source.one_by_one or len(source.topics) != 1 for source in sources):
            return None
        by_node = {source.node: source for source in sources}
        left, right = (
            Side(
                topic=by_node[side.source].topics[0],
                process=by_node[side.source].process,
                window=cast("JoinWindow", self._operators[side.window]),
                join=cast("StreamJoinSide", self._operators[side.join]),
                as_read=self._joins_as_read(cast("SourceNode", self._topology.nodes[side.source])),
            )
            for side in pair.sides
        )
        return InterleavedJoin((left, right), self._stages[pair.merge], self._context)

    def _make_processors(self) -> None:
        """Make the users' processors: whether they take batches decides how their sources are run."""
        for name in self._topology.nodes:
            node = self._topology.nodes[name]
            if name in self._names and isinstance(node, ProcessorNode) and node.role is Role.PROCESS:
                self._making.make_processor(node)

    def _runs_one_by_one(self, name: str) -> bool:
        nodes = self._topology.nodes
        if not isinstance(nodes[name], SourceNode):
            return False
        if any(
            processor and not takes_batches(processor) for processor in map(self._processor, reachable(nodes, name))
        ):
            return True
        caches = {store for store, spec in self._topology.stores.items() if spec.cached}
        return meets(nodes, name, caches=caches)

    def _processor(self, name: str) -> object:
        return self._making.processors.get(name)

    def _after(self, name: str, children: Iterable[str]) -> Emit:
        """What a node hands its results to."""
        emit = fan_out([self._stage(child) for child in children])
        return each_alone(emit) if name in self._alone else emit

    def _stage(self, name: str) -> Emit:
        if name not in self._stages:
            node = self._topology.nodes[name]
            assert not isinstance(node, SourceNode), "no node stands before a source"
            stage = self._sink(node) if isinstance(node, SinkNode) else self._processor_stage(node)
            self._stages[name] = stage if self._observer is None else self._observer.stage(name, stage)
        return self._stages[name]

    def _processor_stage(self, node: ProcessorNode) -> Emit:
        children = {child: self._stage(child) for child in node.children}
        emit = self._after(node.name, node.children)
        if self._observer is not None:
            # A node hands its results to `emit` or to its children one by one, never to both.
            emit = self._observer.results(node.name, emit)
            children = {child: self._observer.results(node.name, stage) for child, stage in children.items()}
        made = ALL_MAKERS[node.role](self._making, node, emit, children)
        if not isinstance(made, Operator):
            return made
        self._operators[node.name] = made
        return made.process

    def _sink(self, node: SinkNode) -> Emit:
        if node.role is Role.FOREIGN_KEY_REGISTRATION_SINK or node.role is Role.FOREIGN_KEY_RESPONSE_SINK:
            assert node.topic is not None, "foreign-key joins have topics of their own"
            return make_foreign_key_sink(self._making, node, self._topology.full_name(node.topic))
        if node.chooser is not None:
            return choosing_sink(self._context, node.name, partial(self._writer, node), node.chooser)
        assert node.topic is not None, "a sink has a topic or a chooser"
        topic = self._topology.full_name(node.topic)
        return sink(self._writer(node, topic), topic)

    def _writer(self, node: SinkNode, topic: str) -> RecordSink:
        key, value = serdes_of(node)
        subjects = self._topology.subjects
        return RecordSink(
            self._context,
            node.name,
            subjects.key(key, topic),
            subjects.value(value, topic),
            node.partitioner,
            changes=carries_changes(node),
            as_read=self._writes_as_read(node.name),
            by_plain_key=isinstance(node.node, Sink) and node.node.by_plain_key,
        )


def serdes_of(node: SourceNode | SinkNode) -> tuple[Serde[Any], Serde[Any]]:
    """Serdes of key and value; the topology has put defaults where the program said nothing."""
    key, value = node.serdes.key, node.serdes.value
    assert key is not None, f"{node.name} has no key serde"
    assert value is not None, f"{node.name} has no value serde"
    return key, value


def carries_changes(node: SourceNode | SinkNode) -> bool:
    """Whether values are in Kafka's Change format: new and old of a table's row."""
    return isinstance(node.node, Repartition) and node.node.changes
