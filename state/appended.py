"""The window store of a stream join: values by key and time, duplicates kept, so that every write is a new entry.

Rules: what is appended is known at once to `recent`, which answers the reads of a running join; keys and values become
bytes a column at a time. A read that reaches further back than `recent` knows (after a restart) goes to the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from state.cache import RecordCacheBudget
from state.engine import Engine
from state.keys import pack_window
from state.recent import RecentEntries
from state.serde import serializer
from state.stores import ChangelogWriter, StoreSpec
from state.window import SEQUENCE_MASK, SegmentedWindowStore


class EncodedColumns(NamedTuple):
    """Columns on their way into the store: what `recent` knows keys by, and both as bytes."""

    identities: Sequence[Any]
    keys: list[bytes]
    values: list[bytes]


class AppendedWindowStore(SegmentedWindowStore):
    """See the module; without a record cache, as joins have none."""

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        super().__init__(spec, engine, changelog, cache)
        self._write_keys, self._write_values = serializer(spec.key_serde), serializer(spec.value_serde)
        self._recent: RecentEntries | None = None

    @property
    def recent(self) -> RecentEntries:
        """What was appended since the store was opened, for one batch: a discarded store has another."""
        if self._recent is None:
            self._recent = RecentEntries(self.spec.retention_ms, self._segments.stream_time)
        return self._recent

    def put(self, key: Any, value: Any, start_ms: int, timestamp: int = -1, headers: Any = None) -> None:
        """Keep one more value of a window; None adds nothing."""
        del headers
        if value is None:
            return
        columns = self.encoded((key,), (value,))
        self.recent.add(columns.identities[0], start_ms, value)
        self.append(columns, (start_ms,), (start_ms if timestamp < 0 else timestamp,))

    def encoded(self, keys: Sequence[Any], values: Sequence[Any]) -> EncodedColumns:
        """Columns without None as bytes. Raises: whatever the serdes raise for an entry that does not fit."""
        raw_keys = self._write_keys(keys)
        return EncodedColumns(keys if self._by_value else raw_keys, raw_keys, self._write_values(values))

    def append(self, columns: EncodedColumns, times: Sequence[int], timestamps: Sequence[int]) -> None:
        """Log and keep values that `recent` was given already. `timestamps` are those logged, `times` the windows'."""
        if not times:
            return
        self._check_open()
        segments, sequence, uncommitted = self._segments, self._sequence, self._uncommitted
        if segments.observe(max(times)) and uncommitted:
            uncommitted.discard_range(None, segments.expired_before())
        oldest_kept, prefix = segments.oldest_kept, segments.prefix
        suffixed: list[bytes] = []
        for key, value, time in zip(columns.keys, columns.values, times, strict=True):
            sequence = (sequence + 1) & SEQUENCE_MASK
            logged = key + pack_window(time, sequence)
            suffixed.append(logged)
            if time >= oldest_kept:
                uncommitted[prefix(time) + logged] = value
        self._index_appended(columns.identities, times)
        self._sequence = sequence
        if self._changes is not None:
            self._changes.keys += suffixed
            self._changes.values += columns.values
            self._changes.timestamps += timestamps

    def _index_appended(self, identities: Sequence[Any], times: Sequence[int]) -> None:
        """Keep timelines complete, as long as somebody asks for times from before the store was opened."""
        if self._timelines is None:
            return
        first = (self._sequence + 1) & SEQUENCE_MASK
        for at, (identity, time) in enumerate(zip(identities, times, strict=True)):
            self._index((identity, time, (first + at) & SEQUENCE_MASK))

    def fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, Any]]:
        """(window start, value) of one key with from <= start <= to, ascending."""
        recent = self.recent
        if recent.knows(from_ms):
            self._check_open()
            return iter(recent.between(key if self._by_value else self._identity(key), from_ms, to_ms))
        return super().fetch_range(key, from_ms, to_ms)

    def commit(self, position: int | None) -> None:
        """Write what changed and the position."""
        super().commit(position)
        if self._recent is not None:
            self._recent.bound(self._live.limit)

    def discard(self) -> None:
        """Forget what changed since the last commit."""
        super().discard()
        self._recent = None

    def restore(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], position: int
    ) -> None:
        """Apply changelog records straight to the engine."""
        super().restore(keys, values, timestamps, position)
        self._recent = None
