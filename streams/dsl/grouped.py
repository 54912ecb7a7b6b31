"""Streams and tables by key, ready to be folded: Kafka's KGroupedStream, KGroupedTable and CogroupedKStream.

`TableT` is the table that aggregates give (`KTable`); naming it by a parameter keeps this module below `kstream`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from streams.dsl.aggregates import (
    LONG,
    Fold,
    Group,
    append_aggregate,
    append_cogroup,
    append_table_aggregate,
)
from streams.dsl.handle import expect_arity, processor_name
from streams.dsl.options import Function, Materialized, resulting_serde, serde_of
from streams.dsl.program import Program
from streams.dsl.windowed import (
    SessionWindowedCogroupedKStream,
    SessionWindowedKStream,
    TimeWindowedCogroupedKStream,
    TimeWindowedKStream,
    is_windows,
)
from streams.errors import TopologyError
from streams.graph.nodes import Aggregate, Aggregation, Serdes
from streams.graph.windows import SessionWindows, Windows

__all__ = ["CogroupedKStream", "KGroupedStream", "KGroupedTable"]

TableT = TypeVar("TableT")
MakeTable = Callable[[Program, str, Serdes], TableT]


@dataclass(frozen=True, slots=True, eq=False)
class KGroupedStream(Generic[TableT]):
    """A stream grouped by key. Null keys, and without windows null values, are dropped by the aggregation."""

    group: Group
    make_table: MakeTable[TableT]

    def count(
        self, *, name: str | None = None, store: Materialized | str | None = None, processor: str | None = None
    ) -> TableT:
        """How many records each key has. Source: KGroupedStream.count."""
        return self._table(Fold(Aggregation.COUNT, Materialized.of(store, name), processor_name(processor), LONG))

    def reduce(
        self,
        reducer: Function,
        *,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Combine the values of a key by `reducer(aggregate, value)`; the first value starts it."""
        expect_arity(reducer, "aggregate, value", "reduce")
        stored = Materialized.of(store, name)
        value = self.group.serdes.value
        return self._table(Fold(Aggregation.REDUCE, stored, processor_name(processor), value, reducer))

    def aggregate(
        self,
        initializer: Function,
        aggregator: Function,
        *,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Fold values by `aggregator(key, value, aggregate)`, starting from `initializer()`; None deletes the key.

        `value` is the type of the aggregate, where the functions' annotations do not tell it.
        """
        expect_arity(aggregator, "key, value, aggregate", "aggregate: the aggregator")
        stored = Materialized.of(store, name)
        serde = resulting_serde(value, aggregator, ()) or resulting_serde(None, initializer, ())
        fold = Fold(
            Aggregation.AGGREGATE, stored, processor_name(processor), serde, aggregator, initializer=initializer
        )
        return self._table(fold)

    def windowed_by(self, windows: Windows) -> Any:
        """The same groups, and windows of time within them.

        Shape: a SessionWindowedKStream for SessionWindows, else a TimeWindowedKStream.
        """
        is_windows(windows)
        if isinstance(windows, SessionWindows):
            return SessionWindowedKStream(self.group, windows, self.make_table)
        return TimeWindowedKStream(self.group, windows, self.make_table)

    def cogroup(self, aggregator: Function) -> CogroupedKStream[TableT]:
        """Start an aggregate that several streams feed, each by its own `aggregator(key, value, aggregate)`."""
        empty: CogroupedKStream[TableT] = CogroupedKStream((), self.make_table, self.group.program.new_group())
        return empty.cogroup(self, aggregator)

    def _table(self, fold: Fold) -> TableT:
        return made(append_aggregate(self.group, fold), self.group.program, self.make_table)


def made(node: Aggregate, program: Program, make_table: MakeTable[TableT]) -> TableT:
    """The table that an aggregate gives."""
    return make_table(program, node.name, node.serdes)


@dataclass(frozen=True, slots=True, eq=False)
class CogroupedKStream(Generic[TableT]):
    """Several grouped streams that feed one aggregate."""

    entries: tuple[tuple[Group, Function], ...]
    make_table: MakeTable[TableT]
    id: int

    def cogroup(self, grouped: KGroupedStream[TableT], aggregator: Function) -> CogroupedKStream[TableT]:
        """One more stream, with its own `aggregator(key, value, aggregate)`."""
        expect_arity(aggregator, "key, value, aggregate", "cogroup: the aggregator")
        if not isinstance(grouped, KGroupedStream):
            raise TopologyError(f"cogroup: expected a grouped stream (group_by_key or group_by), got {grouped!r}")
        entries = {group.id: (group, function) for group, function in self.entries}
        entries[grouped.group.id] = (grouped.group, aggregator)
        return CogroupedKStream(tuple(entries.values()), self.make_table, self.id)

    def aggregate(
        self,
        initializer: Function,
        *,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Fold all streams, starting from `initializer()`."""
        stored, serde = Materialized.of(store, name), self.result(value, initializer)
        fold = Fold(Aggregation.AGGREGATE, stored, processor_name(processor), serde, initializer=initializer)
        return made(append_cogroup(self.entries, fold, self.id), self.entries[0][0].program, self.make_table)

    def result(self, value: Any, initializer: Function) -> Any:
        """The serde of the aggregate, from its type or the first annotation that tells it."""
        functions = [function for _, function in self.entries]
        found = (resulting_serde(None, function, ()) for function in [*functions, initializer])
        return serde_of(value) or next((serde for serde in found if serde is not None), None)

    def windowed_by(self, windows: Windows) -> Any:
        """The same, and windows of time within each key."""
        is_windows(windows)
        serde_from = lambda value, initializer: self.result(value, initializer)  # noqa: E731, PLW0108
        if isinstance(windows, SessionWindows):
            return SessionWindowedCogroupedKStream(self.entries, windows, self.make_table, self.id, serde_from)
        return TimeWindowedCogroupedKStream(self.entries, windows, self.make_table, self.id, serde_from)


@dataclass(frozen=True, slots=True, eq=False)
class KGroupedTable(Generic[TableT]):
    """A table grouped by another key. Aggregates take the old value of a changed row out before they add the new."""

    group: Group
    make_table: MakeTable[TableT] = field(repr=False)

    def count(
        self, *, name: str | None = None, store: Materialized | str | None = None, processor: str | None = None
    ) -> TableT:
        """How many rows each key has."""
        return self._table(Fold(Aggregation.COUNT, Materialized.of(store, name), processor_name(processor), LONG))

    def reduce(
        self,
        adder: Function,
        subtractor: Function,
        *,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Combine rows by `adder(aggregate, value)`, and undo it by `subtractor(aggregate, value)`."""
        expect_arity(adder, "aggregate, value", "reduce: the adder")
        expect_arity(subtractor, "aggregate, value", "reduce: the subtractor")
        stored = Materialized.of(store, name)
        value = self.group.serdes.value
        fold = Fold(Aggregation.REDUCE, stored, processor_name(processor), value, adder, subtractor)
        return self._table(fold)

    def aggregate(
        self,
        initializer: Function,
        adder: Function,
        subtractor: Function,
        *,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Fold rows by `adder(key, value, aggregate)`, and undo it by `subtractor(key, value, aggregate)`."""
        expect_arity(adder, "key, value, aggregate", "aggregate: the adder")
        expect_arity(subtractor, "key, value, aggregate", "aggregate: the subtractor")
        serde = resulting_serde(value, adder, ()) or resulting_serde(None, initializer, ())
        stored = Materialized.of(store, name)
        fold = Fold(Aggregation.AGGREGATE, stored, processor_name(processor), serde, adder, subtractor, initializer)
        return self._table(fold)

    def _table(self, fold: Fold) -> TableT:
        return made(append_table_aggregate(self.group, fold), self.group.program, self.make_table)
