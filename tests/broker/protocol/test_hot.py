"""The hand-written answers against kio's own writer, in every version."""

import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kio.index import load_response_schema
from kio.schema.errors import ErrorCode as KioError
from kio.serial import entity_reader, entity_writer
from kio.static.primitive import i16

from broker.protocol import hot
from broker.protocol.apis import ApiKey, flexible

int64 = st.integers(-1, 2**63 - 1)
int32 = st.integers(0, 2**31 - 1)
errors = st.sampled_from([0, 1, 3, 6, 45, 87, 100])
text = st.text(max_size=20)
ids = st.uuids().map(lambda value: value)

produced = st.builds(
    hot.ProducedPartition,
    partition=int32,
    error=errors,
    base_offset=int64,
    log_append_time_ms=st.integers(-1, 10**12),
    log_start_offset=int64,
    record_errors=st.lists(st.tuples(int32, st.none() | text), max_size=3),
    error_message=st.none() | text,
)
fetched = st.builds(
    hot.FetchedPartition,
    partition=int32,
    error=errors,
    high_watermark=int64,
    last_stable_offset=int64,
    log_start_offset=int64,
    aborted=st.none() | st.lists(st.tuples(int64, int64), max_size=3),
    records=st.lists(st.binary(min_size=1, max_size=300), max_size=3),
    diverging=st.none() | st.tuples(int32, st.integers(0, 2**60)),
    leader=st.none() | st.tuples(int32, int32),
)
listed = st.builds(
    hot.ListedOffset, partition=int32, error=errors, timestamp=st.integers(-1, 10**12), offset=int64, leader_epoch=int32
)


def topics(partition: st.SearchStrategy[Any]) -> st.SearchStrategy[list[hot.TopicPart]]:
    part = st.builds(hot.TopicPart, name=text, partitions=st.lists(partition, max_size=3), topic_id=ids)
    return st.lists(part, max_size=3)


def decode(api_key: int, version: int, frame: bytes) -> Any:
    """What kio reads from a frame, after checking that kio writes the same bytes from it."""
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    start = 9 if flexible(api_key, version) else 8
    schema = load_response_schema(api_key, i16(version))
    entity, size = entity_reader(schema)(frame, start)
    assert start + size == len(frame)
    out = io.BytesIO()
    entity_writer(schema)(out, entity)
    assert out.getvalue() == frame[start:]
    return entity


def named(topic: Any, part: hot.TopicPart) -> bool:
    """Whether kio saw the topic's name, or its id where the version has ids (kio reads the nil id as None)."""
    name = getattr(topic, "name", None) if hasattr(topic, "name") else getattr(topic, "topic", None)
    return name == part.name if name is not None else (topic.topic_id or UUID(int=0)) == part.topic_id


@pytest.mark.parametrize("version", range(3, 14))
@given(parts=topics(produced), throttle=int32)
@settings(max_examples=25, deadline=None)
def test_produce(version: int, parts: list[hot.TopicPart], throttle: int) -> None:
    """Produce 3 to 13: kio reads back what was said, byte for byte."""
    answer = decode(ApiKey.PRODUCE, version, hot.produce_response(version, 7, parts, throttle))
    assert answer.throttle_time == timedelta(milliseconds=throttle)
    for topic, part in zip(answer.responses, parts, strict=True):
        assert named(topic, part)
        for got, said in zip(topic.partition_responses, part.partitions, strict=True):
            assert (got.index, got.error_code, got.base_offset) == (
                said.partition,
                KioError(said.error),
                said.base_offset,
            )
            if version >= 8:
                assert got.error_message == said.error_message
                assert [(e.batch_index, e.batch_index_error_message) for e in got.record_errors] == said.record_errors


@pytest.mark.parametrize("version", range(4, 18))
@given(parts=topics(fetched), session=int32)
@settings(max_examples=25, deadline=None)
def test_fetch(version: int, parts: list[hot.TopicPart], session: int) -> None:
    """Fetch 4 to 17: kio reads back what was said, the stored bytes untouched."""
    buffers = hot.fetch_response(version, 7, parts, session_id=session)
    answer = decode(ApiKey.FETCH, version, b"".join(buffers))
    assert version < 7 or answer.session_id == session
    for topic, part in zip(answer.responses, parts, strict=True):
        assert named(topic, part)
        for got, said in zip(topic.partitions, part.partitions, strict=True):
            assert (got.partition_index, got.high_watermark) == (said.partition, said.high_watermark)
            assert got.records == b"".join(said.records)
            aborted = got.aborted_transactions
            assert said.aborted == (None if aborted is None else [(a.producer_id, a.first_offset) for a in aborted])
            if version >= 12 and said.diverging is not None:
                assert (got.diverging_epoch.epoch, got.diverging_epoch.end_offset) == said.diverging


@pytest.mark.parametrize("version", range(1, 11))
@given(parts=topics(listed))
@settings(max_examples=25, deadline=None)
def test_list_offsets(version: int, parts: list[hot.TopicPart]) -> None:
    """ListOffsets 1 to 10: offsets and, from version 4, leader epochs."""
    answer = decode(ApiKey.LIST_OFFSETS, version, hot.list_offsets_response(version, 7, parts))
    for topic, part in zip(answer.topics, parts, strict=True):
        for got, said in zip(topic.partitions, part.partitions, strict=True):
            assert (got.partition_index, got.offset) == (said.partition, said.offset)
            assert version < 4 or got.leader_epoch == said.leader_epoch


@pytest.mark.parametrize("version", range(2, 11))
@given(parts=topics(st.tuples(int32, errors)))
@settings(max_examples=25, deadline=None)
def test_offset_commit(version: int, parts: list[hot.TopicPart]) -> None:
    """OffsetCommit 2 to 10: names, and ids in version 10."""
    answer = decode(ApiKey.OFFSET_COMMIT, version, hot.offset_commit_response(version, 7, parts))
    for topic, part in zip(answer.topics, parts, strict=True):
        assert named(topic, part)
        assert [(p.partition_index, p.error_code) for p in topic.partitions] == part.partitions


@pytest.mark.parametrize("version", range(5))
def test_heartbeat(version: int) -> None:
    """Heartbeat 0 to 4."""
    answer = decode(ApiKey.HEARTBEAT, version, hot.heartbeat_response(version, 7, 27))
    assert answer.error_code == KioError.rebalance_in_progress
