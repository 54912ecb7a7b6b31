"""The trips of a run: a checked file, the time it is about, and who is turned away at the door.

Rules: a file is read to its end before its first ride is produced, so that a damaged one is refused as a whole. Two
kinds of rows are no rides: those without a pickup or dropoff time, and strays, picked up more than `PERIOD_MS` from
the middle (the median) of the file; a broken clock would push everybody's time ahead. All else is a ride, however
odd, and `topology` decides about it. This module knows nothing of topics.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from examples.taxi.layouts import TripsError
from examples.taxi.messages import Ride
from examples.taxi.trip_file import rows

PERIOD_MS = 31 * 24 * 3_600_000
NO_TIME = "no pickup or dropoff time"
STRAY = "stray date"


@dataclass(frozen=True)
class Trips:
    """A checked file of trips: the first `count` rows of `path`, the time they are about, who was turned away."""

    path: Path
    count: int
    first_ms: int
    last_ms: int
    turned_away: Counter[str]

    @property
    def expected(self) -> int:
        """How many rides it has."""
        return self.count - self.turned_away.total()

    def rides(self) -> Iterator[Ride]:
        """The rides of the file in its order; `id` is the row, from 1, so rows turned away leave gaps."""
        for number, row in zip(range(1, self.count + 1), rows(self.path), strict=False):
            picked_up, dropped_off = row.picked_up_ms, row.dropped_off_ms
            if picked_up is None or dropped_off is None or not self.first_ms <= picked_up <= self.last_ms:
                continue
            yield Ride(
                number,
                row.zone,
                picked_up,
                dropped_off,
                int(row.passengers),
                row.miles,
                row.fare,
                row.tip,
                row.tolls,
                row.total,
                row.payment,
            )


def open_trips(path: Path, limit: int | None = None) -> Trips:
    """Read and check a whole file, of which the first `limit` rows will be used, and find the time it is about.

    Raises: TripsError with the place and the cure.
    """
    times = array("q")
    count = timed = 0
    for row in rows(path):
        has_time = row.picked_up_ms is not None and row.dropped_off_ms is not None
        if has_time:
            times.append(row.picked_up_ms or 0)
        if limit is None or count < limit:
            count += 1
            timed += has_time
    if not times:
        raise TripsError(f"{path} has a header but no trips with a time. Fetch it again, or name another with --trips.")
    middle = sorted(times)[(len(times) - 1) // 2]
    first, last = middle - PERIOD_MS, middle + PERIOD_MS
    if not 0 <= first <= middle <= time.time_ns() // 1_000_000:
        raise TripsError(
            f"{path}: the middle of its trips was picked up at {datetime.fromtimestamp(middle / 1000, UTC):%Y-%m-%d %H:%M}, "
            "and a broker takes no records from before 1970 or of the future. Correct the dates, or name another file "
            "with --trips."
        )
    strays = sum(not first <= time_ms <= last for time_ms in times[:timed])
    return Trips(path, count, first, last, +Counter({NO_TIME: count - timed, STRAY: strays}))
