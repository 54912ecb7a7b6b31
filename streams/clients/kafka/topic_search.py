"""How many partitions a topic has that a client has not heard of yet, and which topics are there no longer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataRequest

from streams.clients.base import OffsetAndMetadata
from streams.errors import BrokerUnreachable, ClientError
from streams.record import TopicPartition

log = logging.getLogger(__name__)

RETRY_S = 0.1


async def partitions_of(client: AIOKafkaClient, topic: str, *, answer_s: float, topic_s: float) -> int:
    """Ask for the topic until it is there; the broker may make it when it is asked, if it is set up so.

    What no broker has answered says nothing about the topic, so that is waited for longer: for `answer_s`, and a topic
    for `topic_s`. Raises: BrokerUnreachable, ClientError.
    """
    clock = asyncio.get_running_loop().time
    patient_until, missing_until = clock() + answer_s, None
    while True:
        await client.add_topic(topic)
        answered = await client.force_metadata_update()
        known = client.cluster.partitions_for_topic(topic)
        if known:
            return len(known)
        if topic in client.cluster.unauthorized_topics:
            raise ClientError(unauthorized(topic))
        if not answered and clock() >= patient_until:
            raise BrokerUnreachable(f"no broker answers how many partitions topic {topic!r} has")
        missing_until = missing_until or (clock() + topic_s if answered else None)
        if answered and missing_until is not None and clock() >= missing_until:
            raise ClientError(
                f"topic {topic!r} does not exist, and the broker does not make it by itself: create it "
                f"(app.topic({topic!r}, partitions=1) does so at the start), or set auto.create.topics.enable on the broker"
            )
        await asyncio.sleep(RETRY_S)


async def without_gone(
    client: AIOKafkaClient, offsets: Mapping[TopicPartition, OffsetAndMetadata]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """Those of topics that are there: the offsets of a topic go with it, and nobody can read from them again."""
    node = client.get_random_node()
    request = MetadataRequest(sorted({topic for topic, _ in offsets}), allow_auto_topic_creation=False)
    try:
        answer = await client.send(node, request) if node is not None and await client.ready(node) else None
    except kafka_errors.KafkaError:
        answer = None
    if answer is None:
        return dict(offsets)
    unknown = kafka_errors.UnknownTopicOrPartitionError
    gone = {entry[1] for entry in answer.topics if kafka_errors.for_code(entry[0]) is unknown}
    if gone:
        log.warning("offsets of topics that were deleted are not committed: %s", ", ".join(sorted(gone)))
    return {partition: offset for partition, offset in offsets.items() if partition.topic not in gone}


def unauthorized(topic: str) -> str:
    """What to say of a topic that the broker keeps from this user, which is not told whether it exists."""
    return f"topic {topic!r}: this user may not describe it: have it allowed (TOPIC_AUTHORIZATION_FAILED)"


def not_writable(partition: object, why: str) -> str:
    """What to say of a partition that this user may not write to; `why` is what the broker answers."""
    return f"{partition} cannot be written: have this user allowed to ({why})"
