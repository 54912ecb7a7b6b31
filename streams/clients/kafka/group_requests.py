"""The requests of a group's member, and what members tell each other inside of them.

Versions that carry the instance id (static membership) and, for offsets, the wait for undecided transactions; a join tells
a leader that returns that it leads still (KIP-814), where the broker can say so.
Source: the message definitions of Apache Kafka 4.3, ConsumerProtocolSubscription and ConsumerProtocolAssignment too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, NamedTuple

from aiokafka.protocol.types import (
    Array,
    Boolean,
    Bytes,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

from streams.clients.base import Assignment, GroupMetadata, OffsetAndMetadata
from streams.clients.kafka.messages import Choice, Message, MessageType
from streams.record import TopicPartition

PROTOCOL_TYPE = "consumer"
SUBSCRIPTION_VERSION = 2
ASSIGNMENT_VERSION = 0
NO_LEADER_EPOCH = -1
NO_TAGS: dict[int, bytes] = {}
Text, CompactText = String("utf-8"), CompactString("utf-8")
TAGS = ("tags", TaggedFields)
ERROR = (("throttle_time_ms", Int32), ("error_code", Int16))
MEMBER = (("group", Text), ("generation", Int32), ("member_id", Text), ("instance_id", Text))
PARTITIONS = Array(("topic", Text), ("partitions", Array(Int32)))

_JOIN = MessageType(
    "JoinGroup",
    key=11,
    version=5,
    request=Schema(
        ("group", Text),
        ("session_timeout_ms", Int32),
        ("rebalance_timeout_ms", Int32),
        ("member_id", Text),
        ("instance_id", Text),
        ("protocol_type", Text),
        ("protocols", Array(("name", Text), ("metadata", Bytes))),
    ),
    response=Schema(
        *ERROR,
        ("generation", Int32),
        ("protocol", Text),
        ("leader", Text),
        ("member_id", Text),
        ("members", Array(("member_id", Text), ("instance_id", Text), ("metadata", Bytes))),
    ),
)
_JOIN_SKIPPING = MessageType(
    "JoinGroup",
    key=11,
    version=9,
    flexible=True,
    request=Schema(
        ("group", CompactText),
        ("session_timeout_ms", Int32),
        ("rebalance_timeout_ms", Int32),
        ("member_id", CompactText),
        ("instance_id", CompactText),
        ("protocol_type", CompactText),
        ("protocols", CompactArray(("name", CompactText), ("metadata", CompactBytes), TAGS)),
        ("reason", CompactText),
        TAGS,
    ),
    response=Schema(
        *ERROR,
        ("generation", Int32),
        ("protocol_type", CompactText),
        ("protocol", CompactText),
        ("leader", CompactText),
        ("skip_assignment", Boolean),
        ("member_id", CompactText),
        (
            "members",
            CompactArray(("member_id", CompactText), ("instance_id", CompactText), ("metadata", CompactBytes), TAGS),
        ),
        TAGS,
    ),
)
_SYNC = MessageType(
    "SyncGroup",
    key=14,
    version=3,
    request=Schema(*MEMBER, ("assignments", Array(("member_id", Text), ("assignment", Bytes)))),
    response=Schema(*ERROR, ("assignment", Bytes)),
)
_HEARTBEAT = MessageType("Heartbeat", key=12, version=3, request=Schema(*MEMBER), response=Schema(*ERROR))
_LEAVE = MessageType(
    "LeaveGroup",
    key=13,
    version=3,
    request=Schema(("group", Text), ("members", Array(("member_id", Text), ("instance_id", Text)))),
    response=Schema(*ERROR, ("members", Array(("member_id", Text), ("instance_id", Text), ("error_code", Int16)))),
)
_OFFSET = (("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", Text))
_COMMIT = MessageType(
    "OffsetCommit",
    key=8,
    version=7,
    request=Schema(*MEMBER, ("topics", Array(("topic", Text), ("partitions", Array(*_OFFSET))))),
    response=Schema(
        ("throttle_time_ms", Int32),
        ("topics", Array(("topic", Text), ("partitions", Array(("partition", Int32), ("error_code", Int16))))),
    ),
)
_FOUND = (
    ("partition", Int32),
    ("offset", Int64),
    ("leader_epoch", Int32),
    ("metadata", CompactText),
    ("error_code", Int16),
    TAGS,
)
_FETCH = MessageType(
    "OffsetFetch",
    key=9,
    version=7,
    flexible=True,
    request=Schema(
        ("group", CompactText),
        ("topics", CompactArray(("topic", CompactText), ("partitions", CompactArray(Int32)), TAGS)),
        ("require_stable", Boolean),
        TAGS,
    ),
    response=Schema(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(("topic", CompactText), ("partitions", CompactArray(*_FOUND)), TAGS)),
        ("error_code", Int16),
        TAGS,
    ),
)

_VERSION = Schema(("version", Int16))
_TOPICS = Schema(("topics", Array(Text)), ("user_data", Bytes))
_OWNED = Schema(("owned", PARTITIONS))
_GENERATION = Schema(("generation", Int32))
_ASSIGNMENT = Schema(("version", Int16), ("partitions", PARTITIONS), ("user_data", Bytes))


class Claim(NamedTuple):
    """What a member writes into its join: its topics, what it tells the leader, what it owns and since when."""

    topics: tuple[str, ...]
    user_data: bytes
    owned: tuple[TopicPartition, ...]
    generation: int

    def encoded(self) -> bytes:
        """As Kafka's ConsumerProtocolSubscription."""
        return (
            _VERSION.encode((SUBSCRIPTION_VERSION,))
            + _TOPICS.encode((self.topics, self.user_data))
            + _OWNED.encode((_by_topic(self.owned),))
            + _GENERATION.encode((self.generation,))
        )

    @staticmethod
    def decoded(data: bytes) -> Claim:
        """Of any version; what an old one lacks is empty."""
        buffer = BytesIO(data)
        version: Any = _VERSION.decode(buffer)[0]
        fields: Any = _TOPICS.decode(buffer)
        owned: Any = _OWNED.decode(buffer)[0] if version >= 1 else []
        generation: Any = _GENERATION.decode(buffer)[0] if version >= SUBSCRIPTION_VERSION else -1
        return Claim(tuple(fields[0]), fields[1] or b"", _flat(owned), generation)


def encoded_assignment(assignment: Assignment) -> bytes:
    """As Kafka's ConsumerProtocolAssignment."""
    return _ASSIGNMENT.encode((ASSIGNMENT_VERSION, _by_topic(assignment.partitions), assignment.user_data))


def decoded_assignment(data: bytes) -> Assignment:
    """Empty bytes mean that the leader gave nothing."""
    if not data:
        return Assignment(())
    fields: Any = _ASSIGNMENT.decode(BytesIO(data))
    return Assignment(_flat(fields[1]), fields[2] or b"")


def join(member: GroupMetadata, session_ms: int, rebalance_ms: int, protocol: str, claim: Claim) -> Choice:
    """Become a member of the next generation. Older brokers' responses have no `skip_assignment`."""
    fields = (member.group, session_ms, rebalance_ms, member.member_id, member.instance_id, PROTOCOL_TYPE)
    said = claim.encoded()
    newer = _JOIN_SKIPPING(*fields, [(protocol, said, NO_TAGS)], None, NO_TAGS)
    return Choice(newer, _JOIN(*fields, [(protocol, said)]))


def sync(member: GroupMetadata, assignments: Mapping[str, Assignment]) -> Message:
    """Ask for this member's assignment; the leader brings those of all."""
    return _SYNC(*member_fields(member), [(who, encoded_assignment(what)) for who, what in assignments.items()])


def heartbeat(member: GroupMetadata) -> Message:
    """Say that this member lives."""
    return _HEARTBEAT(*member_fields(member))


def leave(member: GroupMetadata) -> Message:
    """Be no member any more."""
    return _LEAVE(member.group, [(member.member_id, member.instance_id)])


def commit(member: GroupMetadata, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> Message:
    """Commit offsets as this member."""
    by_topic: dict[str, list[Any]] = {}
    for (topic, partition), (offset, metadata) in offsets.items():
        by_topic.setdefault(topic, []).append((partition, offset, NO_LEADER_EPOCH, metadata))
    return _COMMIT(*member_fields(member), list(by_topic.items()))


def fetch(group: str, partitions: Iterable[TopicPartition]) -> Message:
    """Ask for committed offsets; those that undecided transactions hold are refused."""
    topics = [(topic, numbers, NO_TAGS) for topic, numbers in _by_topic(partitions)]
    return _FETCH(group, topics, True, NO_TAGS)


def member_fields(member: GroupMetadata) -> tuple[str, int, str, str | None]:
    """Group, generation, member id and instance id, as requests have them."""
    return member.group, member.generation, member.member_id, member.instance_id


def _by_topic(partitions: Iterable[TopicPartition]) -> list[tuple[str, list[int]]]:
    grouped: dict[str, list[int]] = {}
    for topic, number in partitions:
        grouped.setdefault(topic, []).append(number)
    return list(grouped.items())


def _flat(grouped: Iterable[tuple[str, Iterable[int]]]) -> tuple[TopicPartition, ...]:
    return tuple(TopicPartition(topic, number) for topic, numbers in grouped for number in numbers)
