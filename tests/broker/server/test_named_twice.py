"""Requests that name a partition, topic or resource twice, or a topic for nothing, which no well-behaved client does.

What Apache Kafka 4.3.1 answers was seen by the differential (`python -m tests.broker.differential`).
"""

import time
from typing import Any

import pytest

from broker.protocol.records import Record, build_batch
from tests.broker.wire import Wire, plain

pytestmark = pytest.mark.broker

PRODUCE, LIST_OFFSETS, METADATA, OFFSET_COMMIT, DELETE_RECORDS, ADD_PARTITIONS, ALTER = 0, 2, 3, 8, 21, 24, 44
OFFSET_DELETE, TXN_OFFSET_COMMIT, DESCRIBE_LOG_DIRS, LIST_CONFIG_RESOURCES, LIST_TRANSACTIONS = 47, 28, 35, 74, 66
WRITE_TXN_MARKERS, DESCRIBE_QUOTAS, ALTER_QUOTAS = 27, 48, 49
TOPIC, BROKER = 2, 4
Asked = list[list[int]]


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


OFFSETS = [
    ([[0], [0]], [[(0, 0)], [(0, 0)]]),
    ([[0, 7], [0]], [[(7, 3), (0, 0), (0, 0)]]),
    ([[], [0]], [[(0, 0)]]),
    ([[]], []),
]
"""Partitions of one topic, each list for once that it is named, and the answer: one topic where anything is missing."""


def codes(answer: Any) -> list[list[tuple[int, int]]]:
    """Of each topic of an answer its partitions, with their errors."""
    return [[(item.partition_index, item.error_code) for item in topic.partitions] for topic in answer.topics]


@pytest.mark.parametrize(("asked", "answered"), OFFSETS)
def test_committed_offsets_of_a_topic_named_twice(wire: Wire, topic: str, asked: Asked, answered: Any) -> None:
    """A topic is answered as often as it is named, but once, what is missing first, where a partition is not there."""
    topics = [
        {"name": topic, "partitions": [{"partition_index": index, "committed_offset": 1} for index in indexes]}
        for indexes in asked
    ]
    assert codes(wire.call(OFFSET_COMMIT, 8, group_id="commits", topics=topics)) == answered


def test_each_commit_of_an_offset_has_its_own_answer(wire: Wire, topic: str) -> None:
    """Of a partition that is named twice what is too long is refused, and the other taken."""
    commits = [{"partition_index": 0, "committed_offset": 1, "committed_metadata": "m" * size} for size in (5000, 0)]
    answer = wire.call(OFFSET_COMMIT, 8, group_id="commits", topics=[{"name": topic, "partitions": commits}])
    assert codes(answer) == [[(0, 12), (0, 0)]]


@pytest.mark.parametrize(("asked", "answered"), OFFSETS)
def test_deleted_offsets_of_a_topic_named_twice(wire: Wire, topic: str, asked: Asked, answered: Any) -> None:
    """As with commits."""
    committed = [{"partition_index": 0, "committed_offset": 1}]
    wire.call(OFFSET_COMMIT, 8, group_id="deletes", topics=[{"name": topic, "partitions": committed}])
    topics = [{"name": topic, "partitions": [{"partition_index": index} for index in indexes]} for indexes in asked]
    answer = wire.call(OFFSET_DELETE, 0, group_id="deletes", topics=topics)
    assert (answer.error_code, codes(answer)) == (0, answered)


def test_offsets_of_a_transaction_of_a_topic_named_twice(wire: Wire, topic: str) -> None:
    """As with commits, also where the coordinator hears of nothing."""
    names = [(topic, [7]), (topic, [8]), ("no-such-topic", []), (topic, [])]
    topics = [
        {"name": name, "partitions": [{"partition_index": index, "committed_offset": 1} for index in indexes]}
        for name, indexes in names
    ]
    nobody = {"transactional_id": "nobody", "group_id": "commits", "producer_id": 1, "producer_epoch": 0}
    answer = wire.call(TXN_OFFSET_COMMIT, 3, **nobody, topics=topics)
    assert [each.name for each in answer.topics] == [topic, "no-such-topic"]
    assert codes(answer) == [[(7, 3), (8, 3)], []]


def test_deleted_offsets_name_a_topic_that_is_missing(wire: Wire, topic: str) -> None:
    """Without partitions too, of which a topic that is there would be left out."""
    committed = [{"partition_index": 0, "committed_offset": 1}]
    wire.call(OFFSET_COMMIT, 8, group_id="deletes", topics=[{"name": topic, "partitions": committed}])
    topics = [{"name": name, "partitions": []} for name in (topic, "no-such-topic")]
    answer = wire.call(OFFSET_DELETE, 0, group_id="deletes", topics=topics)
    assert [(each.name, list(each.partitions)) for each in answer.topics] == [("no-such-topic", [])]


def test_a_topic_named_for_nothing_is_not_answered(wire: Wire, topic: str) -> None:
    """Where no partition of it is asked for: produced to, listed, deleted from, or measured."""
    data = [{"name": topic, "partition_data": []}]
    assert not wire.call(PRODUCE, 9, acks=-1, timeout=1_000, topic_data=data).responses
    nothing = [{"name": topic, "partitions": []}]
    assert not wire.call(LIST_OFFSETS, 5, topics=nothing).topics
    assert not wire.call(DELETE_RECORDS, 2, topics=nothing, timeout=1_000).topics
    (directory,) = wire.call(DESCRIBE_LOG_DIRS, 4, topics=[{"topic": topic, "partitions": []}]).results
    assert not directory.topics


def test_what_is_listed_is_listed_once(wire: Wire, topic: str) -> None:
    """Sizes of a partition, resources of a kind, and states that do not exist, however often they are asked for."""
    (directory,) = wire.call(DESCRIBE_LOG_DIRS, 4, topics=[{"topic": topic, "partitions": [0, 0]}] * 2).results
    assert [[item.partition_index for item in each.partitions] for each in directory.topics] == [[0]]
    assert len(wire.call(LIST_CONFIG_RESOURCES, 1, resource_types=[BROKER, BROKER]).config_resources) == 1
    listed = wire.call(LIST_TRANSACTIONS, 0, state_filters=["nonsense", "nonsense"], producer_id_filters=[])
    assert list(listed.unknown_state_filters) == ["nonsense"]


def test_markers_of_a_producer_are_answered_together(wire: Wire, topic: str) -> None:
    """What a producer was named for in all, each partition once; a producer that was named for nothing is left out."""
    nobody = {"producer_id": 4242, "producer_epoch": 0, "transaction_result": False, "coordinator_epoch": 0}
    asked = [[(topic, [7])], [(topic, [7, 8]), (topic, [8])], []]
    markers = [
        {**nobody, "topics": [{"name": name, "partition_indexes": indexes} for name, indexes in topics]}
        for topics in asked
    ]
    markers.append({**nobody, "producer_id": 1, "topics": [{"name": topic, "partition_indexes": []}]})
    answer = wire.call(WRITE_TXN_MARKERS, 1, markers=markers)
    assert [(each.producer_id, codes(each)) for each in answer.markers] == [(4242, [[(7, 3), (8, 3)]])]


def test_quotas_of_an_entity_named_twice_are_those_named_first(wire: Wire) -> None:
    """It is answered once, with the refusal of what came second."""
    entity = [{"entity_type": "user", "entity_name": "named-twice"}]
    entries = [
        {"entity": entity, "ops": [{"key": "producer_byte_rate", "value": rate, "remove": False}]}
        for rate in (1_000.0, 2_000.0)
    ]
    answer = wire.call(ALTER_QUOTAS, 1, entries=entries, validate_only=False)
    assert [item.error_code for item in answer.entries] == [42]
    components = [{"entity_type": "user", "match_type": 0, "match": "named-twice"}]
    (entry,) = wire.call(DESCRIBE_QUOTAS, 1, components=components, strict=False).entries
    assert [(item.key, item.value) for item in entry.values] == [("producer_byte_rate", 1_000.0)]
