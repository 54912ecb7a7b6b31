"""The challenge's answers, computed naively: after every trip, everything again from the trips of the window.

Rules: written from the rules alone; shares no code with the example, keeps nothing between two trips but the trips.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
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
    profit: Decimal


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
    with path.open(newline="", encoding="utf-8-sig") as file:
        for order, row in enumerate(row for row in csv.reader(file) if row):
            start, end = cell(row[6], row[7], query), cell(row[8], row[9], query)
            if start and end:
                profit = Decimal(row[11] or 0) + Decimal(row[14] or 0)
                yield Trip(order, row[0], row[2], row[3], datetime.fromisoformat(row[3]), start, end, profit)


def zone_trips(path: Path, numbers: dict[str, int], strays: timedelta = timedelta(days=31)) -> list[Trip]:
    """The commission's trips, or seaborn's, in order of drop-off, with the numbers of their zones and no taxis."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for order, row in enumerate(rows):
        pickup = row.get("pickup") or row["tpep_pickup_datetime"]
        dropoff = row.get("dropoff") or row["tpep_dropoff_datetime"]
        zones = [row.get("PULocationID"), row.get("DOLocationID")]
        if "pickup_zone" in row:
            zones = [str(numbers.get(row[name], "")) for name in ("pickup_zone", "dropoff_zone")]
        money = [float(row.get(name) or row.get(f"{name}_amount") or 0) for name in ("fare", "tip")]
        profit = Decimal(sum(round(amount * 100) for amount in money)) / 100
        found.append(Trip(order, "", pickup, dropoff, datetime.fromisoformat(dropoff), *map(str, zones), profit))
    begins = sorted(datetime.fromisoformat(trip.pickup) for trip in found)
    middle = begins[(len(begins) - 1) // 2]
    kept = [trip for trip in found if abs(datetime.fromisoformat(trip.pickup) - middle) <= strays]
    known = {str(number) for number in numbers.values()} | {"57", "103", "104", "105"}
    kept.sort(key=lambda trip: trip.at)
    return [trip._replace(order=order) for order, trip in enumerate(kept) if trip.start in known and trip.end in known]


def standing(window: list[Trip]) -> Counter[str]:
    """Nameless empty taxis by zone: a trip takes the one that came last to where it begins, before it began."""
    waiting: list[Trip] = []
    for trip in window:
        begin = datetime.fromisoformat(trip.pickup)
        there = [other for other in waiting if other.end == trip.start and other.at <= begin]
        if there:
            waiting.remove(there[-1])
        waiting.append(trip)
    return Counter(trip.end for trip in waiting)


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
    empty = Counter(where.values()) if window[-1].taxi else standing(window)
    profits: dict[str, list[Decimal]] = {}
    latest: dict[str, int] = {}
    for trip in window:
        if now - EARNING < trip.at:
            profits.setdefault(trip.start, []).append(trip.profit)
            latest[trip.start] = trip.order
    found = []
    for area, earned in profits.items():
        if empty[area]:
            median = statistics.median(map(Fraction, earned))
            found.append((median / empty[area], latest[area], area, empty[area], median))
    found.sort(reverse=True)
    return [[area, taxis, float(median), float(profit)] for profit, _, area, taxis, median in found[:10]]


def answers(path: Path, query: int) -> Iterator[list[Any]]:
    """Pick-up, drop-off and the ten, flat and padded with NULL, of every trip that changes them."""
    return answers_to(trips(path, query), query)


def answers_to(given: Iterable[Trip], query: int) -> Iterator[list[Any]]:
    """The same for trips that were read already."""
    ten_of, width = (ten_routes, 2) if query == 1 else (ten_areas, 4)
    window: list[Trip] = []
    last: list[list[Any]] = []
    for trip in given:
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
            yield [_value(cell, (index - 2) % width if index > 1 else 0, width) for index, cell in enumerate(row[:-1])]


def _value(cell: str, place: int, width: int) -> Any:
    """Cells and routes as they are; in query 2 the second of each four is a count, the third and fourth are dollars."""
    if cell == "NULL" or place == 0 or width == 2:
        return cell
    return int(cell) if place == 1 else float(cell)
