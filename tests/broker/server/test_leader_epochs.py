"""Leader epochs over the wire, after a restart has begun a second one."""

from collections.abc import Callable
from typing import Any

import pytest

from broker.protocol.records import Record, build_batch

pytestmark = pytest.mark.broker

PRODUCE, FETCH, LIST_OFFSETS, METADATA, DELETE_RECORDS = 0, 1, 2, 3, 21
LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL = -1, -2, -3, -4


def produce(wire: Any, *timestamps: int) -> None:
    records = build_batch([Record(index, at, b"key", b"value") for index, at in enumerate(timestamps)])
    data = [{"name": "t", "partition_data": [{"index": 0, "records": records}]}]
    wire.call(PRODUCE, 9, acks=-1, timeout=1_000, topic_data=data)


@pytest.fixture
def wire(broker: Any, make_wire: Callable[[Any], Any]) -> Any:
    """A broker whose topic t has records 0 and 1 of epoch 0, and record 2 of epoch 1."""
    before = make_wire(broker)
    before.call(METADATA, 1, topics=[{"name": "t"}])
    produce(before, 1_000, 5_000)
    broker.stop()
    broker.start()
    wire = make_wire(broker)
    produce(wire, 2_000)
    return wire


def listed(wire: Any, timestamp: int) -> tuple[int, int]:
    """(offset, leader epoch)."""
    topics = [{"name": "t", "partitions": [{"partition_index": 0, "timestamp": timestamp, "current_leader_epoch": -1}]}]
    found = wire.call(LIST_OFFSETS, 8, replica_id=-1, topics=topics).topics[0].partitions[0]
    return found.offset, found.leader_epoch


def test_offsets_come_with_the_epoch_they_were_written_in(wire: Any) -> None:
    """Only the end has the current epoch; what a time or the start finds has that of its batch, as in Kafka."""
    assert [listed(wire, special) for special in (EARLIEST, EARLIEST_LOCAL, MAX_TIMESTAMP)] == [(0, 0), (0, 0), (1, 0)]
    assert [listed(wire, LATEST), listed(wire, 1_001), listed(wire, 9_000)] == [(3, 1), (1, 0), (-1, -1)]


@pytest.mark.parametrize(("start", "epoch"), [(1, 0), (2, 1), (3, 1)])
def test_the_start_of_a_log_that_moved(wire: Any, start: int, epoch: int) -> None:
    """It has the epoch of what lies there now; at the end that is the current one.

    The newest record is found as long as its segment is there, with the epoch of its batch, which the log may have forgotten.
    """
    topics = [{"name": "t", "partitions": [{"partition_index": 0, "offset": start}]}]
    assert wire.call(DELETE_RECORDS, 2, topics=topics, timeout=1_000).topics[0].partitions[0].low_watermark == start
    assert listed(wire, EARLIEST) == (start, epoch)
    assert listed(wire, MAX_TIMESTAMP) == (1, 0)


def fetch(wire: Any, offset: int, last_epoch: int, **session: int) -> Any:
    partition = {"partition": 0, "fetch_offset": offset, "last_fetched_epoch": last_epoch, "partition_max_bytes": 9_999}
    topics = [{"topic": "t", "partitions": [{**partition, "current_leader_epoch": -1}]}]
    limits = {"max_wait": 19_000, "min_bytes": 1, "max_bytes": 9_999}
    return wire.call(FETCH, 12, topics=topics, **limits, **session)


@pytest.mark.parametrize(
    ("offset", "last_epoch", "error", "end"),
    [
        (1, 0, 0, None),
        (2, 0, 0, None),
        (2, 1, 0, None),
        (2, -1, 0, None),
        (3, 0, 0, (0, 2)),
        (9, 1, 0, (1, 3)),
        (2, 7, 1, None),
        (9, -1, 1, None),
    ],
)
def test_a_reader_whose_log_was_cut(wire: Any, offset: int, last_epoch: int, error: int, end: Any) -> None:
    """Who read beyond the end of its last epoch is told where that ended, and at once; of an unknown epoch nothing (1)."""
    (partition,) = fetch(wire, offset, last_epoch).responses[0].partitions
    diverging = partition.diverging_epoch
    assert (partition.error_code, bool(partition.records)) == (error, not error and end is None)
    assert (diverging.epoch, diverging.end_offset) == (end or (-1, -1))


def test_a_log_that_was_cut_is_news_in_a_session(wire: Any) -> None:
    """It is told in every answer until the client has gone back."""
    session_id = fetch(wire, 3, 0, session_id=0, session_epoch=0).session_id
    for epoch in (1, 2):
        (topic,) = fetch(wire, 3, 0, session_id=session_id, session_epoch=epoch).responses
        assert topic.partitions[0].diverging_epoch.end_offset == 2
    (topic,) = fetch(wire, 2, 0, session_id=session_id, session_epoch=3).responses
    assert topic.partitions[0].records
