"""Every API and version of the table: requests are read, responses are written as kio writes them."""

import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from kio.static.primitive import i16

from broker.protocol.apis import APIS, PRODUCE_MIN_SERVED, ApiKey, flexible, served
from broker.protocol.messages import encode_response

VERSIONS = [
    (key, version)
    for key, api in APIS.items()
    for version in range(api.min_version, api.max_version + 1)
    if served(key, version)
]


def test_table_agrees_with_kafkas_definitions() -> None:
    """Every row exists in Kafka's message definitions and is flexible from the version it says."""
    for key, version in VERSIONS:
        schema = load_request_schema(key, i16(version))
        assert schema.__flexible__ == flexible(key, version), (key, version)
        assert schema.__header_schema__.__version__ == (2 if flexible(key, version) else 1)


def test_the_produce_lie() -> None:
    """Produce is advertised from 0 and served from 3; unknown APIs are not served."""
    assert APIS[ApiKey.PRODUCE].min_version == 0
    assert not served(ApiKey.PRODUCE, PRODUCE_MIN_SERVED - 1)
    assert served(ApiKey.PRODUCE, PRODUCE_MIN_SERVED)
    assert not served(4, 0)


@pytest.mark.parametrize(("key", "version"), VERSIONS)
def test_an_empty_answer_is_kafkas_default(key: int, version: int) -> None:
    """A body of nothing but defaults is a valid message that kio reads to the end and writes alike."""
    frame = encode_response(key, version, 7, {})
    start = 9 if flexible(key, version) and key != ApiKey.API_VERSIONS else 8
    schema = load_response_schema(key, i16(version))
    entity, size = entity_reader(schema)(frame, start)
    out = io.BytesIO()
    entity_writer(schema)(out, entity)
    assert (start + size, out.getvalue()) == (len(frame), frame[start:])


METADATA = {
    "throttle_time": 5,
    "brokers": [{"node_id": 1, "host": "h", "port": 9092, "rack": None}],
    "cluster_id": "c",
    "controller_id": 1,
    "topics": [
        {
            "name": "t",
            "topic_id": UUID(int=3),
            "error_code": 0,
            "is_internal": False,
            "partitions": [
                {"partition_index": 0, "leader_id": 1, "leader_epoch": 2, "replica_nodes": [1], "isr_nodes": [1]}
            ],
        }
    ],
}


@pytest.mark.parametrize("version", range(14))
def test_one_body_for_all_versions(version: int) -> None:
    """A handler says everything once; each version takes what it knows."""
    frame = encode_response(ApiKey.METADATA, version, 7, METADATA)
    schema = load_response_schema(ApiKey.METADATA, i16(version))
    entity: Any = entity_reader(schema)(frame, 9 if version >= 9 else 8)[0]
    (topic,) = entity.topics
    assert (topic.name, topic.partitions[0].isr_nodes) == ("t", (1,))
    assert getattr(topic, "topic_id", UUID(int=3)) == UUID(int=3)
    assert getattr(entity, "throttle_time", timedelta(milliseconds=5)) == timedelta(milliseconds=5)


def test_a_misspelt_field_is_an_assertion() -> None:
    """A name that no version of the struct has is the programmer's error, also in nested structs."""
    with pytest.raises(AssertionError, match="no version of MetadataResponse has a field topic"):
        encode_response(ApiKey.METADATA, 1, 7, {"topic": []})
    with pytest.raises(AssertionError, match="nodeid"):
        encode_response(ApiKey.METADATA, 1, 7, {"brokers": [{"nodeid": 1}]})


def test_tagged_fields_are_written_when_they_say_something() -> None:
    """ApiVersions 3 carries features in tags; defaults leave no trace."""
    features = [{"name": "group.version", "max_version_level": 1, "min_version_level": 1}]
    frame = encode_response(ApiKey.API_VERSIONS, 3, 7, {"finalized_features": features, "finalized_features_epoch": 4})
    entity: Any = entity_reader(load_response_schema(18, i16(3)))(frame, 8)[0]
    assert entity.finalized_features_epoch == 4
    assert entity.finalized_features[0].name == "group.version"
    assert entity.supported_features == ()
