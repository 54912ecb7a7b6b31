"""What lies below every store: bytes, ordered by unsigned comparison of their keys, written in atomic batches.

`rocksdb` implements it on disk and `memory` in a dictionary; both answer alike, which a property test states.

Rules: a write is atomic as a whole, metadata included; a scan shows what was there when it was created, whatever is
written meanwhile. Metadata (the store's position) live in a key space of their own, so that user keys may be any
bytes. An engine knows neither serdes nor Kafka's layouts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import repeat
from operator import is_
from typing import Any, Protocol

KeyRange = tuple[bytes | None, bytes | None]
"""Keys from the first (included) to the second (excluded); None is open."""


class Engine(Protocol):
    """Where a store keeps its bytes, in order.

    Every method raises StoreClosed after `close`, and CorruptStore when the data cannot be read.
    """

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        ...

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The values of many keys, in their order."""
        ...

    def scan(self, start: bytes | None, end: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < end, ascending, or descending when `reverse`; as they are now."""
        ...

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        *,
        metadata: Mapping[bytes, bytes] | None = None,
        dropped: Sequence[KeyRange] = (),
    ) -> None:
        """In one atomic step drop ranges of keys, then apply changes (None deletes), then set metadata."""
        ...

    def metadata(self, key: bytes) -> bytes | None:
        """A value set by `write(metadata=...)`, or None."""
        ...

    def approximate_count(self) -> int:
        """Roughly how many entries there are."""
        ...

    def flush(self) -> None:
        """Write what is still in memory to disk, if there is one."""
        ...

    def close(self) -> None:
        """Release files and memory; calling it twice is allowed."""
        ...


def any_none(column: Collection[Any]) -> bool:
    """Whether None is among them; never asks objects whether they are equal to it.

    Whether all are true, as they mostly are, takes a third of the time to see.
    """
    try:
        if all(column):
            return False
    except Exception:  # noqa: S110  what is neither true nor false, an array of numpy's for one, is not None all the same
        pass
    return any(map(is_, column, repeat(None)))
