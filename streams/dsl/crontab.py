"""Cron expressions: five fields (minute hour day month weekday), with lists, ranges, steps and names.

Rules: as in cron, when both day and weekday are restricted, either suffices. Times are matched in a time zone; an hour
that a clock change skips does not fire, one that it repeats fires twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import Struct

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: str(number) for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS = {name: str(number) for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: tuple[tuple[str, int, int, dict[str, str]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _WEEKDAYS),
)
_HORIZON = timedelta(days=366 * 8)
"""Two leap years: whatever has not come by then never comes."""


class Crontab(Struct, frozen=True):
    """A parsed expression; weekdays count from 0 for Sunday."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    timezone: tzinfo | None = None

    @classmethod
    def parse(cls, expression: str, timezone: tzinfo | None = None) -> Crontab:
        """`timezone` None is the local one.

        Raises: ValueError that names the field and what it may hold.
        """
        texts = expression.split()
        if len(texts) != len(_FIELDS):
            raise ValueError(f"expected five fields (minute hour day month weekday), got {expression!r}")
        minutes, hours, days, months, weekdays = (
            _field(text, *field) for text, field in zip(texts, _FIELDS, strict=True)
        )
        sunday_is_0 = frozenset(day % 7 for day in weekdays)
        either_day = texts[2] != "*" and texts[4] != "*"
        return cls(minutes, hours, days, months, sunday_is_0, either_day, timezone)

    def after(self, time_ms: int) -> int:
        """The first time after `time_ms` that matches, in ms since 1970.

        Raises: ValueError when none ever does (30 February).
        """
        start = datetime.fromtimestamp(time_ms // 60_000 * 60, UTC) + timedelta(minutes=1)
        moment = start
        while moment - start < _HORIZON:
            local = moment.astimezone(self.timezone)
            if not self._day_matches(local):
                # Near midnight in small steps: the day may be an hour shorter or longer.
                moment += timedelta(minutes=max(1, (22 - local.hour) * 60 - local.minute))
            elif local.hour not in self.hours:
                moment += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                moment += timedelta(minutes=1)
            else:
                return int(moment.timestamp()) * 1000
        raise ValueError("this crontab never comes due")

    def _day_matches(self, local: datetime) -> bool:
        if local.month not in self.months:
            return False
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either_day else day and weekday


def _field(text: str, name: str, low: int, high: int, names: dict[str, str]) -> frozenset[int]:
    return frozenset(number for part in text.split(",") for number in _range(part, name, low, high, names))


def _range(part: str, name: str, low: int, high: int, names: dict[str, str]) -> Iterable[int]:
    """Numbers of `*`, `a`, `a-b`, each with an optional `/step`."""
    span, slash, step = part.partition("/")
    first, dash, last = span.partition("-")
    try:
        stride = int(step) if slash else 1
        begin = low if span == "*" else int(names.get(first.lower(), first))
        single = not dash and span != "*" and not slash
        end = begin if single else int(names.get(last.lower(), last)) if dash else high
    except ValueError:
        raise ValueError(f"{name}: expected numbers from {low} to {high}, *, ranges or steps, got {part!r}") from None
    if not low <= begin <= end <= high or stride < 1:
        raise ValueError(f"{name}: expected numbers from {low} to {high} in order, got {part!r}")
    return range(begin, end + 1, stride)
