"""The challenge's map: squares in rows and columns, counted from a cell in the north-west.

Rules: a cell is written `x.y`, x to the east and y to the south, from 1. Cell 1.1 is centred on the given point, in both
sizes, so a cell reaches half its size to each side of its centre. A point on a border is rounded as double precision
has it. Whatever is beyond the last cell is nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from msgspec.structs import replace

from examples.taxi.debs.messages import Place, Trip

WEST = -74.913585
NORTH = 41.474937


@dataclass(frozen=True)
class Grid:
    """A map of `cells` x `cells`, each so many degrees wide (east) and high (south)."""

    cells: int
    east: float
    south: float

    def cell(self, place: Place) -> str:
        """The cell of a point, "" outside; what has a name keeps it."""
        if isinstance(place, str):
            return place
        longitude, latitude = place
        x = floor((longitude - WEST) / self.east + 0.5) + 1
        y = floor((NORTH - latitude) / self.south + 0.5) + 1
        return f"{x}.{y}" if 0 < x <= self.cells and 0 < y <= self.cells else ""

    def locate(self, trip: Trip) -> Trip | None:
        """A trip from cell to cell; None for an outlier, which is no trip at all."""
        start, end = self.cell(trip.start), self.cell(trip.end)
        return replace(trip, start=start, end=end) if start and end else None


HALF_KILOMETRE = Grid(300, 0.005986, 0.004491556)
QUARTER_KILOMETRE = Grid(600, 0.005986 / 2, 0.004491556 / 2)
