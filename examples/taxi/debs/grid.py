"""The challenge's map: squares in rows and columns, counted from a cell in the north-west.

Rules: a cell is written `x.y`, x to the east and y to the south, from 1. Cell 1.1 is centred on the given point, in both
sizes, so a cell reaches half its size to each side of its centre. A point on a border is rounded as double precision
has it. Whatever is beyond the last cell is nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor

from examples.taxi.debs.messages import Located, Point, Trip

WEST = -74.913585
NORTH = 41.474937


@dataclass(frozen=True)
class Grid:
    """A map of `cells` x `cells`, each so many degrees wide (east) and high (south)."""

    cells: int
    east: float
    south: float

    def cell(self, point: Point) -> str:
        """The cell of a point, "" outside."""
        longitude, latitude = point
        x = floor((longitude - WEST) / self.east + 0.5) + 1
        y = floor((NORTH - latitude) / self.south + 0.5) + 1
        return f"{x}.{y}" if 0 < x <= self.cells and 0 < y <= self.cells else ""


HALF_KILOMETRE = Grid(300, 0.005986, 0.004491556)
QUARTER_KILOMETRE = Grid(600, 0.005986 / 2, 0.004491556 / 2)


def locator(grid: Grid) -> Callable[[Trip], Located]:
    """A function that puts a trip on the map: its points into cells of `grid`, its zones by their numbers."""

    def name(place: Point | int | None) -> str:
        return grid.cell(place) if isinstance(place, tuple) else str(place or "")

    def locate(trip: Trip) -> Located:
        start, end = name(trip.start), name(trip.end)
        if not start or not end:
            start = end = ""
        return Located(
            trip.number, trip.taxi, trip.picked_up_ms, trip.dropped_off_ms, start, end, trip.profit, trip.read_ms
        )

    return locate
