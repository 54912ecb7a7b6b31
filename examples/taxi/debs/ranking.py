"""A list of things by rank, of which the best are wanted all the time.

Rules: a rank is a score and the number of a trip, the higher the better; no two things share a number, so ranks differ.
The best are looked at only after a change among them, which few trips are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Generic, TypeVar

BEST = 10

Rank = tuple[float, int]
"""A score, and the number of the trip that decides among equal ones."""

T = TypeVar("T")


class Ranking(Generic[T]):
    """Things by rank, and whether the best are others."""

    def __init__(self) -> None:
        self._touched = False
        self._best: list[T] = []
        self._ranks: list[Rank] = []
        self._things: dict[int, T] = {}

    def add(self, rank: Rank, thing: T) -> None:
        """A thing that has no rank gets one."""
        ranks = self._ranks
        insort(ranks, rank)
        self._things[rank[1]] = thing
        if len(ranks) <= BEST or rank >= ranks[-BEST]:
            self._touched = True

    def remove(self, rank: Rank) -> None:
        """The thing of a rank leaves."""
        ranks = self._ranks
        if len(ranks) <= BEST or rank >= ranks[-BEST]:
            self._touched = True
        del ranks[bisect_left(ranks, rank)]
        del self._things[rank[1]]

    def change(self) -> list[T] | None:
        """The best, best first, if they are others than when this was last asked, else None."""
        if not self._touched:
            return None
        self._touched = False
        best = [self._things[number] for _, number in reversed(self._ranks[-BEST:])]
        if best == self._best:
            return None
        self._best = best
        return best
