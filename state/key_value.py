"""Key-value stores: plain values (the Processor API's), and values with timestamps (tables and aggregates).

Rules: None deletes and means "there is none". Ranges are by the keys' bytes, unsigned, bounds included, and show the
store as it was when the range was asked for; of what a record cache holds, the keys then and the values when their turn
comes, as in Kafka, but for queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, filterfalse, repeat
from operator import add, is_not
from typing import Any, Self, cast

from state.cache import RecordCache, RecordCacheBudget, Updates
from state.engine import Engine, any_none
from state.folding_cache import Add, FoldingCache, Row
from state.keys import after_prefix, pack_long
from state.layers import LayeredStore
from state.layouts import plain
from state.merged_reads import merged
from state.proof import LONGEST, SHORTEST
from state.stores import Cause, ChangelogWriter, FlushListener, StoreSpec, ValueAndTimestamp

_new_tuple = tuple.__new__
_ABSENT: Any = object()

_KEEPS_ALL_BYTES = 1 << 20
"""A record cache of so much keeps what is used often; what passes it is seldom asked for soon."""

_FEW_OF = 8
"""Where a query asks for less than one of so many entries, they are looked up, else all are taken at once."""

FEW = 8
"""Below this many keys, looking them up at once saves nothing."""


class KeyValueLayers(LayeredStore):
    """What both kinds share.

    `get` gives the value of a key, or None. `lookup` is the same for callers that put the same key next: it does not
    count as a use, and gives what is live here, which nobody else may change. They are made once per store, as short as its
    layers allow: a dictionary's own method at best.
    """

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        super().__init__(spec, engine, changelog, cache)
        self._identity = self._layout.identity
        self._known_size = known_size(spec, stored=self._value_overhead)
        self._passes = False
        self._choose_passing()
        self._known_class = spec.value_serde.type if self._known_size else None  # type: ignore[attr-defined]  # numbers
        front: dict[Any, Any] = self._live if self._cache is None else self._cache.entries
        self.get: Callable[[Any], Any] = self._by_key(
            self._giving(self._live.__getitem__ if self._cache is None else self._cache.get)
        )
        self.lookup: Callable[[Any], Any] = self._by_key(front.__getitem__)

    def _by_key(self, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """What reads by entry keys, for the users' keys."""
        identity = self._identity
        return read if self._by_value else lambda key: read(identity(key))

    def queried(self) -> Self:
        """As for all stores."""
        view = super().queried()
        if view._cache is not None:
            view.get = view._by_key(view._giving(view._cache.get))
        return view

    def set_flush_listener(self, listener: FlushListener, *, send_old_values: bool) -> None:
        """As for all stores; old values are what is live below."""
        super().set_flush_listener(listener, send_old_values=send_old_values)
        self._choose_passing()

    def _choose_passing(self) -> None:
        """Have live values wait for the record cache only, where it is large and they are numbers.

        Reading a number from its bytes once more costs less than a second dictionary as large as the first.
        """
        budget = self._budget
        large = budget is not None and budget.max_bytes >= _KEEPS_ALL_BYTES
        self._passes = large and isinstance(self._cache, FoldingCache) and not self._send_old_values

    def values_of(self, keys: Sequence[Any]) -> list[Any]:
        """The values alone that `get` gives for each of the keys."""
        entries = keys if self._by_value else list(map(self._identity, keys))
        found = list(map(self._live.__getitem__, entries)) if self._cache is None else self._cache.get_all(entries)
        return self.given_all(self._plain(found))

    def look(self, key: Any) -> Any:
        """`get` for other threads, while the store's own writes: what is loaded is not kept."""
        entry = self._identity(key)
        found = self._live.get(entry, _ABSENT)
        return self._given(self._load(entry) if found is _ABSENT else found)

    def look_before_puts(self) -> None:
        """Have each put read what it replaces first, for what that does to a record cache with little room."""
        if self._cache is not None:
            self._cache.looks_first = True

    def preload(self, keys: Iterable[Any]) -> None:
        """Look up at once those of the keys that are not in memory: half the price of one by one. Nobody can tell."""
        live = self._live
        if self._passes:
            live.clear()
        entries = filterfalse(live.__contains__, dict.fromkeys(keys if self._by_value else map(self._identity, keys)))
        missing = list(entries if self._cache is None else filterfalse(self._cache.entries.__contains__, entries))
        if len(missing) < FEW or len(live) + len(missing) > live.limit:
            return
        self._check_open()
        self._look_up(missing)

    def _look_up(self, missing: list[Any]) -> None:
        """Read entries from below into the live values, all at once."""
        live, raw = self._live, self._write_keys(missing)
        found = self._lower.get_many(raw)
        uncommitted = self._uncommitted
        if not uncommitted.keys().isdisjoint(raw):
            found = [uncommitted.get(key, data) for key, data in zip(raw, found, strict=True)]
        live.update(zip(missing, repeat(None)))
        there = list(map(is_not, found, repeat(None)))
        read = self._layout.live_column(cast("list[bytes]", list(compress(found, there))))
        live.update(zip(compress(missing, there), read, strict=True))

    def _size(self, entry: Any, value: Any) -> int:
        """As for all stores; numbers under keys of a fixed length are not written to be measured."""
        kind = value.__class__
        if kind is self._known_class and (kind is not int or SHORTEST <= value <= LONGEST):
            return self._known_size
        return super()._size(entry, value)

    def _record_cache(self, budget: RecordCacheBudget) -> RecordCache | None:
        return self._cache_over(self._live.__getitem__, budget, keep_reads=True)

    def _load(self, entry: Any) -> Any:
        """As for all stores; on its own because the first touch of every key comes this way."""
        key = self._layout.key_bytes(entry)
        data = self._uncommitted.get(key, _ABSENT)
        if data is _ABSENT:
            data = self._lower.get(key)
        return None if data is None else self._layout.live(data)

    def _write_updates(self, updates: Updates) -> tuple[Updates, list[Any]]:
        """As for all stores, in columns: keys are distinct, so that reads before writes see what they should."""
        if len(updates.entries) == 1:  # from a cache without room: columns of one cost more than they spare
            return super()._write_updates(updates)
        deletes = any_none(updates.values)
        if deletes or self._send_old_values:
            old_values = list(map(self._live.__getitem__, updates.entries))
            if deletes:
                values = zip(updates.values, old_values, strict=True)
                keep = [value is not None or old is not None for value, old in values]
                updates, old_values = updates.only(keep), list(compress(old_values, keep))
        if not self._send_old_values:
            old_values = [None] * len(updates.entries)
        entries, live, timestamps, causes = updates
        first = len(self._changes.keys) if self._changes is not None else 0
        self._write_columns(entries, self._plain(live), timestamps)
        if self._passes:
            self._live.clear()
        else:
            self._live.update(zip(entries, live, strict=True))
        if causes and self._changes is not None and self.logs_headers:
            told = enumerate(zip(live, causes, strict=True), first)
            self._changes.headers_at.update((at, cause[0]) for at, (value, cause) in told if cause and value is None)
        return updates, old_values

    def _write_columns(self, entries: list[Any], plain: list[Any], timestamps: list[int]) -> None:
        """Log values and keep them until a commit; None deletes."""
        changes, keys, values = self._changes, self._write_keys(entries), self._value_bytes(plain)
        self._uncommitted.update(zip(keys, self._stored_column(values, timestamps), strict=True))
        if changes is not None:
            changes.keys += keys
            changes.values += values
            changes.timestamps += timestamps

    def _value_bytes(self, values: list[Any]) -> list[bytes | None]:
        """A column of values as bytes."""
        if not any_none(values):
            return cast("list[bytes | None]", self._write_values(values))
        written = iter(self._write_values([value for value in values if value is not None]))
        return [None if value is None else next(written) for value in values]

    def _stored_column(self, values: Sequence[bytes | None], timestamps: Sequence[int]) -> Sequence[bytes | None]:
        """A column of values as the engine keeps them."""
        del timestamps
        return values

    def approximate_num_entries(self) -> int:
        """Roughly how many keys there are; deleted and overwritten ones may count for a while."""
        return self.rough_count()

    def range(self, start: Any, end: Any) -> Iterator[tuple[Any, Any]]:
        """(key, value) with start <= key <= end by bytes; None is open."""
        return self._items(*self._bounds(start, end))

    def reverse_range(self, start: Any, end: Any) -> Iterator[tuple[Any, Any]]:
        """As `range`, descending."""
        return self._items(*self._bounds(start, end), reverse=True)

    def prefix_scan(self, prefix: bytes) -> Iterator[tuple[Any, Any]]:
        """(key, value) of the keys whose bytes start with `prefix`."""
        return self._items(prefix, after_prefix(prefix))

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Every (key, value), by the bytes of the keys."""
        return self._items(None, None)

    def reverse_all(self) -> Iterator[tuple[Any, Any]]:
        """Every (key, value), descending."""
        return self._items(None, None, reverse=True)

    def _bounds(self, start: Any, end: Any) -> tuple[bytes | None, bytes | None]:
        serialize = self.spec.key_serde.serialize
        return None if start is None else serialize(start), None if end is None else serialize(end) + b"\0"

    def _items(self, start: bytes | None, end: bytes | None, *, reverse: bool = False) -> Iterator[tuple[Any, Any]]:
        stored = self._scan(start, end, reverse=reverse)
        deserialize, live = self.spec.key_serde.deserialize, self._layout.live
        if self._cache is not None and (cached := self._cached(self._cache, start, end, reverse=reverse)):
            below = ((key, live(data)) for key, data in stored)
            return ((deserialize(key), value) for key, value in merged(cached, below, backward=reverse))
        return ((deserialize(key), live(data)) for key, data in stored)

    def _cached(
        self, cache: RecordCache, start: bytes | None, end: bytes | None, *, reverse: bool
    ) -> Iterator[tuple[bytes, Any]] | None:
        """What the record cache holds of a range: keys as of now, values as of their turn, which counts as a use.

        A query's are all as of now: it comes in pages, and what is evicted between two would be in neither layer.
        """
        keys = cache.in_order(self._layout.raw_key).entries(start, end, reverse=reverse)
        identity, held = self.spec.key_serde.deserialize if self._by_value else bytes, cache.entries
        entries = ((key, identity(key)) for key, _ in keys)
        if not cache.counts_uses:
            now: Iterable[tuple[bytes, Any]]
            given = self._given
            if _FEW_OF * len(keys) < len(held):
                now = [(key, held[entry]) for key, entry in entries if entry in held]
            else:
                every = dict(dict.items(held))  # past the order of uses: half the price of a copy that goes by it
                now = ((key, every[entry]) for key, entry in entries if entry in every)
            return ((key, given(value)) for key, value in now) if keys else None
        get = self._giving(cache.get)
        return ((key, get(entry)) for key, entry in entries if entry in held) if keys else None

    def _flushed_keys(self, entries: list[Any]) -> list[Any]:
        return entries if self._by_value else list(map(self._layout.key, entries))


def known_size(spec: StoreSpec, *, stored: int) -> int:
    """The bytes of every entry, if keys and values are numbers of a fixed length, else 0."""
    key: int | None = getattr(spec.key_serde, "size_bytes", None)
    value: int | None = getattr(spec.value_serde, "size_bytes", None)
    return key + value + stored if key and value else 0


class PlainKeyValueStore(KeyValueLayers):
    """Values by key. Writes are logged with `record_timestamp` unless one is given."""

    def put(self, key: Any, value: Any, timestamp: int | None = None, cause: Cause | None = None) -> None:
        """Set a value; None deletes."""
        entry = self._identity(key)
        if self._plain_class is not None and value.__class__ is not self._plain_class and value is not None:
            value = self._proof.settled(value)
        time = self.record_timestamp if timestamp is None else timestamp
        self._accept(entry, value, time, cause)

    def put_if_absent(self, key: Any, value: Any) -> Any:
        """Set a value if there is none; returns the one that was there, or None."""
        present = self.get(key)
        if present is None:
            self.put(key, value)
        return present

    def put_all(self, entries: Iterable[tuple[Any, Any]]) -> None:
        """Set (key, value) in their order; a value of None deletes."""
        for key, value in entries:
            self.put(key, value)

    def delete(self, key: Any) -> Any:
        """Remove a key; returns the value it had, or None."""
        present = self.get(key)
        self.put(key, None)
        return present

    def _restored_columns(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]
    ) -> tuple[Sequence[bytes], Sequence[bytes | None]]:
        del timestamps
        return keys, values


class TimestampedStore(KeyValueLayers):
    """Values by key, each with the time of the record that made it."""

    @property
    def folds(self) -> bool:
        """Whether `fold` may be used: in front of a record cache whose values are all of one length."""
        return self._by_value and isinstance(self._cache, FoldingCache)

    def fold(self, rows: Iterable[Row], initial: Callable[[], Any], add: Add, *, counts: bool = False) -> Row | None:
        """Fold rows in as by `lookup` and `put`, at a fraction of the price; see `FoldingCache.fold`."""
        assert isinstance(self._cache, FoldingCache), "asked of a store that does not fold"
        kind = self.spec.value_serde.type  # type: ignore[attr-defined]  # numbers
        return self._cache.fold(rows, initial, add, kind, self._known_size, counts)

    def put(self, key: Any, value: Any, timestamp: int, cause: Cause | None = None) -> None:
        """Set a value and its time in ms; a value of None deletes."""
        entry = key if self._by_value else self._identity(key)
        if self._plain_class is not None and value.__class__ is not self._plain_class and value is not None:
            value = self._proof.settled(value)
        live = None if value is None else _new_tuple(ValueAndTimestamp, (value, timestamp))
        self._accept(entry, live, timestamp, cause)

    def put_if_absent(self, key: Any, value: Any, timestamp: int) -> ValueAndTimestamp | None:
        """Set a value if there is none; returns the one that was there, or None."""
        present: ValueAndTimestamp | None = self.get(key)
        if present is None:
            self.put(key, value, timestamp)
        return present

    def put_all(self, entries: Iterable[tuple[Any, ValueAndTimestamp | None]]) -> None:
        """Set (key, (value, its time)) in their order; None in the place of both deletes, with the time of now."""
        for key, found in entries:
            value, timestamp = (None, self.record_timestamp) if found is None else found
            self.put(key, value, timestamp)

    def delete(self, key: Any, timestamp: int | None = None) -> ValueAndTimestamp | None:
        """Remove a key; returns the value it had, or None."""
        present: ValueAndTimestamp | None = self.get(key)
        self.put(key, None, self.record_timestamp if timestamp is None else timestamp)
        return present

    def _size(self, entry: Any, value: ValueAndTimestamp | None) -> int:
        """As for all stores; on its own because a full cache asks at every turn."""
        if value is not None:
            kind = value[0].__class__
            if kind is self._known_class and (kind is not int or SHORTEST <= value[0] <= LONGEST):
                return self._known_size
        return super()._size(entry, value)

    def _plain(self, values: list[Any]) -> list[Any]:
        return plain(values)

    def _stored_column(self, values: Sequence[bytes | None], timestamps: Sequence[int]) -> list[bytes | None]:
        if not any_none(values):
            return list(map(add, map(pack_long, timestamps), cast("Sequence[bytes]", values)))
        return [
            None if value is None else pack_long(timestamp) + value
            for value, timestamp in zip(values, timestamps, strict=True)
        ]

    def _restored_columns(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]
    ) -> tuple[Sequence[bytes], Sequence[bytes | None]]:
        return keys, self._stored_column(values, timestamps)
