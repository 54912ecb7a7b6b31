"""What window and session stores share: segments, expiry, timelines, and scans through time.

An entry key is (identity, time, ...), where time is the window start or the session end; the engine's key is the
segment's prefix and then Kafka's key. What the record cache holds is exempt from retention, as in Kafka.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import compress, groupby
from operator import itemgetter
from typing import Any, Self

from state.cache import OVERHEAD, RecordCache, RecordCacheBudget
from state.engine import Engine, KeyRange
from state.keys import pack_long
from state.layers import LayeredStore
from state.merged_reads import merged, read_below, read_cached
from state.ordered import overlay
from state.position import STREAM_TIME, packed_number, read_number
from state.segments import NO_TIME, Segments
from state.stores import Cause, ChangelogWriter, StoreSpec
from state.timelines import Timelines

_PREFIX = 8


class TimedStore(LayeredStore):
    """A store indexed by key and time. `_time_of` reads the time in a changelog key, `_suffix` is what follows the key."""

    _time_of: Callable[[bytes], int]
    _suffix: int

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        super().__init__(spec, engine, changelog, cache)
        stored_time = read_number(engine, STREAM_TIME)
        now = NO_TIME if stored_time is None else stored_time
        self._segments = Segments(spec.retention_ms, now, time_ordered=spec.time_ordered)
        self._committed_time = self._sealed_time = self._segments.stream_time
        self._timelines: Timelines | None = None
        self._newest = NO_TIME
        self._value = self._giving(self._below if self._cache is None else self._cache.get)
        self._identity = self._layout.identity
        self._key_overhead = _PREFIX + self._suffix + spec.time_ordered  # time-ordered keys have a byte before them

    def _raw_key(self, entry: Any) -> bytes:
        return self._layout.raw_key(entry[0])

    def _raw_parts(self, entries: list[Any]) -> list[Any]:
        return list(map(_first, entries))

    # Writing

    @property
    def room(self) -> int:
        """How many bytes entries that are new in the record cache may take until the store holds no updates any more."""
        return 0 if self._budget is None else self._budget.roomy_bytes - self._budget.used

    def size_of_new(self, entry: Any, value: Any) -> int:
        """How many bytes of that an entry takes, whose updates have causes as those in process have. Raises: what the serdes do."""
        assert self._budget is not None, "asked of a store without a record cache"
        live = (value, 0) if self._timestamped else value
        return self._size(entry, live) + self._budget.cause_bytes + OVERHEAD

    def _write(self, entry: Any, value: Any, timestamp: int, cause: Cause | None = None) -> None:
        segments = self._segments
        if entry[1] > segments.stream_time:
            if segments.observe(entry[1]) and self._uncommitted:
                self._uncommitted.discard_range(None, segments.expired_before())
        elif entry[1] < segments.oldest_kept:
            self.expired_writes += 1
            self._log(entry, value, timestamp)
            return
        self._keep(entry, value, timestamp, segments.prefix(entry[1]), cause)

    def _index(self, entry: Any) -> None:
        """Keep timelines complete. A store without record cache need not index keys nobody has asked for."""
        timelines = self._timelines
        self._newest = max(self._newest, entry[1])
        assert timelines is not None, "nobody has asked for a timeline yet"
        if self._cache is not None or timelines.knows(entry[0]):
            timelines.add(entry, self._segments.oldest_readable if self._cache is None else 0)

    def _engine_key(self, entry: Any, key: bytes) -> bytes:
        return self._segments.prefix(entry[1]) + key

    # Reading

    def _below(self, entry: Any) -> Any:
        segments = self._segments
        if segments.oldest_readable <= entry[1] <= segments.stream_time:
            return self._live[entry]
        return None  # gone, or not written yet: new windows are not looked for

    def _between(
        self, identity: Any, first_time: int, last_time: int, *, backward: bool = False
    ) -> Iterable[tuple[Any, Any]]:
        """(entry key, live value) of one key with first <= time <= last, in the order they are used in.

        That is a snapshot, unless a write could evict something from a record cache meanwhile: see `_between_cached`.
        """
        self._check_open()
        timelines, cache = self._active_timelines(), self._cache
        if cache is None:
            first_time = max(first_time, self._segments.oldest_readable)
        elif not cache.roomy:
            return self._between_cached(cache, identity, first_time, last_time, backward=backward)
        entries = timelines.between(identity, first_time, last_time)
        found = []
        for entry in reversed(entries) if backward else entries:
            value = self._value(entry)
            if value is None:
                timelines.remove(entry)
            else:
                found.append((entry, value))
        return found

    def _between_cached(
        self, cache: RecordCache, identity: Any, first_time: int, last_time: int, *, backward: bool
    ) -> Iterator[tuple[Any, Any]]:
        """As Kafka reads through a cache: what lies below as of when its segment is reached, what is cached as of when
        its turn comes, one ahead. A write in between may evict an entry: then it reads as it was below before.
        Backward, what is cached is looked through from the begin of the first time's segment on, which counts as a use;
        and so is the segment of the newest put, even when it is before the first time.
        """
        interval = self._segments.interval_ms
        begin = max(min(first_time, self._newest), 0) // interval * interval if backward else first_time
        entries = self._active_timelines().between(identity, begin, last_time)
        segments = [list(found) for _, found in groupby(reversed(entries) if backward else entries, self._segment_of)]
        below = partial(self._below_since, first_time, self._segments.oldest_readable)
        found = merged(
            read_cached(cache, segments, lambda entry: entry[1] >= first_time),
            read_below(below, segments),
            backward=backward,
        )
        return found if self.copies is None else ((entry, self._given(value)) for entry, value in found)

    def queried(self) -> Self:
        """As for all stores; timelines are shared."""
        view = super().queried()
        if view._cache is not None:
            view._value = view._giving(view._cache.get)
            view._active_timelines = self._active_timelines  # type: ignore[method-assign]
        return view

    def _segment_of(self, entry: Any) -> bytes:
        return self._segments.prefix(entry[1])

    def _below_since(self, first_time: int, readable: int, entry: Any) -> Any:
        value = self._live[entry] if entry[1] >= first_time and entry[1] >= readable else None
        if value is None and (entry[1] >= first_time or entry[1] < readable) and not self._is_cached(entry):
            self._active_timelines().remove(entry)
        return value

    def _active_timelines(self) -> Timelines:
        if self._timelines is None:
            self._timelines = Timelines(self._entries_of)
            self._newest = NO_TIME
            for entry in self._cache.entries if self._cache is not None else ():
                self._index(entry)
        return self._timelines

    def _entries_of(self, identity: Any) -> list[Any]:
        """All entry keys of one key that engine and uncommitted bytes hold, sorted."""
        key = self._layout.raw_key(identity)
        segments, parse, length = self._segments, self._layout.entry, _PREFIX + len(key) + self._suffix
        entries = []
        for prefix, low, high in segments.live(segments.oldest_readable, segments.stream_time):
            start = prefix + key
            for stored, _ in self._scan(start + pack_long(low), start + pack_long(high)):
                if len(stored) == length:  # longer keys may lie between
                    entries.append(parse(stored[_PREFIX:]))
        entries.sort(key=_times)
        return entries

    def _scan_times(
        self, first_time: int, last_time: int, oldest_readable: int | None = None, *, backward: bool = False
    ) -> Iterator[tuple[Any, Any]]:
        """(entry key, live value) of all keys with first <= time <= last, by segment and then by key bytes, or `backward`."""
        segments = self._segments
        readable = max(first_time, segments.oldest_readable if oldest_readable is None else oldest_readable)
        live = segments.live(readable, last_time)
        stored: Iterator[tuple[bytes, bytes]] = iter(())
        if live:
            stored = self._scan(live[0][0], segments.prefix(live[-1][2]), reverse=backward)
        cached = self._cached(first_time, last_time)
        if backward:
            cached.reverse()
        both = overlay(cached, stored, reverse=backward)
        return self._parsed(both, {key for key, _ in cached}, (first_time, readable, last_time))

    def _parsed(
        self, stored: Iterator[tuple[bytes, bytes]], exempt: set[bytes], times: tuple[int, int, int]
    ) -> Iterator[tuple[Any, Any]]:
        first_time, readable, last_time = times
        parse, live = self._layout.entry, self._layout.live
        for key, data in stored:
            entry = parse(key[_PREFIX:])
            if (readable <= entry[1] or (key in exempt and first_time <= entry[1])) and entry[1] <= last_time:
                yield entry, live(data)

    def _cached(self, first_time: int, last_time: int) -> list[tuple[bytes, bytes | None]]:
        """What the record cache holds of a time range, as bytes and in the engine's order."""
        if self._cache is None:
            return []
        layout, dirty = self._layout, self._cache.dirty
        found = []
        for entry, value in self._cache.entries.items():
            if first_time <= entry[1] <= last_time:
                key = self._engine_key(entry, layout.key_bytes(entry))
                time = value[1] if self._timestamped and value is not None else dirty.get(entry, 0)
                found.append((key, None if value is None else layout.stored(layout.value_bytes(value), time)))
        found.sort(key=_first)
        return found

    # Committing

    def seal(self) -> None:
        """As for all stores; the time of now is part of it."""
        super().seal()
        self._sealed_time = self._segments.stream_time

    def commit(self, position: int | None) -> None:
        """Write what changed and the position; drop segments that have expired."""
        super().commit(position)
        kept_at = self._segments.kept_at
        expired = kept_at(self._sealed_time) != kept_at(self._committed_time)
        self._committed_time = self._sealed_time
        if expired:
            oldest = self._segments.oldest_readable
            for entry in [entry for entry in self._live if entry[1] < oldest]:
                del self._live[entry]
        if self._timelines is not None:
            self._timelines.bound(self._is_cached)

    def _is_cached(self, entry: Any) -> bool:
        return self._cache is not None and entry in self._cache.entries

    def discard(self) -> None:
        """Forget what changed since the last commit, stream time included."""
        super().discard()
        self._segments.reset(self._committed_time)
        self._timelines = None

    def take_in(self, beside: Self) -> None:
        """As for all stores; the time moves up to the latest entry, and what expires by that goes."""
        before = self._segments.oldest_kept
        super().take_in(beside)
        if self._segments.oldest_kept != before:
            self._uncommitted.discard_range(None, self._segments.expired_before())
        self._timelines = None

    def _has_expired(self) -> bool:
        """Whether segments have expired since the last commit."""
        return self._segments.oldest_kept != self._segments.kept_at(self._committed_time)

    def _metadata(self) -> dict[bytes, bytes]:
        time = self._segments.stream_time
        return {} if time == self._committed_time else {STREAM_TIME: packed_number(time)}

    def _dropped(self) -> list[KeyRange]:
        return [] if not self._has_expired() else [(pack_long(0), self._segments.expired_before())]

    def restore(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], position: int
    ) -> None:
        """Apply changelog records straight to the engine, complete up to `position`; expired ones are left out."""
        super().restore(keys, values, timestamps, position)
        self._committed_time = self._segments.stream_time
        self._timelines = None

    def _restored_columns(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]
    ) -> tuple[Sequence[bytes], Sequence[bytes | None]]:
        times = list(map(type(self)._time_of, keys))
        if times:
            self._segments.observe(max(times))
        prefix, stored = self._segments.prefix, values
        if self._timestamped:
            stored = [
                None if value is None else pack_long(timestamp) + value
                for value, timestamp in zip(values, timestamps, strict=True)
            ]
        oldest = self._segments.oldest_kept
        kept = [time >= oldest for time in times]
        keys = [prefix(time) + key for key, time in zip(keys, times, strict=True) if time >= oldest]
        return keys, list(compress(stored, kept))


def _times(entry: Any) -> Any:
    return entry[1:]


_first = itemgetter(0)
