"""The open segment files of a data directory: a bounded number of descriptors for any number of partitions.

A segment opens its file when it first needs it and keeps it until the pool, being full, takes back the one that has been
idle longest. A file that is being synced by the flusher is pinned.

Rules: used on the event loop only.
"""

import os
from typing import Protocol

DEFAULT_CAPACITY = 512


class Holder(Protocol):
    """What holds a descriptor: `busy` says it may not be taken now, `used` that it served since the pool last asked."""

    busy: bool
    used: bool

    def release_file(self) -> None:
        """Close the descriptor."""


class OpenFiles:
    """Counts descriptors and takes back idle ones, oldest first, a recently used one getting a second round."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self.capacity = capacity
        self._holders: dict[Holder, None] = {}

    def __len__(self) -> int:
        """Descriptors open now."""
        return len(self._holders)

    def open(self, holder: Holder, path: str) -> int:
        """A descriptor for reading and writing; the file is made if need be."""
        if len(self._holders) >= self.capacity:
            self._make_room()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._holders[holder] = None
        return descriptor

    def forget(self, holder: Holder) -> None:
        """The holder closed its file by itself."""
        self._holders.pop(holder, None)

    def _make_room(self) -> None:
        for _ in range(2 * len(self._holders)):
            holder = next(iter(self._holders))
            del self._holders[holder]
            if not holder.busy and not holder.used:
                holder.release_file()
                return
            holder.used = False
            self._holders[holder] = None
