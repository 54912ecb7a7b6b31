"""The best of many: what leaderboards, top-n lists and alarms by severity keep.

Rules: a Ranking lives in memory, so a processor fills it again in `init`, from the store that holds what is ranked. The
order is kept and never made anew: a change costs a search and a shift, whatever the size.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, MutableMapping
from itertools import islice
from typing import Any, Protocol, TypeVar


class _Ordered(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


K = TypeVar("K")
R = TypeVar("R", bound=_Ordered)


class Ranking(MutableMapping[K, R]):
    """Ranks by key, in order: a mapping that knows its `best`.

    A rank is anything that can be compared, such as a number or a tuple; higher is better. Of equal ranks, the key that
    reached it last comes first.
    """

    def __init__(self) -> None:
        self._entries: dict[K, tuple[R, int, K]] = {}
        self._order: list[tuple[R, int, K]] = []
        self._count = 0

    def best(self, count: int) -> list[tuple[K, R]]:
        """The best keys and their ranks, best first: `count` of them, or as many as there are."""
        return [(key, rank) for rank, _, key in islice(reversed(self._order), count)]

    def __getitem__(self, key: K) -> R:
        return self._entries[key][0]

    def __setitem__(self, key: K, rank: R) -> None:
        before = self._entries.get(key)
        if before is not None:
            if before[0] == rank:
                return
            self._take_out(before)
        entry = (rank, self._count + 1, key)
        try:
            insort(self._order, entry)
        except BaseException:  # a rank that cannot be compared
            if before is not None:
                insort(self._order, before)
            raise
        self._entries[key] = entry
        self._count += 1

    def __delitem__(self, key: K) -> None:
        self._take_out(self._entries.pop(key))

    def __iter__(self) -> Iterator[K]:
        """Keys, best first."""
        return (key for _, _, key in reversed(self._order))

    def __len__(self) -> int:
        return len(self._order)

    def _take_out(self, entry: tuple[R, int, K]) -> None:
        del self._order[bisect_left(self._order, entry)]
