"""Query 1: the ten most frequent routes of the last 30 minutes.

Rules: a route is a cell of 500 m to another; more trips come first, of equals the one with the later trip.
"""

from __future__ import annotations

from typing import Any

from examples.taxi.debs.grid import HALF_KILOMETRE
from examples.taxi.debs.messages import Change, Route, Trip
from examples.taxi.debs.top_ten import SETTINGS, WINDOW, TopTen, trips
from streams import App, Topic

Rank = tuple[int, int]
"""How many trips a route has, and the number of the latest."""


class FrequentRoutes(TopTen[Route, Rank, Route]):
    """Counts the trips of every route."""

    def count(self, trip: Trip, gone: list[Trip]) -> None:
        """One more trip of its route, one less of each that is gone."""
        for each in gone:
            count, latest = self.ranking.pop((each.start, each.end))
            if count > 1:
                self.ranking[each.start, each.end] = (count - 1, latest)
        count, _ = self.ranking.get((trip.start, trip.end), (0, 0))
        self.ranking[trip.start, trip.end] = (count + 1, trip.number)

    def row(self, route: Route, _rank: Rank) -> Route:
        """The route alone."""
        return route


def routes(app: App) -> Topic:
    """The lists, by the number of the trip that led to them."""
    return app.topic("frequent_routes", key=int, value=Change[Route], partitions=1)


def frequent_routes(**settings: Any) -> App:
    """The query as a program. `settings` are the App's."""
    app = App("frequent-routes", **{**SETTINGS, **settings})
    (
        app.stream(trips(app))
        .map_values(HALF_KILOMETRE.locate)
        .filter(lambda _, trip: trip is not None)
        .process(FrequentRoutes, stores=[WINDOW], name="ten-routes")
        .to(routes(app))
    )
    return app
