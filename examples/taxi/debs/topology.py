"""Both queries as programs: trips are put on the map by as many tasks as there are partitions, and ranked by one.

    trips ──► locate ──► in-order (one partition) ──► frequent_routes
    trips ──► locate ──► in-order (one partition) ──► profitable_areas

Rules: a list of ten after every trip needs every trip before it, so one task keeps it; what can be done trip by trip is
done before. Records have the time at which they are read: drop-offs may be of any year, and brokers delete what is old
and refuse what is of the future. Each query is an application of its own, exactly-once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from examples.taxi.debs.frequent_routes import FrequentRoutes
from examples.taxi.debs.grid import HALF_KILOMETRE, QUARTER_KILOMETRE, Grid, locator
from examples.taxi.debs.in_order import STORES, InOrder
from examples.taxi.debs.messages import Areas, Located, Routes, Ten, Trip
from examples.taxi.debs.profitable_areas import ProfitableAreas
from streams import App, Topic

PARTITIONS = 4

SETTINGS: dict[str, Any] = {
    "processing_guarantee": "exactly_once_v2",
    "session_timeout_ms": 6_000,  # how soon a worker that was killed is given up
    "linger_ms": 5,
    "embedded_idle_ms": 1_000,
}


def trips(app: App) -> Topic:
    """Every trip, by its number."""
    return app.topic("trips", key=int, value=Trip, partitions=PARTITIONS)


def lists(app: App, name: str, kind: type[Ten]) -> Topic:
    """The lists of ten, by the number of the trip that changed them."""
    return app.topic(name, key=int, value=kind, partitions=1)


def _query(app: App, results: Topic, grid: Grid, ranks: Callable[[], InOrder]) -> App:
    (
        app.stream(trips(app))
        .map_values(locator(grid))
        .repartition(name="in-order", partitions=1, key=int, value=Located)
        .process(ranks, stores=STORES, name="ranks")
        .to(results)
    )
    return app


def frequent_routes(**settings: Any) -> App:
    """Query 1. `settings` are the App's."""
    app = App("frequent-routes", **{**SETTINGS, **settings})
    return _query(app, lists(app, "frequent_routes", Routes), HALF_KILOMETRE, FrequentRoutes)


def profitable_areas(**settings: Any) -> App:
    """Query 2. `settings` are the App's."""
    app = App("profitable-areas", **{**SETTINGS, **settings})
    return _query(app, lists(app, "profitable_areas", Areas), QUARTER_KILOMETRE, ProfitableAreas)


def onlooker(**settings: Any) -> App:
    """An application that processes nothing: it fills topics and reads them, and so knows all of them."""
    app = App("debs", **{**SETTINGS, **settings})
    trips(app)
    lists(app, "frequent_routes", Routes)
    lists(app, "profitable_areas", Areas)
    return app


routes = frequent_routes()
areas = profitable_areas()
