"""What travels through the taxi pipeline: the values of its topics.

Rules: times are ms since 1970 of the clock on New York's walls, taken as if it were UTC, so that windows fall on the
city's own ten minutes; money is in dollars.
"""

from __future__ import annotations

import msgspec


class Ride(msgspec.Struct, frozen=True):
    """A trip as the meter reported it; `id` is its row in the file, from 1. Anything may be wrong with it."""

    id: int
    zone: int | None
    picked_up_ms: int
    dropped_off_ms: int
    passengers: int
    miles: float
    fare: float
    tip: float
    tolls: float
    total: float
    payment: str | None


class Confirmed(msgspec.Struct, frozen=True):
    """A ride that can be paid: where it began, and who drove it."""

    id: int
    zone: str
    borough: str
    driver: str
    fare: float


class Refused(msgspec.Struct, frozen=True):
    """A ride that cannot be paid, and why."""

    id: int
    reason: str


class Takings(msgspec.Struct, frozen=True):
    """What a zone took in ten minutes."""

    rides: int = 0
    fares: float = 0.0
