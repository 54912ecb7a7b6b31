"""The first program: produces the rides of a file to `ride_details`, and the zones to their table.

Rules: the topic itself says how far an earlier run came. Rides lie in each partition in the file's order, so what is
not beyond the partition's last ride is there already; a run that was killed is continued to the record, and nothing is
produced twice. That last ride must be in the file as well, or the topic holds the rides of another one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from examples.taxi.data import Trips, open_trips
from examples.taxi.layouts import TripsError
from examples.taxi.messages import Ride
from examples.taxi.zones import ZONES
from streams import Connection

TOPIC = "ride_details"

_CHUNK = 2_000
_CHUNKS_PER_SECOND = 10


class Work(NamedTuple):
    """What is to be produced: the trips, and the id of the last ride that each partition has already."""

    trips: Trips
    stored: dict[int, int]


def prepare(trips: Trips, connection: Connection) -> Work:
    """Find out how far an earlier run came; rows that it used count as asked for.

    Raises: TripsError when the topic holds rides that are not those of the file.
    """
    last: dict[int, Ride] = {record.partition: record.value for record in connection.read(TOPIC, last=1)}
    wanted = {ride.id: ride for ride in last.values()}
    if wanted and max(wanted) > trips.count:
        trips = open_trips(trips.path, max(wanted))
    found = {ride.id: ride for ride in trips.rides() if ride.id in wanted} if wanted else {}
    if found != wanted:
        raise TripsError(
            f"what is stored already is not from {trips.path}, so the two cannot be counted as one. Start over with "
            "`make taxi-clean` (`python -m examples.taxi clean`), or name another directory with --dir."
        )
    return Work(trips, {partition: ride.id for partition, ride in last.items()})


def produce_zones(connection: Connection) -> None:
    """Fill the table of zones; they are as old as can be, so that every ride finds them."""
    connection.write("zones", ZONES.items(), timestamp=0)
    connection.flush()


def produce(work: Work, connection: Connection, rate: float | None = None) -> Iterator[int]:
    """Produce what is not stored yet, at `rate` rides a second or as fast as it goes; yields how many, bit by bit."""
    chunk = min(_CHUNK, max(1, round(rate / _CHUNKS_PER_SECOND))) if rate else _CHUNK
    due = time.monotonic()
    missing = _missing(work.trips.rides(), work.stored, connection)
    while rides := list(islice(missing, chunk)):
        yield connection.write(TOPIC, rides, key="id")
        if rate:
            due += len(rides) / rate
            time.sleep(max(0.0, due - time.monotonic()))
    connection.flush()


def _missing(rides: Iterable[Ride], stored: dict[int, int], connection: Connection) -> Iterator[Ride]:
    """The rides that are beyond the last one of their partition."""
    newest = max(stored.values(), default=0)
    for ride in rides:
        if ride.id > newest or ride.id > stored.get(connection.partition_of(TOPIC, ride.id), 0):
            yield ride
