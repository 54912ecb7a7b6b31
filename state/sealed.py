"""What a commit that is under way will write, laid over the engine meanwhile.

A store is *sealed* when a commit begins: its changes up to then stay here, readable, until the commit says whether they
count, while what changes from now on belongs to the next commit. So processing need not wait for a commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from state.engine import Engine, KeyRange
from state.ordered import OrderedBytes, overlay

_ABSENT: Any = object()


class Sealed:
    """Changes, metadata and expired ranges on their way into an engine; reads like that engine after they were written.

    Ranges that are dropped can still be read: stores know their times, and do not ask for what has expired.
    """

    def __init__(
        self, engine: Engine, changes: OrderedBytes, metadata: dict[bytes, bytes], dropped: Sequence[KeyRange]
    ) -> None:
        self.changes = changes
        self.metadata_changes = metadata
        self._engine = engine
        self._dropped = dropped

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        data: bytes | None = self.changes.get(key, _ABSENT)
        return self._engine.get(key) if data is _ABSENT else data

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The values of many keys, in their order."""
        found = self._engine.get_many(keys)
        if self.changes.keys().isdisjoint(keys):
            return found
        changed = self.changes.get
        return [changed(key, data) for key, data in zip(keys, found, strict=True)]

    def scan(self, start: bytes | None, end: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < end, as they are now."""
        newer = self.changes.entries(start, end, reverse=reverse)
        return overlay(newer, self._engine.scan(start, end, reverse=reverse), reverse=reverse)

    def metadata(self, key: bytes) -> bytes | None:
        """A value of the metadata."""
        return self.metadata_changes.get(key) or self._engine.metadata(key)

    def approximate_count(self) -> int:
        """Roughly how many entries there are."""
        return self._engine.approximate_count() + len(self.changes)

    def write(self) -> None:
        """Have the engine take all of it, in one write batch."""
        if self.changes or self.metadata_changes or self._dropped:
            self._engine.write(self.changes, metadata=self.metadata_changes, dropped=self._dropped)
