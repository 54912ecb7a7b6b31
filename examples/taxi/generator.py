"""Trips for those who have none: a seeded generator, as dirty as reality.

Rules: the same seed gives the same trips, and more of them begin with the same ones, so that a longer run continues a
shorter one. Rows are in the order in which meters report, which is not quite that of pickups. The shares of dirt are
those seen in the commission's files, rounded up so that a small run meets every kind.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from examples.taxi.zones import ZONES

COLUMNS = ("pickup", "dropoff", "passengers", "distance", "fare", "tip", "tolls", "total", "color", "payment",
           "pickup_zone", "dropoff_zone", "pickup_borough", "dropoff_borough")  # fmt: skip

_START = datetime(2024, 3, 4, 6)  # noqa: DTZ001  wall clock of the city
_GAP_SECONDS = 2.0
"""Between two trips on average: two million of them stay within what a file may span (see data.py)."""
MOST = 2_000_000
_BUSY = (161, 237, 186, 48, 162, 236, 230, 234, 142, 170, 79, 132, 138, 239, 164)
_WEIGHTS = [20 if number in _BUSY else 6 if zone.borough == "Manhattan" else 1 for number, zone in ZONES.items()]
_HOURS = (4, 3, 2, 1, 1, 1, 3, 5, 7, 7, 7, 7, 7, 7, 8, 8, 8, 9, 10, 10, 9, 8, 8, 6)
_STRAYS = (datetime(2001, 1, 1), datetime(2008, 12, 31, 23, 4), datetime(2053, 3, 4, 7, 30))  # noqa: DTZ001


def trips(seed: int) -> Iterator[list[Any]]:
    """Trips without end, as rows of `COLUMNS`: times are datetimes, an empty cell is None."""
    random = Random(seed)
    zones = list(ZONES.values())
    clock = _START
    while True:
        clock += timedelta(seconds=round(random.expovariate(_HOURS[clock.hour] / 6 / _GAP_SECONDS)))
        start, end = random.choices(zones, _WEIGHTS, k=2)
        distance = round(random.lognormvariate(0.6, 0.8), 2)
        fare = round(3.0 + 2.5 * distance + random.random() * 2, 2)
        tip = round(fare * random.choice((0, 0, 0.15, 0.2, 0.25)), 2)
        tolls = 6.94 if 132 in (start.number, end.number) and random.random() < 0.3 else 0.0
        dropoff = clock + timedelta(minutes=round(3 + distance * 4, 1))
        row = [clock, dropoff, random.choice((1, 1, 1, 1, 2, 3, 5)), distance, fare, tip, tolls,
               round(fare + tip + tolls + 3.3, 2), random.choice(("yellow", "yellow", "green")),
               "credit card" if tip else "cash", start.name, end.name, start.borough, end.borough]  # fmt: skip
        yield _soiled(random, row)


def _soiled(random: Random, trip: list[Any]) -> list[Any]:
    """The trip as it arrives: mostly unharmed."""
    pickup, dropoff, passengers, distance, fare, tip, tolls, total, color, payment, *places = trip
    match random.randrange(1000):
        case kind if kind < 20:  # reported late: the meter was out of reach
            late = timedelta(minutes=random.randrange(10, 360))
            pickup, dropoff = pickup - late, dropoff - late
        case kind if kind < 28:
            distance = 0.0
        case kind if kind < 34:  # a refund
            fare, tip, tolls, total, payment = -fare, 0.0, 0.0, -total, "dispute"
        case kind if kind < 40:
            payment = None
        case kind if kind < 45:
            places = [None, places[1], None, places[3]]
        case kind if kind < 48:
            pickup, dropoff = (stray := random.choice(_STRAYS)), stray + (dropoff - pickup)
        case kind if kind < 50:
            pickup, dropoff = dropoff, pickup
        case kind if kind < 52:
            passengers, fare, tip, tolls, total, payment = 0, 0.0, 0.0, 0.0, 0.0, "no charge"
        case 52:
            dropoff = None
    return [pickup, dropoff, passengers, distance, fare, tip, tolls, total, color, payment, *places]


def write_trips(path: Path, count: int, seed: int) -> None:
    """Write the first `count` trips of a seed (at most `MOST`) as a CSV file in the columns of seaborn's taxis.csv."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(islice(trips(seed), count))


def ensure_trips(path: Path, count: int, seed: int) -> None:
    """Write the file, unless it has that many trips already."""
    if path.is_file():
        with path.open("rb") as file:
            if sum(1 for _ in file) > count:
                return
    write_trips(path, count, seed)
