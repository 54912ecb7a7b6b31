"""Things by rank, of which the best are wanted all the time.

Rules: a rank is a score and the number of a trip, the higher the better; no two things share both.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TypeVar

Rank = tuple[float, int]

T = TypeVar("T")


class Ranking(dict[T, Rank]):
    """Ranks by thing, and the things in the order of their ranks, which is kept and never sorted anew."""

    def __init__(self) -> None:
        super().__init__()
        self._order: list[tuple[Rank, T]] = []

    def place(self, thing: T, rank: Rank | None) -> None:
        """Give a thing its rank; None takes it out, if it is there."""
        if (before := self.pop(thing, None)) is not None:
            del self._order[bisect_left(self._order, (before, thing))]
        if rank is not None:
            self[thing] = rank
            insort(self._order, (rank, thing))

    def best(self, count: int) -> list[T]:
        """So many things, best first."""
        return [thing for _, thing in self._order[: -count - 1 : -1]]
