"""Query 1: the ten most frequent routes of the last 30 minutes.

Rules: a route is a cell of 500 m to another; more trips come first, of equals the one with the later trip.
"""

from __future__ import annotations

from typing import Any

from examples.taxi.debs.grid import HALF_KILOMETRE
from examples.taxi.debs.messages import Change, Route, Trip
from examples.taxi.debs.ranking import Ranking
from examples.taxi.debs.top_ten import SETTINGS, WINDOW, TopTen, trips
from streams import App, ProcessorContext, Topic


class FrequentRoutes(TopTen[Route]):
    """Counts the trips of every route; the number of its latest one breaks ties."""

    def init(self, context: ProcessorContext) -> None:
        """Begin without routes."""
        self.routes: Ranking[Route] = Ranking()
        super().init(context)

    def count(self, trip: Trip, gone: list[Trip]) -> None:
        """One more trip of its route, one less of each that is gone."""
        for each in gone:
            route = (each.start, each.end)
            count, latest = self.routes[route]
            self.routes.place(route, (count - 1, latest) if count > 1 else None)
        route = (trip.start, trip.end)
        count, _ = self.routes.get(route, (0, 0))
        self.routes.place(route, (count + 1, trip.number))

    def ten(self) -> list[Route]:
        """The ten best."""
        return self.routes.best(10)


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
