"""The naive recomputation for a million trips: the same rules, once more from the trips of the window, on columns.

Rules: as `recomputation`, whose lists it equals (test_columns.py), but with numpy, so that a window of thousands of
trips costs microseconds. Nothing is kept from one trip to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

_NAMES = ("taxi", "pickup", "dropoff", "west", "north", "east", "south", "fare", "tip")
_PLACES = (0, 2, 3, 6, 7, 8, 9, 11, 14)
_SIDES = {1: (0.005986, 0.004491556, 300), 2: (0.002993, 0.002245778, 600)}
_HALF_HOUR, _QUARTER = np.timedelta64(30, "m"), np.timedelta64(15, "m")
_MANY = 1 << 30
"""More than there are trips, or cells."""

Ints = NDArray[np.int64]
Key = tuple[Any, ...]
"""Ten places, as they are compared."""


class Trips(NamedTuple):
    """Trips inside the grid, column by column; cells are numbers, and `from_*` the first trip of each one's window.

    `route` is a number for a route, and below it the place of the trip.
    """

    taxi: Ints
    pickup: NDArray[Any]
    dropoff: NDArray[Any]
    start: Ints
    end: Ints
    route: Ints
    cents: Ints
    from_half_hour: Ints
    from_quarter: Ints
    most: int

    def name(self, cell: int) -> str:
        """A cell as x.y."""
        return f"{cell // self.most + 1}.{cell % self.most + 1}"


def read(path: Path, query: int) -> Trips:
    """The trips of a file that are no outliers."""
    table = pd.read_csv(path, header=None, names=_NAMES, usecols=_PLACES, dtype=str, keep_default_na=False)
    for name in _NAMES[3:]:
        table[name] = table[name].replace("", "nan").astype(object).astype(float)  # by Python, to the last bit
    start, end = cells(table.west, table.north, query), cells(table.east, table.south, query)
    inside = (start >= 0) & (end >= 0)
    table, start, end = table[inside], start[inside], end[inside]
    cents = np.rint(table.fare.fillna(0) * 100) + np.rint(table.tip.fillna(0) * 100)
    at = table.dropoff.to_numpy("datetime64[s]")
    return Trips(
        pd.factorize(table.taxi)[0],
        table.pickup.to_numpy(),
        table.dropoff.to_numpy(),
        start,
        end,
        np.unique(start * _MANY + end, return_inverse=True)[1] * _MANY + np.arange(len(start)),
        cents.to_numpy(np.int64),
        np.searchsorted(at, at - _HALF_HOUR, side="right"),
        np.searchsorted(at, at - _QUARTER, side="right"),
        _SIDES[query][2],
    )


def cells(longitude: pd.Series, latitude: pd.Series, query: int) -> Ints:
    """The cells of points as numbers, row by row of the map from 0 in the north-west; -1 outside."""
    east, south, most = _SIDES[query]
    x = np.floor((longitude - -74.913585) / east + 0.5)
    y = np.floor((41.474937 - latitude) / south + 0.5)
    known = (x >= 0) & (x < most) & (y >= 0) & (y < most)
    return np.where(known, x * most + y, -1).astype(np.int64)


def ten_routes(trips: Trips, place: int) -> Key:
    """The ten routes after the trip at a place, best first, as pairs of cells."""
    window = slice(trips.from_half_hour[place], place + 1)
    routes = np.sort(trips.route[window])  # by route, then by place
    lasts = np.append(np.flatnonzero(routes[1:] // _MANY != routes[:-1] // _MANY), len(routes) - 1)
    counts = np.diff(lasts, prepend=-1)
    best = np.sort(counts * _MANY + routes[lasts] % _MANY)[:-11:-1] % _MANY  # places of their latest trips
    return tuple(zip(trips.start[best].tolist(), trips.end[best].tolist(), strict=True))


def ten_areas(trips: Trips, place: int) -> Key:
    """The ten areas after the trip at a place, best first: cell, empty taxis, twice the median in cents."""
    half_hour = slice(trips.from_half_hour[place], place + 1)
    backwards = half_hour.stop - 1 - np.unique(trips.taxi[half_hour][::-1], return_index=True)[1]
    waiting, empty = np.unique(trips.end[backwards], return_counts=True)

    quarter = slice(trips.from_quarter[place], place + 1)
    starts, cents = trips.start[quarter], trips.cents[quarter]
    areas, latest = np.unique(starts[::-1], return_index=True)
    order = np.lexsort((cents, starts))
    firsts = np.searchsorted(starts[order], areas, side="left")
    sizes = np.searchsorted(starts[order], areas, side="right") - firsts
    medians = cents[order][firsts + (sizes - 1) // 2] + cents[order][firsts + sizes // 2]

    at = np.minimum(np.searchsorted(waiting, areas), len(waiting) - 1)
    taxis = np.where(waiting[at] == areas, empty[at], 0)
    served = taxis > 0
    areas, latest, medians, taxis = areas[served], latest[served], medians[served], taxis[served]
    best = np.lexsort((-latest, medians / (200 * taxis)))[:-11:-1]
    return tuple(zip(areas[best].tolist(), taxis[best].tolist(), medians[best].tolist(), strict=True))


def answers(path: Path, query: int, home: Path | None = None, size: int = 25_000) -> Iterator[list[Any]]:
    """As `recomputation.answers`; by parts of so many trips, kept in `home`, so that it goes on where it was stopped."""
    trips = read(path, query)
    for begin in range(0, len(trips.taxi), size):
        kept = home / f"expected-{query}-{begin:08}.json" if home else None
        if kept is None or not kept.exists():
            part = list(_lists(trips, query, begin, min(begin + size, len(trips.taxi))))
            if kept is not None:
                partial = kept.with_suffix(".partial")
                partial.write_bytes(msgspec.json.encode(part))
                partial.replace(kept)
        else:
            part = msgspec.json.decode(kept.read_bytes())
        yield from part


def _lists(trips: Trips, query: int, begin: int, end: int) -> Iterator[list[Any]]:
    """The lists that the trips at these places lead to."""
    ten_of, figures_of, width = (ten_routes, _of_routes, 2) if query == 1 else (ten_areas, _of_areas, 4)
    last: Key = ten_of(trips, begin - 1) if begin else ()
    for place in range(begin, end):
        ten = ten_of(trips, place)
        if ten != last:
            last = ten
            figures = figures_of(trips, ten)
            padding = ["NULL"] * (width * 10 - len(figures))
            yield [trips.pickup[place], trips.dropoff[place], *figures, *padding]


def _of_routes(trips: Trips, ten: Key) -> list[Any]:
    return [trips.name(cell) for route in ten for cell in route]


def _of_areas(trips: Trips, ten: Key) -> list[Any]:
    return [
        figure for cell, taxis, twice in ten for figure in (trips.name(cell), taxis, twice / 200, twice / (200 * taxis))
    ]
