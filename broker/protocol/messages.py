"""Requests from bytes and responses to bytes, by API and version.

Requests become objects with Kafka's fields as attributes (`broker.protocol.requests`), responses are written from
dictionaries (`broker.protocol.bodies`), both by kio's schema classes. Schemas are imported when a version is first met: a broker that serves three clients holds three
versions in memory, not four hundred.

Rules: bytes only, no I/O, no state but caches. Must not know what a request means.
"""

import dataclasses
import functools
import struct
from collections.abc import Callable
from typing import Any

from kio.index import load_response_schema

from broker.errors import MalformedRequest
from broker.protocol.apis import ApiKey, flexible
from broker.protocol.bodies import Body, struct_writer
from broker.protocol.requests import request_reader


@functools.cache
def _response_writer(api_key: int, version: int) -> Callable[[bytearray, Body], None]:
    return struct_writer(load_response_schema(api_key, version))


def decode_request(api_key: int, version: int, body: memoryview | bytes, offset: int = 0) -> Any:
    """The body of a request that begins at `offset`; the version must be one of the table's.

    Raises: MalformedRequest, if the bytes are not that request.
    """
    try:
        request, end = request_reader(api_key, version)(body, offset)
        if end > len(body):
            raise ValueError(f"it ends {end - len(body)} bytes too early")
    except (ValueError, IndexError, struct.error, RecursionError) as error:
        name = ApiKey(api_key).name
        raise MalformedRequest(f"{name} version {version} cannot be read: {error or type(error).__name__}") from error
    return request


@functools.cache
def has_error_code(api_key: int, version: int) -> bool:
    """Whether a response can say that its whole request has failed."""
    return any(field.name == "error_code" for field in dataclasses.fields(load_response_schema(api_key, version)))


@functools.cache
def has_error_message(api_key: int, version: int) -> bool:
    """Whether a response can say in words why its whole request has failed."""
    return any(field.name == "error_message" for field in dataclasses.fields(load_response_schema(api_key, version)))


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
