"""What tables can do: Kafka's KTable and GlobalKTable.

A table is the latest value of each key; None deletes. Verbs return new handles. `KTable` itself stands in `kstream`,
which knows what `to_stream` gives. Names: `name=` of a step that keeps state is its store's, which makes it queryable;
of one that does not, its processor's; there `store=` adds a store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from msgspec.structs import replace

from streams.dsl.aggregates import Group
from streams.dsl.grouped import KGroupedTable
from streams.dsl.handle import Handle, expect_arity, processor_name, takes_key
from streams.dsl.joins import append_foreign_key_join, append_table_join
from streams.dsl.options import (
    Function,
    Materialized,
    callable_or_error,
    pair_serdes,
    result_type,
    resulting_serde,
    serde_of,
)
from streams.dsl.suppressed import Suppressed
from streams.errors import TopologyError
from streams.graph.grace import window_grace_ms
from streams.graph.nodes import JoinKind, Materialization, Process, Serdes, Stateless, Suppress, Verb

__all__ = ["GlobalKTable", "TableVerbs"]


class GlobalKTable(Handle, frozen=True, eq=False):
    """A table that is complete on every worker, so that streams can join it by any key."""


class TableVerbs(Handle, frozen=True, eq=False):
    """The verbs of a table."""

    def filter(self, predicate: Function, *, name: str | None = None, store: Materialized | str | None = None) -> Self:
        """Rows for which `predicate(key, value)` holds; a row that no longer does is deleted."""
        return self._filtered(Verb.FILTER, predicate, name, store)

    def filter_not(
        self, predicate: Function, *, name: str | None = None, store: Materialized | str | None = None
    ) -> Self:
        """Rows for which `predicate(key, value)` does not hold."""
        return self._filtered(Verb.FILTER_NOT, predicate, name, store)

    def _filtered(self, verb: Verb, predicate: Function, name: str | None, store: Materialized | str | None) -> Self:
        expect_arity(predicate, "key, value", verb.value)
        stored = self._stored(store, "KTABLE-FILTER-", self.serdes)
        node = Stateless(
            name=self.named(processor_name(name), "KTABLE-FILTER-"),
            parents=(self.node,),
            serdes=stored.serdes if stored else self.serdes,
            verb=verb,
            functions=(predicate,),
            with_key=True,
            table=True,
            materialized=stored,
            ends_history=store is not None and stored is None,
        )
        return self._table(node)

    def map_values(
        self,
        mapper: Function,
        *,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
    ) -> Self:
        """Each row's value as `mapper(value)` or `mapper(key, value)`; deleted rows stay deleted."""
        with_key = takes_key(mapper, 1, "map_values")
        arguments = [self.serdes.key, self.serdes.value] if with_key else [self.serdes.value]
        serdes = Serdes(self.serdes.key, resulting_serde(value, mapper, arguments))
        stored = self._stored(store, "KTABLE-MAPVALUES-", serdes)
        node = Stateless(
            name=self.named(processor_name(name), "KTABLE-MAPVALUES-"),
            parents=(self.node,),
            serdes=stored.serdes if stored else serdes,
            verb=Verb.MAP_VALUES,
            functions=(mapper,),
            with_key=with_key,
            table=True,
            materialized=stored,
            ends_history=store is not None and stored is None,
        )
        return self._table(node)

    def transform_values(
        self,
        supplier: Callable[[], Any],
        *,
        stores: Sequence[str] = (),
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
    ) -> Self:
        """Each row's value as a transformer's `transform(key, value)`, which may use stores; called for None too."""
        callable_or_error(supplier, "transform_values")
        serdes = Serdes(self.serdes.key, serde_of(value))
        given = Materialized.of(store)
        stored = given.materialization(self.program.names, "", serdes) if given and given.name else None
        node = Process(
            name=self.named(processor_name(name), "KTABLE-TRANSFORMVALUES-"),
            parents=(self.node,),
            serdes=stored.serdes if stored else serdes,
            supplier=supplier,
            stores=store_names(stores),
            fixed_key=True,
            table=True,
            materialized=stored,
            ends_history=store is not None and stored is None,
        )
        return self._table(node)

    def _stored(self, store: Materialized | str | None, prefix: str, serdes: Serdes) -> Materialization | None:
        """The store of a stateless step, if it was given a name; without one a number is burned, as in Kafka."""
        given = Materialized.of(store)
        if given is None:
            return None
        if given.name is None:
            self.program.names.store(prefix)
            return None
        return given.materialization(self.program.names, prefix, serdes)

    def _table(self, node: Stateless | Process | Suppress) -> Self:
        self.program.add(node)
        return replace(self, node=node.name, serdes=node.serdes)

    def group_by(
        self, selector: Function, *, key: Any = None, value: Any = None, name: str | None = None
    ) -> KGroupedTable[Self]:
        """Group rows by `selector(key, value) -> (key, value)`, through a topic; None leaves a row out."""
        expect_arity(selector, "key, value", "group_by")
        serdes = pair_serdes(result_type(selector, [self.serdes.key, self.serdes.value]), key, value)
        node = Stateless(
            name=self.named(name, "KTABLE-SELECT-"),
            parents=(self.node,),
            serdes=serdes,
            verb=Verb.GROUP_TABLE,
            functions=(selector,),
            with_key=True,
            table=True,
        )
        self.program.add(node)
        group = Group(self.program, node.name, serdes, True, name, self.program.new_group())
        return KGroupedTable(group, type(self))

    def join(
        self,
        other: TableVerbs,
        joiner: Function,
        *,
        on: Function | None = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        value: Any = None,
        processor: str | None = None,
        partitioner: Function | None = None,
        other_partitioner: Function | None = None,
    ) -> Self:
        """Rows of both tables as `joiner(left, right)` or `joiner(key, left, right)`.

        Without `on`, rows of equal keys. With it a foreign-key join: `on(value)` or `on(key, value)` makes, from a row of
        this table, the key of its row in the other.
        """
        stored, partitioners = Materialized.of(store, name), (partitioner, other_partitioner)
        return self._joined(other, JoinKind.INNER, joiner, on, stored, value, processor, partitioners)

    def left_join(
        self,
        other: TableVerbs,
        joiner: Function,
        *,
        on: Function | None = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        value: Any = None,
        processor: str | None = None,
        partitioner: Function | None = None,
        other_partitioner: Function | None = None,
    ) -> Self:
        """As `join`, and rows of this table without a partner, with None in its place."""
        stored, partitioners = Materialized.of(store, name), (partitioner, other_partitioner)
        return self._joined(other, JoinKind.LEFT, joiner, on, stored, value, processor, partitioners)

    def outer_join(
        self,
        other: TableVerbs,
        joiner: Function,
        *,
        name: str | None = None,
        store: Materialized | str | None = None,
        value: Any = None,
        processor: str | None = None,
    ) -> Self:
        """As `join`, and rows of either table without a partner, with None in its place."""
        stored = Materialized.of(store, name)
        return self._joined(other, JoinKind.OUTER, joiner, None, stored, value, processor)

    def _joined(
        self,
        other: TableVerbs,
        kind: JoinKind,
        joiner: Function,
        on: Function | None,
        stored: Materialized | None,
        value: Any,
        processor: str | None,
        partitioners: tuple[Function | None, Function | None] = (None, None),
    ) -> Self:
        if not isinstance(other, TableVerbs):
            raise TopologyError(f"{self.node}: a table joins a table, got {other!r}; join the stream with this table")
        self.expect_same_program(other, "join")
        processor = processor_name(processor)
        if on is None:
            joined = append_table_join(self, other, kind, joiner, stored=stored, processor=processor, value=value)
            return replace(self, node=joined.name, serdes=joined.serdes)
        foreign = append_foreign_key_join(
            self,
            other,
            kind,
            joiner,
            on,
            stored=stored,
            processor=processor,
            value=value,
            partitioner=partitioners[0],
            other_partitioner=partitioners[1],
        )
        return replace(self, node=foreign.name, serdes=foreign.serdes)

    def suppress(self, suppressed: Suppressed) -> Self:
        """Hold updates back: `until_window_closes()` or `until_time_limit("10 s")`."""
        if not isinstance(suppressed, Suppressed):
            raise TopologyError(
                f"suppress: expected until_window_closes() or until_time_limit(...), got {suppressed!r}"
            )
        names = self.program.names
        given = processor_name(suppressed.name)
        name = names.processor("KTABLE-SUPPRESS-") if given is None else given
        wait_ms = (
            window_grace_ms(self.program.graph, self.node) if suppressed.until_window_closes else suppressed.wait_ms
        )
        store = names.store("KTABLE-SUPPRESS-") if given is None else f"{given}-store"
        node = Suppress(
            name=name,
            parents=(self.node,),
            serdes=self.serdes,
            until_window_closes=suppressed.until_window_closes,
            wait_ms=wait_ms,
            max_records=suppressed.max_records,
            max_bytes=suppressed.max_bytes,
            emit_early=suppressed.emit_early,
            buffer=Materialization(
                store=store,
                queryable=given is not None,
                serdes=self.serdes,
                persistent=False,
                cached=False,
                logged=suppressed.logged,
            ),
        )
        return self._table(node)


def store_names(stores: Sequence[str]) -> tuple[str, ...]:
    """Names of stores as a tuple. Raises: TopologyError for anything else."""
    if isinstance(stores, str) or not all(isinstance(store, str) for store in stores):
        raise TopologyError(f"stores: expected a list of store names, got {stores!r}")
    return tuple(stores)
