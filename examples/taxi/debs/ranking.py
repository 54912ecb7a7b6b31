"""A list of things by rank, of which the best are wanted all the time.

Rules: a rank is a score and the number of a trip, the higher the better; no two things share a number, so ranks differ.
Who changes ranks is told whether the best may have changed, so that they need not be looked at after every trip.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Generic, TypeVar

BEST = 10

Rank = tuple[float, int]
"""A score, and the number of the trip that decides among equal ones."""

T = TypeVar("T")


class Ranking(Generic[T]):
    """Things by rank; `touched` says that the best may be others since it was last set to False."""

    def __init__(self) -> None:
        self.touched = False
        self._ranks: list[Rank] = []
        self._things: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._ranks)

    def add(self, rank: Rank, thing: T) -> None:
        """A thing that has no rank gets one."""
        ranks = self._ranks
        insort(ranks, rank)
        self._things[rank[1]] = thing
        if len(ranks) <= BEST or rank >= ranks[-BEST]:
            self.touched = True

    def remove(self, rank: Rank) -> None:
        """The thing of a rank leaves."""
        ranks = self._ranks
        if len(ranks) <= BEST or rank >= ranks[-BEST]:
            self.touched = True
        del ranks[bisect_left(ranks, rank)]
        del self._things[rank[1]]

    def best(self) -> list[T]:
        """The best, best first."""
        return [self._things[number] for _, number in reversed(self._ranks[-BEST:])]
