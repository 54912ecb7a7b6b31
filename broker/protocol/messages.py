"""Requests from bytes and responses to bytes, by API and version.

Requests are read by kio's native reader into its schema classes: fields by attribute, durations as `timedelta`
(`milliseconds` turns them back), absent in versions that lack them. Responses are written from dictionaries by
`broker.protocol.bodies`. Schemas are imported when a version is first met: a broker that serves three clients holds three
versions in memory, not four hundred.

Rules: bytes only, no I/O, no state but caches. Must not know what a request means.
"""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader
from kio.serial.errors import SerialError

from broker.errors import MalformedRequest
from broker.protocol.apis import ApiKey, flexible
from broker.protocol.bodies import Body, struct_writer

_MILLISECOND = timedelta(milliseconds=1)


@functools.cache
def _request_reader(api_key: int, version: int) -> Callable[[Any, int], tuple[Any, int]]:
    reader: Callable[[Any, int], tuple[Any, int]] = entity_reader(load_request_schema(api_key, version))
    return reader


@functools.cache
def _response_writer(api_key: int, version: int) -> Callable[[bytearray, Body], None]:
    return struct_writer(load_response_schema(api_key, version))


def decode_request(api_key: int, version: int, body: memoryview | bytes, offset: int = 0) -> Any:
    """The body of a request that begins at `offset`; the version must be one of the table's.

    Raises: MalformedRequest, if the bytes are not that request.
    """
    try:
        entity, _ = _request_reader(api_key, version)(body, offset)
    except (SerialError, ValueError, OverflowError, MemoryError) as error:
        name = ApiKey(api_key).name
        raise MalformedRequest(f"{name} version {version} cannot be read: {error or type(error).__name__}") from error
    return entity


def encode_response(api_key: int, version: int, correlation_id: int, body: Body) -> bytes:
    """A whole response frame: length, header and body.

    Raises: AssertionError for a field no version has.
    """
    out = bytearray(4)
    out += correlation_id.to_bytes(4, "big", signed=True)
    if api_key != ApiKey.API_VERSIONS and flexible(api_key, version):
        out.append(0)
    _response_writer(api_key, version)(out, body)
    out[:4] = (len(out) - 4).to_bytes(4, "big")
    return bytes(out)


def milliseconds(duration: timedelta | int) -> int:
    """A request's duration as Kafka sent it."""
    return duration if isinstance(duration, int) else duration // _MILLISECOND
