"""Trips one after the other, as they stand in the file, through a window of time: the ground under both queries.

Rules: trips come by several partitions, so they may overtake each other, and a reader that was killed may write some
again. The store holds those that came too early and those that are in the window, in the lots they came in: a lot goes
when none of its trips is needed any more. Whatever is counted follows from them and is counted again when a task starts,
so that it is as committed as they are. A trip leaves when another ends that long after it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from examples.taxi.debs.messages import Located, Lot
from streams import Batch, ProcessorContext, key_value_store

LOTS = "lots"
PLACE = "place"
NEXT = "next"
STORES = (key_value_store(LOTS, int, Lot), key_value_store(PLACE, str, int))
MINUTE_MS = 60_000


class InOrder:
    """Hands trips on in the file's order: `enter` and `leave` keep the counts, `result` is asked after each trip."""

    window_ms: int

    def init(self, context: ProcessorContext) -> None:
        """Begin again where the stores are."""
        self._store = context.store(LOTS)
        self._place = context.store(PLACE)
        self._next: int = self._place.get(NEXT) or 0
        self._lots: deque[tuple[int, int]] = deque()
        self._early: dict[int, Located] = {}
        self._window: deque[Located] = deque()
        for number, lot in self._store.all():
            self._lots.append((number, max(trip.number for trip in lot.trips)))
            self._early.update((trip.number, trip) for trip in lot.trips)
        for number in sorted(number for number in self._early if number < self._next):
            trip = self._early.pop(number)
            if trip.start:
                self._pass(trip)
        self.result()

    def process_batch(self, batch: Batch) -> Batch | None:
        """Take trips, and those that waited for them."""
        early, fresh = self._early, []
        for trip in batch.values:
            if trip.number >= self._next and trip.number not in early:
                early[trip.number] = trip
                fresh.append(trip)
        if not fresh:
            return None
        lists = Batch([], [], [])
        while (trip := early.pop(self._next, None)) is not None:
            self._next += 1
            if trip.start:
                self._pass(trip)
                if (ten := self.result()) is not None:
                    lists.keys.append(trip.number)
                    lists.values.append(self.message(trip, ten))
                    lists.timestamps.append(trip.read_ms)
        self._keep(fresh)
        return lists

    def _pass(self, trip: Located) -> None:
        """A trip enters the window, and others leave it."""
        window, begin_ms = self._window, trip.dropped_off_ms - self.window_ms
        while window and window[0].dropped_off_ms <= begin_ms:
            self.leave(window.popleft())
        window.append(trip)
        self.enter(trip)

    def _keep(self, fresh: list[Located]) -> None:
        """Store what came, and how far it led; forget the lots that are over."""
        number = self._lots[-1][0] + 1 if self._lots else 0
        self._lots.append((number, max(trip.number for trip in fresh)))
        self._store.put(number, Lot(fresh))
        oldest = self._window[0].number if self._window else self._next
        while self._lots and self._lots[0][1] < oldest:
            self._store.put(self._lots.popleft()[0], None)
        self._place.put(NEXT, self._next)

    def close(self) -> None:
        """Nothing to let go."""

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
