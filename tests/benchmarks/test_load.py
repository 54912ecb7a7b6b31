"""The benchmarks' input: repeatable, as large as asked, produced where keys belong."""

import msgspec
import pytest

from benchmarks.load import CHUNK, Ride, produce, rides, zones
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.clients.partitioner import partition_for


def test_the_same_arguments_give_the_same_bytes() -> None:
    """Two runs are fed alike."""
    assert list(rides("rides", 500).chunks()) == list(rides("rides", 500).chunks())
    assert list(rides("rides", 500, seed=2).chunks()) != list(rides("rides", 500).chunks())


@pytest.mark.parametrize("records", [1, CHUNK, CHUNK + 1])
def test_as_many_records_as_asked(records: int) -> None:
    """Chunks add up, whatever the remainder."""
    assert sum(len(columns.keys) for columns in rides("rides", records).chunks()) == records


def test_values_are_typed_and_of_everyday_size() -> None:
    """A value is a Ride of 100 to 140 bytes, about the key's zone."""
    columns = next(rides("rides", 1_000).chunks())
    for key, value in zip(columns.keys, columns.values, strict=True):
        assert 90 <= len(value) <= 140
        assert msgspec.json.decode(value, type=Ride).zone == int.from_bytes(key, "big")


def test_few_records_are_late_and_none_when_not_wanted() -> None:
    """Event time advances, with the share of late records that was asked for."""
    late = next(rides("rides", 5_000).chunks()).timestamps
    even = next(rides("rides", 5_000, late=0).chunks()).timestamps
    assert even == sorted(even)
    assert 0 < sum(this < highest for this, highest in zip(late, even, strict=True)) < 250


def test_records_lie_where_their_keys_belong() -> None:
    """The loader partitions as every Kafka client does."""
    broker = MemoryBroker()
    broker.create(NewTopic("zones", 4))
    produce(MemoryClients(broker).producer(), zones("zones"))
    records = broker.records("zones")
    assert len(records) == 265
    assert all(record.partition == partition_for(record.key, 4) for record in records)
