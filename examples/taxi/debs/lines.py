"""The lines of the output: pick-up and drop-off of the trip that changed the list, the ten, and the delay.

Rules: what is missing of the ten is NULL in each of its columns, so that every line has as many columns. Dollars are
written as short as they can be read back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from examples.taxi.debs.messages import Areas, Routes, Ten
from examples.taxi.debs.ranking import BEST

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  wall clock of the city


def line(change: Ten, now_ms: int) -> str:
    """A change as a line, without its end; the delay is from the reading of its trip until now, in ms."""
    cells = [_time(change.picked_up_ms), _time(change.dropped_off_ms)]
    if isinstance(change, Routes):
        cells += [place for route in change.ten for place in route]
        cells += ["NULL"] * 2 * (BEST - len(change.ten))
    elif isinstance(change, Areas):
        for place, empty, *dollars in change.ten:
            cells += [place, str(empty), *map(_plain, dollars)]
        cells += ["NULL"] * 4 * (BEST - len(change.ten))
    return ",".join([*cells, str(max(0, now_ms - change.read_ms))])


def _time(time_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(" ", "seconds")


def _plain(dollars: float) -> str:
    text = str(dollars)
    return f"{Decimal(text):f}" if "e" in text else text  # no exponents
