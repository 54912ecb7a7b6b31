"""What both queries do: trips pass through a window of time, and a list of ten is written whenever it changes.

    trips (one partition, in the file's order) ──► locate ──► ten ──► frequent_routes | profitable_areas

Rules: a list after every trip needs every trip before it, so the topic has one partition and one task keeps the list; a
second worker holds a warm copy of its state. That state is the trips of the window, in the lots they came in: whatever
is counted follows from them and is counted again when a task starts, so that it is as committed as they are. Records
have the time at which they are read: drop-offs may be of any year, and brokers delete what is old and refuse what is of
the future.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

from examples.taxi.debs.messages import Change, Trip
from streams import App, Batch, BatchProcessor, ProcessorContext, Ranking, Topic, key_value_store

SETTINGS: dict[str, Any] = {
    "processing_guarantee": "exactly_once_v2",
    "num_standby_replicas": 1,
    "session_timeout_ms": 6_000,  # how soon a worker that was killed is given up
    "linger_ms": 5,
    "embedded_idle_ms": 1_000,
}
MINUTE_MS = 60_000
WINDOW = key_value_store("window", int, list[Trip])

K = TypeVar("K")
R = TypeVar("R", bound=tuple[float, ...])
T = TypeVar("T")


class Window:
    """The trips that ended within the last minutes, the newest included."""

    def __init__(self, minutes: int) -> None:
        self._length_ms = minutes * MINUTE_MS
        self.trips: deque[Trip] = deque()

    def slide(self, newest: Trip) -> list[Trip]:
        """Let the newest trip in. Shape: those that are out by now."""
        trips, gone = self.trips, []
        while trips and trips[0].dropped_off_ms <= newest.dropped_off_ms - self._length_ms:
            gone.append(trips.popleft())
        trips.append(newest)
        return gone


class TopTen(BatchProcessor, Generic[K, R, T]):
    """Base of both queries: they rank what trips change, and a row of their lists is what they make of a key and its rank."""

    def init(self, context: ProcessorContext) -> None:
        """Go on where the store is."""
        self.half_hour, self.ranking = Window(minutes=30), Ranking[K, R]()
        self.number, self.best, self.ten = -1, self.ranking.best(10), list[T]()
        self.stored, self.lots = context.store("window"), deque[list[Trip]]()
        for _, lot in self.stored.all():
            self.lots.append(lot)
            for trip in lot:
                self.enter(trip)

    def process_batch(self, batch: Batch) -> Batch:
        """Let trips pass, and tell of the list whenever it is another than before."""
        lot: list[Trip] = []
        lists = Batch([], [], [])
        for trip in batch.values:
            if trip.number <= self.number:  # a reader that was killed may write some again
                continue
            before = self.ten
            self.enter(trip)
            lot.append(trip)
            if self.ten != before:
                lists.keys.append(trip.number)
                lists.values.append(Change(trip.picked_up_ms, trip.dropped_off_ms, trip.read_ms, self.ten))
                lists.timestamps.append(trip.read_ms)
        if lot:
            self.store(lot)
        return lists

    def enter(self, trip: Trip) -> None:
        """A trip is the newest now."""
        self.number = trip.number
        self.count(trip, self.half_hour.slide(trip))
        if (best := self.ranking.best(10)) != self.best:
            self.best, self.ten = best, [self.row(key, rank) for key, rank in best]

    def count(self, trip: Trip, gone: list[Trip]) -> None:
        """Rank what changes with a trip, and with those that ended more than half an hour before it."""
        raise NotImplementedError

    def row(self, key: K, rank: R) -> T:
        """What the list says of one of the ten."""
        raise NotImplementedError

    def store(self, lot: list[Trip]) -> None:
        """Keep trips that came together, and forget the lots that are out of the window."""
        self.lots.append(lot)
        self.stored.put(lot[0].number, lot)
        while self.lots[0][-1].number < self.half_hour.trips[0].number:
            self.stored.delete(self.lots.popleft()[0].number)


def trips(app: App) -> Topic:
    """Every trip, by its number."""
    return app.topic("trips", key=int, value=Trip, partitions=1)
