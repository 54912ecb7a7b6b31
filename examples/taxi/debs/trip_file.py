"""Files in the challenge's format: 17 columns, no header, a trip a line, ordered by drop-off.

Rules: only what the queries use is read. An empty coordinate is a place off the map, an empty fare or tip is nothing;
anything else that is no number, time or whole line refuses the file, with the place and the cure.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from math import isfinite
from pathlib import Path

from examples.taxi.debs.messages import DOLLAR, Trip
from examples.taxi.layouts import TripsError
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


def trips(path: Path) -> Iterator[Trip]:
    """Every trip of a file, in its order, as it is read. Raises: TripsError with the place and the cure."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise TripsError(
            f"{path} {what}. Name a file in the format of the DEBS 2015 challenge, or make one: "
            "python -m examples.taxi debs-trips --count 100000 --output trips.csv"
        )
    number, latest_ms, fewest, decimals = 0, 0, 99, 99
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            for cells in reader:
                if not cells:  # a blank line
                    continue
                trip = _trip(f"{path}, line {reader.line_num}", number, cells)
                if trip.dropped_off_ms < latest_ms:
                    raise TripsError(
                        f"{path}, line {reader.line_num}: dropped off at {cells[3]}, which is before the line above it. "
                        f"The queries need trips ordered by drop-off: sort -s -t, -k4,4 {path.name} > sorted.csv"
                    )
                yield trip
                number, latest_ms = number + 1, trip.dropped_off_ms
                fewest, decimals = min(fewest, decimals), len(cells[-1].partition(".")[2])
            if decimals < fewest < 99 and not ends_with_newline(path):
                raise TripsError(
                    f"{path}, line {reader.line_num}: ends without a line end, and its last number is shorter than those "
                    "above it. The file seems cut there: fetch it again, or add the line end if it is whole."
                )
        except (csv.Error, UnicodeDecodeError) as error:
            raise TripsError(
                f"{path}, line {reader.line_num + 1}: not a CSV file of UTF-8 text ({error}). Fetch it again."
            ) from error
    if not number:
        raise TripsError(
            f"{path} is empty: expected a trip a line, in the 17 columns of the challenge. Fetch it again."
        )


def check(path: Path) -> int:
    """Read a file to its end. Shape: how many trips it has. Raises: TripsError."""
    return sum(1 for _ in trips(path))


def _trip(where: str, number: int, cells: list[str]) -> Trip:
    if len(cells) != len(COLUMNS):
        raise TripsError(_not_a_trip(where, number, cells))
    column = 0
    try:
        picked_up = datetime.fromisoformat(cells[(column := 2)])
        dropped_off = datetime.fromisoformat(cells[(column := 3)])
        start = (_degrees(cells[(column := 6)]), _degrees(cells[(column := 7)]))
        end = (_degrees(cells[(column := 8)]), _degrees(cells[(column := 9)]))
        profit = _money(cells[(column := 11)]) + _money(cells[(column := 14)])
        return Trip(
            number,
            cells[0],
            (picked_up - _EPOCH) // _MILLISECOND,
            (dropped_off - _EPOCH) // _MILLISECOND,
            start,
            end,
            profit,
            time.time_ns() // 1_000_000,
        )
    except (ValueError, TypeError, OverflowError) as error:
        if number == 0 and cells[0].strip().lower() == COLUMNS[0]:
            raise TripsError(f"{where}: a header, which the challenge's files do not have. Delete the line.") from error
        expected = "time such as 2013-01-01 00:02:00" if column < 4 else "number"
        raise TripsError(
            f"{where}, column {column + 1} ({COLUMNS[column]}): expected a {expected}, found {cells[column][:60]!r}. "
            "Correct the cell, or fetch the file again."
        ) from error


def _degrees(cell: str) -> float:
    if not isfinite(number := float(cell or _NOWHERE)):
        raise ValueError(cell)
    return number


def _money(cell: str) -> int:
    return round(float(cell or 0) * DOLLAR)


def _not_a_trip(where: str, number: int, cells: list[str]) -> str:
    found = f"{where}: expected the {len(COLUMNS)} columns of the DEBS 2015 challenge, found {len(cells)}"
    if number:
        return f"{found}. The file seems cut or damaged there: fetch it again, or delete the line."
    return (
        f"{found} ({','.join(cells)[:60]}). Name a file in the challenge's format, without a header; trip files of other "
        "years have other columns: name one of the commission's with a header, or a Parquet file, for zones instead of cells."
    )
