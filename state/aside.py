"""A store beside another: for whoever works on records before their turn, in a thread of its own.

It has all verbs of the store it lies beside, and answers like that one plus what was written to it. Nothing of this is in
the store below, nor in its changelog or a commit, until `take_in` there; whoever drops it instead has changed nothing.

Rules: as long as a store has one beside it, nobody writes to the store below, but its own thread may read it and commit
it. Point reads go below without a lock, since a commit moves bytes to the engine before it lets go of them; scans go
below in pieces, each under the store's guard. What could be changed in place is read as bytes, never shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from state.copies import IMMUTABLE
from state.engine import KeyRange
from state.stores import Headers

_ABSENT = object()
PIECE = 1_000
"""Entries of a scan that are read from below at once."""


class Below(Protocol):
    """What a store lets those beside it read, from any thread. Every method raises StoreClosed after its end."""

    name: str

    def bytes_of(self, key: bytes) -> bytes | None:
        """The bytes under an engine key, uncommitted ones included."""
        ...

    def piece(self, start: bytes | None, end: bytes | None, *, reverse: bool, count: int) -> list[tuple[bytes, bytes]]:
        """The first `count` entries of a scan."""
        ...

    def number(self, key: bytes) -> bytes | None:
        """Metadata as the next commit would write it."""
        ...

    def rough_count(self) -> int:
        """Roughly how many entries there are."""
        ...


class Beneath:
    """The store below, as the engine of the one beside it. Satisfies `state.engine.Engine` as far as reading goes."""

    def __init__(self, below: Below) -> None:
        self.below = below
        self.get = below.bytes_of

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The values of many keys, in their order."""
        return list(map(self.get, keys))

    def scan(self, start: bytes | None, end: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < end."""
        while True:
            piece = self.below.piece(start, end, reverse=reverse, count=PIECE)
            yield from piece
            if len(piece) < PIECE:
                return
            start, end = (start, piece[-1][0]) if reverse else (piece[-1][0] + b"\0", end)

    def metadata(self, key: bytes) -> bytes | None:
        """A number of the store below."""
        return self.below.number(key)

    def approximate_count(self) -> int:
        """Roughly how many entries there are."""
        return self.below.rough_count()

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        *,
        metadata: Mapping[bytes, bytes] | None = None,
        dropped: Sequence[KeyRange] = (),
    ) -> None:
        """Never: changes go below by `take_in`."""
        raise AssertionError(f"{self.below.name} is taken in, not committed: {changes}, {metadata}, {dropped}")

    def flush(self) -> None:
        """There is nothing to put on disk."""

    def close(self) -> None:
        """The store below stays open."""


class Collected:
    """The changelog of a store beside another: the columns stay with the store until the one below takes them in."""

    def write(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Never."""
        raise AssertionError(f"a store beside another is not drained: {keys}, {values}, {timestamps}, {headers}")


def reader(live: dict[Any, Any], load: Callable[[Any], Any], *, timestamped: bool) -> Callable[[Any], Any]:
    """What loads the values of a store beside another: those that are live below, where they may be shared."""

    def read(entry: Any) -> Any:
        found = live.get(entry, _ABSENT)
        if found is _ABSENT:
            return load(entry)
        plain = found[0] if timestamped and found is not None else found
        return found if type(plain) in IMMUTABLE else load(entry)

    return read
