"""The programs that are measured, written as a user would write them; `streams run benchmarks.programs:NAME`.

Rules: public names only, typed values, no setting that a user would not want. Each is an application of its own.
"""

from __future__ import annotations

import msgspec

from benchmarks.load import Ride, Zone
from examples.taxi import topology
from streams import App, JoinWindows, TimeWindows


class Kept(msgspec.Struct):
    """A ride with a field added."""

    id: int
    zone: int
    fare: float
    per_mile: float


class Takings(msgspec.Struct):
    """Rides and fares of a window."""

    rides: int = 0
    fares: float = 0.0


class Placed(msgspec.Struct):
    """A ride with its zone."""

    id: int
    fare: float
    zone: str
    borough: str


class Pair(msgspec.Struct):
    """Two reports of the same ride."""

    id: int
    fare: float
    miles: float


def _stateless() -> App:
    app = App("bench-stateless")
    rides = app.stream("rides", key=int, value=Ride)
    kept = rides.filter(lambda _, ride: ride.miles >= 6.0)
    kept.map_values(lambda ride: Kept(ride.id, ride.zone, ride.fare, ride.fare / ride.miles)).to("kept", value=Kept)
    return app


def _count(name: str, topic: str) -> App:
    app = App(f"bench-{name}")
    app.stream(topic, key=int, value=Ride).group_by_key().count(name="counts").to_stream().to("counted")
    return app


def _rekey_count() -> App:
    app = App("bench-rekey-count")
    rides = app.stream("rides", key=int, value=Ride)
    rides.group_by(lambda _, ride: ride.driver, key=str).count(name="counts").to_stream().to("counted")
    return app


def _window() -> App:
    app = App("bench-window")
    (
        app.stream("rides", key=int, value=Ride)
        .group_by_key()
        .windowed_by(TimeWindows.of("1 minute", grace="10 s"))
        .aggregate(Takings, _add, name="takings", value=Takings)
        .to_stream()
        .to("takings-by-minute")
    )
    return app


def _add(_zone: int, ride: Ride, total: Takings) -> Takings:
    return Takings(total.rides + 1, total.fares + ride.fare)


def _table_join() -> App:
    app = App("bench-table-join")
    zones = app.table("zones", key=int, value=Zone, name="zones")
    rides = app.stream("rides", key=int, value=Ride)
    rides.join(zones, lambda ride, zone: Placed(ride.id, ride.fare, zone.name, zone.borough)).to("placed", value=Placed)
    return app


def _stream_join() -> App:
    app = App("bench-stream-join")
    begun = app.stream("rides-begun", key=int, value=Ride)
    ended = app.stream("rides-ended", key=int, value=Ride)
    within = JoinWindows.of("5 s")
    pairs = begun.join(ended, lambda left, right: Pair(left.id, left.fare, right.miles), within=within, name="pairs")
    pairs.to("pairs", value=Pair)
    return app


stateless = _stateless()
count = _count("count", "rides")
rekey_count = _rekey_count()
window = _window()
table_join = _table_join()
stream_join = _stream_join()
count_1m = _count("count-1m", "rides-of-a-million")
taxi = topology.analytics()
