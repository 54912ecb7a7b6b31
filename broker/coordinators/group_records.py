"""The records of `__consumer_offsets`, in Kafka's own schemas, so that standard tools read them.

Key version 1: a committed offset of (group, topic, partition). Key version 2: a classic group's metadata. A null value
deletes. Offsets are written as value version 3, groups as value version 3; older and newer versions are read.
Bytes only: knows neither the log nor the group's rules.
"""

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct

from broker.coordinators.fields import FieldReader, FieldWriter
from broker.protocol.primitives import INT16, INT64

OFFSET_KEY = 1
GROUP_KEY = 2
KEYS_KEPT = 1 << 14
"""Keys that need not be written, nor read, again: groups commit the same partitions over and over."""
_OFFSET_3 = Struct(">hqih")
"""What a value of version 3 begins with: version, offset, leader epoch, length of the metadata."""


@dataclass(frozen=True, slots=True)
class OffsetKey:
    """Whose offset: one partition of one topic, as one group sees it."""

    group: str
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class GroupKey:
    """A group's metadata."""

    group: str


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """The next offset a group will read, with what the client stored beside it. `expire_ms` -1: as long as the group."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_ms: int
    expire_ms: int = -1


@dataclass(frozen=True, slots=True)
class StoredMember:
    """One member as the group record keeps it."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """One generation of a classic group."""

    protocol_type: str
    generation: int
    protocol: str | None
    leader: str | None
    state_ms: int
    members: tuple[StoredMember, ...]


@lru_cache(KEYS_KEPT)
def offset_key(group: str, topic: str, partition: int) -> bytes:
    """Key of a committed offset."""
    return FieldWriter().int16(OFFSET_KEY).string(group).string(topic).int32(partition).done()


def group_key(group: str) -> bytes:
    """Key of a group's metadata."""
    return FieldWriter().int16(GROUP_KEY).string(group).done()


@lru_cache(KEYS_KEPT)
def parse_key(data: bytes) -> OffsetKey | GroupKey | None:
    """What a key speaks of; None for key versions this broker does not use."""
    reader = FieldReader(data)
    version = reader.int16()
    if version in {0, OFFSET_KEY}:
        return OffsetKey(reader.string(), reader.string(), reader.int32())
    return GroupKey(reader.string()) if version == GROUP_KEY else None


def offset_value(offset: CommittedOffset) -> bytes:
    """Value of a committed offset; version 1 only where an expiry of its own must be kept, as Kafka does."""
    if offset.expire_ms >= 0:
        writer = FieldWriter().int16(1).int64(offset.offset).string(offset.metadata)
        return writer.int64(offset.commit_ms).int64(offset.expire_ms).done()
    metadata = offset.metadata.encode()
    head = _OFFSET_3.pack(3, offset.offset, offset.leader_epoch, len(metadata))
    return b"".join((head, metadata, INT64.pack(offset.commit_ms)))


def parse_offset(data: bytes) -> CommittedOffset:
    """A committed offset of any value version up to 4 (which is flexible and adds a topic id nobody needs here)."""
    if data[:2] == INT16.pack(3):  # as they are written here
        _, offset, leader_epoch, length = _OFFSET_3.unpack_from(data)
        end = _OFFSET_3.size + length
        if length >= 0:
            (commit_ms,) = INT64.unpack_from(data, end)
            return CommittedOffset(offset, leader_epoch, data[_OFFSET_3.size : end].decode(), commit_ms)
    reader = FieldReader(data)
    version = reader.int16()
    offset = reader.int64()
    leader_epoch = reader.int32() if version >= 3 else -1
    metadata = reader.compact_string() if version >= 4 else reader.string()
    commit_ms = reader.int64()
    return CommittedOffset(offset, leader_epoch, metadata, commit_ms, reader.int64() if version == 1 else -1)


def group_value(group: StoredGroup) -> bytes:
    """Value of a group's metadata."""
    writer = FieldWriter().int16(3).string(group.protocol_type).int32(group.generation)
    writer.string(group.protocol).string(group.leader).int64(group.state_ms).int32(len(group.members))
    for member in group.members:
        writer.string(member.member_id).string(member.instance_id).string(member.client_id).string(member.client_host)
        writer.int32(member.rebalance_timeout_ms).int32(member.session_timeout_ms)
        writer.blob(member.subscription).blob(member.assignment)
    return writer.done()


def parse_group(data: bytes) -> StoredGroup:
    """A group's metadata of any value version up to 3."""
    reader = FieldReader(data)
    version = reader.int16()
    protocol_type, generation = reader.string(), reader.int32()
    protocol, leader = reader.nullable_string(), reader.nullable_string()
    state_ms = reader.int64() if version >= 2 else -1
    members = tuple(_parse_member(reader, version) for _ in range(reader.int32()))
    return StoredGroup(protocol_type, generation, protocol, leader, state_ms, members)


def _parse_member(reader: FieldReader, version: int) -> StoredMember:
    member_id = reader.string()
    instance_id = reader.nullable_string() if version >= 3 else None
    client_id, client_host = reader.string(), reader.string()
    rebalance_timeout_ms = reader.int32() if version >= 1 else -1
    session_timeout_ms = reader.int32()
    if version == 0:
        rebalance_timeout_ms = session_timeout_ms
    subscription, assignment = reader.blob(), reader.blob()
    return StoredMember(
        member_id,
        instance_id,
        client_id,
        client_host,
        rebalance_timeout_ms,
        session_timeout_ms,
        subscription,
        assignment,
    )
