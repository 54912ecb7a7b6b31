"""Trips one after the other, as they stand in the file, through a window of time: the ground under both queries.

Rules: trips come by several partitions, so they may overtake each other, and a reader that was killed may write some
again. The store holds those that came too early and those that are in the window; whatever is counted follows from them
and is counted again when a task starts, so that it is as committed as they are. A trip leaves when another ends that long after it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from examples.taxi.debs.messages import Located
from streams import Processor, ProcessorContext, Record, key_value_store

TRIPS = "trips"
PLACE = "place"
NEXT = "next"
STORES = (key_value_store(TRIPS, int, Located), key_value_store(PLACE, str, int, cached=True))
MINUTE_MS = 60_000


class InOrder(Processor):
    """Hands trips on in the file's order: `enter` and `leave` keep the counts, `result` is asked after each trip."""

    window_ms: int

    def init(self, context: ProcessorContext) -> None:
        """Begin again where the stores are."""
        super().init(context)
        self._trips = context.store(TRIPS)
        self._place = context.store(PLACE)
        self._next: int = self._place.get(NEXT) or 0
        self._early: dict[int, Located] = {}
        self._window: deque[Located] = deque()
        for number, trip in self._trips.all():
            if number < self._next:
                self._window.append(trip)
                self.enter(trip)
            else:
                self._early[number] = trip
        self.result()

    def process(self, record: Record) -> None:
        """Take a trip, and those that waited for it."""
        trip: Located = record.value
        if trip.number < self._next or trip.number in self._early:
            return
        self._trips.put(trip.number, trip)
        self._early[trip.number] = trip
        while self._next in self._early:
            self._take(self._early.pop(self._next))
        self._place.put(NEXT, self._next)

    def _take(self, trip: Located) -> None:
        self._next += 1
        if not trip.start:
            self._trips.put(trip.number, None)
            return
        window, begin_ms = self._window, trip.dropped_off_ms - self.window_ms
        while window and window[0].dropped_off_ms <= begin_ms:
            gone = window.popleft()
            self._trips.put(gone.number, None)
            self.leave(gone)
        window.append(trip)
        self.enter(trip)
        ten = self.result()
        if ten is not None:
            self.context.forward(Record(trip.number, self.message(trip, ten), trip.dropped_off_ms))

    def enter(self, trip: Located) -> None:
        """Count a trip that is the newest now."""
        raise NotImplementedError

    def leave(self, trip: Located) -> None:
        """Forget a trip that the window has passed."""
        raise NotImplementedError

    def result(self) -> list[Any] | None:
        """The list of ten if it is another than it was, else None."""
        raise NotImplementedError

    def message(self, trip: Located, ten: list[Any]) -> Any:
        """What is written when `trip` changed the list."""
        raise NotImplementedError
