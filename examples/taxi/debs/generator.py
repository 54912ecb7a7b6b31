"""Trips in the challenge's format for those who have none: a seeded fleet that drives through New York.

Rules: the same seed gives the same trips, and more of them begin with the same ones. A taxi is at one place at a time,
waits, and drives on from near where it stopped; places are drawn from hot spots whose pull differs, as in the city. Times
are whole seconds, so drop-offs coincide; now and then nobody drives for hours. About one trip in forty is as dirty as
the real ones: no coordinates, places beyond the map, refunds, a drop-off before its pick-up.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import heapify, heapreplace
from itertools import islice
from math import hypot
from pathlib import Path
from random import Random

_START = datetime(2013, 1, 1)  # noqa: DTZ001  wall clock of the city
_MIDTOWN = (-73.985, 40.755)
_TAXIS = 1_500
_SPOTS = 60
_GAP = 0.000_02
_DEGREES_PER_MILE = 0.016


def trips(seed: int, taxis: int = _TAXIS) -> Iterator[list[str]]:
    """Trips without end, as cells of the challenge's 17 columns, ordered by drop-off."""
    random = Random(seed)
    fleet = [_Taxi(random) for _ in range(taxis)]
    spots = [(random.gauss(0, 0.025), random.gauss(0, 0.03)) for _ in range(_SPOTS)]
    pull = [1 / (rank + 1) for rank in range(_SPOTS)]
    pause = 0
    # The seconds at which the next trip of each taxi ends: the heap is the order of drop-offs.
    ends = [(random.randrange(1_800), number) for number in range(taxis)]
    heapify(ends)
    while True:
        end, number = ends[0]
        taxi = fleet[number]
        begin = max(end - 60 - int(random.expovariate(1 / 540)), taxi.free)
        start, goal = taxi.place, _near(random, random.choices(spots, pull)[0])
        if random.random() < 0.5:
            start = _near(random, random.choices(spots, pull)[0])
        yield _soiled(random, _cells(random, taxi, (begin + pause, end + pause), start, goal))
        taxi.place, taxi.free = goal, end + random.randrange(240)
        heapreplace(ends, (taxi.free + 60 + int(random.expovariate(1 / 700)), number))
        if random.random() < _GAP:
            pause += random.randrange(1_800, 14_400)


class _Taxi:
    def __init__(self, random: Random) -> None:
        self.medallion = random.randbytes(16).hex().upper()
        self.licence = random.randbytes(16).hex().upper()
        self.place = (random.gauss(0, 0.03), random.gauss(0, 0.04))
        self.free = 0


def _near(random: Random, spot: tuple[float, float]) -> tuple[float, float]:
    return spot[0] + random.gauss(0, 0.002), spot[1] + random.gauss(0, 0.0015)


def _cells(
    random: Random, taxi: _Taxi, seconds: tuple[int, int], start: tuple[float, float], goal: tuple[float, float]
) -> list[str]:
    miles = 1.3 * hypot(goal[0] - start[0], goal[1] - start[1]) / _DEGREES_PER_MILE
    fare = 2.5 + 0.5 * round(miles * 4 + (seconds[1] - seconds[0]) / 120)
    card = random.random() < 0.55
    tip = round(fare * random.choice((0, 0.1, 0.15, 0.2, 0.2, 0.25)), 2) if card else 0.0
    surcharge = random.choice((0.0, 0.5, 1.0))
    tolls = 5.33 if miles > 8 and random.random() < 0.3 else 0.0
    begin, end = (str(_START + timedelta(seconds=second)) for second in seconds)
    (west, south), (east, north) = start, goal
    money = (fare, surcharge, 0.5, tip, tolls, fare + surcharge + 0.5 + tip + tolls)
    return [
        taxi.medallion, taxi.licence, begin, end, str(seconds[1] - seconds[0]), f"{miles:.2f}",
        f"{_MIDTOWN[0] + west:.6f}", f"{_MIDTOWN[1] + south:.6f}",
        f"{_MIDTOWN[0] + east:.6f}", f"{_MIDTOWN[1] + north:.6f}",
        "CRD" if card else "CSH", *(f"{amount:.2f}" for amount in money),
    ]  # fmt: skip


def _soiled(random: Random, cells: list[str]) -> list[str]:
    """The trip as it arrives: mostly unharmed."""
    match random.randrange(1_000):
        case kind if kind < 12:  # the meter did not know where it was
            cells[6:10] = ["0.000000"] * 4
        case kind if kind < 15:
            cells[8], cells[9] = "0.000000", "0.000000"
        case kind if kind < 19:
            cells[8], cells[9] = random.choice((("-75.314000", "39.870000"), ("-72.900000", "41.300000")))
        case kind if kind < 22:
            cells[6], cells[7] = "", ""
        case kind if kind < 25:  # a refund
            cells[11], cells[14] = f"-{cells[11]}", "0.00"
        case 25:
            cells[2] = str(datetime.fromisoformat(cells[3]) + timedelta(seconds=90))
    return cells


def write_trips(path: Path, count: int, seed: int, taxis: int = _TAXIS) -> None:
    """Write the first `count` trips of a seed. Raises: OSError."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(islice(trips(seed, taxis), count))
    partial.replace(path)
