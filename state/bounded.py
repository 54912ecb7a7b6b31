"""Key-value stores of so many entries: the one that was not used for longest makes room. In memory, as Kafka's lruMap.

Rules: reads and writes that reach the store are uses; what a record cache in front answers is none. A processor's store
logs what makes room as a deletion; a table's does not, as in Kafka, and nobody is told. A restored store holds what was
logged last. After an aborted transaction entries and their order of use are those of the last commit, so that what is
processed again comes out as if nothing had happened. In a store that takes over another one's entries the order of use
begins anew, by the bytes of the keys.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from state.cache import RecordCache, RecordCacheBudget, Updates
from state.engine import Engine
from state.key_value import KeyValueLayers, PlainKeyValueStore, TimestampedStore
from state.layers import LayeredStore
from state.ordered import OrderedBytes
from state.stores import Cause, ChangelogWriter, StoreSpec


class _Uses:
    """The order in which entries were used, the last one at the end; and what it was at the last commit.

    Each use has a number. Of entries that were used since the commit the number then is kept, None for those that were not
    there: so much is undone, and nobody has to copy an order. A commit under way has those of its own.
    """

    def __init__(self, entries: Iterable[Any]) -> None:
        self._numbers: OrderedDict[Any, int] = OrderedDict((entry, at) for at, entry in enumerate(entries))
        self._count = len(self._numbers)
        self._before: dict[Any, int | None] = {}
        self._sealed: dict[Any, int | None] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def use(self, entry: Any) -> None:
        """An entry is read or written."""
        if entry not in self._before:
            self._before[entry] = self._numbers.get(entry)
        self._count += 1
        self._numbers[entry] = self._count
        self._numbers.move_to_end(entry)

    def remove(self, entry: Any) -> None:
        """An entry goes, if it is there."""
        number = self._numbers.pop(entry, None)
        if self._before.setdefault(entry, number) is None:
            del self._before[entry]  # it came and went between two commits

    def eldest(self) -> Any:
        """The entry that was not used for longest."""
        return next(iter(self._numbers))

    def seal(self) -> None:
        """A commit begins."""
        self._sealed, self._before = self._before, {}

    def unseal(self) -> None:
        """It is put off."""
        self._before, self._sealed = {**self._before, **self._sealed}, {}

    def committed(self) -> None:
        """It is done."""
        self._sealed = {}

    def restored(self) -> None:
        """What there is, is committed."""
        self._before, self._sealed = {}, {}

    def discard(self) -> None:
        """As at the last commit."""
        self.unseal()
        for entry, number in self._before.items():
            if number is None:
                self._numbers.pop(entry, None)
            else:
                self._numbers[entry] = number
        if self._before:
            self._numbers = OrderedDict(sorted(self._numbers.items(), key=itemgetter(1)))
            self._before = {}


class _Bounded(KeyValueLayers):
    """At most `spec.max_entries` values by key. Source: Kafka's MemoryNavigableLRUCache."""

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        super().__init__(spec, engine, changelog, cache)
        self._uses: _Uses | None = None
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
            self._order().use(entry)
        return value

    def _order(self) -> _Uses:
        """The uses of the entries below the record cache."""
        if self._uses is None:
            self._uses = _Uses(self._layout.entry(key) for key, _ in self._scan(None, None))
        return self._uses

    def _write(self, entry: Any, value: Any, timestamp: int, cause: Cause | None = None) -> None:
        """As for all stores; a new entry may cost the one that was not used for longest."""
        uses = self._order()
        super()._write(entry, value, timestamp, cause)
        for eldest in self._used(uses, entry, gone=value is None):
            self._make_room(eldest, self._layout.key_bytes(eldest))

    def _used(self, uses: _Uses, entry: Any, *, gone: bool) -> list[Any]:
        """Note a write; the answer is what has to go for it, if anything."""
        if gone:
            uses.remove(entry)
            return []
        uses.use(entry)
        if len(uses) <= (self.spec.max_entries or 0):
            return []
        eldest = uses.eldest()
        uses.remove(eldest)
        return [eldest]

    def _make_room(self, eldest: Any, key: bytes) -> None:
        """Delete an entry."""
        self._live[eldest] = None
        self._uncommitted[key] = None

    def _write_updates(self, updates: Updates) -> tuple[Updates, list[Any]]:
        """As for all stores, one by one: each may cost an entry that the next one asks for."""
        return LayeredStore._write_updates(self, updates)

    def discard(self) -> None:
        """Forget what changed since the last commit, and what was used."""
        super().discard()
        if self._uses is not None:
            self._uses.discard()

    def seal(self) -> None:
        """As for all stores; uses from now on belong to the next commit."""
        super().seal()
        if self._uses is not None:
            self._uses.seal()

    def unseal(self) -> None:
        """As for all stores."""
        if self._sealed is not None and self._uses is not None:
            self._uses.unseal()
        super().unseal()

    def _written(self, changes: OrderedBytes) -> None:
        """The commit is done."""
        super()._written(changes)
        if self._uses is not None:
            self._uses.committed()

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
        uses.restored()


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
