"""Writing to topics and reading them from outside, by topic and type."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from streams import App, ConfigError, Connection, Record, StreamsError
from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.errors import DeserializationError, ProductionError
from streams.record import TopicPartition


class Ride(msgspec.Struct):
    id: int
    fare: float
    at_ms: int = 0


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def connection(broker: MemoryBroker) -> Connection:
    app = App("taxi")
    app.topic("rides", key=int, value=Ride, timestamp=lambda ride: ride.at_ms, partitions=3)
    app.topic("words", key=str, value=str, partitions=1)
    found = Connection(MemoryClients(broker), app.config, app._topics)
    found.create(app._new_topics.values())
    return found


@pytest.mark.parametrize(
    "rows",
    [
        [(1, Ride(1, 2.5, 7)), (2, Ride(2, 3.5, 8))],
        [Record(1, Ride(1, 2.5, 7)), Record(2, Ride(2, 3.5, 8))],
        (pair for pair in [(1, Ride(1, 2.5, 7)), (2, Ride(2, 3.5, 8))]),
    ],
)
def test_rows_are_pairs_or_records(connection: Connection, rows: object) -> None:
    """Any iterable of either is written, at the time that the topic finds in the values."""
    assert connection.write("rides", rows) == 2
    connection.flush()
    read = sorted(connection.read("rides"), key=lambda record: record.key)
    assert [(each.key, each.value, each.timestamp) for each in read] == [
        (1, Ride(1, 2.5, 7), 7),
        (2, Ride(2, 3.5, 8), 8),
    ]


@pytest.mark.parametrize("key", ["id", lambda ride: ride.id])
def test_values_with_a_key(connection: Connection, key: str | Callable[[Ride], int]) -> None:
    """Values alone are written under a field, or what a function says; a timestamp given wins."""
    connection.write("rides", [Ride(9, 2.5, 7)], key=key, timestamp=11)
    (record,) = connection.read("rides")
    assert (record.key, record.timestamp, record.topic) == (9, 11, "rides")


def test_a_time_that_is_given_counts_for_tombstones_too(connection: Connection) -> None:
    """And for records without a time; one that is found in the value leaves tombstones at the present.

    It may be any time that can be written.
    """
    before_ms = time.time_ns() // 1_000_000
    connection.write("words", [("a", "x"), ("b", None), Record("c", None), Record("d", None, 7)], timestamp=5)
    for moment in (datetime(1970, 1, 1, 0, 0, 5), np.datetime64(5, "s"), np.int64(5_000)):
        connection.write("words", [("later", "x")], timestamp=moment)
    connection.write("words", [("e", None)], timestamp=lambda _: 9)
    connection.flush()
    *given, (last_key, last_ms) = [(each.key, each.timestamp) for each in connection.read("words")]
    assert given == [("a", 5), ("b", 5), ("c", 5), ("d", 7), *[("later", 5_000)] * 3]
    assert last_key == "e" and last_ms >= before_ms


def test_keys_decide_the_partition(connection: Connection) -> None:
    """A record lies where `partition_of` says, and records without a key go round."""
    connection.write("rides", [Ride(number, 1.0) for number in range(30)], key="id")
    assert all(record.partition == connection.partition_of("rides", record.key) for record in connection.read("rides"))
    connection.write("rides", [(None, Ride(number, 1.0)) for number in range(30)])
    unkeyed = [record for record in connection.read("rides") if record.key is None]
    assert {record.partition for record in unkeyed} == {0, 1, 2}


def test_headers_are_kept(connection: Connection) -> None:
    """Headers of a Record travel with it."""
    connection.write("words", [Record("a", "x", 5, headers=(("trace", b"1"),)), Record("b", None, 6)])
    first, second = connection.read("words")
    assert (first.headers, second.headers, second.value) == ((("trace", b"1"),), (), None)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, "abcd"),
        ({"start": 2_000}, "cd"),
        ({"end": datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)}, "ab"),
        ({"start": "1970-01-01T00:00:01+00:00", "end": 3_000}, "bc"),
        ({"last": 1}, "d"),
        ({"last": 99}, "abcd"),
        ({"start": "latest"}, ""),
    ],
)
def test_a_part_of_a_topic(connection: Connection, bounds: dict[str, object], expected: str) -> None:
    """Reading begins and ends at places or times; `last` counts from the end of each partition."""
    connection.write("words", [Record(None, word, number * 1_000) for number, word in enumerate("abcd")])
    assert "".join(record.value for record in connection.read("words", **bounds)) == expected


def test_following(connection: Connection) -> None:
    """A reader that follows gives what comes later too; one that does not ends where the topic ended."""
    connection.write("words", [("k", "a")])
    whole, following = connection.read("words"), connection.read("words", follow=True)
    connection.write("words", [("k", "b")])
    assert [record.value for record in whole] == ["a"]
    assert [record.value for record in following.catch_up()] == ["a", "b"]
    connection.write("words", [("k", "c")])
    assert [record.value for record in following.catch_up()] == ["c"]
    following.close()


def test_topics_and_lag(connection: Connection, broker: MemoryBroker) -> None:
    """Topics are listed with their records, and a group's lag is what it has not committed."""
    connection.write("words", [("k", word) for word in "abc"])
    assert [tuple(topic) for topic in connection.topics()] == [("rides", 3, 0), ("words", 1, 3)]
    assert connection.lag("group", ["words", "rides"]) == {
        TopicPartition("words", 0): 3,
        **{TopicPartition("rides", number): 0 for number in range(3)},
    }
    MemoryClients(broker).consumer(group="group").commit({TopicPartition("words", 0): OffsetAndMetadata(2)})
    assert connection.lag("group", ["words"]) == {TopicPartition("words", 0): 1}
    assert connection.lag("group", ["nowhere"]) is None


def test_topics_are_made_once(connection: Connection) -> None:
    """A topic that exists keeps its partitions."""
    connection.create([NewTopic("words", 9), NewTopic("new", 2)])
    assert {topic.name: topic.partitions for topic in connection.topics()} == {"new": 2, "rides": 3, "words": 1}


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([Ride(1, 1.0)], {}, r"expected Records or \(key, value\) pairs, got Ride.*say key="),
        ([("one", Ride(1, 1.0))], {}, "a key cannot be written to rides: expected an int"),
        ([(1, Ride(1, 1.0)), (2, "x")], {}, "a value cannot be written to rides: expected Ride, got 'x'"),
        (
            [(1, Ride(1, 1.0)), (2, Ride(2, 1.0, -1))],
            {},
            "written to rides: its timestamp: expected a time since 1970, got -1",
        ),
        ([Record(1, Ride(1, 1.0), -2)], {}, "written to rides: its timestamp: expected a time since 1970, got -2"),
        ([(1, Ride(1, 1.0))], {"timestamp": lambda ride: "soon"}, "expected a time such as .* got 'soon'"),
        ([(1, Ride(1, 1.0))], {"timestamp": -1}, "timestamp=: expected a time since 1970, got -1"),
        (5, {}, r"expected values, \(key, value\) pairs, records, a DataFrame or a file to write, got 5"),
    ],
)
def test_wrong_rows(connection: Connection, rows: object, options: dict[str, object], message: str) -> None:
    """What a topic cannot hold is told with the value, and nothing of what came with it is written."""
    with pytest.raises((ConfigError, ProductionError), match=message):
        connection.write("rides", rows, **options)
    assert list(connection.read("rides")) == []


def test_wrong_reads(connection: Connection) -> None:
    """A missing topic, a time that is none, and bytes of another type each are a sentence."""
    with pytest.raises(ConfigError, match="there is no topic 'nowhere' on this broker; `streams topics` lists them$"):
        connection.read("nowhere")
    with pytest.raises(ConfigError, match="there is no topic 'wrods' on this broker.*; did you mean 'words'"):
        connection.read("wrods")
    with pytest.raises(ConfigError, match="expected 'earliest', 'latest', a time such as"):
        connection.read("words", start="yesterday")
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        connection.read("words", last=0)
    with pytest.raises(ConfigError, match="last: expected a whole number of at least 1, got '5'"):
        connection.read("words", last="5")  # type: ignore[arg-type]
    connection.write("words", [("k", "a")])
    wrong = App("other").topic("words", key=str, value=int)
    with pytest.raises(DeserializationError, match=r"(?s)value of a record cannot be read.*words\[0\]@0"):
        list(connection.read(wrong))
    with pytest.raises(StreamsError, match="a reader that follows has no end"):
        connection.read("words", follow=True).to_pandas()
