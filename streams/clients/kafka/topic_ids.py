"""Asking for the ids of topics: a topic that is deleted and made anew under its old name has another one.

Rules: whoever asks goes on without an answer, from a broker that is too old or away.
Source: the message definitions of Apache Kafka 4.3; ids came with KIP-516.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from streams.clients.kafka.codes import Code
from streams.clients.kafka.messages import MessageType

log = logging.getLogger(__name__)

LATELY_S = 10.0
"""For how long an answer counts."""

_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)
_ID = (("id_high", Int64), ("id_low", Int64))
_NODES = CompactArray(Int32)
_PARTITION = (
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", _NODES),
    ("in_sync_replicas", _NODES),
    ("offline_replicas", _NODES),
    _TAGS,
)
_METADATA = MessageType(
    "Metadata",
    key=3,
    version=10,
    flexible=True,
    request=Schema(
        ("topics", CompactArray(*_ID, ("topic", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    ),
    response=Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("node", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS)),
        ("cluster", _TEXT),
        ("controller", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", _TEXT),
                *_ID,
                ("is_internal", Boolean),
                ("partitions", CompactArray(*_PARTITION)),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        ("authorized_operations", Int32),
        _TAGS,
    ),
)


class TopicIds:
    """What a client has asked for lately: an answer has all partitions of a topic in it, and tasks come one by one."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client
        self._found: dict[str, bytes] = {}
        self._until = 0.0

    async def of(self, topics: Collection[str]) -> dict[str, bytes]:
        """The ids of these, 16 bytes each; absent where nobody says."""
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            self._found, self._until = {}, now + LATELY_S
        if unknown := sorted(set(topics) - self._found.keys()):
            self._found |= await _asked(self._client, unknown)
        return {topic: self._found[topic] for topic in topics if topic in self._found}


async def _asked(client: AIOKafkaClient, topics: Sequence[str]) -> dict[str, bytes]:
    request = _METADATA([(0, 0, topic, {}) for topic in topics], False, False, False, {})
    try:
        node = client.get_random_node()
        if node is None or not await client.ready(node):
            return {}
        answer = await client.send(node, request)
    except (KafkaError, TimeoutError) as error:
        log.debug("the ids of topics are not known: %s", error)
        return {}
    return {
        topic: high.to_bytes(8, "big", signed=True) + low.to_bytes(8, "big", signed=True)
        for code, topic, high, low, *_ in answer.topics
        if code == Code.NONE and (high or low)
    }
