"""Versioned key-value stores: the value of a key at a time, as far back as the history reaches (`retention_ms`).

Rules (Kafka's): a put older than the store's time - history is refused (`NOT_PUT`); a question about a time before that
is answered only if the latest value was valid then already; the latest value never expires. Never cached. Every put is
logged with its own time. The versions of a key are one entry of the engine, serialized at commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from state.cache import RecordCacheBudget
from state.engine import Engine
from state.layers import LayeredStore
from state.position import STREAM_TIME, packed_number, read_number
from state.stores import Cause, ChangelogWriter, StoreSpec, ValueAndTimestamp, Version
from state.versions import LATEST, Versions, from_bytes, to_bytes

__all__ = ["LATEST", "NOT_PUT", "VersionedStore"]

NOT_PUT = -(1 << 63)
"""What `put` answers when the update is older than the history."""
_NO_TIME = -1


class VersionedStore(LayeredStore):
    """Values by key and time."""

    _reads_to_restore = True

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        del cache  # Kafka never caches versioned stores
        super().__init__(spec, engine, changelog, None)
        stored_time = read_number(engine, STREAM_TIME)
        self._stream_time = _NO_TIME if stored_time is None else stored_time
        self._committed_time = self._sealed_time = self._stream_time
        self._changed: dict[Any, Versions] = {}

    def put(self, key: Any, value: Any, timestamp: int, cause: Cause | None = None) -> int:
        """Set the value valid from `timestamp` on; None says that there is none from then on.

        Shape: the time of the next version, LATEST when there is none, NOT_PUT when the update is too old.
        """
        del cause
        entry = self._layout.identity(key)
        if (copies := self.copies) is not None:
            value = copies.of(value)
        elif self._plain_class is not None and value.__class__ is not self._plain_class and value is not None:
            value = self._proof.settled(value)
        layout, changes = self._layout, self._changes
        if changes is not None:
            raw_key, data = layout.raw_key(entry), None if value is None else layout.value_bytes(value)  # may raise
            changes.keys.append(raw_key)
            changes.values.append(data)
            changes.timestamps.append(timestamp)
        next_time = self._put(entry, value, timestamp)
        self.expired_writes += next_time == NOT_PUT
        return next_time

    def _put(self, entry: Any, value: Any, timestamp: int) -> int:
        if timestamp < self._stream_time - self.spec.retention_ms:
            return NOT_PUT
        self._stream_time = max(self._stream_time, timestamp)
        versions = self._changed[entry] = self._live[entry] = self._live[entry] or Versions()
        versions.forget(self._stream_time - self.spec.retention_ms)
        return versions.put(value, timestamp)

    def delete(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """Say that there is no value from `timestamp` on; returns what was valid then, None if that is too long ago to say."""
        present = self.get(key, timestamp)
        return None if self.put(key, None, timestamp) == NOT_PUT else present

    def get(self, key: Any, as_of: int | None = None) -> ValueAndTimestamp | None:
        """The latest value, or the one valid at `as_of`, with the time it is valid from; None if there is none."""
        found = self._at(key, as_of)
        return found if found is None or self.copies is None else ValueAndTimestamp(self.copies.of(found[0]), found[1])

    def _at(self, key: Any, as_of: int | None) -> ValueAndTimestamp | None:
        versions: Versions | None = self._live[self._layout.identity(key)]
        if versions is None:
            return None
        if as_of is None or (versions.latest is not None and versions.latest_from <= as_of):
            return None if versions.latest is None else ValueAndTimestamp(versions.latest, versions.latest_from)
        if as_of < self._stream_time - self.spec.retention_ms:
            return None
        found = versions.at(as_of)
        return None if found is None else ValueAndTimestamp(*found)

    def versions(self, key: Any, from_ms: int, to_ms: int) -> list[Version]:
        """The values valid at some time in [from, to], ascending. Before the history there is the latest value alone."""
        versions: Versions | None = self._live[self._layout.identity(key)]
        if versions is None:
            return []
        oldest = self._stream_time - self.spec.retention_ms
        found = (Version(*version) for version in versions.between(max(from_ms, oldest), to_ms))
        readable = [version for version in found if to_ms >= oldest or version.valid_to_ms is None]
        if (copies := self.copies) is None:
            return readable
        return [version._replace(value=copies.of(version.value)) for version in readable]

    def all(self) -> Iterator[tuple[Any, ValueAndTimestamp]]:
        """(key, latest value) of all keys that have one, by key bytes."""
        self._settle()
        return self._latest(self._scan(None, None))

    def _latest(self, stored: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[Any, ValueAndTimestamp]]:
        key_of, value_of = self.spec.key_serde.deserialize, self._layout.live
        for key, data in stored:
            versions = from_bytes(data, value_of)
            if versions.latest is not None:
                yield key_of(key), ValueAndTimestamp(versions.latest, versions.latest_from)

    def approximate_num_entries(self) -> int:
        """Roughly how many keys there are, those with nothing but a past included."""
        self._settle()
        return self.rough_count()

    def _load(self, entry: Any) -> Versions | None:
        changed = self._changed.get(entry)
        if changed is not None:
            return changed
        self._check_open()
        data = self.bytes_of(self._layout.raw_key(entry))
        return None if data is None else from_bytes(data, self._layout.live)

    def _settle(self) -> None:
        """Serialize what changed, so that scans and the commit find it."""
        oldest, serialize = self._stream_time - self.spec.retention_ms, self.spec.value_serde.serialize
        for entry, versions in self._changed.items():
            versions.forget(oldest)
            key = self._layout.raw_key(entry)
            self._uncommitted[key] = None if versions.is_empty() else to_bytes(versions, serialize)
        self._changed.clear()

    @property
    def uncommitted_bytes(self) -> int:
        """Roughly the memory that `commit` would free."""
        return super().uncommitted_bytes + 1_000 * len(self._changed)

    def seal(self) -> None:
        """As for all stores; the time of now is part of it."""
        super().seal()
        self._sealed_time = self._stream_time

    def commit(self, position: int | None) -> None:
        """Write what changed since the last commit, and the position, to the engine in one write batch."""
        super().commit(position)
        self._committed_time = self._sealed_time

    def discard(self) -> None:
        """Forget what changed since the last commit, the store's time included."""
        self._changed.clear()
        super().discard()
        self._stream_time = self._committed_time

    def _restored(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]
    ) -> dict[bytes, bytes | None]:
        """Apply the puts again, in their order."""
        parse = self._layout.entry
        read = self._layout.live
        for key, value, timestamp in zip(keys, values, timestamps, strict=True):
            self._put(parse(key), None if value is None else read(value), timestamp)
        self._settle()
        changes = dict(self._uncommitted)
        self._uncommitted.clear()
        self._committed_time = _NO_TIME
        return changes

    def _metadata(self) -> dict[bytes, bytes]:
        if self._stream_time == self._committed_time:
            return {}
        return {STREAM_TIME: packed_number(self._stream_time)}
