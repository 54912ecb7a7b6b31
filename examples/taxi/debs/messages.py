"""What travels through the two queries: trips, and the lists of ten that they lead to.

Rules: `number` is the trip's place in the file, from 0. Times are ms since 1970 of the clock on New York's walls, taken
as if it were UTC; `read_ms` alone is of this machine's clock. Money on its way is in millionths of a dollar, so that what
is equal in dollars and cents is equal.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

DOLLAR = 1_000_000

Point = tuple[float, float]
"""Longitude and latitude, in degrees."""

Place = Point | str
"""A point, or the name of a cell or of a zone; an empty name is nowhere."""


class Trip(msgspec.Struct, frozen=True, array_like=True):
    """A trip: as it was read, from point to point; then on the map, from cell to cell."""

    number: int
    taxi: str
    picked_up_ms: int
    dropped_off_ms: int
    start: Place
    end: Place
    profit: int
    read_ms: int


Route = tuple[Place, Place]
"""Where a trip began, and where it ended."""

Area = tuple[Place, int, float, float]
"""A place, the empty taxis there, the median of what its trips brought, and that by taxi; money in dollars."""

T = TypeVar("T")


class Change(msgspec.Struct, Generic[T], frozen=True, array_like=True):
    """A trip that changed a list, and the list after it: at most ten, best first."""

    picked_up_ms: int
    dropped_off_ms: int
    read_ms: int
    ten: list[T]
