"""Windows as data: how long, how far apart, how late; all times in ms.

Rules: a window object is checked when it is made and never changes; `grace_ms` is how late a record may be. Time
windows include their start and exclude their end; sliding, session and join windows include both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from streams.durations import Duration, milliseconds, moment_ms
from streams.errors import TopologyError

__all__ = [
    "CustomWindows",
    "EmitStrategy",
    "JoinWindows",
    "SessionWindows",
    "SlidingWindows",
    "TimeWindows",
    "UnlimitedWindows",
    "Windows",
    "grace_of",
    "retention_of",
]

DAY_MS = 86_400_000
FOREVER_MS = 2**63 - 1


class EmitStrategy(Enum):
    """When a windowed aggregate is passed on."""

    ON_WINDOW_UPDATE = "update"
    """With every record."""
    ON_WINDOW_CLOSE = "close"
    """Once, when no record can change it any more."""


def checked(duration: Duration, what: str, least: int | None) -> int:
    """A duration in ms that is at least `least`, if there is a least. Raises: TopologyError."""
    try:
        value = milliseconds(duration, what)
    except (TypeError, ValueError) as error:
        raise TopologyError(str(error)) from error
    if least is not None and value < least:
        raise TopologyError(f"{what}: expected at least {least} ms, got {value} ms")
    return value


class TimeWindows(Struct, frozen=True):
    """Windows of one size whose starts are multiples of `advance_ms`: tumbling, or hopping when they overlap."""

    size_ms: int
    advance_ms: int
    grace_ms: int

    @classmethod
    def of(cls, size: Duration, *, advance: Duration | None = None, grace: Duration = 0) -> TimeWindows:
        """Windows of `size`; tumbling, or hopping by `advance`. Records up to `grace` late are still counted.

        Raises: TopologyError for sizes below 1 ms, or an advance that is larger than the size.
        """
        size_ms = checked(size, "the size of time windows", 1)
        advance_ms = size_ms if advance is None else checked(advance, "the advance of time windows", 1)
        if advance_ms > size_ms:
            raise TopologyError(
                f"the advance of time windows: expected at most their size of {size_ms} ms, got {advance_ms} ms: "
                "records in the gaps would be lost; make the advance smaller or the windows larger"
            )
        return cls(size_ms, advance_ms, checked(grace, "the grace of time windows", 0))

    def advance_by(self, advance: Duration) -> TimeWindows:
        """The same windows, hopping by `advance`."""
        return TimeWindows.of(self.size_ms, advance=advance, grace=self.grace_ms)


class SlidingWindows(Struct, frozen=True):
    """Windows of records at most `difference_ms` apart, one per distinct set of records."""

    difference_ms: int
    grace_ms: int

    @classmethod
    def of(cls, difference: Duration, *, grace: Duration = 0) -> SlidingWindows:
        """Windows that end with a record and reach back `difference`. Raises: TopologyError for negative times."""
        return cls(
            checked(difference, "the time difference of sliding windows", 0),
            checked(grace, "the grace of sliding windows", 0),
        )


class SessionWindows(Struct, frozen=True):
    """Windows that grow while records of a key come at most `gap_ms` apart."""

    gap_ms: int
    grace_ms: int

    @classmethod
    def with_inactivity_gap(cls, gap: Duration, *, grace: Duration = 0) -> SessionWindows:
        """Sessions that end after `gap` without a record. Raises: TopologyError for a gap below 1 ms."""
        return cls(
            checked(gap, "the inactivity gap of session windows", 1), checked(grace, "the grace of session windows", 0)
        )


class UnlimitedWindows(Struct, frozen=True):
    """One window that starts at `start_ms` and never ends."""

    start_ms: int = 0

    @classmethod
    def of(cls, start: datetime | str | int = 0) -> UnlimitedWindows:
        """The window from `start` on: a datetime or ISO 8601 text (without a zone: UTC), or ms since 1970.

        Raises: TopologyError for what is no time, or a negative one.
        """
        what = "the start of unlimited windows"
        try:
            start_ms = moment_ms(start, what)
        except ValueError as error:
            raise TopologyError(str(error)) from error
        return cls(checked(start_ms, what, 0))


class CustomWindows(Struct, frozen=True):
    """Windows that a function of yours chooses, such as days of a time zone: `of_time(ms)` gives their (start, end) pairs.

    Stores and topics know a window by its start; when it is read from one, its end is taken to be `size_ms` later.
    """

    of_time: Callable[[int], Iterable[tuple[int, int]]]
    size_ms: int
    grace_ms: int

    @classmethod
    def of(
        cls, of_time: Callable[[int], Iterable[tuple[int, int]]], *, size: Duration, grace: Duration = 0
    ) -> CustomWindows:
        """`of_time(timestamp)` gives (start, end) of the windows that hold a time, ascending, all in ms since 1970.

        A window includes its start and excludes its end, and the same time must always give the same windows. Stores keep
        windows for `size` and `grace`; if some are longer (once a year, a day has 25 hours), `grace` or the retention of
        the store has to cover that. Raises: TopologyError for what is not a function, and for sizes below 1 ms.
        """
        if not callable(of_time):
            raise TopologyError(f"custom windows: expected a function of a time in ms, got {of_time!r}")
        size_ms = checked(size, "the size of custom windows", 1)
        return cls(of_time, size_ms, checked(grace, "the grace of custom windows", 0))

    def holding(self, timestamp: int) -> list[tuple[int, int]]:
        """(start, end) of the windows that hold a time. Raises: ValueError when the function does not answer so."""
        found = [(start, end) for start, end in self.of_time(timestamp)]
        for start, end in found:
            if not 0 <= start <= timestamp < end:
                raise ValueError(f"custom windows: expected windows that hold {timestamp}, got {start} to {end}")
        return found


class JoinWindows(Struct, frozen=True):
    """How far apart in time two records may be to be joined: the other one up to `before_ms` earlier, `after_ms` later.

    `eager` are Kafka's deprecated join windows: what finds no partner is emitted at once, spurious results included.
    """

    before_ms: int
    after_ms: int
    grace_ms: int
    eager: bool = False

    @classmethod
    def of(cls, difference: Duration, *, grace: Duration = 0) -> JoinWindows:
        """Records at most `difference` apart, whichever comes first. Raises: TopologyError for negative times."""
        difference_ms = checked(difference, "the time difference of join windows", 0)
        return cls(difference_ms, difference_ms, checked(grace, "the grace of join windows", 0))

    @classmethod
    def eager_of(cls, difference: Duration, *, grace: Duration | None = None) -> JoinWindows:
        """Kafka's deprecated `JoinWindows.of`: for taking over an application that still has it."""
        difference_ms = checked(difference, "the time difference of join windows", 0)
        grace_ms = (
            max(DAY_MS - 2 * difference_ms, 0) if grace is None else checked(grace, "the grace of join windows", 0)
        )
        return cls(difference_ms, difference_ms, grace_ms, eager=True)

    def before(self, time: Duration) -> JoinWindows:
        """The same windows, where the other record may be up to `time` earlier; negative: it must be later."""
        return self.spanning(replace(self, before_ms=checked(time, "before of join windows", None)))

    def after(self, time: Duration) -> JoinWindows:
        """The same windows, where the other record may be up to `time` later; negative: it must be earlier."""
        return self.spanning(replace(self, after_ms=checked(time, "after of join windows", None)))

    def spanning(self, other: JoinWindows) -> JoinWindows:
        """`other`, if it holds any time at all. Raises: TopologyError."""
        if other.before_ms + other.after_ms < 0:
            raise TopologyError(
                f"join windows from {-other.before_ms} ms to {other.after_ms} ms around a record are empty: "
                "the upper bound must not lie below the lower one"
            )
        return other

    @property
    def size_ms(self) -> int:
        """From the earliest to the latest partner of a record."""
        return self.before_ms + self.after_ms


Windows = TimeWindows | SlidingWindows | SessionWindows | UnlimitedWindows | CustomWindows
"""What an aggregation may be windowed by."""


def grace_of(windows: Windows) -> int:
    """How long after a window's end `suppress(until_window_closes())` waits, in ms. Source: GraphGraceSearchUtil."""
    match windows:
        case UnlimitedWindows():
            return 0
        case SessionWindows(gap_ms, grace_ms):
            return gap_ms + grace_ms
        case _:
            return windows.grace_ms


def retention_of(windows: Windows) -> int:
    """How long a store must keep windows at least, in ms: until no record can change them."""
    match windows:
        case TimeWindows(size_ms, _, grace_ms) | CustomWindows(_, size_ms, grace_ms):
            return size_ms + grace_ms
        case SlidingWindows(difference_ms, grace_ms):
            return 2 * difference_ms + grace_ms
        case SessionWindows(gap_ms, grace_ms):
            return gap_ms + grace_ms
        case UnlimitedWindows():
            return FOREVER_MS
