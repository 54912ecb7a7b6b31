"""What classic consumers say to each other through the coordinator: subscriptions and assignments, version 0 to 3.

The coordinator of a classic group hands these bytes on unread; only where members of both protocols share a group does the
broker read and write them itself. Source: Kafka's ConsumerProtocolSubscription and ConsumerProtocolAssignment.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from broker.coordinators.fields import FieldReader, FieldWriter

PROTOCOL_TYPE = "consumer"
HIGHEST_VERSION = 3
OWNS_FROM, GENERATION_FROM, RACK_FROM = 1, 2, 3
Partition = tuple[str, int]


class ConsumerSubscription(NamedTuple):
    """What a member wants to read, and what it holds."""

    version: int
    topics: frozenset[str]
    owned: frozenset[Partition] = frozenset()
    rack_id: str | None = None


def parse_subscription(data: bytes) -> ConsumerSubscription:
    """A member's subscription. Raises: ValueError, if it is none."""
    reader = FieldReader(data)
    try:
        version = _version(reader)
        topics = frozenset(reader.string() for _ in range(_count(reader)))
        reader.blob()
        owned = _read_partitions(reader) if version >= OWNS_FROM else frozenset()
        if version >= GENERATION_FROM:
            reader.int32()
        rack_id = reader.nullable_string() if version >= RACK_FROM else None
    except (struct.error, IndexError) as error:
        raise ValueError("a subscription is shorter than its fields") from error
    return ConsumerSubscription(version, topics, owned, rack_id)


def parse_assignment(data: bytes) -> frozenset[Partition]:
    """The partitions of an assignment; none where there is none yet. Raises: ValueError."""
    if not data:
        return frozenset()
    reader = FieldReader(data)
    try:
        _version(reader)
        return _read_partitions(reader)
    except (struct.error, IndexError) as error:
        raise ValueError("an assignment is shorter than its fields") from error


def assignment(partitions: Iterable[Partition], version: int) -> bytes:
    """An assignment for a member whose subscription came in `version`."""
    by_topic: dict[str, list[int]] = {}
    for topic, index in sorted(partitions):
        by_topic.setdefault(topic, []).append(index)
    writer = FieldWriter().int16(min(version, HIGHEST_VERSION)).int32(len(by_topic))
    for topic, indexes in by_topic.items():
        writer.string(topic).int32(len(indexes))
        for index in indexes:
            writer.int32(index)
    return writer.int32(-1).done()


def _version(reader: FieldReader) -> int:
    version = reader.int16()
    if version < 0:
        raise ValueError(f"there is no version {version} of the consumer protocol")
    return version


def _count(reader: FieldReader) -> int:
    count = reader.int32()
    if count < 0:
        raise ValueError(f"an array of {count} items")
    return count


def _read_partitions(reader: FieldReader) -> frozenset[Partition]:
    found: set[Partition] = set()
    for _ in range(_count(reader)):
        topic = reader.string()
        found.update((topic, reader.int32()) for _ in range(_count(reader)))
    return frozenset(found)
