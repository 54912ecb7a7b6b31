"""What all stores share: the layers, outside in, and the calls of a commit.

    record cache (cached stores only) -> live values -> changelog columns and uncommitted bytes -> engine

Rules: a write that passes the record cache is serialized there and then, once, for changelog and engine alike. What
is not committed lies as bytes over the engine (`state.stored_bytes`), so that live values may be dropped at any time.
Children say how time bounds what they keep.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from itertools import repeat
from typing import Any, Self, cast

from msgspec.structs import replace

from state.aside import Beneath, Collected, reader
from state.cache import RecordCache, RecordCacheBudget, Updates
from state.changelog import Changes
from state.copies import copies_of
from state.engine import Engine, any_none
from state.filling import FilledStore
from state.flushes import Flushes
from state.folding_cache import FoldingCache
from state.headed import HeadedKeyValueStore, HeadedSessionStore, HeadedWindowStore, with_headers
from state.keys import pack_long
from state.layouts import TIMESTAMPED, Layout, layout_of, same
from state.live_values import LiveValues
from state.ordered import OrderedBytes
from state.position import POSITION, packed_number
from state.proof import Proof
from state.queried import QueriedCache
from state.serde import by_value, serializer
from state.stored_bytes import StoredBytes
from state.stores import (
    Cause,
    ChangelogWriter,
    Flushed,
    FlushListener,
    Headers,
    StoreKind,
    StoreSpec,
    ValueAndTimestamp,
)

LIVE_ENTRIES = 100_000
_LIVE_BYTES = 48 << 20
_new_tuple = tuple.__new__


class LayeredStore(StoredBytes, FilledStore):
    """A store of any kind; children add the verbs.

    `_key_overhead` is what entry keys count in a record cache besides the user's key: times, and the segment.

    `record_timestamp` is the time in ms logged for writes that carry none: that of the record in process, set by whoever
    processes it. `cached` says whether a record cache is in front: then results are forwarded from the flush listener.
    `known` gives the live value of an entry key in the record cache, uncounted as a use; None says nothing of what lies
    below.
    """

    _key_overhead = 0

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        super().__init__(spec.name, engine)
        self.spec = spec
        self.record_timestamp = 0
        self._layout: Layout = layout_of(spec)
        self._key_bytes = self._layout.key_bytes
        self._serialize = spec.value_serde.serialize
        self._timestamped = spec.kind in TIMESTAMPED
        self.logs_headers = spec.logs_headers or spec.headers or bool(spec.format_bytes)
        """Whether changes are logged with headers: all (`spec.logs_headers`), or deletions, which have no value to keep them."""
        self.cause: Cause | None = None
        """Of updates that come without one, where it is not simply a record of the topic in process."""
        self._by_value = by_value(spec.key_serde)
        self._write_keys = serializer(spec.key_serde) if self._by_value else list
        self._write_values = serializer(spec.value_serde)
        self._proof = Proof(spec.value_serde)
        self.copies = copies_of(spec.value_serde)
        """What is put is copied, and what is given out; None where values never change."""
        self.rounds = self._proof.rounds
        self._plain_class = self._proof.plain if self.copies is None else None
        self._given = self._giving(same)
        self._value_overhead = len(self._layout.stored(b"", 0)) + spec.format_bytes
        self._changes = (
            Changes(changelog, spec.changelog_headers, headed=spec.headers)
            if changelog is not None and spec.logged
            else None
        )
        self._live = LiveValues(self._load, LIVE_ENTRIES)
        self.flushes = Flushes()
        self._send_old_values = False
        self.read_behind = False
        """Whether those who are told of flushes look into this store then: they must not see what is not its turn yet."""
        self.causes_seen = False
        """Whether those who are told of flushes can tell what record caused an update."""
        self._cache = self._record_cache(cache) if cache is not None and spec.cached else None
        self.cached = self._cache is not None
        self._budget = cache if self.cached else None
        self._accept = self._keeping(self._write if self._cache is None else self._cache.put)
        self.known: Callable[[Any], Any] = _nothing if self._cache is None else self._cache.entries.get

    @property
    def for_users(self) -> Any:
        """The store as users' own processors see it."""
        if not self.spec.headers:
            return self
        if self.spec.kind is StoreKind.TIMESTAMPED_KEY_VALUE:
            return HeadedKeyValueStore(self)
        return HeadedSessionStore(self) if self.spec.kind is StoreKind.SESSION else HeadedWindowStore(self)

    def as_stored(self, values: Sequence[bytes | None], headers: Sequence[Headers] | None) -> Sequence[bytes | None]:
        """Values of changelog records as `restore` takes them."""
        return with_headers(values, headers) if self.spec.headers else values

    def _record_cache(self, budget: RecordCacheBudget) -> RecordCache | None:
        return self._cache_over(self._below, budget, keep_reads=False)

    def _cache_kind(self) -> Callable[..., RecordCache]:
        """What makes the record cache: one that folds in where values are of one length."""
        return FoldingCache if hasattr(self.spec.value_serde, "size_bytes") else RecordCache

    def _cache_over(
        self, below: Callable[[Any], Any], budget: RecordCacheBudget, *, keep_reads: bool
    ) -> RecordCache | None:
        """A record cache of this store, None where the budget leaves no room for any."""
        if budget.max_bytes <= 0:
            return None
        return self._cache_kind()(
            budget,
            below=below,
            release=self._release,
            size=self._size,
            sizes=self._sizes,
            proof=self._proof,
            timestamped=self._timestamped,
            keep_reads=keep_reads,
            fixed_size=hasattr(self.spec.value_serde, "size_bytes"),
        )

    def _size(self, entry: Any, value: Any) -> int:
        """Bytes of an entry as Kafka's cache counts them."""
        key_size = len(self._raw_key(entry)) + self._key_overhead
        if value is None:
            return key_size
        return key_size + len(self._serialize(value[0] if self._timestamped else value)) + self._value_overhead

    def _sizes(self, entries: list[Any], values: list[Any]) -> list[int]:
        """`_size` of many."""
        if any_none(values):
            return list(map(self._size, entries, values))
        keys = self._write_keys(self._raw_parts(entries))
        plain = [value[0] for value in values] if self._timestamped else values
        overhead = self._key_overhead + self._value_overhead
        return [len(key) + len(data) + overhead for key, data in zip(keys, self._write_values(plain), strict=True)]

    def _raw_key(self, entry: Any) -> bytes:
        """The bytes of the user's key in an entry key."""
        return self._layout.raw_key(entry)

    def _raw_parts(self, entries: list[Any]) -> list[Any]:
        """What entry keys hold of the users' keys."""
        return entries

    # What a commit calls

    @property
    def dirty(self) -> bool:
        """Whether the record cache holds updates that `flush` would let go."""
        return self._cache is not None and self._cache.waits

    @property
    def holds_updates(self) -> bool:
        """Whether updates of an entry may replace each other before they are put, by `put_known`: nobody can tell.

        So it is in front of a record cache with room to spare, whose entries go by the keys themselves.
        """
        return self._cache is not None and self._timestamped and self._by_value and self._cache.roomy

    def wants_cause(self, topic: str | None) -> bool:
        """Whether an update that a record of `topic` makes has to say its cause."""
        budget = self._budget
        return budget is not None and (self.causes_seen or len(topic or "") != budget.cause_bytes)

    def take_in_hand(self, timestamp: int, cause: Cause | None) -> None:
        """What is written from now on has that time and cause, unless the writer says others."""
        self.record_timestamp = timestamp
        self.cause = cause
        if self._cache is not None:
            self._cache.cause = cause

    def kept(self, values: list[Any]) -> list[Any]:
        """Values as the store keeps them: such as can be written, copied where they may change. Raises: what the serde does."""
        written = self._proof.written(values)
        return self._proof.settled_all(values) if self.copies is None else self.copies.of_written(values, written)

    def vouch(self, values: Sequence[Any] | None) -> None:
        """What is put from now on are these values: seen to at once, where each put would write its own. None ends that."""
        if self._cache is not None and self._proof.certain is None:
            self._cache.vouched = values is not None and self._cache.roomy and self._proof.holds(values)

    def put_known(
        self,
        touched: Sequence[Any],
        entries: Collection[Any],
        updates: Iterable[tuple[Any, int]],
        causes: Sequence[Cause] | None = None,
        count: int = 0,
    ) -> None:
        """Set (value, time) of entries that are all `known`, while the store `holds_updates`. The values are `kept` ones.

        `touched` are the same entries, update by update, `causes` of one topic and without headers theirs: the last update
        of each counts, and gives its place. `count`: how many updates there were, if more than those of `touched`.
        """
        assert self._cache is not None, "asked of a store without a record cache"
        live = map(_new_tuple, repeat(ValueAndTimestamp), updates)
        self._cache.put_known(touched, dict(zip(entries, live, strict=True)), causes, count)

    def set_flush_listener(self, listener: FlushListener, *, send_old_values: bool) -> None:
        """Who gets what the record cache lets go; never called when `cached` is false."""
        self.flushes.listener = listener
        self._send_old_values = send_old_values

    def flush(self) -> None:
        """Let go of everything in the record cache."""
        self._check_open()
        if self._cache is not None:
            self._cache.flush()

    def drain(self) -> None:
        """Hand changelog entries that are still collected here to the writer."""
        if self._changes is not None:
            self._changes.drain()

    def seal(self) -> None:
        """Have what changed since the last commit be what `commit` writes; what changes from now on is the next one's."""
        assert self._changes is None or not self._changes.keys, "drain comes before seal"
        super().seal()

    def _written(self, changes: OrderedBytes) -> None:
        """Fit the number of live values to the size of what was just written."""
        if changes:
            each = changes.rough_bytes() // len(changes)
            self._live.limit = max(1_000, _LIVE_BYTES // each)
        if len(self._live) > self._live.limit:
            self._live.shrink(self._live.limit // 2)

    def discard(self) -> None:
        """Forget what changed since the last commit, also what was sealed for one that failed."""
        if self._cache is not None:
            self._cache.clear()
        if self._changes is not None:
            self._changes.clear()
        super().discard()
        self._forget_live()

    def restore(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], position: int
    ) -> None:
        """Apply changelog records straight to the engine, complete up to `position`."""
        self._check_open()
        if self._filled is not None:
            columns = self._restored_columns(keys, values, timestamps)
            self._filled.fill(*columns, metadata=self._metadata_at(position), dropped=self._dropped())
        else:
            changes = self._restored(keys, values, timestamps)
            self._engine.write(changes, metadata=self._metadata_at(position), dropped=self._dropped())
        self._position = position
        if keys:
            self._forget_live()

    def _forget_live(self) -> None:
        """Drop what was kept of below: it is another one from now on."""
        self._live.clear()

    def _metadata_at(self, position: int) -> dict[bytes, bytes]:
        """What lies beside the entries once they are complete up to `position`."""
        return {**self._metadata(), POSITION: packed_number(position)}

    def committed(self) -> Self:
        """What the engine holds now, for one query, which may run on any thread.

        A store of the same kind with the verbs to read; it must not be written, and is not closed.
        """
        view = type(self)(replace(self.spec, cached=False, logged=False), self._engine, None, None)
        view._is_view = True
        return view

    def queried(self) -> Self:
        """This store for one query, where it may be read: the same entries, of which none is used in the record cache.

        It must not be written, and is not closed.
        """
        if self._cache is None:
            return self
        view = copy(self)
        view._is_view = True
        view._cache = cast("RecordCache", QueriedCache(self._cache))  # as much of one as reads need
        return view

    # What stores beside this one call

    def aside(self) -> Self:
        """A store of the same kind beside this one; see `state.aside`. Not with a cache, duplicates, bounds or headers."""
        spec = self.spec
        simple = not (self.cached or spec.retain_duplicates or spec.max_entries or spec.headers)
        assert simple, "it is more than its bytes"
        spec = replace(spec, cached=False, logged=True, changelog_headers=())
        beside = type(self)(spec, Beneath(self), Collected(), None)
        beside._is_view = True
        beside._live.load = reader(self._live, beside._load, timestamped=self._timestamped)
        return beside

    def take_in(self, beside: Self) -> None:
        """Write what was written to a store beside this one, which is of no use any more."""
        assert beside._changes is not None, "it collects changes"
        changes = beside._changes
        if not changes.keys:
            return
        uncommitted = self._restored(changes.keys, changes.values, changes.timestamps)
        self._uncommitted.update(uncommitted)
        self._live.update(beside._live)
        if self._changes is not None:
            self._changes.keys += changes.keys
            self._changes.values += changes.values
            self._changes.timestamps += changes.timestamps

    def lies_beside(self, store: Any) -> bool:
        """Whether this store lies beside that one."""
        return isinstance(self._engine, Beneath) and self._engine.below is store

    def close(self) -> None:
        """Close without a commit."""
        assert not self._is_view, "views are dropped, not closed"
        if not self._closed:
            self.discard()
            with self._guard:
                self._closed = True
                self._engine.close()

    def hand_over(self) -> Engine:
        """Close without a commit, but leave the engine open: another store of the same kind goes on with it."""
        assert not self._is_view, "views are dropped, not handed over"
        self._check_open()
        self.discard()
        self.end_restore()
        self._closed = True
        return self._engine

    # What children say

    def _restored(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]
    ) -> dict[bytes, bytes | None]:
        """Changelog records as changes of the engine."""
        return dict(zip(*self._restored_columns(keys, values, timestamps), strict=True))

    def _restored_columns(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]
    ) -> tuple[Sequence[bytes], Sequence[bytes | None]]:
        """The same as columns of keys and values, in which a key may come again."""
        raise NotImplementedError

    def _engine_key(self, entry: Any, key: bytes) -> bytes:
        """The engine's key of an entry key and its changelog key."""
        del entry
        return key

    def _flushed_keys(self, entries: list[Any]) -> list[Any]:
        """Entry keys as the flush listener sees them."""
        raise NotImplementedError

    def given_all(self, values: list[Any]) -> list[Any]:
        """Values for somebody who may change them."""
        return values if self.copies is None else self.copies.of_all(values)

    def _giving(self, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`read`, for those who may change the live value that it gives: in one step, since they ask record by record."""
        if self.copies is None:
            return read
        if self._timestamped:
            return self.copies.of_read(read)
        own = self.copies.of
        return lambda entry: own(read(entry))

    def _keeping(self, accept: Callable[..., None]) -> Callable[..., None]:
        """`accept`, for live values that whoever put them may change."""
        if self.copies is None:
            return accept
        given = self._given

        def copy_and_accept(entry: Any, live: Any, timestamp: int, cause: Cause | None = None) -> None:
            accept(entry, given(live), timestamp, cause)

        return copy_and_accept

    # The layers

    def _below(self, entry: Any) -> Any:
        """The live value under the record cache."""
        return self._live[entry]

    def _load(self, entry: Any) -> Any:
        data = self.bytes_of(self._engine_key(entry, self._layout.key_bytes(entry)))
        return None if data is None else self._layout.live(data)

    def _write(self, entry: Any, value: Any, timestamp: int, cause: Cause | None = None) -> None:
        """A write that has passed the record cache: live, logged, and to be committed. Its cause ends here."""
        self._keep(entry, value, timestamp, b"", cause)

    def _keep(self, entry: Any, value: Any, timestamp: int, prefix: bytes, cause: Cause | None) -> None:
        """Write under the engine key that is `prefix` and the changelog key."""
        key = self._key_bytes(entry)
        if value is None:
            data = stored = None
        elif self._timestamped:
            data = self._serialize(value[0])
            stored = pack_long(timestamp) + data
        else:
            data = stored = self._serialize(value)
        self._live[entry] = value
        self._uncommitted[prefix + key] = stored
        changes = self._changes
        if changes is not None:
            changes.keys.append(key)
            changes.values.append(data)
            changes.timestamps.append(timestamp)
            if cause is not None and self.logs_headers:
                self._log_headers(value, cause)

    def _log_headers(self, value: Any, cause: Cause | None) -> None:
        """The change that was logged last has the headers of its cause."""
        if cause is not None and cause[0] and self._changes is not None and (value is None or self.spec.logs_headers):
            self._changes.headers_at[len(self._changes.keys) - 1] = cause[0]

    def _log(self, entry: Any, value: Any, timestamp: int) -> None:
        """Log a write that is not kept."""
        if self._changes is not None:
            layout, changes = self._layout, self._changes
            key, data = layout.key_bytes(entry), None if value is None else layout.value_bytes(value)  # may raise
            changes.keys.append(key)
            changes.values.append(data)
            changes.timestamps.append(timestamp)

    def _release(self, updates: Updates) -> None:
        """Write what the record cache lets go, and forward it: as columns, or one by one, as Kafka does, where that is seen."""
        if self.flushes.listener is None:
            for update in updates.rows():
                self._write(*update)
            return
        if not self.read_behind:
            self._write_and_tell(updates)
            return
        for index in range(len(updates.entries)):
            self._write_and_tell(updates.part(index, index + 1))

    def _write_and_tell(self, updates: Updates) -> None:
        kept, old_values = self._write_updates(updates)
        if kept.entries:
            self.flushes.take(
                Flushed(
                    self._flushed_keys(kept.entries),
                    self.given_all(self._plain(kept.values)),
                    self._plain(old_values) if self._send_old_values else old_values,
                    kept.timestamps,
                    kept.causes if kept.causes and any(kept.causes) else None,
                )
            )

    def _write_updates(self, updates: Updates) -> tuple[Updates, list[Any]]:
        """Write one by one; gives the updates that count, and the live values there were before, None if not asked for.

        Kafka: without a new value, and with nothing below, there is neither a write nor a result.
        """
        keep, old_values = [], []
        send_old_values = self._send_old_values
        for entry, value, timestamp, cause in updates.rows():
            old = self._below(entry) if send_old_values or value is None else None
            counts = value is not None or old is not None
            keep.append(counts)
            if counts:
                self._write(entry, value, timestamp, cause)
                old_values.append(old if send_old_values else None)
        return updates if all(keep) else updates.only(keep), old_values

    def _plain(self, values: list[Any]) -> list[Any]:
        """Live values as the flush listener sees them."""
        return values


def _nothing(_entry: Any) -> None:
    """Of a store without a record cache."""
