"""How trips are written: the columns of the commission's yellow and green records, and of seaborn's sample of them.

Rules: a row is read but not judged. An empty number is 0; an empty zone, payment or time is None. This module knows
nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from examples.taxi.zones import NUMBERS, ZONES

PAYMENTS = {0: "flex fare", 1: "credit card", 2: "cash", 3: "no charge", 4: "dispute", 5: "unknown", 6: "voided"}

_EMPTY = frozenset({"", "NA", "N/A", "NaN", "nan", "null"})
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  wall clock of the city, see messages.py
_MILLISECOND = timedelta(milliseconds=1)
_SOURCE = "https://www.nyc.gov/site/tlc/about/tlc-trip-record-data.page"


class TripsError(Exception):
    """A file of trips that cannot be used; says where and what to do."""


def expect_file(path: Path, cure: str) -> None:
    """Raises: TripsError, unless there is a file at this place."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "is no file" if path.exists() else "does not exist"
        raise TripsError(f"{path} {what}. {cure}")


class Row(NamedTuple):
    """A line of the file, read but not judged."""

    picked_up_ms: int | None
    dropped_off_ms: int | None
    zone: int | None
    payment: str | None
    passengers: float
    miles: float
    fare: float
    tip: float
    tolls: float
    total: float
    end_zone: int | None


def _time(cell: Any) -> int:
    time = cell if isinstance(cell, datetime) else datetime.fromisoformat(cell)
    return (time - _EPOCH) // _MILLISECOND


def _number(cell: Any) -> float:
    if not isfinite(number := float(cell)):
        raise ValueError(cell)
    return number


def _zone_by_number(cell: Any) -> int | None:
    return number if (number := int(float(cell))) in ZONES else None


def _payment_by_code(cell: Any) -> str | None:
    return PAYMENTS.get(int(float(cell)))


@dataclass(frozen=True)
class Layout:
    """One kind of file: its columns in the order of `Row`, and how zones and payments are written there.

    Of these, `end_zone` may be missing.
    """

    columns: tuple[str, ...]
    end_zone: str
    zone: Callable[[Any], int | None]
    payment: Callable[[Any], str | None]

    def row(self, cells: Sequence[Any]) -> Row:
        """Cells in the order of `columns`, then `end_zone`, as a row. Raises: CellError."""
        readers = (_time, _time, self.zone, self.payment, *[_number] * 6, self.zone)
        values: list[Any] = []
        try:
            for read, cell in zip(readers, cells, strict=True):
                # A float that differs from itself is how Parquet writes an empty cell.
                empty = cell is None or cell in _EMPTY or cell != cell  # noqa: PLR0124
                values.append(read(cell) if not empty else 0.0 if read is _number else None)
        except (ValueError, TypeError, OverflowError) as error:
            expected = "time such as 2019-03-23 20:21:09" if len(values) < 2 else "number"
            raise CellError((*self.columns, self.end_zone)[len(values)], expected, cell) from error
        return Row._make(values)


class CellError(Exception):
    """A cell that is neither empty nor what its column holds."""

    def __init__(self, column: str, expected: str, cell: object) -> None:
        super().__init__(f"column {column}: expected a {expected}, found {str(cell)[:60]!r}")


def _tlc(prefix: str) -> Layout:
    columns = (
        f"{prefix}_pickup_datetime",
        f"{prefix}_dropoff_datetime",
        "PULocationID",
        "payment_type",
        "passenger_count",
        "trip_distance",
        "fare_amount",
        "tip_amount",
        "tolls_amount",
        "total_amount",
    )
    return Layout(columns, "DOLocationID", _zone_by_number, _payment_by_code)


LAYOUTS = (
    Layout(
        ("pickup", "dropoff", "pickup_zone", "payment", "passengers", "distance", "fare", "tip", "tolls", "total"),
        "dropoff_zone",
        NUMBERS.get,
        str,
    ),
    _tlc("tpep"),
    _tlc("lpep"),
)


def is_header(line: str) -> bool:
    """Whether a line names columns of trips, though perhaps not all of them."""
    names = {name.strip().strip('"').lower() for name in line.split(",")}
    return any(name.lower() in names for layout in LAYOUTS for name in layout.columns)


def _cure(names: Collection[str]) -> str:
    """What those who gave an old file should know."""
    old = any(name.endswith(("_lon", "longitude")) for name in names)
    return "Files of before July 2016 have coordinates instead of zones, so name a later one. " if old else ""


def layout_of(path: Path, header: Sequence[str]) -> tuple[Layout, list[int | None]]:
    """The layout that the header fits, and where its columns and then `end_zone` stand; None where that is missing.

    Raises: TripsError that names the columns which the nearest layout misses.
    """
    place = {name.strip().lower(): index for index, name in enumerate(header)}
    missing = {layout: [name for name in layout.columns if name.lower() not in place] for layout in LAYOUTS}
    layout = min(LAYOUTS, key=lambda each: len(missing[each]))
    if missing[layout]:
        raise TripsError(
            f"{path} has other columns than trips have: {', '.join(missing[layout])} missing; "
            f"found {', '.join(header)[:200] or 'none'}. {_cure(place)}Give a yellow or green trip file of the commission ({_SOURCE}) "
            "or one with the columns of seaborn's taxis.csv."
        )
    return layout, [*(place[name.lower()] for name in layout.columns), place.get(layout.end_zone.lower())]
