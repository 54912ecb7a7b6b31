"""Query 1: the ten most frequent routes of the last 30 minutes.

Rules: a route is a cell of 500 m to another; more trips come first, of equals the one with the later trip.
"""

from __future__ import annotations

from examples.taxi.debs.in_order import MINUTE_MS, InOrder
from examples.taxi.debs.messages import Located, Route, Routes
from examples.taxi.debs.ranking import Rank, Ranking
from streams import ProcessorContext


class FrequentRoutes(InOrder):
    """Counts the routes of the window."""

    window_ms = 30 * MINUTE_MS

    def init(self, context: ProcessorContext) -> None:
        """Begin without routes, then count those of the window."""
        self._ranks: dict[Route, Rank] = {}
        self._ranking: Ranking[Route] = Ranking()
        super().init(context)

    def enter(self, trip: Located) -> None:
        """One more trip of its route, which is the latest."""
        route = (trip.start, trip.end)
        before = self._ranks.get(route)
        count = 1
        if before is not None:
            self._ranking.remove(before)
            count += int(before[0])
        rank = self._ranks[route] = (count, trip.number)
        self._ranking.add(rank, route)

    def leave(self, trip: Located) -> None:
        """One trip less of its route."""
        route = (trip.start, trip.end)
        count, latest = before = self._ranks[route]
        self._ranking.remove(before)
        if count == 1:
            del self._ranks[route]
        else:
            rank = self._ranks[route] = (count - 1, latest)
            self._ranking.add(rank, route)

    def result(self) -> list[Route] | None:
        """The ten routes if they, or their order, changed."""
        return self._ranking.change()

    def message(self, trip: Located, ten: list[Route]) -> Routes:
        """The trip's times and the routes."""
        return Routes(trip.number, trip.picked_up_ms, trip.dropped_off_ms, trip.read_ms, ten)
