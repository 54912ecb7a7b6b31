"""From what a program says about a store to what is needed to open it.

Rules: stores of stream joins, versioned stores, buffers and subscriptions are never cached, nor are sliding and session
stores that are read when windows close; with a cache of 0 bytes none is. A serde that was never declared becomes the
configured default here, and one whose schema has no subject is bound to one, so that every spec is complete.
Source: Kafka's materializers (WindowStoreMaterializer and its siblings).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from state.serde import Serde
from state.stores import OpenEngine, StoreKind, StoreSpec
from streams.errors import TopologyError
from streams.graph.nodes import Aggregate, Materialization, Serdes, StreamJoin
from streams.graph.windows import (
    FOREVER_MS,
    CustomWindows,
    EmitStrategy,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
    Windows,
    retention_of,
)
from streams.serdes import DYNAMIC, SessionWindowedSerde, TimeWindowedSerde, serde_for
from streams.topology.subjects import Subjects

__all__ = ["StoreDefaults"]

BYTES: Serde[Any] = serde_for(bytes)


class StoreDefaults(Struct, frozen=True):
    """What stores take from the configuration: default serdes, whether there is any record cache, and on disk or not."""

    key_serde: Serde[Any]
    value_serde: Serde[Any]
    subjects: Subjects
    caching: bool = True
    persistent: bool = True
    engine: OpenEngine | None = None
    """What keeps the bytes of stores that do not say it; versioned ones have to. Source: Kafka's dsl.store.suppliers."""
    headers: bool = False
    """Whether tables and aggregates have Kafka's format with headers; of which it writes none there (4.3)."""

    def complete(self, serdes: Serdes) -> Serdes:
        """Serdes with the defaults in the place of None, inside windowed keys too."""
        return Serdes(_completed(serdes.key, self.key_serde), serdes.value or self.value_serde)

    def of_topic(self, serdes: Serdes, topic: str | None) -> Serdes:
        """The complete serdes of a topic by its full name; None: of several."""
        return self.subjects.of_topic(self.complete(serdes), topic)

    def table(self, stored: Materialization, filled_from: str | None = None) -> StoreSpec:
        """The store of a table or an unwindowed aggregate; versioned when it has a history.

        Those of so many entries have no headers either, as in Kafka. `filled_from` is the topic that serves as its changelog.
        """
        versioned = stored.history_ms is not None
        kind = StoreKind.VERSIONED_KEY_VALUE if versioned else StoreKind.TIMESTAMPED_KEY_VALUE
        spec = self._spec(
            stored,
            kind,
            cached=stored.cached and not versioned,
            retention_ms=stored.history_ms or 0,
            filled_from=filled_from,
        )
        spec = replace(spec, max_entries=stored.max_entries)
        return spec if versioned or spec.max_entries is not None else self._formatted(spec)

    def aggregate(self, node: Aggregate) -> StoreSpec:
        """The store of an aggregate. Raises: TopologyError when it is told to forget windows that may still change."""
        stored, windows = node.materialized, node.windows
        if windows is None:
            return self.table(stored)
        needed_ms = retention_of(windows)
        retention_ms = needed_ms if stored.retention_ms is None else stored.retention_ms
        if retention_ms < needed_ms:
            raise TopologyError(
                f"{node.name}: its store {stored.store} must keep windows for {needed_ms:,} ms at least (their size "
                f"and grace), but its retention is {retention_ms:,} ms: raise the retention, or leave it out"
            )
        on_close = node.emit is EmitStrategy.ON_WINDOW_CLOSE
        spec = self._spec(
            stored,
            StoreKind.SESSION if isinstance(windows, SessionWindows) else StoreKind.TIMESTAMPED_WINDOW,
            cached=stored.cached and not (on_close and isinstance(windows, SlidingWindows | SessionWindows)),
            retention_ms=retention_ms,
            window_size_ms=_window_size(windows),
            time_ordered=on_close and not isinstance(windows, SessionWindows),
        )
        return self._formatted(spec)

    def _formatted(self, spec: StoreSpec) -> StoreSpec:
        return replace(spec, format_bytes=1) if self.headers else spec

    def join_window(self, node: StreamJoin, stored: Materialization) -> StoreSpec:
        """The store of one side of a stream join."""
        size_ms = node.windows.size_ms
        retention_ms = size_ms + node.windows.grace_ms
        spec = self._spec(
            stored, StoreKind.WINDOW, retention_ms=retention_ms, window_size_ms=size_ms, retain_duplicates=True
        )
        return replace(spec, logs_headers=True)

    def raw(self, stored: Materialization, kind: StoreKind = StoreKind.KEY_VALUE) -> StoreSpec:
        """A store whose operator makes and reads the bytes itself: pending joins, buffers, subscriptions."""
        spec = self._spec(stored, kind, serdes=Serdes(BYTES, BYTES))
        return replace(spec, logs_headers=kind is StoreKind.TIMESTAMPED_KEY_VALUE)  # subscriptions

    def user(self, spec: StoreSpec, filled_from: str | None = None) -> StoreSpec:
        """A user's store, without a cache where there is none; `filled_from` as for tables."""
        given = Serdes(spec.key_serde, spec.value_serde)
        bound = self.subjects.of_store(given, spec.name, filled_from)
        cached = spec.cached and self.caching
        if cached == spec.cached and bound.key is given.key and bound.value is given.value:
            return spec
        return replace(spec, cached=cached, key_serde=bound.key, value_serde=bound.value)

    def _common_engine(self, stored: Materialization) -> OpenEngine | None:
        """The application's engine, for a store that says neither where its bytes are nor that it has a history."""
        return self.engine if stored.persistent is None and stored.history_ms is None else None

    def _spec(
        self,
        stored: Materialization,
        kind: StoreKind,
        *,
        cached: bool = False,
        retention_ms: int = 0,
        window_size_ms: int = 0,
        retain_duplicates: bool = False,
        time_ordered: bool = False,
        serdes: Serdes | None = None,
        filled_from: str | None = None,
    ) -> StoreSpec:
        complete = self.subjects.of_store(self.complete(serdes or stored.serdes), stored.store, filled_from)
        assert complete.key is not None
        assert complete.value is not None
        return StoreSpec(
            name=stored.store,
            kind=kind,
            key_serde=complete.key,
            value_serde=complete.value,
            persistent=self.persistent if stored.persistent is None else stored.persistent,
            cached=cached and self.caching,
            logged=stored.logged,
            retention_ms=retention_ms,
            window_size_ms=window_size_ms,
            retain_duplicates=retain_duplicates,
            time_ordered=time_ordered,
            topic_config=stored.topic_config,
            engine=stored.engine or self._common_engine(stored),
        )


def _completed(serde: Serde[Any] | None, default: Serde[Any]) -> Serde[Any]:
    match serde:
        case None:
            return default
        case TimeWindowedSerde(inner=inner, size_ms=size_ms) if inner is DYNAMIC:
            return TimeWindowedSerde(default, size_ms)
        case SessionWindowedSerde(inner=inner) if inner is DYNAMIC:
            return SessionWindowedSerde(default)
        case _:
            return serde


def _window_size(windows: Windows) -> int:
    match windows:
        case TimeWindows(size_ms=size_ms) | CustomWindows(size_ms=size_ms):
            return size_ms
        case SlidingWindows(difference_ms=difference_ms):
            return difference_ms
        case UnlimitedWindows():
            return FOREVER_MS
        case SessionWindows():
            return 0
