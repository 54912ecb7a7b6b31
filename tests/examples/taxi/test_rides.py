"""Producing rides: all of them, paced or not, and after an interruption only those that are missing."""

from pathlib import Path

import pytest

from examples.taxi import rides
from examples.taxi.data import Trips, open_trips
from examples.taxi.generator import write_trips
from examples.taxi.layouts import TripsError
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.record import Batch, Record, TopicPartition


@pytest.fixture
def trips(tmp_path: Path) -> Trips:
    write_trips(tmp_path / "trips.csv", 5_000, seed=5)
    return open_trips(tmp_path / "trips.csv")


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    rides.create_topics(MemoryClients(broker))
    return broker


def produce(broker: MemoryBroker, trips: Trips, rate: float | None = None) -> int:
    clients = MemoryClients(broker)
    return sum(rides.produce(rides.prepare(trips, clients), clients.producer(), rate))


def stored_ids(broker: MemoryBroker) -> list[int]:
    return sorted(int.from_bytes(record.key, "big") for record in broker.records(rides.TOPIC))


def test_every_ride_is_produced_once(broker: MemoryBroker, trips: Trips) -> None:
    """A first run produces all rides, and a second one none."""
    expected = [ride.id for ride in trips.rides()]
    assert produce(broker, trips) == len(expected)
    assert stored_ids(broker) == expected
    assert produce(broker, trips) == 0


def test_rides_carry_their_time(broker: MemoryBroker, trips: Trips) -> None:
    """A record's timestamp is the pickup, its key the id."""
    produce(broker, trips)
    by_id = {ride.id: ride for ride in trips.rides()}
    record: Record
    for record in broker.records(rides.TOPIC)[:200]:
        assert record.timestamp == by_id[int.from_bytes(record.key, "big")].picked_up_ms


@pytest.mark.parametrize("kept", [(0, 0, 0, 0), (700, 0, 1, 350), (1_100, 3, 1_000, 0)])
def test_a_run_killed_halfway_is_continued_to_the_record(
    broker: MemoryBroker, trips: Trips, kept: tuple[int, ...]
) -> None:
    """Whatever each partition had got, the next run adds what is missing and nothing twice."""
    whole = MemoryBroker()
    rides.create_topics(MemoryClients(whole))
    produce(whole, trips)
    for partition, count in enumerate(kept):
        batch = whole.read(TopicPartition(rides.TOPIC, partition), 0, count)
        broker.append(TopicPartition(rides.TOPIC, partition), batch.columns() if batch else Batch([], [], []))
    assert produce(broker, trips) == len(stored_ids(whole)) - sum(kept)
    assert stored_ids(broker) == stored_ids(whole)


def test_more_trips_of_the_same_file_are_added(broker: MemoryBroker, trips: Trips) -> None:
    """A run over the first thousand rows is continued by one over all."""
    first = open_trips(trips.path, limit=1_000)
    assert produce(broker, first) + produce(broker, trips) == len(list(trips.rides()))


def test_fewer_rows_than_are_stored_count_as_those_that_are(broker: MemoryBroker, trips: Trips) -> None:
    """A run over a few rows after one over all adds nothing, and its totals are those of all."""
    produce(broker, trips)
    work = rides.prepare(open_trips(trips.path, limit=10), MemoryClients(broker))
    assert sum(1 for _ in work.trips.rides()) == len(stored_ids(broker))


def test_another_file_is_refused(broker: MemoryBroker, trips: Trips, tmp_path: Path) -> None:
    """Rides of two files would be counted as one: the second is told how to start over."""
    produce(broker, trips)
    write_trips(tmp_path / "other.csv", 5_000, seed=6)
    with pytest.raises(TripsError, match=r"not from .*other.csv.*make taxi-clean"):
        produce(broker, open_trips(tmp_path / "other.csv"))


def test_a_rate_makes_small_steps(broker: MemoryBroker, trips: Trips) -> None:
    """Paced rides come a tenth of a second's worth at a time."""
    few = open_trips(trips.path, limit=50)
    clients = MemoryClients(broker)
    steps = list(rides.produce(rides.prepare(few, clients), clients.producer(), rate=100.0))
    assert set(steps[:-1]) == {10}
    assert sum(steps) == len(list(few.rides()))


def test_zones_lie_where_their_keys_belong(broker: MemoryBroker) -> None:
    """All zones are in the table, older than any ride."""
    rides.produce_zones(MemoryClients(broker).producer())
    records = broker.records("zones")
    assert len(records) == 263
    assert {record.timestamp for record in records} == {0}
