"""Grouped streams in windows of time, ready to be folded: Kafka's (Time|Session)Windowed(Cogrouped)KStream.

Keys of the tables they give are `Windowed`. Records later than a window's grace are dropped and counted.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from streams.dsl.aggregates import Fold
from streams.dsl.folds import CogroupFolds, StreamFolds, TableT, aggregate_serde, fold_of
from streams.dsl.handle import expect_arity
from streams.dsl.options import Function, Materialized
from streams.errors import TopologyError
from streams.graph.nodes import Aggregation
from streams.graph.windows import (
    CustomWindows,
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


def is_windows(windows: Any) -> None:
    """Raises: TopologyError for anything but windows that an aggregate can have."""
    if not isinstance(windows, Windows):
        raise TopologyError(
            "windowed_by: expected TimeWindows, SlidingWindows, SessionWindows, UnlimitedWindows or CustomWindows, "
            f"for example TimeWindows.of('10 minutes'), got {windows!r}"
        )


def checked_emit(emit: EmitStrategy, windows: Windows) -> EmitStrategy:
    """Raises: TopologyError for windows that never close."""
    if not isinstance(emit, EmitStrategy):
        raise TopologyError(f"emit_strategy: expected an EmitStrategy, got {emit!r}")
    if emit is EmitStrategy.ON_WINDOW_CLOSE and isinstance(windows, UnlimitedWindows):
        raise TopologyError("emit_strategy: unlimited windows never close, so nothing would come; emit on update")
    if emit is EmitStrategy.ON_WINDOW_CLOSE and isinstance(windows, CustomWindows):
        raise TopologyError(
            "emit_strategy: custom windows emit on update, as in Kafka Streams: their results can be held back by "
            "suppress(until_window_closes())"
        )
    return emit


class TimeWindowedKStream(StreamFolds[TableT], frozen=True, eq=False):
    """A grouped stream in tumbling, hopping, sliding, unlimited or custom windows."""

    windows: TimeWindows | SlidingWindows | UnlimitedWindows | CustomWindows
    emit: EmitStrategy = EmitStrategy.ON_WINDOW_UPDATE

    def emit_strategy(self, emit: EmitStrategy) -> TimeWindowedKStream[TableT]:
        """When results are passed on: with every record (the default), or once when a window closes."""
        return replace(self, emit=checked_emit(emit, self.windows))

    def _over(self, fold: Fold) -> Fold:
        return replace(fold, windows=self.windows, emit=self.emit)


class SessionWindowedKStream(StreamFolds[TableT], frozen=True, eq=False):
    """A grouped stream in sessions: windows that grow while records come close enough."""

    windows: SessionWindows
    emit: EmitStrategy = EmitStrategy.ON_WINDOW_UPDATE

    def emit_strategy(self, emit: EmitStrategy) -> SessionWindowedKStream[TableT]:
        """When results are passed on: with every record (the default), or once when a session closes."""
        return replace(self, emit=checked_emit(emit, self.windows))

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
        """Aggregate by `aggregator(key, value, aggregate)`; join sessions that meet by `merge(key, aggregate, aggregate)`."""
        serde = aggregate_serde(initializer, aggregator, value)
        functions = {"add": aggregator, "initializer": initializer, "merger": _checked_merge(merge)}
        return self._table(fold_of(Aggregation.AGGREGATE, name, store, processor, value=serde, **functions))

    def _over(self, fold: Fold) -> Fold:
        return replace(fold, windows=self.windows, emit=self.emit)


def _checked_merge(merge: Function | None) -> Function:
    """Raises: TopologyError when sessions could not be joined."""
    if merge is None:
        raise TopologyError(
            "aggregate: sessions that grow together must be merged: give merge=function(key, aggregate, aggregate)"
        )
    expect_arity(merge, "key, aggregate, aggregate", "aggregate: merge")
    return merge


class TimeWindowedCogroupedKStream(CogroupFolds[TableT], frozen=True, eq=False):
    """Several grouped streams that feed one aggregate per window. Emits on update only, as in Kafka."""

    windows: TimeWindows | SlidingWindows | UnlimitedWindows | CustomWindows

    def _over(self, fold: Fold) -> Fold:
        return replace(fold, windows=self.windows)


class SessionWindowedCogroupedKStream(CogroupFolds[TableT], frozen=True, eq=False):
    """Several grouped streams that feed one aggregate per session."""

    windows: SessionWindows

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
        """Aggregate all streams; join sessions that meet by `merge(key, aggregate, aggregate)`."""
        return self._cogrouped(initializer, value, name, store, processor, merger=_checked_merge(merge))

    def _over(self, fold: Fold) -> Fold:
        return replace(fold, windows=self.windows)
