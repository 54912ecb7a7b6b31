"""Key-value stores of so many entries: the one that was not used for longest makes room. In memory, as Kafka's lruMap.

Rules: reads and writes that reach the store are uses; what a record cache in front answers is none. A processor's store
logs what makes room as a deletion; a table's does not, as in Kafka, and nobody is told. A restored store holds what was
logged last. After an aborted transaction, and in a store that takes over another one's entries, the order of use begins
anew, by the bytes of the keys.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from state.cache import RecordCache, RecordCacheBudget, Updates
from state.engine import Engine
from state.key_value import KeyValueLayers, PlainKeyValueStore, TimestampedStore
from state.layers import LayeredStore
from state.stores import Cause, ChangelogWriter, StoreSpec


class _Bounded(KeyValueLayers):
    """At most `spec.max_entries` values by key. Source: Kafka's MemoryNavigableLRUCache."""

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        super().__init__(spec, engine, changelog, cache)
        self._uses: OrderedDict[Any, None] | None = None
        if self._cache is None:
            self.get = self._by_key(self._giving(self._below))
            self.lookup = self._by_key(self._below)

    def _record_cache(self, budget: RecordCacheBudget) -> RecordCache | None:
        return self._cache_over(self._below, budget, keep_reads=True)

    def _cache_kind(self) -> Callable[..., RecordCache]:
        return RecordCache

    @property
    def holds_updates(self) -> bool:
        """Never: which entries there are depends on each read."""
        return False

    def values_of(self, keys: Sequence[Any]) -> list[Any]:
        """The values alone that `get` gives for each of the keys."""
        return self._plain(list(map(self.get, keys)))

    def preload(self, keys: Iterable[Any]) -> None:
        """Nothing: all is in memory."""

    def _below(self, entry: Any) -> Any:
        """The live value under the record cache; that is a use."""
        value = self._live[entry]
        if value is not None and not self._is_view:
            self._order().move_to_end(entry)
        return value

    def _order(self) -> OrderedDict[Any, None]:
        """The entries below the record cache, the one used last at the end."""
        if self._uses is None:
            self._uses = OrderedDict((self._layout.entry(key), None) for key, _ in self._scan(None, None))
        return self._uses

    def _write(self, entry: Any, value: Any, timestamp: int, cause: Cause | None = None) -> None:
        """As for all stores; a new entry may cost the one that was not used for longest."""
        uses = self._order()
        super()._write(entry, value, timestamp, cause)
        for eldest in self._used(uses, entry, gone=value is None):
            self._make_room(eldest, self._layout.key_bytes(eldest))

    def _used(self, uses: OrderedDict[Any, None], entry: Any, *, gone: bool) -> list[Any]:
        """Note a write; the answer is what has to go for it, if anything."""
        if gone:
            uses.pop(entry, None)
            return []
        uses[entry] = None
        uses.move_to_end(entry)
        return [uses.popitem(last=False)[0]] if len(uses) > (self.spec.max_entries or 0) else []

    def _make_room(self, eldest: Any, key: bytes) -> None:
        """Delete an entry."""
        self._live[eldest] = None
        self._uncommitted[key] = None

    def _write_updates(self, updates: Updates) -> tuple[Updates, list[Any]]:
        """As for all stores, one by one: each may cost an entry that the next one asks for."""
        return LayeredStore._write_updates(self, updates)

    def discard(self) -> None:
        """Forget what changed since the last commit."""
        super().discard()
        self._uses = None

    def restore(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], position: int
    ) -> None:
        """Apply changelog records straight to the engine, in their order: what does not fit is left out again."""
        uses, layout, rows = self._order(), self._layout, dict[bytes, tuple[bytes | None, int]]()
        for key, value, timestamp in zip(keys, values, timestamps, strict=True):
            rows[key] = (value, timestamp)
            for eldest in self._used(uses, layout.entry(key), gone=value is None):
                rows[layout.key_bytes(eldest)] = (None, timestamp)
        super().restore(
            list(rows), [value for value, _ in rows.values()], [time for _, time in rows.values()], position
        )


class BoundedKeyValueStore(_Bounded, PlainKeyValueStore):
    """Plain values: processors' stores."""

    def _make_room(self, eldest: Any, key: bytes) -> None:
        """Delete an entry, and log it: before what costs it, as Kafka does."""
        super()._make_room(eldest, key)
        changes = self._changes
        if changes is not None:
            changes.keys.insert(-1, key)
            changes.values.insert(-1, None)
            changes.timestamps.insert(-1, self.record_timestamp)


class BoundedTimestampedStore(_Bounded, TimestampedStore):
    """Values with their times: tables and aggregates."""

    @property
    def folds(self) -> bool:
        """Never: each read is a use."""
        return False

    def put(self, key: Any, value: Any, timestamp: int, cause: Cause | None = None) -> None:
        """Set a value and its time in ms; a value of None deletes. Where tables look first, that is a use."""
        cache, entry = self._cache, self._identity(key)
        if cache is not None and cache.looks_first and entry not in cache.entries:
            cache.read(entry)
        super().put(key, value, timestamp, cause)
