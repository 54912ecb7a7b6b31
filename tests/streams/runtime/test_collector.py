"""Columns split by partition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryProducer
from streams.clients.partitioner import partition_for
from streams.runtime.collector import Collector


def collector(partitions: int) -> tuple[MemoryBroker, Collector]:
    broker = MemoryBroker()
    broker.create(NewTopic("out", partitions))
    return broker, Collector(MemoryProducer(broker))


@given(st.lists(st.binary(max_size=3), max_size=20), st.integers(1, 4))
def test_keys_go_where_kafka_puts_them(keys: list[bytes], partitions: int) -> None:
    """Each record lands in the partition of its key, in order, with its own value and timestamp."""
    broker, out = collector(partitions)
    out.send("out", keys, [b"%d" % at for at in range(len(keys))], list(range(len(keys))), None)
    records = broker.records("out")
    assert sorted(int(record.value) for record in records) == list(range(len(keys)))
    for record in records:
        assert record.partition == partition_for(record.key, partitions)
        assert keys[record.timestamp] == record.key
    by_partition = {record.partition: [] for record in records}
    for record in records:
        by_partition[record.partition].append(record.timestamp)
    assert all(times == sorted(times) for times in by_partition.values())


def test_a_batch_for_one_partition_goes_there_whole() -> None:
    """Chosen or by their keys: the columns are not copied, and nothing goes elsewhere; no records go nowhere."""
    broker, out = collector(3)
    out.send("out", [b"a", b"a"], [b"1", b"2"], [0, 0], None)
    out.send("out", [b"b", b"c"], [b"3", b"4"], [0, 0], None, [1, 1])
    out.send("out", [], [], [], None)
    there = partition_for(b"a", 3)
    expected = [(there, b"1"), (there, b"2"), (1, b"3"), (1, b"4")]
    assert sorted((record.value, record.partition) for record in broker.records("out")) == [(v, p) for p, v in expected]


def test_chosen_partitions_are_obeyed() -> None:
    """A custom partitioner's choice goes before the key."""
    broker, out = collector(3)
    out.send("out", [b"a", b"a", b"b"], [b"1", b"2", b"3"], [0, 0, 0], None, [2, 0, 2])
    assert [(record.partition, record.value) for record in broker.records("out")] == [(0, b"2"), (2, b"1"), (2, b"3")]


def test_records_without_a_key_take_turns_batch_by_batch() -> None:
    """All keyless records of a batch share a partition, the next batch another one."""
    broker, out = collector(2)
    for _ in range(2):
        out.send("out", [None, None], [b"x", b"y"], [0, 0], None)
    assert [len(part.keys) for part in broker.partitions("out")] == [2, 2]


def test_headers_stay_with_their_record() -> None:
    """Headers are split like the other columns."""
    broker, out = collector(2)
    out.send("out", [b"a", b"b"], [b"1", b"2"], [0, 0], [(("h", b"1"),), ()], [1, 0])
    assert [(record.value, record.headers) for record in broker.records("out")] == [(b"2", ()), (b"1", (("h", b"1"),))]


def test_a_changelog_is_one_partition() -> None:
    """Stores log to the partition of their task; None deletes."""
    broker, out = collector(2)
    out.changelog("out", 1).write([b"k", b"l"], [b"v", None], [5, 6])
    assert [(record.partition, record.value) for record in broker.records("out")] == [(1, b"v"), (1, None)]
