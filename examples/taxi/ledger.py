"""What lies in the pipeline's topics, read from outside like any other consumer: the source of the table and the totals.

Rules: reads every topic from its beginning and without a group, so it disturbs nobody and a second run sees all that
the first one left. Records may come twice (at least once, after a crash); the ledger knows rides by their id and can
tell. It holds only what the topics say: nothing is counted while it passes by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from examples.taxi.messages import Takings
from streams import Connection, Record

TOPICS = ("ride_details", "ride_confirmed", "ride_refused", "zone_takings")

Window = tuple[int, int]
"""A zone's number and the start of ten minutes, in ms."""

_NOTHING = Takings()


class Ledger:
    """How often each ride came, and the latest takings of each window."""

    def __init__(self, connection: Connection) -> None:
        self.rides: Counter[int] = Counter()
        self.confirmed: Counter[int] = Counter()
        self.refused: dict[int, str] = {}
        self.takings: dict[Window, Takings] = {}
        self.zones: dict[int, Takings] = {}
        self._records = connection.read(*TOPICS, follow=True)
        self._entries: dict[str | None, Callable[[Record], None]] = dict(
            zip(TOPICS, (self._ride, self._confirmation, self._refusal, self._total), strict=True)
        )

    def update(self, timeout_s: float) -> None:
        """Take in what has arrived, waiting up to `timeout_s` for something."""
        self._enter(self._records.poll(timeout_s))

    def catch_up(self) -> None:
        """Take in everything that is there now."""
        self._enter(self._records.catch_up())

    def _enter(self, records: Iterable[Record]) -> None:
        for record in records:
            self._entries[record.topic](record)

    def _ride(self, record: Record) -> None:
        self.rides[record.key] += 1

    def _confirmation(self, record: Record) -> None:
        self.confirmed[record.value.id] += 1

    def _refusal(self, record: Record) -> None:
        self.refused[record.value.id] = record.value.reason

    def _total(self, record: Record) -> None:
        number, start_ms, _ = record.key
        new: Takings = record.value
        old, zone = self.takings.get((number, start_ms), _NOTHING), self.zones.get(number, _NOTHING)
        self.takings[number, start_ms] = new
        self.zones[number] = Takings(zone.rides + new.rides - old.rides, zone.fares + new.fares - old.fares)
