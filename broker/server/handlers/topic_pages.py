"""DescribeTopicPartitions: topics in the order of their names, page by page, so that no answer grows without bound."""

from collections.abc import Sequence
from typing import Any

from broker.errors import ErrorCode
from broker.metadata import Topic
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.handlers.cluster import TOPIC_OPERATIONS

MAX_PARTITIONS = 2_000


def describe(broker: Broker, _: Exchange, request: Any) -> Body:
    """The topics asked for, or all, from the cursor on; `next_cursor` says where the next page begins."""
    names = sorted({topic.name for topic in request.topics} or broker.catalog.topics)
    cursor = request.cursor
    if cursor is not None:
        if cursor.partition_index < 0 or (request.topics and cursor.topic_name not in names):
            return {"topics": [{"error_code": ErrorCode.INVALID_REQUEST, "name": item.name} for item in request.topics]}
        names = [name for name in names if name >= cursor.topic_name]
    left = min(max(request.response_partition_limit, 1), MAX_PARTITIONS)
    topics: list[Body] = []
    for name in names:
        if left == 0:
            return {"topics": topics, "next_cursor": {"topic_name": name, "partition_index": 0}}
        topic = broker.catalog.topics.get(name)
        if topic is None:
            if request.topics:
                topics.append(_unknown(broker, name))
            continue
        first = cursor.partition_index if cursor is not None and name == cursor.topic_name else 0
        page = topic.partitions[first : first + left]
        left -= len(page)
        topics.append(_described(broker, topic, page))
        if first + len(page) < len(topic.partitions):
            return {"topics": topics, "next_cursor": {"topic_name": name, "partition_index": first + len(page)}}
    return {"topics": topics, "next_cursor": None}


def _unknown(broker: Broker, name: str) -> Body:
    error = broker.catalog.name_error(name) or ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return {"error_code": error, "name": name, "topic_authorized_operations": TOPIC_OPERATIONS}


def _described(broker: Broker, topic: Topic, page: Sequence[Any]) -> Body:
    node = [broker.config.node_id]
    return {
        "name": topic.name,
        "topic_id": topic.topic_id,
        "is_internal": topic.internal,
        "partitions": [
            {
                "partition_index": log.partition,
                "leader_id": broker.config.node_id,
                "leader_epoch": log.leader_epoch,
                "replica_nodes": node,
                "isr_nodes": node,
                "eligible_leader_replicas": (),
                "last_known_elr": (),
            }
            for log in page
        ],
        "topic_authorized_operations": TOPIC_OPERATIONS,
    }
