"""Every advertised version of every API is read, served and answered in its own form."""

import pytest

pytestmark = pytest.mark.broker

API_VERSIONS = 18
PRODUCE_SERVED_FROM = 3
TIMES_BELOW_ZERO = {38, 39, 40, 65}
"""Their refusals may say -1 for times, which kio does not read."""
TOPIC, MEMBER = "versions", {"group_id": "versions-group", "member_id": "nobody"}
ARGUMENTS = {
    0: {"acks": -1, "topic_data": [{"name": TOPIC, "partition_data": [{"index": 0}]}]},
    1: {"max_bytes": 1_000, "topics": [{"topic": TOPIC, "partitions": [{"partition": 0, "current_leader_epoch": -1}]}]},
    2: {
        "topics": [{"name": TOPIC, "partitions": [{"partition_index": 0, "timestamp": -1, "current_leader_epoch": -1}]}]
    },
    3: {"topics": [{"name": TOPIC}]},
    8: {**MEMBER, "topics": [{"name": TOPIC, "partitions": [{"partition_index": 0, "committed_metadata": ""}]}]},
    9: {**MEMBER, "topics": [{"name": TOPIC, "partition_indexes": [0]}], "groups": [{"group_id": "versions-group"}]},
    10: {"key": "versions-group", "coordinator_keys": ["versions-group"]},
    11: {**MEMBER, "session_timeout": 10_000, "protocol_type": "consumer", "protocols": [{"name": "range"}]},
    12: MEMBER,
    13: {**MEMBER, "members": [{"member_id": "nobody"}]},
    14: {**MEMBER, "generation_id": 1},
    15: {"groups": ["versions-group"]},
    18: {"client_software_name": "test", "client_software_version": "1.0"},
    19: {"topics": [{"name": TOPIC, "num_partitions": 1, "replication_factor": 3}]},
    20: {"topics": [{"name": "missing"}], "topic_names": ["missing"]},
    21: {"topics": [{"name": TOPIC, "partitions": [{"partition_index": 0, "offset": -1}]}]},
    23: {"topics": [{"topic": TOPIC, "partitions": [{"partition": 0, "current_leader_epoch": -1}]}]},
    22: {"transactional_id": None},
    24: {
        "v3_and_below_transactional_id": "t",
        "v3_and_below_topics": [{"name": TOPIC, "partitions": [0]}],
        "transactions": [{"transactional_id": "t", "topics": [{"name": TOPIC, "partitions": [0]}]}],
    },
    25: {"transactional_id": "t", "group_id": "g"},
    26: {"transactional_id": "t"},
    28: {
        "transactional_id": "t",
        "group_id": "g",
        "topics": [{"name": TOPIC, "partitions": [{"partition_index": 0, "committed_metadata": ""}]}],
    },
    32: {"resources": [{"resource_type": 4, "resource_name": "0"}, {"resource_type": 2, "resource_name": TOPIC}]},
    33: {"resources": [{"resource_type": 2, "resource_name": TOPIC}]},
    37: {"topics": [{"name": TOPIC, "count": 1}]},
    42: {"groups_names": ["missing"]},
    44: {"resources": [{"resource_type": 2, "resource_name": TOPIC}]},
    47: {"group_id": "missing"},
    60: {"endpoint_type": 1},
    61: {"topics": [{"name": TOPIC, "partition_indexes": [0, 9]}]},
    65: {"transactional_ids": ["missing"]},
}


def test_every_version_answers(wire) -> None:
    """Each version in the ranges ApiVersions gives is answered by a message of that very version."""
    wire.call(3, 1, topics=[{"name": TOPIC}])
    advertised = wire.call(API_VERSIONS, 0).api_keys
    assert {key.api_key for key in advertised} >= set(ARGUMENTS)
    for key in advertised:
        first = PRODUCE_SERVED_FROM if key.api_key == 0 else key.min_version
        for version in range(first, key.max_version + 1):
            schema = wire.send(key.api_key, version, **ARGUMENTS.get(key.api_key, {}))
            answer = wire.frame()
            if key.api_key not in TIMES_BELOW_ZERO:
                wire.read(schema, answer)


def test_oldest_and_newest_clients_find_their_versions(wire) -> None:
    """The ranges hold what librdkafka probes for, and the compression lie of Produce."""
    ranges = {
        key.api_key: (key.min_version, key.max_version)
        for key in wire.call(API_VERSIONS, 3, client_software_name="t", client_software_version="1").api_keys
    }
    probes = {0: 0, 1: 10, 2: 1, 10: 0, 11: 0, 12: 0, 13: 0, 14: 0, 9: 1, 22: 0}
    for api_key, version in probes.items():
        low, high = ranges[api_key]
        assert low <= version <= high


def test_malformed_software_name(wire) -> None:
    """ApiVersions 3 with a software name that is none is refused with INVALID_REQUEST."""
    answer = wire.call(API_VERSIONS, 3, client_software_name="-", client_software_version="1")
    assert answer.error_code == 42


@pytest.mark.parametrize(
    ("version", "lowest"), [(3, {"metadata.version": 7}), (4, {"metadata.version": 7, "group.version": 0})]
)
def test_lowest_levels_of_features(wire, version: int, lowest: dict[str, int]) -> None:
    """metadata.version begins at 7 (3.3), as in Kafka; what begins at 0 is told from version 4 on, which knows it for no error."""
    answer = wire.call(API_VERSIONS, version, **ARGUMENTS[API_VERSIONS])
    told = {feature.name: feature.min_version for feature in answer.supported_features}
    assert lowest.items() <= told.items()
    assert ("group.version" in told) == ("group.version" in lowest)
