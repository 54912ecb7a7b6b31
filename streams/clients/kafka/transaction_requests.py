"""The requests of a transaction, in the versions that carry what fencing needs.

Source: the message definitions of Apache Kafka 4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

from streams.clients.base import GroupMetadata, OffsetAndMetadata
from streams.clients.kafka.messages import Message, MessageType
from streams.record import TopicPartition

NO_LEADER_EPOCH = -1
NO_TAGS: dict[int, bytes] = {}
Text, CompactText = String("utf-8"), CompactString("utf-8")
TAGS = ("tags", TaggedFields)
OWNER = (("transactional_id", Text), ("producer_id", Int64), ("producer_epoch", Int16))
ERROR = (("throttle_time_ms", Int32), ("error_code", Int16))

_INIT_PRODUCER_ID = MessageType(
    "InitProducerId",
    key=22,
    version=4,
    flexible=True,
    request=Schema(
        ("transactional_id", CompactText),
        ("transaction_timeout_ms", Int32),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        TAGS,
    ),
    response=Schema(*ERROR, ("producer_id", Int64), ("producer_epoch", Int16), TAGS),
)
_LIST = MessageType(
    "ListTransactions",
    key=66,
    version=0,
    flexible=True,
    request=Schema(("state_filters", CompactArray(CompactText)), ("producer_id_filters", CompactArray(Int64)), TAGS),
    response=Schema(
        *ERROR,
        ("unknown_state_filters", CompactArray(CompactText)),
        (
            "transactions",
            CompactArray(("transactional_id", CompactText), ("producer_id", Int64), ("state", CompactText), TAGS),
        ),
        TAGS,
    ),
)
_ADD_PARTITIONS = MessageType(
    "AddPartitionsToTxn",
    key=24,
    version=2,
    request=Schema(*OWNER, ("topics", Array(("topic", Text), ("partitions", Array(Int32))))),
    response=Schema(
        ("throttle_time_ms", Int32),
        ("topics", Array(("topic", Text), ("partitions", Array(("partition", Int32), ("error_code", Int16))))),
    ),
)
_ADD_OFFSETS = MessageType(
    "AddOffsetsToTxn", key=25, version=2, request=Schema(*OWNER, ("group_id", Text)), response=Schema(*ERROR)
)
_END = MessageType("EndTxn", key=26, version=2, request=Schema(*OWNER, ("commit", Boolean)), response=Schema(*ERROR))
_OFFSET = (("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", CompactText), TAGS)
_COMMIT_OFFSETS = MessageType(
    "TxnOffsetCommit",
    key=28,
    version=3,
    flexible=True,
    request=Schema(
        ("transactional_id", CompactText),
        ("group_id", CompactText),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation_id", Int32),
        ("member_id", CompactText),
        ("group_instance_id", CompactText),
        ("topics", CompactArray(("topic", CompactText), ("partitions", CompactArray(*_OFFSET)), TAGS)),
        TAGS,
    ),
    response=Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactText),
                ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), TAGS)),
                TAGS,
            ),
        ),
        TAGS,
    ),
)


def list_open() -> Message:
    """Which transactions a broker coordinates that have begun and are not about to end."""
    return _LIST(["Ongoing"], [], NO_TAGS)


def init_producer_id(transactional_id: str, timeout_ms: int, producer_id: int, epoch: int) -> Message:
    """Take a transactional id over, or, as its owner, move on to the next epoch."""
    return _INIT_PRODUCER_ID(transactional_id, timeout_ms, producer_id, epoch, NO_TAGS)


def add_partitions(transactional_id: str, producer_id: int, epoch: int, topics: Mapping[str, list[int]]) -> Message:
    """Tell the coordinator which partitions a transaction is going to write to."""
    return _ADD_PARTITIONS(transactional_id, producer_id, epoch, list(topics.items()))


def add_offsets(transactional_id: str, producer_id: int, epoch: int, group: str) -> Message:
    """Tell the coordinator that a transaction is going to commit offsets of a group."""
    return _ADD_OFFSETS(transactional_id, producer_id, epoch, group)


def commit_offsets(
    transactional_id: str,
    producer_id: int,
    epoch: int,
    offsets: Mapping[TopicPartition, OffsetAndMetadata],
    group: GroupMetadata,
) -> Message:
    """Commit offsets within a transaction, as a member of a generation (KIP-447)."""
    by_topic: dict[str, list[Any]] = {}
    for (topic, partition), (offset, metadata) in offsets.items():
        by_topic.setdefault(topic, []).append((partition, offset, NO_LEADER_EPOCH, metadata, NO_TAGS))
    topics = [(topic, entries, NO_TAGS) for topic, entries in by_topic.items()]
    member = (group.generation, group.member_id, group.instance_id)
    return _COMMIT_OFFSETS(transactional_id, group.group, producer_id, epoch, *member, topics, NO_TAGS)


def end(transactional_id: str, producer_id: int, epoch: int, *, commit: bool) -> Message:
    """Commit a transaction, or abort it."""
    return _END(transactional_id, producer_id, epoch, commit)
