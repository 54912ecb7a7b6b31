"""Stores for processors, by kind: what `add_state_store` and `process(stores=...)` take.

Shape: each function gives a StoreSpec, which may also stand in the body of a Processor's class; `key` and `value` are types or serdes, durations as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, Self, TypeVar, overload

from state.engine import Engine
from state.stores import (
    CustomStore,
    KeyValueStore,
    OpenEngine,
    SessionStore,
    StoreKind,
    StoreSpec,
    TimestampedKeyValueStore,
    VersionedKeyValueStore,
    WindowStore,
)
from streams.durations import Duration
from streams.errors import TopologyError
from streams.graph.names import checked_name
from streams.graph.windows import checked
from streams.numbers import whole_number
from streams.processor import declared
from streams.serdes import serde_for

__all__ = [
    "Engine",
    "bounded_key_value_store",
    "custom_store",
    "key_value_store",
    "session_store",
    "timestamped_key_value_store",
    "versioned_store",
    "window_store",
]


OpenT = TypeVar("OpenT")
CustomT = TypeVar("CustomT", bound=CustomStore)


class ProcessorStore(StoreSpec, Generic[OpenT], frozen=True, kw_only=True):
    """A store that may stand in the body of a Processor's class, whose instances find the open store in its place.

    `OpenT` tells type checkers the verbs of that one.
    """

    @overload
    def __get__(self, processor: None, kind: type) -> Self: ...

    @overload
    def __get__(self, processor: object, kind: type) -> OpenT: ...

    def __get__(self, processor: object, kind: type) -> Any:
        """The description; `Processor.init` puts the store in front of it."""
        return self


def stores_of(supplier: Callable[[], Any], given: Sequence[str | StoreSpec]) -> list[str | StoreSpec]:
    """The stores of a processor: those given to its verb, and those that its class declares, where that is the supplier.

    Raises: TopologyError when text is given in the place of a list.
    """
    if isinstance(given, str):
        raise TopologyError(f"stores: expected a list of store names, got {given!r}")
    while isinstance(supplier, partial):
        supplier = supplier.func
    own = declared(supplier, StoreSpec).values() if isinstance(supplier, type) else ()
    names = {store.name if isinstance(store, StoreSpec) else store for store in given}
    return [*given, *(store for store in own if store.name not in names)]


class _Kept(NamedTuple):
    """How a store keeps what it holds: what all kinds have in common."""

    persistent: bool = True
    cached: bool = False
    logged: bool = True
    topic_config: Mapping[str, str] | None = None
    engine: OpenEngine | None = None


def key_value_store(
    name: str,
    key: Any,
    value: Any,
    *,
    persistent: bool = True,
    cached: bool = False,
    logged: bool = True,
    topic_config: Mapping[str, str] | None = None,
    engine: OpenEngine | None = None,
) -> ProcessorStore[KeyValueStore]:
    """Plain values by key. `engine` keeps their bytes in a place of your own, in all kinds of stores; see `Engine`."""
    kept = _Kept(persistent, cached, logged, topic_config, engine)
    return _spec(name, StoreKind.KEY_VALUE, key, value, kept)


def bounded_key_value_store(
    name: str,
    key: Any,
    value: Any,
    max_entries: int,
    *,
    logged: bool = True,
    topic_config: Mapping[str, str] | None = None,
) -> ProcessorStore[KeyValueStore]:
    """Plain values by key in memory, at most `max_entries`: the one not used for longest makes room (Kafka's lruMap)."""
    max_entries = whole_number(max_entries, f"{name}: max_entries")
    kept = _Kept(persistent=False, logged=logged, topic_config=topic_config)
    return _spec(name, StoreKind.KEY_VALUE, key, value, kept, max_entries=max_entries)


def custom_store(
    name: str,
    make: Callable[[], CustomT],
    *,
    logged: bool = True,
    topic_config: Mapping[str, str] | None = None,
) -> ProcessorStore[CustomT]:
    """A store of your own class, for processors: `make()` gives one per task; see `StateStore`."""
    if not callable(make):
        raise TopologyError(f"{name}: expected a function that makes a StateStore, got {make!r}")
    kept = _Kept(persistent=False, logged=logged, topic_config=topic_config)
    return _spec(name, StoreKind.CUSTOM, bytes, bytes, kept, custom=make)


def timestamped_key_value_store(
    name: str,
    key: Any,
    value: Any,
    *,
    persistent: bool = True,
    cached: bool = False,
    logged: bool = True,
    headers: bool = False,
    topic_config: Mapping[str, str] | None = None,
    engine: OpenEngine | None = None,
) -> ProcessorStore[TimestampedKeyValueStore]:
    """Values by key, with the time of the record that made them: what tables use.

    `headers`: with headers too; what is read is a `ValueTimestampHeaders` (Kafka's stores WithHeaders).
    """
    kept = _Kept(persistent, cached, logged, topic_config, engine)
    return _spec(name, StoreKind.TIMESTAMPED_KEY_VALUE, key, value, kept, headers=headers)


def versioned_store(
    name: str,
    key: Any,
    value: Any,
    history: Duration,
    *,
    logged: bool = True,
    topic_config: Mapping[str, str] | None = None,
    engine: OpenEngine | None = None,
) -> ProcessorStore[VersionedKeyValueStore]:
    """Values by key as they were at any time within `history`."""
    history_ms = checked(history, f"{name}: the history", 0)
    kept = _Kept(logged=logged, topic_config=topic_config, engine=engine)
    return _spec(name, StoreKind.VERSIONED_KEY_VALUE, key, value, kept, retention_ms=history_ms)


def window_store(
    name: str,
    key: Any,
    value: Any,
    *,
    size: Duration,
    retention: Duration,
    timestamped: bool = True,
    retain_duplicates: bool = False,
    persistent: bool = True,
    cached: bool = False,
    logged: bool = True,
    headers: bool = False,
    topic_config: Mapping[str, str] | None = None,
    engine: OpenEngine | None = None,
) -> ProcessorStore[WindowStore]:
    """Values by key and window start, kept for `retention`; `headers`: with headers beside them, as for key-value stores."""
    size_ms = checked(size, f"{name}: the window size", 0)
    retention_ms = checked(retention, f"{name}: the retention", 0)
    if retention_ms < size_ms:
        raise TopologyError(
            f"{name}: expected a retention of at least the window size, {size_ms} ms, got {retention_ms} ms"
        )
    if headers and not timestamped:
        raise TopologyError(f"{name}: a store with headers keeps timestamps too: leave timestamped=False out")
    return _spec(
        name,
        StoreKind.TIMESTAMPED_WINDOW if timestamped else StoreKind.WINDOW,
        key,
        value,
        _Kept(persistent, cached, logged, topic_config, engine),
        retention_ms=retention_ms,
        window_size_ms=size_ms,
        retain_duplicates=retain_duplicates,
        headers=headers,
    )


def session_store(
    name: str,
    key: Any,
    value: Any,
    *,
    retention: Duration,
    persistent: bool = True,
    cached: bool = False,
    logged: bool = True,
    headers: bool = False,
    topic_config: Mapping[str, str] | None = None,
    engine: OpenEngine | None = None,
) -> ProcessorStore[SessionStore]:
    """Values by key and session, kept for `retention`; `headers`: what is read is an `AggregationWithHeaders`."""
    retention_ms = checked(retention, f"{name}: the retention", 0)
    kept = _Kept(persistent, cached, logged, topic_config, engine)
    return _spec(name, StoreKind.SESSION, key, value, kept, retention_ms=retention_ms, headers=headers)


def _spec(name: str, kind: StoreKind, key: Any, value: Any, kept: _Kept, **bounds: Any) -> ProcessorStore[Any]:
    return ProcessorStore(
        name=checked_name(name, "the name of a store"),
        kind=kind,
        key_serde=serde_for(key),
        value_serde=serde_for(value),
        persistent=kept.persistent,
        cached=kept.cached,
        logged=kept.logged,
        topic_config=dict(kept.topic_config or {}),
        engine=kept.engine,
        **bounds,
    )
