"""The cluster as clients see it, one node: Metadata, FindCoordinator, DescribeCluster, DescribeLogDirs.

Metadata answers are cached as bytes until a topic changes. A topic that is missing is created if the request and
`auto.create.topics.enable` both allow it.
"""

import shutil
from typing import Any

from broker.errors import BrokerError, ErrorCode
from broker.metadata import INTERNAL_TOPICS, Topic
from broker.protocol.bodies import Body
from broker.protocol.messages import encode_response
from broker.server.broker import Broker
from broker.server.exchange import Exchange

OPERATIONS_NOT_ASKED = -(2**31)
TOPIC_OPERATIONS = sum(1 << code for code in (3, 4, 5, 6, 7, 8, 10, 11))
"""read, write, create, delete, alter, describe, describe configs, alter configs: without an authorizer, all of them."""
CLUSTER_OPERATIONS = sum(1 << code for code in (5, 7, 8, 9, 10, 11, 12))
COORDINATOR_KINDS = 2
SHARE = 2
MAX_CACHED = 256
LONGEST_MOVABLE = 255 - len(f".{'0' * 32}-future")
"""Characters of a partition's name to which Kafka can still append what it calls a partition on the move."""


def _node(broker: Broker) -> dict[str, Any]:
    return {"node_id": broker.config.node_id, "host": broker.host, "port": broker.port, "rack": None}


# ---- Metadata


def metadata(broker: Broker, exchange: Exchange, request: Any) -> Body | None:
    """Brokers and the topics asked for; all topics for null, and for an empty list in version 0."""
    version = exchange.version
    wanted = request.topics
    everything = wanted is None or (version == 0 and not wanted)
    may_create = version < 4 or request.allow_auto_topic_creation
    operations = bool(getattr(request, "include_topic_authorized_operations", False))
    asked = None if everything else _asked(wanted)
    if asked and may_create:
        _create_missing(broker, exchange, [name for name, _ in asked if name is not None])
    of_cluster = bool(getattr(request, "include_cluster_authorized_operations", False))
    key = (version, asked, operations, of_cluster)
    cache = broker.metadata_frames
    if cache.version != broker.catalog.version or len(cache.frames) > MAX_CACHED:
        cache.start(broker.catalog.version)
    frame = cache.frames.get(key)
    if frame is None:
        body = _metadata_body(broker, asked, operations=operations, of_cluster=of_cluster)
        frame = cache.frames[key] = encode_response(exchange.api_key, version, 0, body)
    exchange.answer_frame([frame[:4], exchange.correlation_id.to_bytes(4, "big", signed=True), frame[8:]])
    return None


def _asked(wanted: Any) -> tuple[tuple[str | None, Any], ...]:
    """(name, id) of each topic once; where any is asked for by its id, those that only have names are passed over.

    Source: Kafka's KafkaApis.handleTopicMetadataRequest.
    """
    ids = dict.fromkeys(getattr(topic, "topic_id", None) for topic in wanted)
    ids.pop(None, None)
    if ids:
        return tuple((None, topic_id) for topic_id in ids)
    return tuple((name, None) for name in dict.fromkeys(topic.name for topic in wanted))


def _create_missing(broker: Broker, exchange: Exchange, names: list[str]) -> None:
    if not broker.config.auto_create_topics_enable:
        return
    for name in names:
        if name not in broker.catalog.topics and name not in INTERNAL_TOPICS:
            try:
                broker.catalog.check_free(name)
                if exchange.usage is None or exchange.usage.may_create(broker.config.num_partitions):
                    broker.catalog.create(name, broker.config.num_partitions)
            except BrokerError as error:
                if error.code is not ErrorCode.INVALID_TOPIC:
                    raise


def _metadata_body(
    broker: Broker, asked: tuple[tuple[str | None, Any], ...] | None, *, operations: bool, of_cluster: bool
) -> Body:
    topics = broker.catalog.topics.values()
    described = (
        [_topic_body(broker, topic, operations=operations) for topic in topics]
        if asked is None
        else [_asked_topic(broker, name, topic_id, operations=operations) for name, topic_id in asked]
    )
    return {
        "brokers": [_node(broker)],
        "cluster_id": broker.directory.cluster_id,
        "controller_id": broker.config.node_id,
        "topics": described,
        "cluster_authorized_operations": CLUSTER_OPERATIONS if of_cluster else OPERATIONS_NOT_ASKED,
    }


def _asked_topic(broker: Broker, name: str | None, topic_id: Any, *, operations: bool) -> Body:
    """A topic by its id or its name."""
    topic = broker.catalog.by_id.get(topic_id) if name is None else broker.catalog.topics.get(name)
    if topic is not None:
        return _topic_body(broker, topic, operations=operations)
    error = ErrorCode.UNKNOWN_TOPIC_ID
    if name is not None:
        error = broker.catalog.name_error(name) or ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return {
        "error_code": error,
        "name": name if name is not None or topic_id is not None else "",
        "topic_id": topic_id,
        "topic_authorized_operations": TOPIC_OPERATIONS if operations and name is not None else OPERATIONS_NOT_ASKED,
    }


def _topic_body(broker: Broker, topic: Topic, *, operations: bool) -> Body:
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
            }
            for log in topic.partitions
        ],
        "topic_authorized_operations": TOPIC_OPERATIONS if operations else OPERATIONS_NOT_ASKED,
    }


# ---- the rest


BROKERS, CONTROLLERS = 1, 2


def find_coordinator(broker: Broker, exchange: Exchange, request: Any) -> Body:
    """Always this broker."""
    kind = getattr(request, "key_type", 0)
    known = 0 <= kind < COORDINATOR_KINDS
    error = ErrorCode.NONE if known else ErrorCode.INVALID_REQUEST
    message = ("NONE" if exchange.version < 4 else "") if known else f"coordinator type {kind} is not known"
    if kind == SHARE and exchange.version >= 4:
        message = ""
    node = _node(broker) if known else {"node_id": -1, "host": "", "port": -1}
    where = {name: node[name] for name in ("node_id", "host", "port")}
    if exchange.version < 4:
        return {"error_code": error, "error_message": message, **where}
    return {
        "coordinators": [
            {"key": key, "error_code": error, "error_message": message, **where} for key in request.coordinator_keys
        ]
    }


def describe(broker: Broker, _: Exchange, request: Any) -> Body:
    """The cluster: one broker, which is also the controller."""
    endpoint_type = getattr(request, "endpoint_type", 1)
    if endpoint_type != BROKERS:
        code = (
            ErrorCode.MISMATCHED_ENDPOINT_TYPE if endpoint_type == CONTROLLERS else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE
        )
        raise BrokerError(code, f"this is a broker's endpoint (1), not one of type {endpoint_type}")
    node = {name: value for name, value in _node(broker).items() if name != "node_id"}
    operations = request.include_cluster_authorized_operations
    return {
        "endpoint_type": endpoint_type,
        "cluster_id": broker.directory.cluster_id,
        "controller_id": broker.config.node_id,
        "brokers": [{"broker_id": broker.config.node_id, **node}],
        "cluster_authorized_operations": CLUSTER_OPERATIONS if operations else OPERATIONS_NOT_ASKED,
    }


def describe_log_dirs(broker: Broker, _: Exchange, request: Any) -> Body:
    """The one data directory, the size of each partition in it, and the room on its disk."""
    catalog = broker.catalog
    if request.topics is None:
        places = [(name, index) for name, topic in catalog.topics.items() for index in range(len(topic.partitions))]
    else:
        named = ((item.topic, index) for item in request.topics for index in item.partitions)
        places = [place for place in dict.fromkeys(named) if broker.directory.get(*place) is not None]
    disk = shutil.disk_usage(broker.directory.path)
    sizes: dict[str, list[Body]] = {}
    for name, index in places:
        size = catalog.topics[name].partitions[index].size
        sizes.setdefault(name, []).append({"partition_index": index, "partition_size": size})
    topics = [{"name": name, "partitions": partitions} for name, partitions in sizes.items()]
    log_dir = {"log_dir": str(broker.directory.path), "topics": topics}
    return {"results": [{**log_dir, "total_bytes": disk.total, "usable_bytes": disk.free}]}


def move_replicas(broker: Broker, _: Exchange, request: Any) -> Body:
    """There is one data directory: a partition can stay in it, and go nowhere else."""
    results: dict[str, dict[int, ErrorCode]] = {}
    for directory in request.dirs:
        here = directory.path == str(broker.directory.path)
        for topic in directory.topics:
            for index in topic.partitions:
                error = ErrorCode.NONE if here else ErrorCode.LOG_DIR_NOT_FOUND
                if len(f"{topic.name}-{index}") > LONGEST_MOVABLE:
                    error = ErrorCode.INVALID_TOPIC
                elif here and broker.directory.get(topic.name, index) is None:
                    error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                results.setdefault(topic.name, {})[index] = error
    return {
        "results": [
            {
                "topic_name": name,
                "partitions": [{"partition_index": index, "error_code": error} for index, error in errors.items()],
            }
            for name, errors in results.items()
        ]
    }
