"""The time for which a client is throttled, put into an answer that is written already: few ever carry one.

Rules: bytes only. A test reads the time back out of every answer of every version that has one.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from kio.index import load_response_schema

from broker.protocol.apis import ApiKey, flexible
from broker.protocol.primitives import INT16, INT32, read_unsigned_varint

HEADER = 8
"""Where the body begins: behind length and correlation id, and the tags of a flexible version's header."""
LISTED_API_BYTES = 6
FIXED_BYTES = {"error_code": INT16.size, "int16": INT16.size, "int32": INT32.size}
"""What may stand before it."""


def with_throttle_time(api_key: int, version: int, buffers: Sequence[Any], throttle_ms: int) -> Sequence[Any]:
    """A whole answer that says it; as it was in versions that cannot."""
    place = _place(api_key, version)
    if place is None:
        return buffers
    frame = bytearray().join(buffers)
    at = _behind_apis(version, frame) if api_key == ApiKey.API_VERSIONS else place % len(frame)
    INT32.pack_into(frame, at, throttle_ms)
    return (frame,)


@functools.cache
def _place(api_key: int, version: int) -> int | None:
    """From the beginning of an answer where only what is fixed stands before it, else from the end, where it is the last."""
    tags = flexible(api_key, version)
    names = [field.name for field in _fields(api_key, version)]
    if "throttle_time" not in names:
        return None
    before = _fields(api_key, version)[: names.index("throttle_time")]
    sizes = [FIXED_BYTES.get(str(field.metadata.get("kafka_type"))) for field in before]
    if None in sizes:
        return -(INT32.size + tags)
    return HEADER + tags + sum(size for size in sizes if size is not None)


def _fields(api_key: int, version: int) -> Sequence[dataclasses.Field[Any]]:
    return dataclasses.fields(load_response_schema(api_key, version))


def _behind_apis(version: int, frame: bytearray) -> int:
    """In an answer to ApiVersions it follows the list, and more may follow it; its header has no tags."""
    at = HEADER + INT16.size
    if not flexible(ApiKey.API_VERSIONS, version):
        (count,) = INT32.unpack_from(frame, at)
        return at + INT32.size + int(count) * LISTED_API_BYTES
    count, at = read_unsigned_varint(frame, at)
    return at + (count - 1) * (LISTED_API_BYTES + 1)
