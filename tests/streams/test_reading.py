"""Where reading begins and ends: times that mean the same wherever the machine is."""

import time
from datetime import UTC, datetime

import pytest

from streams import App, Connection
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.durations import moment_ms
from streams.errors import ConfigError
from streams.pytest_plugin import RunningBroker
from streams.reading import time_ms


@pytest.fixture
def new_york(monkeypatch):
    """A machine in New York."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "moment",
    ["2026-01-31T12:00", datetime(2026, 1, 31, 12), "2026-01-31T12:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)],
)
def test_a_time_without_a_zone_is_utc(new_york, moment):
    """The same time means the same when it is written and when it is read."""
    assert time_ms(moment) == moment_ms(moment) == 1_769_860_800_000


def test_a_number_is_milliseconds_also_as_text():
    """Ms since 1970, as in what is written."""
    assert time_ms("1769860800000") == time_ms(1_769_860_800_000) == 1_769_860_800_000


@pytest.mark.parametrize("moment", ["yesterday", "", None])
def test_what_is_no_time_says_what_was_expected(moment):
    """The error names all that a place may be."""
    with pytest.raises(ConfigError, match="expected 'earliest', 'latest', a time such as 2026-01-31T12:00"):
        time_ms(moment)


def decided(connection: Connection, topic: str, *, transactions: int) -> list[list[int]]:
    """The values that are committed in each partition of a topic, written by transactions of which some are aborted."""
    producer = connection.clients.producer(transactional_id=f"{topic}-writer")
    committed = [[], []]
    for number in range(transactions):
        producer.begin()
        for partition in (0, 1)[: 1 + number % 2]:
            producer.send(topic, partition, [b"k"], [str(number).encode()], [number], None)
        producer.flush()
        if number % 3:
            producer.abort_transaction()
            continue
        producer.commit_transaction()
        for partition in (0, 1)[: 1 + number % 2]:
            committed[partition].append(number)
    producer.close()
    return committed


def expect_the_last(connection: Connection, topic: str, committed: list[list[int]]) -> None:
    assert committed[0] and committed[1] and len(committed[0]) > len(committed[1])
    for last in range(1, len(committed[0]) + 3):
        read = [(record.partition, int(record.value)) for record in connection.read(topic, last=last)]
        assert sorted(read) == [(number, value) for number in (0, 1) for value in committed[number][-last:]], last


def test_the_last_records_are_counted_without_markers_and_aborted_ones():
    """Offsets that are none of records do not count, however many follow one another."""
    app = App("reader")
    app.topic("bank", key=str, value=str, partitions=2)
    connection = Connection(MemoryClients(MemoryBroker()), app.config, app._topics)
    connection.create(app._new_topics.values())
    expect_the_last(connection, "bank", decided(connection, "bank", transactions=40))


@pytest.mark.broker
def test_the_last_records_of_a_broker(streams_broker: RunningBroker):
    """On the real broker, each partition for itself; who follows goes on with what comes then; an empty one has none."""
    app = App("last-reader", broker=streams_broker.url)
    bank = app.topic("last-bank", key=str, value=str, partitions=2)
    app.topic("last-empty", key=str, value=str, partitions=2)
    with app.connect() as connection:
        assert list(connection.read("last-empty", last=3)) == []
        committed = decided(connection, "last-bank", transactions=12)
        expect_the_last(connection, "last-bank", committed)
        with connection.read("last-bank", last=1, follow=True) as records:
            connection.write(bank, [("k", "new")], partition=1)
            connection.flush()
            seen = []
            while len(seen) < 3:
                seen += [(record.partition, record.value) for record in records.poll()]
        assert sorted(seen) == [(0, str(committed[0][-1])), (1, str(committed[1][-1])), (1, "new")]
