"""The lines of the output: pick-up and drop-off of the trip that changed the list, the ten, and the delay.

Rules: what is missing of the ten is NULL in each of its columns, so that every line has as many columns. Dollars are
written as short as they can be read back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from examples.taxi.debs.messages import Change

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  wall clock of the city


def line(change: Change[Any], columns: int, now_ms: int) -> str:
    """A change as a line, without its end: ten times so many columns; the delay is from the reading of its trip to now."""
    cells = [_time(change.picked_up_ms), _time(change.dropped_off_ms)]
    cells += [_plain(cell) for row in change.ten for cell in row]
    cells += ["NULL"] * columns * (10 - len(change.ten))
    return ",".join([*cells, str(max(0, now_ms - change.read_ms))])


def _time(time_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(" ", "seconds")


def _plain(cell: object) -> str:
    text = str(cell)
    return f"{Decimal(text):f}" if isinstance(cell, float) and "e" in text else text  # no exponents
