"""Fetch sessions over the wire: what is named once stays, what is told is news, and what is out of step is refused."""

import time
from typing import Any

import pytest

from broker.protocol.records import Record, build_batch

pytestmark = pytest.mark.broker

PRODUCE, FETCH, METADATA, CREATE, DELETE = 0, 1, 3, 19, 20
UNKNOWN_SESSION, WRONG_EPOCH = 70, 71


def make_topic(wire, name: str) -> str:
    topics = [{"name": name, "num_partitions": 2, "replication_factor": 1}]
    assert wire.call(CREATE, 7, topics=topics).topics[0].error_code == 0
    return name


def produce(wire, topic: str, partition: int) -> None:
    records = build_batch([Record(0, int(time.time() * 1000), b"key", b"value")])
    data = [{"name": topic, "partition_data": [{"index": partition, "records": records}]}]
    wire.call(PRODUCE, 9, acks=-1, timeout=1_000, topic_data=data)


def fetch(wire, session: int, epoch: int, topic: str = "", offsets: Any = (), forgotten: Any = ()) -> Any:
    """A fetch that names partitions by (index, offset), and forgets others."""
    named = [
        {"partition": index, "fetch_offset": offset, "partition_max_bytes": 9_999, "current_leader_epoch": -1}
        for index, offset in offsets
    ]
    return wire.call(
        FETCH,
        11,
        max_wait=0,
        min_bytes=1,
        max_bytes=99_999,
        session_id=session,
        session_epoch=epoch,
        topics=[{"topic": topic, "partitions": named}] if named else [],
        forgotten_topics_data=[{"topic": topic, "partitions": forgotten}] if forgotten else [],
    )


def told(answer: Any) -> list[int]:
    return [partition.partition_index for topic in answer.responses for partition in topic.partitions]


def test_only_news_is_told(wire) -> None:
    """The first answer names every partition, later ones those with records or a bound that moved."""
    topic = make_topic(wire, "session-news")
    first = fetch(wire, 0, 0, topic, [(0, 0), (1, 0)])
    session = first.session_id
    assert (session > 0, told(first)) == (True, [0, 1])
    assert told(fetch(wire, session, 1)) == []
    produce(wire, topic, 1)
    assert told(fetch(wire, session, 2)) == [1]
    assert told(fetch(wire, session, 3, topic, [(1, 1)])) == []


def test_order_of_a_session_begins_as_asked(wire) -> None:
    """The answer told in full puts nobody behind: only one of the later ones does, for the records it brings."""
    topic = make_topic(wire, "session-order")
    produce(wire, topic, 0)
    first = fetch(wire, 0, 0, topic, [(0, 0), (1, 0)])
    produce(wire, topic, 1)
    assert told(fetch(wire, first.session_id, 1)) == [0, 1]
    assert told(fetch(wire, first.session_id, 2, topic, [(0, 1)])) == [1]
    produce(wire, topic, 0)
    assert told(fetch(wire, first.session_id, 3)) == [0, 1]


def test_forgotten_partition_is_not_read(wire) -> None:
    """What a client forgets is told no more; a session without partitions is over."""
    topic = make_topic(wire, "session-forget")
    session = fetch(wire, 0, 0, topic, [(0, 0), (1, 0)]).session_id
    fetch(wire, session, 1, topic, forgotten=[1])
    produce(wire, topic, 0)
    produce(wire, topic, 1)
    assert told(fetch(wire, session, 2)) == [0]
    assert fetch(wire, session, 3, topic, forgotten=[0]).session_id == 0
    assert fetch(wire, session, 4).error_code == UNKNOWN_SESSION


def test_out_of_step(wire) -> None:
    """A wrong epoch and an unknown session are refused as a whole; a session that was ended is unknown."""
    topic = make_topic(wire, "session-epoch")
    session = fetch(wire, 0, 0, topic, [(0, 0)]).session_id
    assert fetch(wire, session, 2).error_code == WRONG_EPOCH
    assert fetch(wire, session, 1).error_code == 0
    assert fetch(wire, session + 1, 1).error_code == UNKNOWN_SESSION
    ended = fetch(wire, session, -1, topic, [(0, 0)])
    assert (ended.session_id, told(ended)) == (0, [0])
    assert fetch(wire, session, 2).error_code == UNKNOWN_SESSION


def test_deleted_and_created_again(wire) -> None:
    """A session by name notices that its topic went, and finds it again when it is back."""
    topic = make_topic(wire, "session-again")
    session = fetch(wire, 0, 0, topic, [(0, 0)]).session_id
    wire.call(DELETE, 4, topic_names=[topic])
    (gone,) = fetch(wire, session, 1).responses[0].partitions
    assert gone.error_code == 3
    make_topic(wire, topic)
    (back,) = fetch(wire, session, 2).responses[0].partitions
    assert back.error_code == 0
