"""The engine in memory: what stores with `persistent=False` use, and the oracle for the RocksDB engine in tests.

Rules: it keeps nothing after `close`; otherwise it answers exactly as `rocksdb` does. As there, one thread writes and
any may read: a lock is held for a write or a scan as a whole, never per key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock

from state.engine import KeyRange
from state.errors import StoreClosed
from state.ordered import OrderedBytes, overlay


class MemoryEngine:
    """Ordered bytes in a dictionary."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self._entries: OrderedBytes | None = OrderedBytes()
        self._metadata: dict[bytes, bytes] = {}
        self._lock = Lock()

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        return self._open().get(key)

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The values of many keys, in their order."""
        return list(map(self._open().get, keys))

    def scan(self, start: bytes | None, end: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < end; as they are now."""
        with self._lock:
            found = self._open().entries(start, end, reverse=reverse)
        return overlay(found, iter(()), reverse=reverse)

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        *,
        metadata: Mapping[bytes, bytes] | None = None,
        dropped: Sequence[KeyRange] = (),
    ) -> None:
        """Drop ranges, apply changes, set metadata."""
        with self._lock:
            entries = self._open()
            for start, end in dropped:
                entries.discard_range(start, end)
            for key, value in changes.items():
                if value is None:
                    entries.discard(key)
                else:
                    entries[key] = value
            self._metadata.update(metadata or {})

    def metadata(self, key: bytes) -> bytes | None:
        """A value set by `write(metadata=...)`, or None."""
        self._open()
        return self._metadata.get(key)

    def approximate_count(self) -> int:
        """How many entries there are."""
        return len(self._open())

    def flush(self) -> None:
        """There is no disk."""
        self._open()

    def close(self) -> None:
        """Forget everything."""
        self._entries = None

    def _open(self) -> OrderedBytes:
        if self._entries is None:
            raise StoreClosed(f"store {self._name} is closed: it was used after its task let go of it")
        return self._entries
