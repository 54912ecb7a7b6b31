"""Opens stores: the one place that knows which class and which engine a description asks for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from state.appended import AppendedWindowStore
from state.bounded import BoundedKeyValueStore, BoundedTimestampedStore
from state.cache import RecordCacheBudget
from state.custom import CustomLayers, HeldStore
from state.directory import store_path
from state.engine import Engine
from state.errors import StateError
from state.headed import HeadedSerde
from state.key_value import PlainKeyValueStore, TimestampedStore
from state.layers import LayeredStore
from state.memory import MemoryEngine
from state.rocksdb import RocksDBEngine, RocksDBResources
from state.rows_budget import SlowerThanRows
from state.serde import Serde, by_value
from state.session import SegmentedSessionStore
from state.stores import ChangelogWriter, StoreKind, StoreSpec
from state.versioned import VersionedStore
from state.window import SegmentedWindowStore
from state.written_as import expect_written_as

_STORES: dict[StoreKind, type[LayeredStore]] = {
    StoreKind.KEY_VALUE: PlainKeyValueStore,
    StoreKind.TIMESTAMPED_KEY_VALUE: TimestampedStore,
    StoreKind.VERSIONED_KEY_VALUE: VersionedStore,
    StoreKind.WINDOW: SegmentedWindowStore,
    StoreKind.TIMESTAMPED_WINDOW: SegmentedWindowStore,
    StoreKind.SESSION: SegmentedSessionStore,
    StoreKind.CUSTOM: CustomLayers,
}
_NAMES = (str, bytes, UUID)
_NUMBERS = (int, float)


def open_store(
    spec: StoreSpec,
    *,
    directory: Path | None,
    changelog: ChangelogWriter | None = None,
    cache: RecordCacheBudget | None = None,
    resources: RocksDBResources | None = None,
    engine: Engine | None = None,
) -> Any:
    """Open the store that `spec` describes.

    Shape: one of the protocols in `state.stores`, by `spec.kind`. `directory` is the task's (None: in memory, as with
    `persistent=False`); `resources` is shared by all stores of a process, and needed with a directory.
    `engine` is one that another store of this description handed over; it is used as it is.
    `cache` is shared by the stores of a worker; without it, or with a budget of 0, there is no record cache.
    Raises: StoreLocked, CorruptStore; StateError for a store that another program has written in another way.
    """
    kind = _STORES[spec.kind]
    if spec.headers:
        spec = replace(spec, value_serde=HeadedSerde(spec.value_serde))
    if spec.max_entries is not None:
        kind = BoundedTimestampedStore if kind is TimestampedStore else BoundedKeyValueStore
    elif _is_appended(spec):
        kind = AppendedWindowStore
    if engine is not None:
        return _made(kind, spec, engine, changelog, cache)
    path = store_path(directory, spec.name) if directory is not None and spec.persistent else None
    engine = _engine(spec, path, resources)
    try:
        if path is not None and spec.custom is None:
            expect_written_as(spec, engine)
        return _made(kind, spec, engine, changelog, cache)
    except BaseException:
        with suppress(StateError):  # what went wrong first is what to tell: that the disk is full
            engine.close()  # or its place could not be taken by another one
        raise


def _made(
    kind: type[LayeredStore],
    spec: StoreSpec,
    engine: Engine,
    changelog: ChangelogWriter | None,
    cache: RecordCacheBudget | None,
) -> LayeredStore:
    if kind is TimestampedStore and cache is not None and _gains_by_rows(spec, engine):
        kind = _number_store()
    return kind(spec, engine, changelog, cache)


def _is_appended(spec: StoreSpec) -> bool:
    """Whether every write is a new entry that a cache could not hold back: the stores of stream joins."""
    return spec.kind is StoreKind.WINDOW and spec.retain_duplicates and not spec.cached


def _engine(spec: StoreSpec, path: Path | None, resources: RocksDBResources | None) -> Engine:
    if spec.custom is not None:
        return HeldStore(spec.name, spec.custom())
    if spec.engine is not None:
        return spec.engine(spec.name, path)
    return MemoryEngine(spec.name) if path is None else RocksDBEngine(path, resources or RocksDBResources())


def _gains_by_rows(spec: StoreSpec, engine: Engine) -> bool:
    """Whether it has ints or floats of 64 bits by such ints or by names, in a cache above an engine slower than rows."""
    if not spec.cached or not isinstance(engine, SlowerThanRows):
        return False
    key, value = spec.key_serde, spec.value_serde
    numbers = _type_of(value) in _NUMBERS and hasattr(value, "size_bytes")
    return (
        numbers and by_value(key) and (_type_of(key) in _NAMES or (_type_of(key) is int and hasattr(key, "size_bytes")))
    )


def _type_of(serde: Serde[Any]) -> Any:
    return getattr(serde, "type", None)


def _number_store() -> type[LayeredStore]:
    from state.numbers import NumberStore  # here, for numpy takes a tenth of a second that others need not wait

    return NumberStore
