"""Query 2: the ten areas where a taxi earns most at the moment.

Rules: an area's profit is the median of fare + tip of the trips that began there and ended within the last 15 minutes;
its profitability is that by empty taxi there. A taxi is empty where its latest trip ended, for 30 minutes. An area
without a trip or without an empty taxi has no profitability. The higher comes first, of equals the area where the later
of those trips began.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

from examples.taxi.debs.fleet import Fleet
from examples.taxi.debs.in_order import MINUTE_MS, InOrder
from examples.taxi.debs.messages import DOLLAR, Area, Areas, Located
from examples.taxi.debs.ranking import Rank, Ranking
from streams import ProcessorContext

PROFIT_MS = 15 * MINUTE_MS


class ProfitableAreas(InOrder):
    """Keeps the profits of 15 minutes and the empty taxis of 30."""

    window_ms = 30 * MINUTE_MS

    def init(self, context: ProcessorContext) -> None:
        """Begin with no profits and no taxis, then count those of the window."""
        self._fleet = Fleet()
        self._earning: deque[Located] = deque()
        self._profits: dict[str, list[int]] = {}
        self._latest: dict[str, int] = {}
        self._changed: set[str] = set()
        self._ranks: dict[str, Rank] = {}
        self._ranking: Ranking[Area] = Ranking()
        super().init(context)

    def enter(self, trip: Located) -> None:
        """Its profit counts where it began, its taxi where it ended."""
        earning, begin_ms = self._earning, trip.dropped_off_ms - PROFIT_MS
        while earning and earning[0].dropped_off_ms <= begin_ms:
            gone = earning.popleft()
            profits = self._profits[gone.start]
            del profits[bisect_left(profits, gone.profit)]
            self._changed.add(gone.start)
        earning.append(trip)
        insort(self._profits.setdefault(trip.start, []), trip.profit)
        self._latest[trip.start] = trip.number
        self._changed.add(trip.start)
        self._changed.update(self._fleet.arrive(trip))

    def leave(self, trip: Located) -> None:
        """Its taxi, if it is still there, has waited too long."""
        self._changed.update(self._fleet.give_up(trip))

    def result(self) -> list[Area] | None:
        """The ten areas if they, their order or their figures changed."""
        for place in self._changed:
            self._rank(place)
        self._changed.clear()
        return self._ranking.change()

    def _rank(self, place: str) -> None:
        before = self._ranks.pop(place, None)
        if before is not None:
            self._ranking.remove(before)
        profits = self._profits.get(place)
        empty = self._fleet.empty.get(place)
        if profits and empty:
            middle = len(profits) // 2
            two_medians = profits[middle] + profits[~middle]
            profitability = two_medians / (2 * DOLLAR * empty)
            rank = self._ranks[place] = (profitability, self._latest[place])
            self._ranking.add(rank, (place, empty, two_medians / (2 * DOLLAR), profitability))
        elif not profits:
            self._profits.pop(place, None)

    def message(self, trip: Located, ten: list[Area]) -> Areas:
        """The trip's times and the areas."""
        return Areas(trip.number, trip.picked_up_ms, trip.dropped_off_ms, trip.read_ms, ten)
