"""Leader epochs over the wire, after a restart has begun a second one."""

from collections.abc import Callable
from typing import Any

import pytest

from broker.protocol.records import Record, build_batch

pytestmark = pytest.mark.broker

PRODUCE, LIST_OFFSETS, METADATA, DELETE_RECORDS = 0, 2, 3, 21
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
    """It has the epoch of what lies there now; at the end that is the current one."""
    topics = [{"name": "t", "partitions": [{"partition_index": 0, "offset": start}]}]
    assert wire.call(DELETE_RECORDS, 2, topics=topics, timeout=1_000).topics[0].partitions[0].low_watermark == start
    assert listed(wire, EARLIEST) == (start, epoch)
