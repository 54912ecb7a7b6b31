"""What streams can do: Kafka's KStream, in Python's case and with Kafka's arity. And KTable, for what its streams are.

Functions get `(key, value)` where Kafka passes both and `(value)` where it passes the value; value functions may ask
for the key too. Each verb appends one node and returns a new handle.

Serdes: steps that keep keys keep their serde. What a function returns has the serde given (`key=`, `value=`), else that
of the type which its annotations tell, else the configured default.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from msgspec.structs import replace

from state.stores import StoreSpec
from streams.dsl.aggregates import Group
from streams.dsl.branched import BranchedKStream
from streams.dsl.grouped import KGroupedStream
from streams.dsl.handle import (
    Handle,
    checked_partitioner,
    expect_arity,
    processor_name,
    retyped,
    takes_key,
    topic_or_chooser,
)
from streams.dsl.joins import StreamSide, append_global_join, append_stream_join, append_stream_table_join
from streams.dsl.ktable import GlobalKTable, TableVerbs, store_names
from streams.dsl.options import (
    Function,
    Materialized,
    Topic,
    callable_or_error,
    element_serde,
    element_type,
    pair_serdes,
    result_type,
    resulting_serde,
    serde_of,
)
from streams.dsl.stores import stores_of
from streams.durations import Duration
from streams.errors import TopologyError
from streams.graph.names import checked_name
from streams.graph.nodes import (
    JoinKind,
    Merge,
    Process,
    Serdes,
    Sink,
    Stateless,
    TableSource,
    Verb,
)
from streams.graph.repartitions import repartition_node
from streams.graph.windows import JoinWindows
from streams.numbers import whole_number

__all__ = ["KStream", "KTable"]


class KStream(Handle, frozen=True, eq=False):
    """A stream of records. If `rekeyed`, its keys have changed since it was read, so keyed steps repartition it first."""

    rekeyed: bool = False

    def filter(self, predicate: Function, *, name: str | None = None) -> KStream:
        """Records for which `predicate(key, value)` holds."""
        expect_arity(predicate, "key, value", "filter")
        return self._same(Verb.FILTER, "KSTREAM-FILTER-", predicate, name)

    def filter_not(self, predicate: Function, *, name: str | None = None) -> KStream:
        """Records for which `predicate(key, value)` does not hold."""
        expect_arity(predicate, "key, value", "filter_not")
        return self._same(Verb.FILTER_NOT, "KSTREAM-FILTER-", predicate, name)

    def peek(self, action: Function, *, name: str | None = None) -> KStream:
        """Call `action(key, value)` and pass the record on."""
        expect_arity(action, "key, value", "peek")
        return self._same(Verb.PEEK, "KSTREAM-PEEK-", action, name)

    def for_each(self, action: Function, *, name: str | None = None, on_error: Any = None) -> None:
        """Call `action(key, value)`: the end of a stream in Python. `on_error` as other steps have it."""
        expect_arity(action, "key, value", "for_each")
        self._same(Verb.FOR_EACH, "KSTREAM-FOREACH-", action, name).on_error(on_error)

    def print(self, label: str | None = None, *, file: TextIO | None = None, name: str | None = None) -> None:
        """Write each record as `[label]: key, value`; `label` is this step's name unless given."""
        shown, target = label or self.node, file

        def write(key: Any, value: Any) -> None:
            (target or sys.stdout).write(f"[{shown}]: {key}, {value}\n")

        self._same(Verb.PRINT, "KSTREAM-PRINTER-", write, name)

    def map(self, mapper: Function, *, key: Any = None, value: Any = None, name: str | None = None) -> KStream:
        """Each record as `mapper(key, value) -> (key, value)`."""
        expect_arity(mapper, "key, value", "map")
        serdes = pair_serdes(result_type(mapper, self._arguments(with_key=True)), key, value)
        return self._stateless(Verb.MAP, "KSTREAM-MAP-", mapper, name, serdes, with_key=True, rekeyed=True)

    def map_values(self, mapper: Function, *, value: Any = None, name: str | None = None) -> KStream:
        """Each value as `mapper(value)` or `mapper(key, value)`; keys stay."""
        with_key = takes_key(mapper, 1, "map_values")
        serdes = Serdes(self.serdes.key, resulting_serde(value, mapper, self._arguments(with_key)))
        return self._stateless(Verb.MAP_VALUES, "KSTREAM-MAPVALUES-", mapper, name, serdes, with_key=with_key)

    def flat_map(self, mapper: Function, *, key: Any = None, value: Any = None, name: str | None = None) -> KStream:
        """Any number of records for each: `mapper(key, value)` gives an iterable of (key, value)."""
        expect_arity(mapper, "key, value", "flat_map")
        serdes = pair_serdes(element_type(result_type(mapper, self._arguments(with_key=True))), key, value)
        return self._stateless(Verb.FLAT_MAP, "KSTREAM-FLATMAP-", mapper, name, serdes, with_key=True, rekeyed=True)

    def flat_map_values(self, mapper: Function, *, value: Any = None, name: str | None = None) -> KStream:
        """Any number of values for each: `mapper(value)` or `mapper(key, value)` gives an iterable; keys stay."""
        with_key = takes_key(mapper, 1, "flat_map_values")
        serdes = Serdes(self.serdes.key, element_serde(value, mapper, self._arguments(with_key)))
        return self._stateless(Verb.FLAT_MAP_VALUES, "KSTREAM-FLATMAPVALUES-", mapper, name, serdes, with_key=with_key)

    def select_key(self, selector: Function, *, key: Any = None, name: str | None = None) -> KStream:
        """Each record under the key `selector(key, value)`."""
        return self._selected(selector, key, name, "select_key")

    def merge(self, other: KStream, *, name: str | None = None) -> KStream:
        """The records of both streams as they come."""
        if not isinstance(other, KStream):
            raise TopologyError(f"{self.node}: merge takes a stream, got {other!r}")
        self.expect_same_program(other, "merge")
        serdes = Serdes(
            self.serdes.key if self.serdes.key == other.serdes.key else None,
            self.serdes.value if self.serdes.value == other.serdes.value else None,
        )
        node = Merge(
            name=self.named(processor_name(name), "KSTREAM-MERGE-"),
            parents=tuple(dict.fromkeys((self.node, other.node))),
            serdes=serdes,
        )
        self.program.add(node)
        return KStream(self.program, node.name, serdes, rekeyed=self.rekeyed or other.rekeyed)

    def split(self, *, name: str | None = None) -> BranchedKStream[KStream]:
        """Split the stream: `.branch(predicate)` for each branch, then `.default_branch()` or `.no_default_branch()`."""
        node = Stateless(
            name=self.named(processor_name(name), "KSTREAM-BRANCH-"),
            parents=(self.node,),
            serdes=self.serdes,
            verb=Verb.SPLIT,
            with_key=True,
        )
        self.program.add(node)
        return BranchedKStream(self.program, node.name, self._branch, {})

    def _branch(self, node: str) -> KStream:
        return replace(self, node=node)

    def repartition(
        self,
        *,
        name: str | None = None,
        partitions: int | None = None,
        partitioner: Function | None = None,
        key: Any = None,
        value: Any = None,
    ) -> KStream:
        """Send the stream through a topic of its own, so that records of a key meet in one task.

        `partitions` is how many the topic has, by default as many as its input;
        `partitioner(topic, key, value, count)` gives a partition, several, or None for Kafka's own choice.
        """
        if partitions is not None:
            partitions = whole_number(partitions, "repartition: partitions")
        checked_partitioner(partitioner, "repartition")
        given = processor_name(name)
        prefix = self.program.names.processor("KSTREAM-REPARTITION-") if given is None else given
        serdes = retyped(self, key, value, "repartition")
        node = repartition_node(
            self.program.names,
            prefix,
            serdes,
            parent=self.node,
            partitions=partitions,
            partitioner=partitioner,
            explicit=True,
        )
        self.program.add(node)
        return KStream(self.program, node.name, serdes)

    def to(
        self,
        topic: Topic | str | Function,
        *,
        key: Any = None,
        value: Any = None,
        partitioner: Function | None = None,
        name: str | None = None,
    ) -> None:
        """Write to a topic, or to the one that `topic(key, value, record)` names for each record.

        `partitioner(topic, key, value, count)` gives a partition, several, none to drop, or None for Kafka's choice.
        """
        target, chooser = topic_or_chooser(topic, key, value, "to")
        checked_partitioner(partitioner, "to")
        given = target.serdes if target else Serdes(serde_of(key), serde_of(value))
        self.program.add(
            Sink(
                name=self.named(processor_name(name), "KSTREAM-SINK-"),
                parents=(self.node,),
                topic=target.name if target else None,
                chooser=chooser,
                partitioner=partitioner,
                by_plain_key=True,
                send=retyped(self, given.key, given.value, f"to {target.name}" if target else "to"),
                on_error=target.on_error if target else None,
            )
        )

    def to_table(
        self,
        *,
        name: str | None = None,
        store: Materialized | str | None = None,
        key: Any = None,
        value: Any = None,
        processor: str | None = None,
    ) -> KTable:
        """The latest value of each key; null keys are dropped, null values delete."""
        own = self.named(processor_name(processor), "KSTREAM-TOTABLE-")
        given = Materialized.of(store, name) or Materialized()
        wanted = retyped(self, key, value, "to_table")
        stored = given.materialization(self.program.names, "KSTREAM-TOTABLE-", wanted)
        parent = self.node
        if self.rekeyed:
            owner = ("table", own)
            parent = self.program.repartition_once(owner, self.node, own, stored.serdes, again=True)
        node = TableSource(
            name=own, parents=(parent,), serdes=stored.serdes, materialized=stored, stored=stored.queryable
        )
        self.program.add(node)
        return KTable(self.program, node.name, node.serdes)

    def process(
        self,
        supplier: Callable[[], Any],
        *,
        stores: Sequence[str | StoreSpec] = (),
        key: Any = None,
        value: Any = None,
        name: str | None = None,
    ) -> KStream:
        """Run a Processor: `supplier()` makes one per task.

        `stores` are the stores it uses, by name or as they are made; those that its class declares come by themselves, if
        the class is the supplier.
        """
        serdes = Serdes(serde_of(key), serde_of(value))
        return self._processed("KSTREAM-PROCESSOR-", supplier, stores, serdes, name, fixed_key=False)

    def process_values(
        self,
        supplier: Callable[[], Any],
        *,
        stores: Sequence[str | StoreSpec] = (),
        value: Any = None,
        name: str | None = None,
    ) -> KStream:
        """Run a FixedKeyProcessor, which may change values but not keys, so that no repartition is needed after it."""
        serdes = Serdes(self.serdes.key, serde_of(value))
        return self._processed("KSTREAM-PROCESSVALUES-", supplier, stores, serdes, name, fixed_key=True)

    def group_by_key(self, *, key: Any = None, value: Any = None, name: str | None = None) -> KGroupedStream[KTable]:
        """Group by the key; if it has changed, through a topic (named after `name`) first."""
        serdes = retyped(self, key, value, "group_by_key")
        group = Group(self.program, self.node, serdes, self.rekeyed, name, self.program.new_group())
        return KGroupedStream(group, KTable)

    def group_by(
        self, selector: Function, *, key: Any = None, value: Any = None, name: str | None = None
    ) -> KGroupedStream[KTable]:
        """Group by `selector(key, value)`, through a topic named after `name`."""
        selected = self._selected(selector, key, name, "group_by")
        serdes = Serdes(selected.serdes.key, serde_of(value) or self.serdes.value)
        group = Group(self.program, selected.node, serdes, True, name, self.program.new_group())
        return KGroupedStream(group, KTable)

    def join(
        self,
        other: KStream | KTable | GlobalKTable,
        joiner: Function,
        *,
        within: JoinWindows | None = None,
        on: Function | None = None,
        grace: Duration | None = None,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
    ) -> KStream:
        """Records with their partners as `joiner(left, right)` or `joiner(key, left, right)`.

        With a stream: `within=JoinWindows.of("10 s")`; `store` gives both stores a name and properties. With a table:
        records look up their key; with `grace` they wait for a versioned table. With a global table: `on(key, value)`
        makes the key, and the joiner may also take (key, made key, left, right).
        """
        return self._joined(
            JoinKind.INNER, other, joiner, within=within, on=on, grace=grace, value=value, name=name, store=store
        )

    def left_join(
        self,
        other: KStream | KTable | GlobalKTable,
        joiner: Function,
        *,
        within: JoinWindows | None = None,
        on: Function | None = None,
        grace: Duration | None = None,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
    ) -> KStream:
        """As `join`, and records without a partner, with None in its place."""
        return self._joined(
            JoinKind.LEFT, other, joiner, within=within, on=on, grace=grace, value=value, name=name, store=store
        )

    def outer_join(
        self,
        other: KStream,
        joiner: Function,
        *,
        within: JoinWindows | None = None,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
    ) -> KStream:
        """As `join` of two streams, and records of either without a partner, with None in its place."""
        return self._joined(JoinKind.OUTER, other, joiner, within=within, value=value, name=name, store=store)

    def _joined(
        self,
        kind: JoinKind,
        other: KStream | KTable | GlobalKTable,
        joiner: Function,
        *,
        within: JoinWindows | None = None,
        on: Function | None = None,
        grace: Duration | None = None,
        value: Any,
        name: str | None,
        store: Materialized | str | None,
    ) -> KStream:
        name = processor_name(name)
        expect_join_options(self, other, kind, within=within, on=on, grace=grace)
        left = StreamSide(self.node, self.serdes, self.rekeyed)
        if isinstance(other, KStream):
            assert within is not None
            right = StreamSide(other.node, other.serdes, other.rekeyed)
            stored = Materialized.of(store)
            joined = append_stream_join(
                self.program, left, right, kind, joiner, windows=within, name=name, stored=stored, value=value
            )
            return KStream(self.program, joined.name, joined.serdes)
        if isinstance(other, GlobalKTable):
            assert on is not None
            looked_up = append_global_join(
                self.program, left, other, kind, joiner, key_mapper=on, name=name, value=value
            )
            return KStream(self.program, looked_up.name, looked_up.serdes, rekeyed=self.rekeyed)
        found = append_stream_table_join(self.program, left, other, kind, joiner, name=name, grace=grace, value=value)
        return KStream(self.program, found.name, found.serdes)

    def _arguments(self, with_key: bool) -> list[Any]:
        return [self.serdes.key, self.serdes.value] if with_key else [self.serdes.value]

    def _same(self, verb: Verb, prefix: str, function: Function, name: str | None) -> KStream:
        """A step that passes records on as they are."""
        return self._stateless(verb, prefix, function, name, self.serdes, with_key=True)

    def _selected(self, selector: Function, key: Any, name: str | None, what: str) -> KStream:
        expect_arity(selector, "key, value", what)
        serdes = Serdes(resulting_serde(key, selector, self._arguments(with_key=True)), self.serdes.value)
        return self._stateless(
            Verb.SELECT_KEY, "KSTREAM-KEY-SELECT-", selector, name, serdes, with_key=True, rekeyed=True
        )

    def _stateless(
        self,
        verb: Verb,
        prefix: str,
        function: Function,
        name: str | None,
        serdes: Serdes,
        *,
        with_key: bool,
        rekeyed: bool = False,
    ) -> KStream:
        node = Stateless(
            name=self.named(processor_name(name), prefix),
            parents=(self.node,),
            serdes=serdes,
            verb=verb,
            functions=(function,),
            with_key=with_key,
        )
        self.program.add(node)
        return KStream(self.program, node.name, serdes, rekeyed=rekeyed or self.rekeyed)

    def _processed(
        self,
        prefix: str,
        supplier: Callable[[], Any],
        stores: Sequence[str | StoreSpec],
        serdes: Serdes,
        name: str | None,
        *,
        fixed_key: bool,
    ) -> KStream:
        callable_or_error(supplier, "process")
        stores = stores_of(supplier, stores)
        added = tuple(store for store in stores if isinstance(store, StoreSpec))
        own = self.program.names.processor(prefix) if name is None else checked_name(name)
        node = Process(
            name=own,
            parents=(self.node,),
            serdes=serdes,
            supplier=supplier,
            stores=store_names([store.name if isinstance(store, StoreSpec) else store for store in stores]),
            added_stores=added,
            fixed_key=fixed_key,
        )
        self.program.add(node)
        return KStream(self.program, node.name, serdes, rekeyed=self.rekeyed or not fixed_key)


def expect_join_options(
    stream: KStream,
    other: Any,
    kind: JoinKind,
    *,
    within: JoinWindows | None,
    on: Function | None,
    grace: Duration | None,
) -> None:
    """Raises: TopologyError when the options of a join do not fit what is joined."""
    what = f"{stream.node}: join with {getattr(other, 'node', other)}"
    if not isinstance(other, KStream | TableVerbs | GlobalKTable):
        raise TopologyError(f"{what}: expected a stream, a table or a global table, got {other!r}")
    stream.expect_same_program(other, "join")
    if isinstance(other, KStream):
        if within is None:
            raise TopologyError(f"{what}: two streams are joined within a time: give within=JoinWindows.of('10 s')")
        if on is not None or grace is not None:
            raise TopologyError(f"{what}: `on` and `grace` are for tables; the grace of JoinWindows is in them")
        return
    if kind is JoinKind.OUTER:
        raise TopologyError(f"{what}: only streams have an outer join with streams; use left_join")
    if within is not None:
        raise TopologyError(f"{what}: a table has no time, so `within` does not apply; leave it out")
    if isinstance(other, GlobalKTable) and on is None:
        raise TopologyError(f"{what}: a global table needs on=function(key, value) that makes its key")
    if isinstance(other, GlobalKTable) and grace is not None:
        raise TopologyError(f"{what}: a global table is complete from the start, so `grace` does not apply")
    if isinstance(other, TableVerbs) and on is not None:
        raise TopologyError(f"{what}: a table is joined by the record's key; select_key first, or use a global table")


class KTable(TableVerbs, frozen=True, eq=False):
    """A table: the latest value of each key."""

    def to_stream(self, selector: Function | None = None, *, key: Any = None, name: str | None = None) -> KStream:
        """The table's changes as a stream, deletions as None; `selector(key, value)` gives them another key."""
        node = Stateless(
            name=self.named(processor_name(name), "KTABLE-TOSTREAM-"),
            parents=(self.node,),
            serdes=self.serdes,
            verb=Verb.TO_STREAM,
        )
        self.program.add(node)
        stream = KStream(self.program, node.name, self.serdes)
        return stream if selector is None else stream.select_key(selector, key=key)
