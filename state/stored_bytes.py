"""The lower layers of all stores: uncommitted bytes over an engine, and the commit that moves them down.

    uncommitted bytes -> sealed bytes (while a commit is under way) -> engine

Rules: a read is always a merge of the layers. `seal` sets the bytes aside for the commit that begins; `commit` moves
them and the position into the engine in one write batch; `discard` forgets what did not get there. Other threads may
read bytes: points without a lock, once more where bytes have moved meanwhile, scans under the guard.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from threading import Lock
from typing import Any

from state.engine import Engine, KeyRange
from state.errors import StoreClosed
from state.ordered import OrderedBytes, overlay
from state.position import CHANGELOG, POSITION, packed_number, read_number
from state.sealed import Sealed

_ABSENT: Any = object()


class StoredBytes:
    """See the module; `state.layers` puts live values and caches on top."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self._engine = engine
        self._lower: Engine | Sealed = engine
        """What lies under the uncommitted bytes: the engine, while a commit is under way as it will be."""
        self._sealed: Sealed | None = None
        self._uncommitted = OrderedBytes()
        self._position = read_number(engine, POSITION)
        self._closed = False
        self._is_view = False
        self.expired_writes = 0
        self._guard = Lock()
        """Held while bytes move or a scan of them begins: stores beside this one scan from other threads."""

    # What a commit calls

    @property
    def position(self) -> int | None:
        """The changelog offset up to which the engine is complete (the next to restore); None when it is new."""
        return self._position

    def counts_in(self, changelog: bytes) -> bool:
        """Whether the position is one of the topic with this id. A store that has noted none takes it for its own."""
        noted = self._engine.metadata(CHANGELOG)
        if noted is None or self._position is None:
            self._engine.write({}, metadata={CHANGELOG: changelog})
            return True
        return noted == changelog

    @property
    def uncommitted_bytes(self) -> int:
        """Roughly the memory that a commit would free, from the size of the latest changes."""
        return self._uncommitted.rough_bytes()

    def seal(self) -> None:
        """Have what changed since the last commit be what `commit` writes; what changes from now on is the next one's."""
        self._check_open()
        assert not self._is_view, "a view is for reading"
        assert self._sealed is None, "the commit before is still under way"
        self._settle()
        sealed = Sealed(self._engine, self._uncommitted, self._metadata(), self._dropped())
        with self._guard:
            self._sealed = self._lower = sealed  # first, so that those who read without the guard miss nothing
            self._uncommitted = OrderedBytes()

    def unseal(self) -> None:
        """Have what was sealed belong to the next commit after all, with what changed since."""
        sealed = self._sealed
        if sealed is not None:
            with self._guard:
                sealed.changes.update(self._uncommitted)
                self._uncommitted = sealed.changes
                self._sealed, self._lower = None, self._engine

    def commit(self, position: int | None) -> None:
        """Write what was sealed, or else what changed since the last commit, and the position, in one write batch."""
        self._check_open()
        if self._sealed is None:
            self.seal()
        sealed = self._sealed
        assert sealed is not None, "just sealed"
        if position is not None and position != self._position:
            sealed.metadata_changes[POSITION] = packed_number(position)
        with self._guard:
            sealed.write()
            self._position = self._position if position is None else position
            self._sealed, self._lower = None, self._engine
        self._written(sealed.changes)

    def discard(self) -> None:
        """Forget what changed since the last commit, also what was sealed for one that failed."""
        with self._guard:
            self._sealed, self._lower = None, self._engine
            self._uncommitted.clear()

    # What is read

    def bytes_of(self, key: bytes) -> bytes | None:
        """The bytes under an engine key, uncommitted ones included; from any thread. Raises: StoreClosed."""
        while True:
            uncommitted, lower = self._uncommitted, self._lower
            data: bytes | None = uncommitted.get(key, _ABSENT)
            if data is _ABSENT:
                self._check_open()
                data = lower.get(key)
            if uncommitted is self._uncommitted and lower is self._lower:
                return data  # else bytes have moved meanwhile: down, or up again by `unseal`

    def piece(self, start: bytes | None, end: bytes | None, *, reverse: bool, count: int) -> list[tuple[bytes, bytes]]:
        """The first `count` entries of a scan, by engine keys; from any thread. Raises: StoreClosed."""
        with self._guard:
            return list(islice(self._merged(start, end, reverse=reverse), count))

    def rough_count(self) -> int:
        """Roughly how many entries there are; deleted and overwritten ones may count for a while. Raises: StoreClosed."""
        self._check_open()
        return self._lower.approximate_count() + len(self._uncommitted)

    def number(self, key: bytes) -> bytes | None:
        """Metadata as the next commit would write it."""
        return self._metadata().get(key) or self._lower.metadata(key)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"store {self.name} is closed: it was used after its task let go of it")

    # What children say

    def _settle(self) -> None:
        """Put what is still kept in another form into the uncommitted bytes."""

    def _written(self, changes: OrderedBytes) -> None:
        """Take notice of what a commit has written."""
        del changes

    def _metadata(self) -> dict[bytes, bytes]:
        """What else to write with the next commit."""
        return {}

    def _dropped(self) -> list[KeyRange]:
        """Ranges of the engine that have expired since the last commit."""
        return []

    # Within

    def _scan(self, start: bytes | None, end: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Engine keys and values with start <= key < end as of now, uncommitted ones included."""
        with self._guard:
            return self._merged(start, end, reverse=reverse)

    def _merged(self, start: bytes | None, end: bytes | None, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """A scan, under the guard."""
        self._check_open()
        return overlay(
            self._uncommitted.entries(start, end, reverse=reverse) if self._uncommitted else [],
            self._lower.scan(start, end, reverse=reverse),
            reverse=reverse,
        )
