"""Requests that name a partition, topic or resource twice, which no well-behaved client does: Kafka's answers.

What Apache Kafka 4.3.1 answers was seen by the differential (`python -m tests.broker.differential`).
"""

import time

import pytest

from broker.protocol.records import Record, build_batch
from tests.broker.wire import Wire, plain

pytestmark = pytest.mark.broker

PRODUCE, LIST_OFFSETS, METADATA, OFFSET_COMMIT, DELETE_RECORDS, ADD_PARTITIONS, ALTER = 0, 2, 3, 8, 21, 24, 44
OFFSET_DELETE = 47
TOPIC = 2


def batch(*values: bytes) -> bytes:
    at = int(time.time() * 1000)
    return build_batch([Record(offset, at, None, value) for offset, value in enumerate(values)])


@pytest.fixture
def topic(wire: Wire) -> str:
    """A topic with one partition."""
    wire.call(METADATA, 1, topics=[{"name": "named-twice"}])
    return "named-twice"


def end_of(wire: Wire, topic: str) -> int:
    partitions = [{"partition_index": 0, "timestamp": -1}]
    return wire.call(LIST_OFFSETS, 5, topics=[{"name": topic, "partitions": partitions}]).topics[0].partitions[0].offset


@pytest.mark.parametrize("apart", [False, True])
def test_the_last_of_two_batches_counts(wire: Wire, topic: str, apart: bool) -> None:
    """Of two batches for a partition the second is stored, whether its topic is named twice or only the partition."""
    before = end_of(wire, topic)
    first, second = ({"index": 0, "records": batch(*values)} for values in ((b"a",), (b"b", b"c")))
    both = [[first], [second]] if apart else [[first, second]]
    data = [{"name": topic, "partition_data": partitions} for partitions in both]
    answer = wire.call(PRODUCE, 9, acks=-1, timeout=1_000, topic_data=data)
    assert [len(item.partition_responses) for item in answer.responses] == [1]
    assert answer.responses[0].partition_responses[0].base_offset == before
    assert end_of(wire, topic) == before + 2


def test_the_last_of_two_deletions_counts(wire: Wire, topic: str) -> None:
    """A log begins where the second says, though the first goes further, and one answer says so."""
    data = [{"name": topic, "partition_data": [{"index": 0, "records": batch(b"a", b"b", b"c")}]}]
    end = wire.call(PRODUCE, 9, acks=-1, timeout=1_000, topic_data=data).responses[0].partition_responses[0]
    offsets = [end.base_offset + 3, end.base_offset + 1]
    partitions = [{"partition_index": 0, "offset": offset} for offset in offsets]
    answer = wire.call(DELETE_RECORDS, 2, topics=[{"name": topic, "partitions": partitions}], timeout=1_000)
    found = [(item.partition_index, item.low_watermark) for item in answer.topics[0].partitions]
    assert found == [(0, end.base_offset + 1)]


def test_offsets_of_a_partition_asked_for_twice_are_not_listed(wire: Wire, topic: str) -> None:
    """A topic has one answer, in which a partition that is named twice, also beside its topic's second name, is refused."""
    twice = {"partition_index": 0, "timestamp": -1}
    topics = [{"name": topic, "partitions": [twice]}, {"name": topic, "partitions": [twice, {"partition_index": 7}]}]
    answer = wire.call(LIST_OFFSETS, 5, topics=topics)
    found = [(item.partition_index, item.error_code) for each in answer.topics for item in each.partitions]
    assert (len(answer.topics), found) == (1, [(0, 42), (7, 3)])


def test_partitions_are_added_to_a_transaction_once(wire: Wire, topic: str) -> None:
    """Where one of them is refused each is answered once, else each as often as it is named."""
    topics = [{"name": topic, "partitions": [0, 0]}, {"name": topic, "partitions": [7, 0]}]
    answer = wire.call(ADD_PARTITIONS, 3, v3_and_below_transactional_id="nobody", v3_and_below_topics=topics)
    assert plain(answer)["results_by_topic_v3_and_below"] == [
        {
            "name": topic,
            "results_by_partition": [
                {"partition_index": 0, "partition_error_code": 55},
                {"partition_index": 7, "partition_error_code": 3},
            ],
        }
    ]
    topics = [{"name": topic, "partitions": [0, 0]}, {"name": topic, "partitions": [0]}]
    answer = wire.call(ADD_PARTITIONS, 3, v3_and_below_transactional_id="nobody", v3_and_below_topics=topics)
    answered = [len(item.results_by_partition) for item in answer.results_by_topic_v3_and_below]
    assert answered == [2, 1]


def test_settings_of_a_resource_named_twice_are_not_changed(wire: Wire, topic: str) -> None:
    """Both are refused, others are changed."""
    retention = [{"name": "retention.ms", "config_operation": 0, "value": "5000"}]
    names = [topic, "no-such-topic", topic]
    resources = [{"resource_type": TOPIC, "resource_name": name, "configs": retention} for name in names]
    answer = wire.call(ALTER, 1, resources=resources)
    assert [(item.resource_name, item.error_code) for item in answer.responses] == [
        (topic, 42),
        ("no-such-topic", 3),
        (topic, 42),
    ]
    described = wire.call(32, 4, resources=[{"resource_type": TOPIC, "resource_name": topic}])
    settings = {item.name: item.value for item in described.results[0].configs}
    assert settings["retention.ms"] != "5000"


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ([[0], [0]], [[(0, 0)], [(0, 0)]]),
        ([[0, 7], [0]], [[(7, 3), (0, 0), (0, 0)]]),
        ([[], [0]], [[(0, 0)]]),
        ([[]], []),
    ],
)
def test_deleted_offsets_are_one_topic_if_a_partition_is_missing(
    wire: Wire, topic: str, asked: list[list[int]], answered: list[list[tuple[int, int]]]
) -> None:
    """A topic that is named twice is answered twice, but once, what is missing first, where a partition is not there."""
    committed = [{"partition_index": 0, "committed_offset": 1}]
    wire.call(OFFSET_COMMIT, 8, group_id="deletes", topics=[{"name": topic, "partitions": committed}])
    topics = [{"name": topic, "partitions": [{"partition_index": index} for index in indexes]} for indexes in asked]
    answer = wire.call(OFFSET_DELETE, 0, group_id="deletes", topics=topics)
    found = [[(item.partition_index, item.error_code) for item in each.partitions] for each in answer.topics]
    assert (answer.error_code, found) == (0, answered)


def test_deleted_offsets_name_a_topic_that_is_missing(wire: Wire, topic: str) -> None:
    """Without partitions too, of which a topic that is there would be left out."""
    committed = [{"partition_index": 0, "committed_offset": 1}]
    wire.call(OFFSET_COMMIT, 8, group_id="deletes", topics=[{"name": topic, "partitions": committed}])
    topics = [{"name": name, "partitions": []} for name in (topic, "no-such-topic")]
    answer = wire.call(OFFSET_DELETE, 0, group_id="deletes", topics=topics)
    assert [(each.name, list(each.partitions)) for each in answer.topics] == [("no-such-topic", [])]
