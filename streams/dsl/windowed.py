"""Grouped streams in windows of time, ready to be folded: Kafka's (Time|Session)Windowed(Cogrouped)KStream.

Keys of the tables they give are `Windowed`. Records later than a window's grace are dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from streams.dsl.aggregates import LONG, Fold, Group, append_aggregate, append_cogroup
from streams.dsl.handle import expect_arity, processor_name
from streams.dsl.options import Function, Materialized, resulting_serde
from streams.dsl.program import Program
from streams.errors import TopologyError
from streams.graph.nodes import Aggregate, Aggregation, Serdes
from streams.graph.windows import (
    EmitStrategy,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
    Windows,
)

__all__ = [
    "SessionWindowedCogroupedKStream",
    "SessionWindowedKStream",
    "TimeWindowedCogroupedKStream",
    "TimeWindowedKStream",
    "is_windows",
]

TableT = TypeVar("TableT")
MakeTable = Callable[[Program, str, Serdes], TableT]


def is_windows(windows: Any) -> None:
    """Raises: TopologyError for anything but windows that an aggregate can have."""
    if not isinstance(windows, TimeWindows | SlidingWindows | SessionWindows | UnlimitedWindows):
        raise TopologyError(
            f"windowed_by: expected TimeWindows, SlidingWindows, SessionWindows or UnlimitedWindows, got {windows!r}"
        )


def checked_emit(emit: EmitStrategy, windows: Windows) -> EmitStrategy:
    """Raises: TopologyError for windows that never close."""
    if not isinstance(emit, EmitStrategy):
        raise TopologyError(f"emit_strategy: expected an EmitStrategy, got {emit!r}")
    if emit is EmitStrategy.ON_WINDOW_CLOSE and isinstance(windows, UnlimitedWindows):
        raise TopologyError("emit_strategy: unlimited windows never close, so nothing would come; emit on update")
    return emit


@dataclass(frozen=True, slots=True, eq=False)
class TimeWindowedKStream(Generic[TableT]):
    """A grouped stream in tumbling, hopping, sliding or unlimited windows."""

    group: Group
    windows: TimeWindows | SlidingWindows | UnlimitedWindows
    make_table: MakeTable[TableT]
    emit: EmitStrategy = EmitStrategy.ON_WINDOW_UPDATE

    def emit_strategy(self, emit: EmitStrategy) -> TimeWindowedKStream[TableT]:
        """When results are passed on: with every record (the default), or once when a window closes."""
        return replace(self, emit=checked_emit(emit, self.windows))

    def count(
        self, *, name: str | None = None, store: Materialized | str | None = None, processor: str | None = None
    ) -> TableT:
        """How many records each key has in each window."""
        return self._table(Aggregation.COUNT, store, name, processor, value=LONG)

    def reduce(
        self,
        reducer: Function,
        *,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Combine the values of a key and window by `reducer(aggregate, value)`."""
        expect_arity(reducer, "aggregate, value", "reduce")
        return self._table(Aggregation.REDUCE, store, name, processor, value=self.group.serdes.value, add=reducer)

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
        """Fold values by `aggregator(key, value, aggregate)`, starting each window from `initializer()`."""
        expect_arity(aggregator, "key, value, aggregate", "aggregate: the aggregator")
        serde = resulting_serde(value, aggregator, ()) or resulting_serde(None, initializer, ())
        return self._table(
            Aggregation.AGGREGATE, store, name, processor, value=serde, add=aggregator, initializer=initializer
        )

    def _table(
        self,
        kind: Aggregation,
        store: Materialized | str | None,
        name: str | None,
        processor: str | None,
        **fields: Any,
    ) -> TableT:
        fold = Fold(
            kind,
            Materialized.of(store, name),
            processor_name(processor),
            windows=self.windows,
            emit=self.emit,
            **fields,
        )
        return _made(append_aggregate(self.group, fold), self.group.program, self.make_table)


def _made(node: Aggregate, program: Program, make_table: MakeTable[TableT]) -> TableT:
    return make_table(program, node.name, node.serdes)


@dataclass(frozen=True, slots=True, eq=False)
class SessionWindowedKStream(Generic[TableT]):
    """A grouped stream in sessions: windows that grow while records come close enough."""

    group: Group
    windows: SessionWindows
    make_table: MakeTable[TableT]
    emit: EmitStrategy = EmitStrategy.ON_WINDOW_UPDATE

    def emit_strategy(self, emit: EmitStrategy) -> SessionWindowedKStream[TableT]:
        """When results are passed on: with every record (the default), or once when a session closes."""
        return replace(self, emit=checked_emit(emit, self.windows))

    def count(
        self, *, name: str | None = None, store: Materialized | str | None = None, processor: str | None = None
    ) -> TableT:
        """How many records each session has."""
        return self._table(Aggregation.COUNT, store, name, processor, value=LONG)

    def reduce(
        self,
        reducer: Function,
        *,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Combine the values of a session by `reducer(aggregate, value)`."""
        expect_arity(reducer, "aggregate, value", "reduce")
        return self._table(Aggregation.REDUCE, store, name, processor, value=self.group.serdes.value, add=reducer)

    def aggregate(
        self,
        initializer: Function,
        aggregator: Function,
        merge: Function | None = None,
        *,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Fold values by `aggregator(key, value, aggregate)`; sessions that meet by `merge(key, aggregate, aggregate)`."""
        expect_arity(aggregator, "key, value, aggregate", "aggregate: the aggregator")
        serde = resulting_serde(value, aggregator, ()) or resulting_serde(None, initializer, ())
        return self._table(
            Aggregation.AGGREGATE,
            store,
            name,
            processor,
            value=serde,
            add=aggregator,
            initializer=initializer,
            merger=_checked_merge(merge),
        )

    def _table(
        self,
        kind: Aggregation,
        store: Materialized | str | None,
        name: str | None,
        processor: str | None,
        **fields: Any,
    ) -> TableT:
        fold = Fold(
            kind,
            Materialized.of(store, name),
            processor_name(processor),
            windows=self.windows,
            emit=self.emit,
            **fields,
        )
        return _made(append_aggregate(self.group, fold), self.group.program, self.make_table)


def _checked_merge(merge: Function | None) -> Function:
    """Raises: TopologyError when sessions could not be joined."""
    if merge is None:
        raise TopologyError(
            "aggregate: sessions that grow together must be merged: give merge=function(key, aggregate, aggregate)"
        )
    expect_arity(merge, "key, aggregate, aggregate", "aggregate: merge")
    return merge


@dataclass(frozen=True, slots=True, eq=False)
class TimeWindowedCogroupedKStream(Generic[TableT]):
    """Several grouped streams that feed one aggregate per window. Emits on update only, as in Kafka."""

    entries: tuple[tuple[Group, Function], ...]
    windows: TimeWindows | SlidingWindows | UnlimitedWindows
    make_table: MakeTable[TableT]
    id: int
    serde_from: Callable[[Any, Function], Any]

    def aggregate(
        self,
        initializer: Function,
        *,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Fold all streams, starting each window from `initializer()`."""
        fold = Fold(
            Aggregation.AGGREGATE,
            Materialized.of(store, name),
            processor_name(processor),
            self.serde_from(value, initializer),
            initializer=initializer,
            windows=self.windows,
        )
        return _made(append_cogroup(self.entries, fold, self.id), self.entries[0][0].program, self.make_table)


@dataclass(frozen=True, slots=True, eq=False)
class SessionWindowedCogroupedKStream(Generic[TableT]):
    """Several grouped streams that feed one aggregate per session."""

    entries: tuple[tuple[Group, Function], ...]
    windows: SessionWindows
    make_table: MakeTable[TableT]
    id: int
    serde_from: Callable[[Any, Function], Any]

    def aggregate(
        self,
        initializer: Function,
        merge: Function | None = None,
        *,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Fold all streams; sessions that meet by `merge(key, aggregate, aggregate)`."""
        fold = Fold(
            Aggregation.AGGREGATE,
            Materialized.of(store, name),
            processor_name(processor),
            self.serde_from(value, initializer),
            initializer=initializer,
            merger=_checked_merge(merge),
            windows=self.windows,
        )
        return _made(append_cogroup(self.entries, fold, self.id), self.entries[0][0].program, self.make_table)
