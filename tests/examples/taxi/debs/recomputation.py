"""The challenge's answers, computed naively: after every trip, everything again from the trips of the window.

Rules: written from the rules alone; shares no code with the example, keeps nothing between two trips but the trips.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import nlargest
from pathlib import Path
from typing import Any, NamedTuple

WINDOW = {1: timedelta(minutes=30), 2: timedelta(minutes=30)}
EARNING = timedelta(minutes=15)
SIDE = {1: (0.005986, 0.004491556, 300), 2: (0.002993, 0.002245778, 600)}


class Trip(NamedTuple):
    """A trip inside the grid."""

    order: int
    taxi: str
    pickup: str
    dropoff: str
    at: datetime
    start: str
    end: str
    cents: int


def cell(longitude: str, latitude: str, query: int) -> str | None:
    """The cell as x.y, None outside the grid."""
    if not longitude or not latitude:
        return None
    east, south, most = SIDE[query]
    x = 1 + math.floor((float(longitude) - -74.913585) / east + 0.5)
    y = 1 + math.floor((41.474937 - float(latitude)) / south + 0.5)
    return f"{x}.{y}" if 1 <= x <= most and 1 <= y <= most else None


def trips(path: Path, query: int) -> Iterator[Trip]:
    """Trips that are no outliers."""
    with path.open(newline="") as file:
        for order, row in enumerate(csv.reader(file)):
            start, end = cell(row[6], row[7], query), cell(row[8], row[9], query)
            if start and end:
                cents = round(float(row[11]) * 100) + round(float(row[14]) * 100)
                yield Trip(order, row[0], row[2], row[3], datetime.fromisoformat(row[3]), start, end, cents)


def ten_routes(window: list[Trip]) -> list[list[Any]]:
    """The ten most frequent routes, of equals the one of the later trip first."""
    counts = Counter((trip.start, trip.end) for trip in window)
    latest = {(trip.start, trip.end): trip.order for trip in window}
    best = nlargest(10, counts, key=lambda route: (counts[route], latest[route]))
    return [list(route) for route in best]


def ten_areas(window: list[Trip]) -> list[list[Any]]:
    """The ten most profitable areas with empty taxis, median and profitability."""
    now = window[-1].at
    where = {trip.taxi: trip.end for trip in window}
    empty = Counter(where.values())
    cents: dict[str, list[int]] = {}
    latest: dict[str, int] = {}
    for trip in window:
        if now - EARNING < trip.at:
            cents.setdefault(trip.start, []).append(trip.cents)
            latest[trip.start] = trip.order
    found = []
    for area, all_cents in cents.items():
        if empty[area]:
            all_cents.sort()
            middle = all_cents[(len(all_cents) - 1) // 2] + all_cents[len(all_cents) // 2]
            found.append((middle / (200 * empty[area]), latest[area], area, empty[area], middle / 200))
    found.sort(reverse=True)
    return [[area, taxis, median, profit] for profit, _, area, taxis, median in found[:10]]


def answers(path: Path, query: int) -> Iterator[list[Any]]:
    """Pick-up, drop-off and the ten, flat and padded with NULL, of every trip that changes them."""
    ten_of, width = (ten_routes, 2) if query == 1 else (ten_areas, 4)
    window: list[Trip] = []
    last: list[list[Any]] = []
    for trip in trips(path, query):
        window = [other for other in window if trip.at - WINDOW[query] < other.at]
        window.append(trip)
        ten = ten_of(window)
        if ten != last:
            last = ten
            flat = [cell for entry in ten for cell in entry]
            yield [trip.pickup, trip.dropoff, *flat, *["NULL"] * (width * 10 - len(flat))]


def written(path: Path) -> Iterator[list[Any]]:
    """What a program wrote, without the delay, numbers as numbers; the delay must be a whole number."""
    with path.open(newline="") as file:
        for row in csv.reader(file):
            assert int(row[-1]) >= 0
            width = 4 if len(row) == 43 else 2
            yield [_value(cell, (index - 2) % width if index > 1 else 0) for index, cell in enumerate(row[:-1])]


def _value(cell: str, place: int) -> Any:
    """Cells and routes as they are; in query 2 the second of each four is a count, the third and fourth are dollars."""
    if cell == "NULL" or place == 0 or (place == 1 and "." in cell):
        return cell
    return int(cell) if place == 1 else float(cell)
