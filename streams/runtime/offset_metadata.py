"""The short text kept with a committed offset: the partition's time, so that lateness survives a restart.

Source: Kafka's TopicPartitionMetadata, version 2: Base64 of a version byte, the time as 8 bytes big-endian, and a map
of processors' own numbers (how far emit-on-close has read): its size as 4 bytes, then per entry the key's length as
4 bytes, the key, and 8 bytes. A Kafka Streams application that takes over reads it, and we read theirs.
"""

from __future__ import annotations

import base64
import binascii
import logging
import struct
from collections.abc import Mapping
from typing import NamedTuple

from streams.record import NO_TIMESTAMP

log = logging.getLogger(__name__)

VERSION = 2
_HEAD = struct.Struct(">Bq")
_SIZE = struct.Struct(">i")
_NUMBER = struct.Struct(">q")


class PartitionMetadata(NamedTuple):
    """What is remembered of a partition beside its offset; `partition_time` in ms, -1 when unknown."""

    partition_time: int = NO_TIMESTAMP
    processors: Mapping[str, int] = {}


def encode(metadata: PartitionMetadata) -> str:
    """The text to commit with an offset."""
    parts = [_HEAD.pack(VERSION, metadata.partition_time)]
    if metadata.processors:
        parts.append(_SIZE.pack(len(metadata.processors)))
    for key, number in metadata.processors.items():
        name = key.encode()
        parts += [_SIZE.pack(len(name)), name, _NUMBER.pack(number)]
    return base64.b64encode(b"".join(parts)).decode()


def decode(text: str) -> PartitionMetadata:
    """What `encode` wrote; text of another origin is unknown time, with a warning."""
    if not text:
        return PartitionMetadata()
    try:
        data = base64.b64decode(text, validate=True)
        version, time = _HEAD.unpack_from(data)
        if version > VERSION:
            return PartitionMetadata()
        return PartitionMetadata(time, _processors(data))
    except (binascii.Error, struct.error, UnicodeDecodeError):
        log.warning("ignoring the metadata of a committed offset: %r is not a partition time", text[:80])
        return PartitionMetadata()


def _processors(data: bytes) -> dict[str, int]:
    at = _HEAD.size
    if len(data) == at:
        return {}
    (size,) = _SIZE.unpack_from(data, at)
    at += _SIZE.size
    numbers = {}
    for _ in range(size):
        (length,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size
        key = data[at : at + length].decode()
        (numbers[key],) = _NUMBER.unpack_from(data, at + length)
        at += length + _NUMBER.size
    return numbers
