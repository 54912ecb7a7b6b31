"""Query 2: the ten areas where a taxi earns most at the moment.

Rules: an area's profit is the median of fare + tip of the trips that began there and ended within the last 15 minutes;
its profitability is that by empty taxi there. A taxi is empty where its latest trip ended, for 30 minutes. An area
without a trip or without an empty taxi has no profitability. The higher comes first, of equals the area where the later
of those trips began.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from typing import Any

from examples.taxi.debs.grid import QUARTER_KILOMETRE
from examples.taxi.debs.messages import DOLLAR, Area, Change, Place, Trip
from examples.taxi.debs.top_ten import SETTINGS, WINDOW, TopTen, Window, trips
from streams import App, ProcessorContext, Topic

Rank = tuple[float, int, int, float]
"""What an area brings by taxi, the number of the latest trip from there, the empty taxis, and the median."""


class ProfitableAreas(TopTen[Place, Rank, Area]):
    """Keeps the profits of 15 minutes and the empty taxis of 30, and ranks every area where one of them changes."""

    def init(self, context: ProcessorContext) -> None:
        """Begin with no profits and no taxis."""
        self.quarter = Window(minutes=15)
        self.profits: defaultdict[Place, list[int]] = defaultdict(list)
        self.latest: dict[Place, int] = {}
        self.waiting: dict[str, Trip] = {}
        self.empty: Counter[Place] = Counter()
        super().init(context)

    def count(self, trip: Trip, gone: list[Trip]) -> None:
        """Its profit counts where it began, its taxi where it ended, and no longer where it was."""
        changed = {trip.start, trip.end}
        for each in self.quarter.slide(trip):
            self.profits[each.start].remove(each.profit)
            changed.add(each.start)
        insort(self.profits[trip.start], trip.profit)
        self.latest[trip.start] = trip.number
        for each in gone:
            if self.waiting.get(each.taxi) is each:
                changed.add(self.leave(each))
        if before := self.waiting.get(trip.taxi):
            changed.add(self.leave(before))
        self.waiting[trip.taxi] = trip
        self.empty[trip.end] += 1
        for place in changed:
            self.rank(place)

    def leave(self, trip: Trip) -> Place:
        """The taxi of a trip is no longer where it ended. Shape: that place."""
        del self.waiting[trip.taxi]
        self.empty[trip.end] -= 1
        return trip.end

    def rank(self, place: Place) -> None:
        """Rank a place by its profitability, if it has one."""
        profits, taxis = self.profits[place], self.empty[place]
        if not profits or not taxis:
            self.ranking.pop(place, None)
            return
        middle = len(profits) // 2
        twice_the_median = profits[middle] + profits[~middle]
        profitability = twice_the_median / (2 * DOLLAR * taxis)
        self.ranking[place] = (profitability, self.latest[place], taxis, twice_the_median / (2 * DOLLAR))

    def row(self, place: Place, rank: Rank) -> Area:
        """The place with its figures."""
        profitability, _, taxis, median = rank
        return place, taxis, median, profitability


def areas(app: App) -> Topic:
    """The lists, by the number of the trip that led to them."""
    return app.topic("profitable_areas", key=int, value=Change[Area], partitions=1)


def profitable_areas(**settings: Any) -> App:
    """The query as a program. `settings` are the App's."""
    app = App("profitable-areas", **{**SETTINGS, **settings})
    (
        app.stream(trips(app))
        .map_values(QUARTER_KILOMETRE.locate)
        .filter(lambda _, trip: trip is not None)
        .process(ProfitableAreas, stores=[WINDOW], name="ten-areas")
        .to(areas(app))
    )
    return app
