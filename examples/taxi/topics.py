"""The topics of the pipeline: what they carry, and how they are made. Every program declares the ones it uses here.

Rules: four partitions each, so that four workers may share a program; what is a table (zones, takings) is compacted.
Records have the time of their rides, which may be of any year, so nothing here is deleted because it is old.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from examples.taxi.messages import Confirmed, Refused, Ride, Takings
from examples.taxi.zones import Zone
from streams import App, TimeWindowedSerde, Topic, serde_for

PARTITIONS = 4
TEN_MINUTES = timedelta(minutes=10)
COMPACTED = {"cleanup.policy": "compact"}
FOR_EVER = {"retention.ms": "-1"}
A_CENTURY = timedelta(days=36_525)
SETTINGS: dict[str, Any] = {
    "broker": "embedded://.streams/taxi",
    "embedded_idle_ms": 3_000,
    "commit_interval_ms": 500,
    "session_timeout_ms": 6_000,  # how soon a program that was killed is given up
    "windowstore_changelog_additional_retention_ms": A_CENTURY,
}


def program(name: str, **settings: Any) -> App:
    """An application with the example's settings, over which `settings` go."""
    return App(name, **{**SETTINGS, **settings})


def ride_details(app: App) -> Topic:
    """Every ride, as the meter reported it, by its id."""
    return app.topic(
        "ride_details",
        key=int,
        value=Ride,
        timestamp="picked_up_ms",
        partitions=PARTITIONS,
        config=FOR_EVER,
    )


def zones(app: App) -> Topic:
    """The map, zone by number."""
    return app.topic("zones", key=int, value=Zone, partitions=PARTITIONS, config=COMPACTED)


def ride_confirmed(app: App) -> Topic:
    """Rides that can be paid, by the number of their zone."""
    return app.topic("ride_confirmed", key=int, value=Confirmed, partitions=PARTITIONS, config=FOR_EVER)


def ride_refused(app: App) -> Topic:
    """Rides that cannot, by their id."""
    return app.topic("ride_refused", key=int, value=Refused, partitions=PARTITIONS, config=FOR_EVER)


def zone_takings(app: App) -> Topic:
    """Takings by zone and ten minutes."""
    key = TimeWindowedSerde(serde_for(int), TEN_MINUTES // timedelta(milliseconds=1))
    return app.topic("zone_takings", key=key, value=Takings, partitions=PARTITIONS, config=COMPACTED)


def onlooker(**settings: Any) -> App:
    """An application that processes nothing: it fills topics and reads them, and so knows all of them."""
    app = program("taxi", **settings)
    for declare in (ride_details, zones, ride_confirmed, ride_refused, zone_takings):
        declare(app)
    return app
