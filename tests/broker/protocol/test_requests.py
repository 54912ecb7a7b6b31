"""Our reader of requests against kio's writer, for every API and version."""

import dataclasses
import enum
import io
import struct
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kio.index import load_request_schema
from kio.serial import entity_writer
from kio.static.primitive import Records, i16

from broker.errors import MalformedRequest
from broker.protocol.apis import APIS, ApiKey, served
from broker.protocol.messages import decode_request

st.register_type_strategy(Records, st.binary(max_size=50).map(Records))
VERSIONS = [
    (key, version)
    for key, api in APIS.items()
    for version in range(api.min_version, api.max_version + 1)
    if served(key, version)
]


def plain(value: Any) -> Any:
    """Kio's value as ours: milliseconds for durations and instants, numbers for enums, None for the nil id."""
    if isinstance(value, timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, UUID):
        return None if not value.int else value
    return int(value) if isinstance(value, enum.IntEnum) else value


def assert_same(ours: Any, theirs: Any) -> None:
    if dataclasses.is_dataclass(theirs):
        for field in dataclasses.fields(theirs):
            assert_same(getattr(ours, field.name), getattr(theirs, field.name))
    elif isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for mine, its in zip(ours, theirs, strict=True):
            assert_same(mine, its)
    else:
        assert plain(ours) == plain(theirs)


@pytest.mark.parametrize(("key", "version"), VERSIONS)
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_reads_what_kio_writes(key: int, version: int, data: st.DataObject) -> None:
    """Any request that can be written is read back field by field, to its last byte."""
    schema = load_request_schema(key, i16(version))
    entity = data.draw(st.from_type(schema))
    out = io.BytesIO()
    entity_writer(schema)(out, entity)
    assert_same(decode_request(key, version, out.getvalue()), entity)
    assert_same(decode_request(key, version, memoryview(b"head" + out.getvalue()), 4), entity)


@pytest.mark.parametrize(("key", "version"), VERSIONS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=60))
def test_garbage_is_refused_or_read(key: int, version: int, data: bytes) -> None:
    """Random bytes are a request or a MalformedRequest, in every API and version, and cost no memory."""
    try:
        decode_request(key, version, data)
    except MalformedRequest as error:
        assert ApiKey(key).name in str(error)


@pytest.mark.parametrize("version", range(3, 14))
@settings(max_examples=30, deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_cut_request_is_refused(version: int, cut: float) -> None:
    """A Produce request that ends too early is never read as a shorter one."""
    whole = produce(version)
    with pytest.raises(MalformedRequest):
        decode_request(0, version, whole[: int(cut * len(whole))])


def produce(version: int) -> bytes:
    """A Produce request of one topic and partition, by hand."""
    if version >= 9:
        topic = UUID(int=5).bytes if version >= 13 else b"\x02t"
        return b"\x00" + struct.pack(">hi", -1, 9) + b"\x02" + topic + b"\x02" + struct.pack(">i", 0) + b"\x04abc\0\0\0"
    return struct.pack(">hhii", -1, -1, 9, 1) + b"\0\1t" + struct.pack(">iii", 1, 0, 3) + b"abc"


def test_lengths_are_not_believed() -> None:
    """An array that announces two thousand million items is refused before memory is taken for it."""
    with pytest.raises(MalformedRequest, match="2147483647 items"):
        decode_request(ApiKey.METADATA, 1, struct.pack(">i", 2**31 - 1) + bytes(40))


def test_unknown_tagged_fields_are_skipped() -> None:
    """What a newer client adds does not disturb."""
    request = decode_request(ApiKey.API_VERSIONS, 3, b"\x02a\x02b" + b"\x01\x63\x03xyz")
    assert (request.client_software_name, request.client_software_version) == ("a", "b")


def test_fields_show_in_log_lines() -> None:
    """A request prints its struct's name and fields."""
    request = decode_request(ApiKey.API_VERSIONS, 3, b"\x02a\x02b\0")
    assert repr(request) == "ApiVersionsRequest(client_software_name='a', client_software_version='b')"
