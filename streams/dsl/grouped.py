"""Streams and tables by key, ready to be folded: Kafka's KGroupedStream, KGroupedTable and CogroupedKStream."""

from __future__ import annotations

from typing import Any

from streams.dsl.aggregates import Fold, append_table_aggregate
from streams.dsl.folds import CogroupFolds, GroupFolds, StreamFolds, TableT, aggregate_serde, fold_of
from streams.dsl.handle import expect_arity
from streams.dsl.options import Function, Materialized
from streams.dsl.windowed import (
    SessionWindowedCogroupedKStream,
    SessionWindowedKStream,
    TimeWindowedCogroupedKStream,
    TimeWindowedKStream,
    is_windows,
)
from streams.errors import TopologyError
from streams.graph.nodes import Aggregate, Aggregation
from streams.graph.windows import SessionWindows, Windows

__all__ = ["CogroupedKStream", "KGroupedStream", "KGroupedTable"]


class KGroupedStream(StreamFolds[TableT], frozen=True, eq=False):
    """A stream grouped by key. Null keys, and without windows null values, are dropped by the aggregation."""

    def windowed_by(self, windows: Windows) -> Any:
        """The same groups, and windows of time within them.

        Shape: a SessionWindowedKStream for SessionWindows, else a TimeWindowedKStream.
        """
        is_windows(windows)
        if isinstance(windows, SessionWindows):
            return SessionWindowedKStream(self.group, self.make_table, windows)
        return TimeWindowedKStream(self.group, self.make_table, windows)

    def cogroup(self, aggregator: Function) -> CogroupedKStream[TableT]:
        """Start an aggregate that several streams feed, each by its own `aggregator(key, value, aggregate)`."""
        empty: CogroupedKStream[TableT] = CogroupedKStream((), self.make_table, self.group.program.new_group())
        return empty.cogroup(self, aggregator)


class CogroupedKStream(CogroupFolds[TableT], frozen=True, eq=False):
    """Several grouped streams that feed one aggregate."""

    def cogroup(self, grouped: KGroupedStream[TableT], aggregator: Function) -> CogroupedKStream[TableT]:
        """Add a stream, with its own `aggregator(key, value, aggregate)`."""
        expect_arity(aggregator, "key, value, aggregate", "cogroup: the aggregator")
        if not isinstance(grouped, KGroupedStream):
            raise TopologyError(f"cogroup: expected a grouped stream (group_by_key or group_by), got {grouped!r}")
        entries = {group.id: (group, function) for group, function in self.entries}
        entries[grouped.group.id] = (grouped.group, aggregator)
        return CogroupedKStream(tuple(entries.values()), self.make_table, self.id)

    def windowed_by(self, windows: Windows) -> Any:
        """The same, and windows of time within each key."""
        is_windows(windows)
        if isinstance(windows, SessionWindows):
            return SessionWindowedCogroupedKStream(self.entries, self.make_table, self.id, windows)
        return TimeWindowedCogroupedKStream(self.entries, self.make_table, self.id, windows)


class KGroupedTable(GroupFolds[TableT], frozen=True, eq=False):
    """A table grouped by another key. Aggregates take the old value of a changed row out before they add the new."""

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
        functions = {"add": adder, "remove": subtractor}
        value = self.group.serdes.value
        return self._table(fold_of(Aggregation.REDUCE, name, store, processor, value=value, **functions))

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
        """Aggregate rows by `adder(key, value, aggregate)`, and undo it by `subtractor(key, value, aggregate)`."""
        serde = aggregate_serde(initializer, adder, value, "the adder")
        expect_arity(subtractor, "key, value, aggregate", "aggregate: the subtractor")
        functions = {"add": adder, "remove": subtractor, "initializer": initializer}
        return self._table(fold_of(Aggregation.AGGREGATE, name, store, processor, value=serde, **functions))

    def _append(self, fold: Fold) -> Aggregate:
        return append_table_aggregate(self.group, fold)
