"""What travels through the two queries: trips as they were read, trips on the map, and the lists of ten.

Rules: `number` is the trip's place in the file, from 0, and holds its order wherever it travels. Times are ms since 1970
of the clock on New York's walls, taken as if it were UTC; `read_ms` alone is of this machine's clock. Money on its way is
in millionths of a dollar, so that what is equal in dollars and cents is equal.
"""

from __future__ import annotations

import msgspec

DOLLAR = 1_000_000

Point = tuple[float, float]
"""Longitude and latitude, in degrees."""


class Trip(msgspec.Struct, frozen=True, array_like=True):
    """A trip as it was read. A place is a point, or the number of a zone; a taxi without a name is None."""

    number: int
    taxi: str | None
    picked_up_ms: int
    dropped_off_ms: int
    start: Point | int | None
    end: Point | int | None
    profit: int
    read_ms: int


class Located(msgspec.Struct, frozen=True, array_like=True):
    """A trip on the map: `start` and `end` are names of cells or zones, both empty for an outlier."""

    number: int
    taxi: str | None
    picked_up_ms: int
    dropped_off_ms: int
    start: str
    end: str
    profit: int
    read_ms: int


class Lot(msgspec.Struct, frozen=True, array_like=True):
    """Trips that came together."""

    trips: list[Located]


Route = tuple[str, str]
"""Where a trip began, and where it ended."""

Area = tuple[str, int, float, float]
"""A place, the empty taxis there, the median of what its trips brought, and that by taxi; money in dollars."""


class Ten(msgspec.Struct, frozen=True, array_like=True):
    """What changed the list: a trip, and the list after it, best first, as short as it is."""

    number: int
    picked_up_ms: int
    dropped_off_ms: int
    read_ms: int


class Routes(Ten, frozen=True, array_like=True):
    """The most frequent routes."""

    ten: list[Route]


class Areas(Ten, frozen=True, array_like=True):
    """The most profitable areas."""

    ten: list[Area]
