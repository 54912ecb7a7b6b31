"""What both queries do: trips pass through a window of time, and a list of ten is written whenever it changes.

    trips (one partition, in the file's order) ──► locate ──► ten ──► frequent_routes | profitable_areas

Rules: a list after every trip needs every trip before it, so the topic has one partition and one task keeps the list; a
second worker holds a warm copy of its state. That state is the trips of the window: whatever is counted follows from
them, and is counted again when a task starts, so that it is as committed as they are. Records have the time at which
they are read: drop-offs may be of any year, and brokers delete what is old and refuse what is of the future.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

from examples.taxi.debs.messages import Change, Trip
from streams import App, Processor, ProcessorContext, Record, Topic, key_value_store

SETTINGS: dict[str, Any] = {
    "processing_guarantee": "exactly_once_v2",
    "num_standby_replicas": 1,
    "session_timeout_ms": 6_000,  # how soon a worker that was killed is given up
    "embedded_idle_ms": 1_000,
}
MINUTE_MS = 60_000
WINDOW = key_value_store("window", int, Trip)

T = TypeVar("T")


class Window:
    """The trips that ended within the last minutes, the newest included."""

    def __init__(self, minutes: int) -> None:
        self._length_ms = minutes * MINUTE_MS
        self._trips: deque[Trip] = deque()

    def slide(self, newest: Trip) -> list[Trip]:
        """Let the newest trip in. Shape: those that are out by now."""
        trips, gone = self._trips, []
        while trips and trips[0].dropped_off_ms <= newest.dropped_off_ms - self._length_ms:
            gone.append(trips.popleft())
        trips.append(newest)
        return gone


class TopTen(Processor, Generic[T]):
    """Base of both queries: what a trip changes is counted by `count`, and `ten` says what the list is then."""

    def init(self, context: ProcessorContext) -> None:
        """Go on where the store is."""
        super().init(context)
        self.half_hour = Window(minutes=30)
        self.stored = context.store("window")
        self.number = -1
        for number, trip in self.stored.all():
            self.number = number
            self.count(trip, self.half_hour.slide(trip))
        self.last = self.ten()

    def process(self, record: Record) -> None:
        """Let a trip pass, and write the list if it is another than before."""
        trip: Trip = record.value
        if trip.number <= self.number:  # a reader that was killed may write some again
            return
        self.number = trip.number
        self.stored.put(trip.number, trip)
        gone = self.half_hour.slide(trip)
        for each in gone:
            self.stored.delete(each.number)
        self.count(trip, gone)
        if (ten := self.ten()) != self.last:
            self.last = ten
            change = Change(trip.picked_up_ms, trip.dropped_off_ms, trip.read_ms, ten)
            self.context.forward(Record(trip.number, change, trip.read_ms))

    def count(self, trip: Trip, gone: list[Trip]) -> None:
        """A trip ended, and others did so more than half an hour before."""
        raise NotImplementedError

    def ten(self) -> list[T]:
        """The list as it is now."""
        raise NotImplementedError


def trips(app: App) -> Topic:
    """Every trip, by its number."""
    return app.topic("trips", key=int, value=Trip, partitions=1)
