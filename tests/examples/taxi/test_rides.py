"""Producing rides: all of them, paced or not, and after an interruption only those that are missing."""

from pathlib import Path

import pytest

from examples.taxi import rides
from examples.taxi.data import Trips, open_trips
from examples.taxi.generator import write_trips
from examples.taxi.layouts import TripsError
from examples.taxi.zones import ZONES
from streams import Connection, Record


@pytest.fixture
def trips(tmp_path: Path) -> Trips:
    write_trips(tmp_path / "trips.csv", 5_000, seed=5)
    return open_trips(tmp_path / "trips.csv")


def produce(connection: Connection, trips: Trips, rate: float | None = None) -> int:
    return sum(rides.produce(rides.prepare(trips, connection), connection, rate))


def stored(connection: Connection) -> list[Record]:
    return list(connection.read(rides.TOPIC))


def stored_ids(connection: Connection) -> list[int]:
    return sorted(record.key for record in stored(connection))


def test_every_ride_is_produced_once(connection: Connection, trips: Trips) -> None:
    """A first run produces all rides, and a second one none."""
    expected = [ride.id for ride in trips.rides()]
    assert produce(connection, trips) == len(expected)
    assert stored_ids(connection) == expected
    assert produce(connection, trips) == 0


def test_rides_carry_their_time(connection: Connection, trips: Trips) -> None:
    """A record's timestamp is the pickup, its key the id."""
    produce(connection, trips)
    by_id = {ride.id: ride for ride in trips.rides()}
    assert all(record.timestamp == by_id[record.key].picked_up_ms for record in stored(connection))


@pytest.mark.parametrize("kept", [(0, 0, 0, 0), (700, 0, 1, 350), (1_100, 3, 1_000, 0)])
def test_a_run_killed_halfway_is_continued_to_the_record(
    connection: Connection, another_connection: Connection, trips: Trips, kept: tuple[int, ...]
) -> None:
    """Whatever each partition had got, the next run adds what is missing and nothing twice."""
    produce(another_connection, trips)
    whole = stored(another_connection)
    for partition, count in enumerate(kept):
        connection.write(rides.TOPIC, [record for record in whole if record.partition == partition][:count])
    assert produce(connection, trips) == len(whole) - sum(kept)
    assert stored_ids(connection) == stored_ids(another_connection)


def test_more_trips_of_the_same_file_are_added(connection: Connection, trips: Trips) -> None:
    """A run over the first thousand rows is continued by one over all."""
    first = open_trips(trips.path, limit=1_000)
    assert produce(connection, first) + produce(connection, trips) == len(list(trips.rides()))


def test_fewer_rows_than_are_stored_count_as_those_that_are(connection: Connection, trips: Trips) -> None:
    """A run over a few rows after one over all adds nothing, and its totals are those of all."""
    produce(connection, trips)
    work = rides.prepare(open_trips(trips.path, limit=10), connection)
    assert sum(1 for _ in work.trips.rides()) == len(stored_ids(connection))


def test_another_file_is_refused(connection: Connection, trips: Trips, tmp_path: Path) -> None:
    """Rides of two files would be counted as one: the second is told how to start over."""
    produce(connection, trips)
    write_trips(tmp_path / "other.csv", 5_000, seed=6)
    with pytest.raises(TripsError, match=r"not from .*other.csv.*make taxi-clean"):
        produce(connection, open_trips(tmp_path / "other.csv"))


def test_a_rate_makes_small_steps(connection: Connection, trips: Trips) -> None:
    """Paced rides come a tenth of a second's worth at a time."""
    few = open_trips(trips.path, limit=50)
    steps = list(rides.produce(rides.prepare(few, connection), connection, rate=100.0))
    assert set(steps[:-1]) == {10}
    assert sum(steps) == len(list(few.rides()))


def test_the_table_of_zones_is_older_than_any_ride(connection: Connection) -> None:
    """All zones are in the table, by their numbers, at time zero."""
    rides.produce_zones(connection)
    records = list(connection.read("zones"))
    assert {record.key for record in records} == set(ZONES)
    assert {record.timestamp for record in records} == {0}
