"""The benchmarks' input: repeatable, as large as asked, produced where keys belong."""

from collections import Counter

import msgspec
import pytest

from benchmarks.load import CHUNK, Ride, filled, padded, produce, rides, skewed, zones
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


def test_state_is_filled_before_it_is_used() -> None:
    """Every key once, none beside its neighbour, then updates of keys that are there."""
    keys = [int.from_bytes(key, "big") for columns in filled("rides", 1_000, 300).chunks() for key in columns.keys]
    assert sorted(keys[:1_000]) == list(range(1_000))
    assert keys[:3] != [0, 1, 2]
    assert len(keys) == 1_300
    assert set(keys[1_000:]) < set(range(1_000))


def test_skewed_keys_follow_the_law() -> None:
    """With exponent 1 over 1,000 keys the first has a seventh of the records and twice as many as the second."""
    counts = Counter(key for columns in skewed("rides", 20_000, 1.0, keys=1_000).chunks() for key in columns.keys)
    (_, first), (_, second), *_ = counts.most_common()
    assert 2_400 < first < 2_950
    assert 0.4 < second / first < 0.6


def test_padding_keeps_a_value_what_it_is() -> None:
    """As large as asked, the same ride, and as many of them."""
    values = [value for columns in padded(rides("rides", 50), 1_000).chunks() for value in columns.values]
    assert {len(value) for value in values} == {1_000}
    assert [msgspec.json.decode(value, type=Ride).id for value in values] == list(range(50))
