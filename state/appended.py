"""The window store of a stream join: values by key and time, duplicates kept, so that every write is a new entry.

Rules: what is appended is known at once to `recent`, which answers the reads of a running join; keys and values become
bytes a column at a time. A read that reaches further back than `recent` knows (after a restart) goes to the engine.
Columns stay as they are until a commit, or a read of bytes, puts them in order; those that nobody can read any more by
then never reach the engine, which spares a store that is catching up most of its writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import add, sub
from typing import Any, NamedTuple

from state.cache import RecordCacheBudget
from state.engine import Engine
from state.keys import pack_window
from state.ordered import ENTRY_BYTES
from state.recent import RecentEntries
from state.serde import serializer
from state.stores import Cause, ChangelogWriter, Headers, StoreSpec
from state.window import SEQUENCE_MASK, SegmentedWindowStore

_SAMPLED = 64
"""One of so many values tells whether all are written as they were read."""


class EncodedColumns(NamedTuple):
    """Columns on their way into the store: what `recent` knows keys by, and both as bytes."""

    identities: Sequence[Any]
    keys: list[bytes]
    values: list[bytes]


class Appended(NamedTuple):
    """Columns that were logged, and are not in order yet. `latest` is the highest of `times`."""

    latest: int
    times: Sequence[int]
    keys: list[bytes]
    """Changelog keys."""
    values: list[bytes]


class AppendedWindowStore(SegmentedWindowStore):
    """See the module; without a record cache, as joins have none."""

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        super().__init__(spec, engine, changelog, cache)
        self._write_keys = serializer(spec.key_serde)
        self._recent: RecentEntries | None = None
        self._appended: deque[Appended] = deque()
        self._appended_count = 0

    @property
    def recent(self) -> RecentEntries:
        """What was appended since the store was opened, for one batch: a discarded store has another."""
        if self._recent is None:
            self._recent = RecentEntries(self.spec.retention_ms, self._segments.stream_time)
        return self._recent

    def put(self, key: Any, value: Any, start_ms: int, timestamp: int = -1, cause: Cause | None = None) -> None:
        """Keep one more value of a window; None adds nothing, and is logged."""
        if value is None:
            self._log_nothing(key, start_ms, timestamp, cause)
            return
        columns = self.encoded((key,), (value,))
        self.recent.add(columns.identities[0], start_ms, columns.values[0])
        self.append(columns, (start_ms,), (start_ms if timestamp < 0 else timestamp,), cause and (cause[0],))

    def encoded(self, keys: Sequence[Any], values: Sequence[Any], read: list[bytes] | None = None) -> EncodedColumns:
        """Columns without None as bytes. Raises: whatever the serdes raise for an entry that does not fit.

        `read` are the bytes that the serde of the values read them from: kept as they are where samples show that it would
        write the same. Others mean the same, and are written anew, since they may be longer.
        """
        raw_keys = self._write_keys(keys)
        if read is not None and self._write_values(values[::_SAMPLED]) == read[::_SAMPLED]:
            raw_values = read
        else:
            raw_values = self._write_values(values)
        return EncodedColumns(keys if self._by_value else raw_keys, raw_keys, raw_values)

    def append(
        self,
        columns: EncodedColumns,
        times: Sequence[int],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Log and keep values that `recent` was given already.

        `timestamps` and `headers` are those logged, `times` the windows'.
        """
        if not times:
            return
        self._check_open()
        latest, before = max(times), self._segments.stream_time
        if self._segments.observe(latest) and self._uncommitted:
            self._uncommitted.discard_range(None, self._segments.expired_before())
        if min(times) < self._segments.oldest_kept:
            self.expired_writes += self._expired(times, before)
        self.recent.counted(len(times))
        sequences = self._next_sequences(len(times))
        suffixed = list(map(add, columns.keys, map(pack_window, times, sequences)))
        self._appended.append(Appended(latest, times, suffixed, columns.values))
        self._appended_count += len(times)
        self._forget_unreadable()
        if self._timelines is not None:
            for entry in zip(columns.identities, times, sequences, strict=True):
                self._index(entry)
        if self._changes is not None:
            if headers and self.logs_headers:
                self._changes.headers_at.update(enumerate(headers, len(self._changes.keys)))
            self._changes.keys += suffixed
            self._changes.values += columns.values
            self._changes.timestamps += timestamps

    def _expired(self, times: Sequence[int], stream_time: int) -> int:
        """How many of these times came too late, each after those before it."""
        observed = list(accumulate(times, max, initial=stream_time))[1:]
        if max(map(sub, observed, times)) <= self._segments.retention_ms:  # as most columns are, however long
            return 0
        return sum(time < self._segments.kept_at(latest) for time, latest in zip(times, observed, strict=True))

    def _next_sequences(self, count: int) -> Sequence[int]:
        first = (self._sequence + 1) & SEQUENCE_MASK
        self._sequence = (self._sequence + count) & SEQUENCE_MASK
        if first <= self._sequence:
            return range(first, first + count)
        return [(first + at) & SEQUENCE_MASK for at in range(count)]

    def _forget_unreadable(self) -> None:
        appended, oldest = self._appended, self._segments.oldest_readable
        while appended and appended[0].latest < oldest:
            self._appended_count -= len(appended.popleft().times)

    def _settle(self) -> None:
        """Put what was appended in order, so that scans and the commit find it; what nobody can read is left out."""
        uncommitted, prefix, oldest = self._uncommitted, self._segments.prefix, self._segments.oldest_readable
        for latest, times, keys, values in self._appended:
            earliest = min(times)
            segment = prefix(earliest)
            if earliest >= oldest and prefix(latest) == segment:  # as most columns are
                uncommitted.update(zip(map(segment.__add__, keys), values, strict=True))
                continue
            for time, key, value in zip(times, keys, values, strict=True):
                if time >= oldest:
                    uncommitted[prefix(time) + key] = value
        self._forget_appended()

    def _forget_appended(self) -> None:
        self._appended.clear()
        self._appended_count = 0

    @property
    def uncommitted_bytes(self) -> int:
        """Roughly the memory that `commit` would free."""
        if not self._appended:
            return super().uncommitted_bytes
        latest = self._appended[-1]
        each = ENTRY_BYTES + len(latest.keys[-1]) + len(latest.values[-1])
        return super().uncommitted_bytes + self._appended_count * each

    def _load(self, entry: Any) -> Any:
        self._settle()
        return super()._load(entry)

    def _scan(self, start: bytes | None, end: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        self._settle()
        return super()._scan(start, end, reverse=reverse)

    def fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, Any]]:
        """(window start, value) of one key with from <= start <= to, ascending."""
        recent = self.recent
        if recent.knows(from_ms):
            self._check_open()
            found = recent.between(key if self._by_value else self._identity(key), from_ms, to_ms)
            read = self.spec.value_serde.deserialize
            return iter([(time, read(value)) for time, value in found])
        return super().fetch_range(key, from_ms, to_ms)

    def commit(self, position: int | None) -> None:
        """Write what changed and the position."""
        super().commit(position)
        if self._recent is not None:
            self._recent.bound(self._live.limit)

    def discard(self) -> None:
        """Forget what changed since the last commit."""
        self._forget_appended()
        super().discard()
        self._recent = None

    def restore(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], position: int
    ) -> None:
        """Apply changelog records straight to the engine."""
        super().restore(keys, values, timestamps, position)
        self._recent = None
