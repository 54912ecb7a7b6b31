"""Durations as people write them: "10 s", a timedelta, or a number of milliseconds.

Rule: inside the library a duration is an int of milliseconds in a name that ends in `_ms`; this is the door.
"""

from __future__ import annotations

import re
from datetime import timedelta

__all__ = ["Duration", "milliseconds"]

Duration = str | timedelta | int
"""A duration as users give it; an int is milliseconds."""

UNITS_MS = {
    "ms": 1,
    "millisecond": 1,
    "s": 1_000,
    "sec": 1_000,
    "second": 1_000,
    "min": 60_000,
    "m": 60_000,
    "minute": 60_000,
    "h": 3_600_000,
    "hour": 3_600_000,
    "d": 86_400_000,
    "day": 86_400_000,
    "w": 604_800_000,
    "week": 604_800_000,
}
PATTERN = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def milliseconds(duration: Duration, what: str = "duration") -> int:
    """A duration in whole milliseconds; `what` names it in errors.

    Raises: ValueError, TypeError that say what was expected.
    """
    if isinstance(duration, bool):
        raise TypeError(f"{what}: expected a duration such as '10 s', got {duration!r}")
    if isinstance(duration, int):
        return duration
    if isinstance(duration, timedelta):
        return round(duration / timedelta(milliseconds=1))
    if isinstance(duration, str):
        return parsed(duration, what)
    raise TypeError(f"{what}: expected a duration such as '10 s', a timedelta or milliseconds, got {duration!r}")


def parsed(text: str, what: str) -> int:
    """Milliseconds of a text such as "10 s", "1.5 minutes" or "250ms"."""
    match = PATTERN.fullmatch(text)
    unit = match and match.group(2).lower()
    factor = unit and (UNITS_MS.get(unit) or UNITS_MS.get(unit.removesuffix("s")))
    if not match or not factor:
        raise ValueError(f"{what}: expected a number and a unit (ms, s, minutes, hours, days), got {text!r}")
    return round(float(match.group(1)) * factor)
