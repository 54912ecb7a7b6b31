"""Where the empty taxis are.

Rules: a taxi waits where its latest trip ended, until it is seen again or has waited as long as the window is. The
commission's files name no taxis: there a trip takes the taxi that came last to where it begins, before it began. Both
depend on nothing but the trips of the window, so a fleet can be counted again from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from examples.taxi.debs.messages import Located


class Fleet:
    """The empty taxis: `empty` counts them by place."""

    def __init__(self) -> None:
        self.empty: Counter[str] = Counter()
        self._named: dict[str, Located] = {}
        self._nameless: dict[str, list[Located]] = {}

    def arrive(self, trip: Located) -> Iterator[str]:
        """The taxi of a trip is where it ended, and no longer where it was. Yields the places that changed."""
        if trip.taxi is None:
            yield from self._take_one(trip)
            self._nameless.setdefault(trip.end, []).append(trip)
        else:
            before = self._named.get(trip.taxi)
            if before is not None:
                yield self._leave(before.end)
            self._named[trip.taxi] = trip
        self.empty[trip.end] += 1
        yield trip.end

    def give_up(self, trip: Located) -> Iterator[str]:
        """The taxi of a trip counts no longer, if it still waits. Yields the place that changed."""
        if trip.taxi is None:
            waiting = self._nameless.get(trip.end)
            if waiting and waiting[0] is trip:
                del waiting[0]
                yield self._leave(trip.end)
        elif self._named.get(trip.taxi) is trip:
            del self._named[trip.taxi]
            yield self._leave(trip.end)

    def _take_one(self, trip: Located) -> Iterator[str]:
        waiting = self._nameless.get(trip.start, [])
        for index in range(len(waiting) - 1, -1, -1):
            if waiting[index].dropped_off_ms <= trip.picked_up_ms:
                del waiting[index]
                yield self._leave(trip.start)
                return

    def _leave(self, place: str) -> str:
        self.empty[place] -= 1
        if not self.empty[place]:
            del self.empty[place]
        return place
