"""The lines of the output: pick-up and drop-off of the trip that changed the list, the ten, and the delay.

Rules: what is missing of the ten is NULL in each of its columns, so that every line has as many columns. Dollars are
written as short as they can be read back.
"""

from __future__ import annotations

from datetime import UTC, datetime

from examples.taxi.debs.messages import Areas, Routes, Ten
from examples.taxi.debs.ranking import BEST

SECONDS = "%Y-%m-%d %H:%M:%S"


def line(change: Ten, now_ms: int) -> str:
    """A change as a line, without its end; the delay is from the reading of its trip until now, in ms."""
    cells = [_time(change.picked_up_ms), _time(change.dropped_off_ms)]
    if isinstance(change, Routes):
        cells += [place for route in change.ten for place in route]
        cells += ["NULL"] * 2 * (BEST - len(change.ten))
    elif isinstance(change, Areas):
        cells += [str(figure) for area in change.ten for figure in area]
        cells += ["NULL"] * 4 * (BEST - len(change.ten))
    return ",".join([*cells, str(max(0, now_ms - change.read_ms))])


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime(SECONDS)
