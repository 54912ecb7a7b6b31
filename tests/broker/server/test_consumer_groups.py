"""Consumer groups of the new protocol on the wire."""

import pytest

FIND_COORDINATOR, HEARTBEAT, DESCRIBE = 10, 68, 69
JOIN = {
    "group_id": "readers",
    "member_id": "a",
    "member_epoch": 0,
    "rebalance_timeout": 60_000,
    "subscribed_topic_names": ["topic"],
    "topic_partitions": [],
}


@pytest.mark.parametrize("rack", ["", " "])
def test_empty_rack(wire, rack: str) -> None:
    """A member says its rack or none; a rack without a name is an invalid request."""
    assert wire.call(HEARTBEAT, 1, **{**JOIN, "rack_id": rack}).error_code == 42
    assert wire.call(HEARTBEAT, 1, **JOIN).error_code == 0


def test_partitions_to_let_go_are_described(wire) -> None:
    """A member has what it is to let go until it did, and is described so."""
    topic = {"name": "topic", "num_partitions": 2, "replication_factor": 1}
    assert wire.call(19, 7, topics=[topic], timeout=5_000).topics[0].error_code == 0
    first = wire.call(HEARTBEAT, 1, **JOIN)
    wire.call(HEARTBEAT, 1, **{**JOIN, "member_id": "b"})
    unchanged = {"subscribed_topic_names": None, "topic_partitions": None}
    revoked = wire.call(HEARTBEAT, 1, **{**JOIN, "member_epoch": first.member_epoch, **unchanged})
    assert [len(item.partitions) for item in revoked.assignment.topic_partitions] == [1]
    members = wire.call(DESCRIBE, 1, group_ids=["readers"]).groups[0].members
    held = {item.member_id: [topic.partitions for topic in item.assignment.topic_partitions] for item in members}
    assert {name: [sorted(part) for part in parts] for name, parts in held.items()} == {"a": [[0, 1]], "b": []}
    assert wire.call(20, 6, topics=[{"name": "topic", "topic_id": None}], timeout=5_000).responses[0].error_code == 0
    members = wire.call(DESCRIBE, 1, group_ids=["readers"]).groups[0].members
    assert not any((*item.assignment.topic_partitions, *item.target_assignment.topic_partitions) for item in members)


def test_pattern_matches_internal_topics(wire) -> None:
    """A pattern matches the broker's own topics too, as Kafka's does: a client that does not want them leaves them out."""
    wire.call(FIND_COORDINATOR, 4, key_type=0, coordinator_keys=["readers"])
    join = {**JOIN, "subscribed_topic_names": None, "subscribed_topic_regex": "__consumer_.*"}
    assert [len(topic.partitions) for topic in wire.call(HEARTBEAT, 1, **join).assignment.topic_partitions] == [4]
