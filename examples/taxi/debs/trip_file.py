"""Files in the challenge's format: 17 columns, no header, a trip a line, ordered by drop-off.

Rules: only what the queries use is read. An empty coordinate is a place off the map, an empty fare or tip is nothing;
anything else that is no number, time or whole line refuses the file, with the place and the cure.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

from examples.taxi.debs.messages import DOLLAR, Trip
from examples.taxi.layouts import TripsError, expect_file
from examples.taxi.trip_file import ends_with_newline

COLUMNS = (
    "medallion", "hack_license", "pickup_datetime", "dropoff_datetime", "trip_time_in_secs", "trip_distance",
    "pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude", "payment_type", "fare_amount",
    "surcharge", "mta_tax", "tip_amount", "tolls_amount", "total_amount",
)  # fmt: skip

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  wall clock of the city
_MILLISECOND = timedelta(milliseconds=1)
_NOWHERE = 0.0
"""In the Gulf of Guinea: where broken meters put themselves too."""
_FORTUNE = 1e12
"""Dollars that no fare comes to; what is more does not fit the numbers that travel."""


def trips(path: Path) -> Iterator[Trip]:
    """Every trip of a file, in its order, as it is read. Raises: TripsError with the place and the cure."""
    expect_file(
        path,
        "Name a file in the format of the DEBS 2015 challenge, or make one: "
        "python -m examples.taxi debs-trips --count 100000 --output trips.csv",
    )
    number, latest_ms = 0, -sys.maxsize
    above: list[str] = []
    last: list[str] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            for cells in reader:
                if not cells:  # a blank line
                    continue
                try:
                    trip = _trip(number, cells)
                except (ValueError, TypeError, OverflowError) as error:
                    raise TripsError(_complaint(f"{path}, line {reader.line_num}", number, cells)) from error
                if trip.dropped_off_ms < latest_ms:
                    raise TripsError(
                        f"{path}, line {reader.line_num}: dropped off at {cells[3]}, which is before the line above it. "
                        f"The queries need trips ordered by drop-off: sort -s -t, -k4,4 {path.name} > sorted.csv"
                    )
                yield trip
                number, latest_ms, above, last = number + 1, trip.dropped_off_ms, last, cells
            if above and _adds_up(above) and not _adds_up(last) and not ends_with_newline(path):
                raise TripsError(
                    f"{path}, line {reader.line_num}: ends without a line end, and its amounts do not add up as those "
                    "above do. The file seems cut there: fetch it again, or add the line end if it is whole."
                )
        except (csv.Error, UnicodeDecodeError) as error:
            raise TripsError(
                f"{path}, line {reader.line_num + 1}: not a CSV file of UTF-8 text ({error}). Fetch it again."
            ) from error
    if not number:
        raise TripsError(
            f"{path} is empty: expected a trip a line, in the 17 columns of the challenge. Fetch it again."
        )


def is_header(cells: list[str]) -> bool:
    """Whether a line names the columns, which the challenge's files do not."""
    return cells[0].strip().strip('"').lower() == COLUMNS[0]


def check(path: Path) -> int:
    """Read a file to its end. Shape: how many trips it has. Raises: TripsError."""
    return sum(1 for _ in trips(path))


def _trip(number: int, cells: list[str]) -> Trip:
    if len(cells) != len(COLUMNS):
        raise ValueError(cells)
    return Trip(
        number,
        cells[0],
        _time_ms(cells[2]),
        _time_ms(cells[3]),
        (_degrees(cells[6]), _degrees(cells[7])),
        (_degrees(cells[8]), _degrees(cells[9])),
        _money(cells[11]) + _money(cells[14]),
        time.time_ns() // 1_000_000,
    )


@lru_cache(maxsize=10_000)  # seconds come again and again
def _time_ms(cell: str) -> int:
    return (datetime.fromisoformat(cell) - _EPOCH) // _MILLISECOND


def _degrees(cell: str) -> float:
    if not isfinite(number := float(cell or _NOWHERE)):
        raise ValueError(cell)
    return number


def _money(cell: str) -> int:
    if not -_FORTUNE < (dollars := float(cell or 0)) < _FORTUNE:
        raise ValueError(cell)
    return round(dollars * DOLLAR)


def _adds_up(cells: list[str]) -> bool:
    """Whether the last amount is the sum of the five before it, to the cent."""
    try:
        *parts, total = (float(cell or 0) for cell in cells[-6:])
    except ValueError:
        return False
    return abs(sum(parts) - total) < 0.006


_READ: dict[int, Callable[[str], Any]] = dict.fromkeys((2, 3), _time_ms)
_READ |= dict.fromkeys((6, 7, 8, 9), _degrees) | dict.fromkeys((11, 14), _money)


def _complaint(where: str, number: int, cells: list[str]) -> str:
    """What is wrong with a line that is no trip, and what to do."""
    if number == 0 and is_header(cells):
        return f"{where}: a header, which the challenge's files do not have. Delete the line."
    if len(cells) == len(COLUMNS):
        column = next(column for column, read in _READ.items() if not _readable(read, cells[column]))
        expected = "time such as 2013-01-01 00:02:00" if column < 4 else "number"
        return (
            f"{where}, column {column + 1} ({COLUMNS[column]}): expected a {expected}, found {cells[column][:60]!r}. "
            "Correct the cell, or fetch the file again."
        )
    found = f"{where}: expected the {len(COLUMNS)} columns of the DEBS 2015 challenge, found {len(cells)}"
    if number:
        return f"{found}. The file seems cut or damaged there: fetch it again, or delete the line."
    return (
        f"{found} ({','.join(cells)[:60]}). Name a file in the challenge's format, without a header; trip files of other "
        "years have other columns: name one of the commission's with a header, or a Parquet file, for zones instead of cells."
    )


def _readable(read: Callable[[str], Any], cell: str) -> bool:
    try:
        read(cell)
    except (ValueError, TypeError, OverflowError):
        return False
    return True
