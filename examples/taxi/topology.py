"""Three of the four programs: transaction, email and analytics (the first, rides, is a plain producer).

    ride_details ──► transaction ──► ride_confirmed ──► email
                      ▲      └─────► ride_refused   └─► analytics ──► zone_takings
                    zones

Rules: each program is an application of its own, with its own group, so that email and analytics both read all of
`ride_confirmed`, and any of them may run as a process of its own, or as several. A ride is confirmed or refused, never
lost: who counts both gets all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from examples.taxi.data import PERIOD_MS
from examples.taxi.messages import Confirmed, Refused, Ride, Takings
from examples.taxi.topics import TEN_MINUTES, program, ride_confirmed, ride_details, ride_refused, zone_takings, zones
from examples.taxi.zones import Zone
from streams import App, TimeWindows

DRIVERS = 400
PAYABLE = {"credit card", "cash", "flex fare"}
GRACE = timedelta(milliseconds=2 * PERIOD_MS)
"""Trips come in the file's order, not in time's, and four partitions are read at different speed. No two rides are
further apart than this (see data.py), so no ride is too late. Live rides would make do with minutes."""


def refusal(ride: Ride) -> str | None:
    """Why a ride cannot be paid, None when it can. A distance of zero is no reason: somebody paid."""
    if ride.zone is None:
        return "no zone"
    if ride.fare <= 0:
        return "nothing to pay"
    if ride.payment not in PAYABLE:
        return "no payment"
    if ride.dropped_off_ms < ride.picked_up_ms:
        return "ends before it begins"
    return None


def confirm(ride: Ride, zone: Zone) -> Confirmed:
    """The ride with its zone's names and a driver."""
    return Confirmed(ride.id, zone.name, zone.borough, f"driver_{ride.id % DRIVERS:03}", ride.fare)


def add(_zone: int, ride: Confirmed, total: Takings) -> Takings:
    """The takings with one more ride."""
    return Takings(total.rides + 1, total.fares + ride.fare)


def transaction(**settings: Any) -> App:
    """Confirms rides, or says why not. `settings` are the App's."""
    app = program("taxi-transaction", **settings)
    rides = ride_details(app)

    @app.process(rides, to=ride_refused(app))
    def refuse(ride: Ride) -> Refused | None:
        reason = refusal(ride)
        return Refused(ride.id, reason) if reason else None

    (
        app.stream(rides)
        .filter(lambda _, ride: refusal(ride) is None)
        .select_key(lambda _, ride: ride.zone)
        .join(app.table(zones(app), name="zones"), confirm, name="by-zone")
        .to(ride_confirmed(app))
    )
    return app


def email(send: Callable[[Confirmed], None], **settings: Any) -> App:
    """Calls `send` for every confirmed ride."""
    app = program("taxi-email", **settings)
    app.process(ride_confirmed(app))(send)
    return app


def analytics(**settings: Any) -> App:
    """Rides and fares per zone and ten minutes."""
    app = program("taxi-analytics", **settings)
    (
        app.stream(ride_confirmed(app))
        .group_by_key()
        .windowed_by(TimeWindows.of(TEN_MINUTES, grace=GRACE))
        .aggregate(Takings, add, name="takings", value=Takings)
        .to_stream()
        .to(zone_takings(app))
    )
    return app
