"""Answers that leave from files: whole and in order for slow readers, and nothing is kept open for those who hang up."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from broker.protocol.records import Record, build_batch
from tests.broker.wire import Wire

pytestmark = pytest.mark.broker

PRODUCE, FETCH, METADATA, DELETE_TOPICS = 0, 1, 3, 20
PARTITION = {"partition": 0, "fetch_offset": 0, "current_leader_epoch": -1, "partition_max_bytes": 9 << 20}
LIMITS = {"max_wait": 0, "min_bytes": 1, "max_bytes": 9 << 20, "session_epoch": -1}


def fill(wire: Wire, topic: str, batches: int) -> bytes:
    """Batches of 900 kB that do not compress; what a fetch has to bring, but for what the broker writes into it."""
    wire.call(METADATA, 1, topics=[{"name": topic}])
    stored = b""
    for number in range(batches):
        records = build_batch([Record(0, int(time.time() * 1000), b"%d" % number, os.urandom(900_000))])
        data = [{"name": topic, "partition_data": [{"index": 0, "records": records}]}]
        answer = wire.call(PRODUCE, 9, acks=-1, timeout=9_000, topic_data=data)
        assert answer.responses[0].partition_responses[0].error_code == 0
        stored += records
    return stored


def ask(wire: Wire, topic: str) -> Any:
    return wire.send(FETCH, 11, **LIMITS, topics=[{"topic": topic, "partitions": [PARTITION]}])


def payloads(records: bytes, size: int) -> list[bytes]:
    """Each batch without its first 21 bytes, which hold its place and CRC."""
    return [records[start + 21 : start + size] for start in range(0, len(records), size)]


def test_slow_readers_get_everything_in_order(broker, make_wire) -> None:
    """Answers of several MB, asked for all at once and read late, are those of memory to the byte, each before the next."""
    wire = make_wire(broker)
    stored = fill(wire, "large", 4)
    size = len(stored) // 4
    schemas = [ask(wire, "large") for _ in range(3)]
    schemas.append(wire.send(METADATA, 1, topics=[{"name": "large"}]))
    for schema in schemas[:3]:
        answer = wire.receive(schema)
        found = answer.responses[0].partitions[0].records
        assert payloads(bytes(found), size) == payloads(stored, size)
    assert wire.receive(schemas[3]).topics[0].name == "large"


def test_a_topic_that_goes_while_it_is_sent(broker, make_wire) -> None:
    """Who has asked before a topic is deleted still gets what was there."""
    reader, other = make_wire(broker), make_wire(broker)
    stored = fill(other, "going", 4)
    schema = ask(reader, "going")
    other.call(METADATA, 1, topics=[{"name": "going"}])  # the fetch is on its way
    answer = other.call(DELETE_TOPICS, 4, topic_names=["going"], timeout=9_000)
    assert answer.responses[0].error_code == 0
    size = len(stored) // 4
    found = reader.receive(schema).responses[0].partitions[0].records
    assert payloads(bytes(found), size) == payloads(stored, size)


def test_who_hangs_up_leaves_nothing_open(broker, make_wire) -> None:
    """A client that goes in the middle of an answer costs no descriptor, and the broker serves on."""
    wire = make_wire(broker)
    fill(wire, "left", 8)
    descriptors = Path(f"/proc/{broker.process.pid}/fd")
    if not descriptors.exists():
        pytest.skip("descriptors are counted in /proc")
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        leaver = Wire(broker.port)
        ask(leaver, "left")
        ask(leaver, "left")
        assert leaver.socket.recv(1000)
        leaver.socket.close()
    deadline = time.monotonic() + 30
    while len(list(descriptors.iterdir())) > before:
        assert time.monotonic() < deadline
        time.sleep(0.02)  # a pace, not a wait
    assert len(wire.receive(ask(wire, "left")).responses[0].partitions[0].records) > 7_000_000
