"""Durations and times as people write them: "10 s", a timedelta, a datetime, or a number of milliseconds.

Rule: inside the library both are ints of milliseconds in names that end in `_ms`; this is the door. numpy's and pandas'
are known by what they can do: neither need be installed.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from streams.numbers import counted

__all__ = ["Duration", "milliseconds", "moment_ms", "record_time_ms"]

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
_LENGTHS = re.compile(r"(W|D|h|m|s)\]$")  # numpy's units but years, months and none
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PATTERN = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def milliseconds(duration: Duration, what: str = "duration") -> int:
    """A duration in whole milliseconds; `what` names it in errors.

    Raises: ValueError, TypeError that say what was expected.
    """
    if isinstance(duration, str):
        return parsed(duration, what)
    given = _of_numpy(duration, "m")
    if isinstance(given, timedelta):
        return round(given / timedelta(milliseconds=1))
    if (number := counted(given)) is not None:
        return number
    raise TypeError(f"{what}: expected a duration such as '10 s', a timedelta or milliseconds, got {duration!r}")


def parsed(text: str, what: str) -> int:
    """Milliseconds of a text such as "10 s", "1.5 minutes" or "250ms"."""
    match = PATTERN.fullmatch(text)
    unit = match and match.group(2).lower()
    factor = unit and (UNITS_MS.get(unit) or UNITS_MS.get(unit.removesuffix("s")))
    if not match or not factor:
        raise ValueError(f"{what}: expected a number and a unit (ms, s, minutes, hours, days), got {text!r}")
    return round(float(match.group(1)) * factor)


def moment_ms(moment: Any, what: str = "timestamp=") -> int:
    """A record's time in ms since 1970, out of that, a datetime (without a zone: UTC), a date, or ISO 8601 text; `what` gave it.

    Raises: ValueError that says what was expected.
    """
    if type(moment) is int:
        return moment
    given = moment
    if isinstance(given, str):
        try:
            given = int(given) if given.lstrip("-").isdigit() else datetime.fromisoformat(given)
        except ValueError:
            raise ValueError(
                f"{what}: expected a time such as 2026-01-31T12:00:00 or ms since 1970, got {moment!r}"
            ) from None
    given = _of_numpy(given, "M")
    if isinstance(given, datetime):
        found = ((given if given.tzinfo else given.replace(tzinfo=UTC)) - EPOCH) // timedelta(milliseconds=1)
        if isinstance(found, int):  # not for pandas' NaT, which is a datetime, too
            return found
    elif isinstance(given, date):
        return moment_ms(datetime.combine(given, time()))
    elif isinstance(given, float) and given == given // 1:
        return int(given)
    elif (number := counted(given)) is not None:
        return number
    raise ValueError(f"{what}: expected a time in ms since 1970, a datetime or ISO 8601 text, got {moment!r}")


def _of_numpy(given: Any, kind: str) -> Any:
    """Numpy's datetime64 ("M") or timedelta64 ("m") as Python has it: None for NaT, and for months, which have no length."""
    dtype: Any = getattr(given, "dtype", None)
    if getattr(dtype, "kind", None) != kind or (kind == "m" and not _LENGTHS.search(dtype.str)):
        return given
    return given.astype(f"{kind}8[us]").item()


def record_time_ms(moment: Any, what: str = "timestamp=") -> int:
    """The same for a record that is to be written: Kafka takes no time before 1970, and -1 would mean that there is none.

    Raises: ValueError that says what was expected.
    """
    found = moment_ms(moment, what)
    if found < 0:
        raise ValueError(f"{what}: expected a time since 1970, got {moment!r}")
    return found
