"""Window stores: values by key and window start, plain or with timestamps; with duplicates for stream-stream joins.

Rules: retention is counted from the highest window start written (`segments`); reads by key go through the key's
timeline, reads over keys run by segment and then by key bytes, as Kafka's RocksDB stores do. Duplicates are told
apart by a sequence number, which is not used again, also where a store is made of its changelog.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from state.cache import RecordCacheBudget
from state.engine import Engine
from state.keys import LONG_MAX, WINDOW_SUFFIX, pack_window, split_window_key, time_of_window
from state.layouts import plain
from state.merged_reads import beside, read_cached
from state.position import SEQUENCE, packed_number, read_number
from state.stores import Cause, ChangelogWriter, StoreSpec, ValueAndTimestamp
from state.timed import TimedStore

_new_tuple = tuple.__new__
SEQUENCE_MASK = 0x7FFFFFFF


class SegmentedWindowStore(TimedStore):
    """Values by key and window start; the timestamped kind takes plain values and gives ValueAndTimestamp."""

    _time_of = staticmethod(time_of_window)
    _suffix = WINDOW_SUFFIX

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        super().__init__(spec, engine, changelog, cache)
        self._duplicates = spec.retain_duplicates
        self._sequence = read_number(engine, SEQUENCE) or 0

    def put(self, key: Any, value: Any, start_ms: int, timestamp: int = -1, cause: Cause | None = None) -> None:
        """Set the value of a window; None deletes (nothing, where duplicates are kept, but it is logged, as Kafka does).

        `timestamp` is the value's time in ms, by default the window's start; a plain store logs it, by default that of the
        record in process.
        """
        if value is None and self._duplicates:
            self._log_nothing(key, start_ms, timestamp, cause)
            return
        if self._plain_class is not None and value.__class__ is not self._plain_class and value is not None:
            value = self._proof.settled(value)
        identity = key if self._by_value else self._identity(key)
        time = timestamp if timestamp >= 0 else start_ms if self._timestamped else self.record_timestamp
        live = _new_tuple(ValueAndTimestamp, (value, time)) if self._timestamped and value is not None else value
        entry: tuple[Any, ...] = identity, start_ms
        if self._duplicates:
            self._sequence = (self._sequence + 1) & SEQUENCE_MASK
            entry = identity, start_ms, self._sequence
        self._accept(entry, live, time, cause)
        if self._timelines is not None:
            self._index(entry)

    def _log_nothing(self, key: Any, start_ms: int, timestamp: int, cause: Cause | None) -> None:
        """Log a deletion that deletes nothing: it takes a number of its own."""
        self._sequence = (self._sequence + 1) & SEQUENCE_MASK
        self._log((self._identity(key), start_ms, self._sequence), None, start_ms if timestamp < 0 else timestamp)
        if self.logs_headers:
            self._log_headers(None, cause)

    def put_known(
        self,
        touched: Sequence[Any],
        entries: Collection[Any],
        updates: Iterable[tuple[Any, int]],
        causes: Sequence[Cause] | None = None,
        count: int = 0,
    ) -> None:
        """As for all stores; an entry is (key, window start)."""
        super().put_known(touched, entries, updates, causes, count)
        if self._timelines is not None:
            for entry in entries:
                self._index(entry)

    def restore(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], position: int
    ) -> None:
        """Apply changelog records straight to the engine; numbers go on after those of duplicates."""
        super().restore(keys, values, timestamps, position)
        if keys and self._duplicates:
            _, _, self._sequence = split_window_key(keys[-1])

    def fetch(self, key: Any, start_ms: int) -> Any:
        """The value of one window, or None (with duplicates: the first)."""
        if self._duplicates:
            return next((value for _, value in self.fetch_range(key, start_ms, start_ms)), None)
        return self._value((key if self._by_value else self._identity(key), start_ms))

    def fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, Any]]:
        """(window start, value) of one key with from <= start <= to, ascending."""
        return ((entry[1], value) for entry, value in self._between(self._identity(key), from_ms, to_ms))

    def backward_fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, Any]]:
        """As `fetch_range`, descending."""
        found = self._between(self._identity(key), from_ms, to_ms, backward=True)
        return ((entry[1], value) for entry, value in found)

    def fetch_keys(self, first: Any, last: Any, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]:
        """((key, window start), value) of keys between two (by bytes, included; None is open) in a time range."""
        return self._fetch_keys(first, last, from_ms, to_ms, backward=False)

    def backward_fetch_keys(
        self, first: Any, last: Any, from_ms: int, to_ms: int
    ) -> Iterator[tuple[tuple[Any, int], Any]]:
        """As `fetch_keys`, the other way round."""
        return self._fetch_keys(first, last, from_ms, to_ms, backward=True)

    def _fetch_keys(
        self, first: Any, last: Any, from_ms: int, to_ms: int, *, backward: bool
    ) -> Iterator[tuple[tuple[Any, int], Any]]:
        serialize, raw = self.spec.key_serde.serialize, self._layout.raw_key
        low = b"" if first is None else serialize(first)
        high = None if last is None else serialize(last)
        found = (
            (entry, value)
            for entry, value in self._scan_times(from_ms, to_ms, backward=backward)
            if low <= raw(entry[0]) and (high is None or raw(entry[0]) <= high)
        )
        begin_ms = from_ms - max(from_ms, 0) % self._segments.interval_ms if backward else from_ms
        return self._windowed_using(
            found, self._looked_at(low, high, begin_ms, to_ms), lambda entry: from_ms <= entry[1] <= to_ms, backward
        )

    def _looked_at(self, low: bytes, high: bytes | None, from_ms: int, to_ms: int) -> Callable[[Any], bool]:
        """Which cached entries a scan of keys looks at: of one key its time range, of several whole segments.

        Backward it is all of the first segment for one key, too. Of several, the bounds are bytes of key and time: what the last key has after the range is left out, and nothing else.
        Source: the iterator of Kafka's CachingWindowStore.
        """
        raw, key_bytes = self._layout.raw_key, self._layout.key_bytes
        if low == high:
            return lambda entry: raw(entry[0]) == low and from_ms <= entry[1] <= to_ms
        interval = self._segments.interval_ms
        segments = range(max(from_ms, 0) // interval, to_ms // interval + 1)
        end = None if high is None else high + pack_window(min(to_ms, LONG_MAX), SEQUENCE_MASK)
        return lambda entry: (
            entry[1] // interval in segments and low <= raw(entry[0]) and (end is None or key_bytes(entry) <= end)
        )

    def fetch_all(self, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]:
        """((key, window start), value) with from <= start <= to, by segment and then by key bytes."""
        return self._fetch_all(from_ms, to_ms, backward=False)

    def backward_fetch_all(self, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]:
        """As `fetch_all`, the other way round."""
        return self._fetch_all(from_ms, to_ms, backward=True)

    def _fetch_all(self, from_ms: int, to_ms: int, *, backward: bool) -> Iterator[tuple[tuple[Any, int], Any]]:
        found = self._scan_times(from_ms, to_ms, backward=backward)
        return self._windowed_using(
            found, lambda _entry: True, lambda entry: from_ms <= entry[1] <= to_ms, backward=backward
        )

    def fetch_by_start(self, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]:
        """As `fetch_all`, but by window start and then by key bytes: the order of windows that close.

        In the record cache Kafka's TimeOrderedCachingWindowStore reads on to the first start behind the range, in its
        segment.
        """
        raw, interval = self._layout.raw_key, self._segments.interval_ms
        end_ms = to_ms - to_ms % interval + interval

        def place(entry: Any) -> tuple[int, bytes]:
            return entry[1], raw(entry[0])

        found = iter(sorted(self._scan_times(from_ms, to_ms), key=lambda item: place(item[0])))
        looked_at = sorted((entry for entry in self._cached_entries if from_ms <= entry[1] < end_ms), key=place)
        until = sum(entry[1] <= to_ms for entry in looked_at) + 1
        return self._windowed(self._using(found, looked_at[:until], place, lambda _entry: True, backward=False))

    @property
    def _cached_entries(self) -> Collection[Any]:
        """Those that a scan may use."""
        return () if self._cache is None or not self._cache.counts_uses else self._cache.entries

    def _place(self, entry: Any) -> tuple[bytes, bytes]:
        """Where the engine has an entry, segment by segment."""
        return self._segment_of(entry), self._engine_key(entry, self._layout.key_bytes(entry))

    def _using(
        self,
        found: Iterator[tuple[Any, Any]],
        looked_at: list[Any],
        place: Callable[[Any], Any],
        finds: Callable[[Any], bool],
        *,
        backward: bool,
    ) -> Iterator[tuple[Any, Any]]:
        """What a scan of many keys has `found`; what it looks at in the record cache, which may be more, counts as used.

        Source: the iterators of Kafka's CachingWindowStore and TimeOrderedCachingWindowStore.
        """
        if self._cache is None or not looked_at:
            return found
        return beside(found, read_cached(self._cache, [looked_at], finds), place, backward=backward)

    def _windowed_using(
        self,
        found: Iterator[tuple[Any, Any]],
        looks_at: Callable[[Any], bool],
        finds: Callable[[Any], bool],
        backward: bool,
    ) -> Iterator[tuple[tuple[Any, int], Any]]:
        """The same of a scan in the engine's order, with users' keys."""
        looked_at = sorted(filter(looks_at, self._cached_entries), key=self._place, reverse=backward)
        return self._windowed(self._using(found, looked_at, self._place, finds, backward=backward))

    def all(self) -> Iterator[tuple[tuple[Any, int], Any]]:
        """Everything that can be read, by segment and then by key bytes."""
        return self.fetch_all(0, LONG_MAX)

    def backward_all(self) -> Iterator[tuple[tuple[Any, int], Any]]:
        """As `all`, the other way round."""
        return self.backward_fetch_all(0, LONG_MAX)

    def _windowed(self, entries: Iterator[tuple[Any, Any]]) -> Iterator[tuple[tuple[Any, int], Any]]:
        key = self._layout.key
        return (((key(entry[0]), entry[1]), value) for entry, value in entries)

    def _flushed_keys(self, entries: list[Any]) -> list[Any]:
        key = self._layout.key
        return [(key(entry[0]), entry[1]) for entry in entries]

    def _plain(self, values: list[Any]) -> list[Any]:
        return plain(values) if self._timestamped else values

    def _metadata(self) -> dict[bytes, bytes]:
        metadata = super()._metadata()
        if self._duplicates:
            metadata[SEQUENCE] = packed_number(self._sequence)
        return metadata
