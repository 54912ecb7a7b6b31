"""The totals of a file of trips, computed a second time: with pandas, and without a line of the pipeline.

Rules: reads the file by itself and states every rule again as an expression over columns. Of the example's own code
it uses only the names of columns, payments and zones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from examples.taxi.layouts import LAYOUTS, PAYMENTS
from examples.taxi.zones import NUMBERS, ZONES

Window = tuple[int, int]
"""A zone's number and the start of ten minutes, in ms."""

_NAMES = ("pickup", "dropoff", "zone", "payment", "passengers", "miles", "fare", "tip", "tolls", "total")


@dataclass(frozen=True)
class Totals:
    """What a run must come to. `takings` holds rides and fares (in cents) of each zone and ten minutes."""

    rides: int
    turned_away: Mapping[str, int]
    refused: Mapping[str, int]
    confirmed: int
    takings: Mapping[Window, tuple[int, int]]

    @property
    def fares(self) -> float:
        """All fares of confirmed rides, in dollars."""
        return sum(cents for _, cents in self.takings.values()) / 100


def recompute(path: Path, count: int) -> Totals:
    """The totals of the first `count` trips of a file that `data.open_trips` has accepted."""
    whole = _read(path)
    middle: Any = whole.dropna(subset=["pickup", "dropoff"]).pickup.quantile(interpolation="lower")
    trips = whole.head(count)
    timed = trips.dropna(subset=["pickup", "dropoff"])
    rides = timed[(timed.pickup - middle).abs() <= pd.Timedelta(days=31)]
    reason = _reasons(rides)
    confirmed = rides[reason == ""]
    turned_away = {"no pickup or dropoff time": len(trips) - len(timed), "stray date": len(timed) - len(rides)}
    return Totals(len(rides), +Counter(turned_away), Counter(reason[reason != ""]), len(confirmed), _takings(confirmed))


def _read(path: Path) -> pd.DataFrame:
    """The trips in columns named as in `_NAMES`, times parsed, zones as numbers."""
    frame: pd.DataFrame = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else pd.read_csv(path)
    frame.columns = [str(name).strip().lower() for name in frame.columns]
    layout = next(layout for layout in LAYOUTS if {name.lower() for name in layout.columns} <= set(frame.columns))
    frame = frame[[name.lower() for name in layout.columns]].set_axis(list(_NAMES), axis="columns")
    named = layout is LAYOUTS[0]
    return frame.assign(
        pickup=pd.to_datetime(frame.pickup).astype("datetime64[ms]"),
        dropoff=pd.to_datetime(frame.dropoff).astype("datetime64[ms]"),
        zone=frame.zone.map(NUMBERS) if named else frame.zone.where(frame.zone.isin(list(ZONES))),
        payment=frame.payment if named else frame.payment.map(PAYMENTS),
        fare=frame.fare.fillna(0.0),
    )


def _reasons(rides: pd.DataFrame) -> pd.Series[Any]:
    """Why each ride is refused, "" when it is not; of several reasons the first counts."""
    reason = pd.Series("", index=rides.index, dtype=object)
    payable = rides.payment.isin(["credit card", "cash", "flex fare"])
    for name, applies in (
        ("no zone", rides.zone.isna()),
        ("nothing to pay", rides.fare <= 0),
        ("no payment", ~payable),
        ("ends before it begins", rides.dropoff < rides.pickup),
    ):
        reason[applies & (reason == "")] = name
    return reason


def _takings(rides: pd.DataFrame) -> dict[Window, tuple[int, int]]:
    window = rides.pickup.dt.floor("10min").astype("int64")
    sums = rides.fare.groupby([rides.zone.astype("int64"), window]).agg(["size", "sum"])
    return {
        (int(zone), int(start)): (int(size), round(float(fares) * 100))
        for (zone, start), size, fares in sums.itertuples(name=None)
    }
