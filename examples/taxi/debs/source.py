"""Where the trips of a run come from: the challenge's files with cells, or the commission's with zones.

Rules: a file is read to its end before anything is started, so that a damaged one is refused as a whole. Which of the
two it is shows in its first line. The commission's are not ordered by drop-off, so they are put in order in memory; and
they name no taxis, so each trip takes the one that came last to where it begins, before it began.
"""

from __future__ import annotations

import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from examples.taxi.data import PERIOD_MS
from examples.taxi.debs import trip_file
from examples.taxi.debs.messages import DOLLAR, Trip
from examples.taxi.layouts import TripsError, is_header
from examples.taxi.trip_file import rows


@dataclass(frozen=True)
class Source:
    """A checked file: how many trips it has, and a way to read them in order of drop-off."""

    count: int
    trips: Callable[[], Iterator[Trip]]


def open_source(path: Path) -> Source:
    """Check a file of either kind. Raises: TripsError with the place and the cure."""
    if path.is_file() and (path.suffix.lower() == ".parquet" or _has_header(path)):
        return _zones(path)
    return Source(trip_file.check(path), lambda: trip_file.trips(path))


def _has_header(path: Path) -> bool:
    """Whether the first line names the commission's columns; the challenge's own, which it should lack, are told of there."""
    with path.open("rb") as file:
        line = file.readline(4096).decode("utf-8-sig", errors="replace")
    return is_header(line) and not trip_file.is_header(line.split(","))


class Fleet:
    """Taxis without names get numbers, and wait in the zones where their trips ended."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self._count = 0

    def drive(self, start: str, end: str, picked_up_ms: int, dropped_off_ms: int) -> str:
        """The taxi of a trip, which now waits at its end: the one that came last to its start, or a new one."""
        waiting = self._waiting[start]
        place = next((place for place in reversed(range(len(waiting))) if waiting[place][0] <= picked_up_ms), None)
        if place is None:
            self._count += 1
        taxi = str(self._count) if place is None else waiting.pop(place)[1]
        self._waiting[end].append((dropped_off_ms, taxi))
        return taxi


def _zones(path: Path) -> Source:
    """The commission's trips: those with both times and no stray date, by drop-off, in the file's order where equal."""
    columns = [array("q") for _ in range(5)]
    for row in rows(path):
        if row.picked_up_ms is None or row.dropped_off_ms is None:
            continue
        profit = round(row.fare * DOLLAR) + round(row.tip * DOLLAR)
        for column, value in zip(
            columns, (row.picked_up_ms, row.dropped_off_ms, row.zone or 0, row.end_zone or 0, profit), strict=True
        ):
            column.append(value)
    picked_up, dropped_off, starts, ends, profits = columns
    if dropped_off and not any(ends):
        raise TripsError(f"{path} has no zones of drop-off, so no routes either. Name a file that has both zones.")
    if not dropped_off:
        raise TripsError(f"{path} has a header but no trips with a time. Fetch it again, or name another with --trips.")
    middle = sorted(picked_up)[(len(picked_up) - 1) // 2]
    kept = [place for place, time_ms in enumerate(picked_up) if abs(time_ms - middle) <= PERIOD_MS]
    kept.sort(key=dropped_off.__getitem__)

    def trips() -> Iterator[Trip]:
        fleet = Fleet()
        for number, place in enumerate(kept):
            start, end = (str(zone or "") for zone in (starts[place], ends[place]))
            taxi = fleet.drive(start, end, picked_up[place], dropped_off[place]) if start and end else ""
            read_ms = time.time_ns() // 1_000_000
            yield Trip(number, taxi, picked_up[place], dropped_off[place], start, end, profits[place], read_ms)

    return Source(len(kept), trips)
