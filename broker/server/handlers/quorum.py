"""The cluster's own affairs, where one node is the whole quorum: DescribeQuorum, UpdateFeatures, ElectLeaders,
and the reassignment of partitions, of which there is only one place to be.
"""

from typing import Any

from broker.errors import BrokerError, ErrorCode
from broker.protocol.bodies import Body
from broker.server.broker import Broker, now_ms
from broker.server.exchange import Exchange
from broker.server.handlers.api_versions import FEATURES

METADATA_TOPIC = "__cluster_metadata"
MESSAGES_FROM = 2
PREFERRED, UNCLEAN = range(2)
UPGRADE = 1
UPGRADE_TYPES = frozenset({UPGRADE, 2, 3})


# ---- the quorum


def describe(broker: Broker, exchange: Exchange, request: Any) -> Body:
    """One voter, which leads and has everything."""
    listener = {"name": "CONTROLLER", "host": broker.host, "port": broker.port}
    body: dict[str, Any] = {
        "topics": [
            {
                "topic_name": topic.topic_name,
                "partitions": [_partition(broker, topic, item) for item in topic.partitions],
            }
            for topic in request.topics
        ],
        "nodes": [{"node_id": broker.config.node_id, "listeners": [listener]}] if _asks_for_all(request) else (),
    }
    if exchange.version >= MESSAGES_FROM:
        body["error_message"] = ""
    return body


def _asks_for_all(request: Any) -> bool:
    """Whether it is about the one partition there is, and nothing else."""
    asked = [(topic.topic_name, item.partition_index) for topic in request.topics for item in topic.partitions]
    return asked == [(METADATA_TOPIC, 0)] and len(request.topics) == 1


def _partition(broker: Broker, topic: Any, item: Any) -> Body:
    if topic.topic_name != METADATA_TOPIC or item.partition_index != 0:
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return {
            "partition_index": item.partition_index,
            "error_code": error,
            "error_message": error.name,
            "leader_id": 0,
        }
    end, now = broker.catalog.version, now_ms()
    voter = {
        "replica_id": broker.config.node_id,
        "log_end_offset": end,
        "last_fetch_timestamp": now,
        "last_caught_up_timestamp": now,
    }
    return {
        "partition_index": 0,
        "error_message": "",
        "leader_id": broker.config.node_id,
        "leader_epoch": 1,
        "high_watermark": end,
        "current_voters": [voter],
    }


def change_voters(broker: Broker, _: Exchange, request: Any) -> Body:
    """The only voter stays the only one."""
    if request.cluster_id is not None and request.cluster_id != broker.directory.cluster_id:
        raise BrokerError(ErrorCode.INCONSISTENT_CLUSTER_ID)
    raise BrokerError(ErrorCode.INVALID_REQUEST, "a cluster of one node has one voter, which cannot change")


def unregister(broker: Broker, _: Exchange, request: Any) -> Body:
    """No other broker is registered, and the one that answers is in use."""
    if request.broker_id == broker.config.node_id:
        raise BrokerError(ErrorCode.INVALID_REQUEST, "the only broker of a cluster cannot leave it")
    raise BrokerError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"there is no broker {request.broker_id}")


# ---- features


def update_features(_: Broker, exchange: Exchange, request: Any) -> Body:
    """A feature can be set to the level it has; other levels are not built in."""
    results = []
    failure: BrokerError | None = None
    for update in request.feature_updates:
        result: dict[str, Any] = {"feature": update.feature, "error_message": None}
        try:
            _check_level(update)
        except BrokerError as error:
            result.update(error_code=error.code, error_message=error.message)
            failure = failure or error
        results.append(result)
    if failure is None:
        done = [{**result, "error_message": ErrorCode.NONE.name} for result in results]
        return {"error_message": None, "results": done if exchange.version < MESSAGES_FROM else ()}
    return {"error_code": failure.code, "error_message": f"The update failed for all features since {failure.message}"}


def _check_level(update: Any) -> None:
    level = FEATURES.get(update.feature)
    if level is None:
        raise BrokerError(
            ErrorCode.INVALID_UPDATE_VERSION, f"there is no feature {update.feature!r}, only {', '.join(FEATURES)}"
        )
    if getattr(update, "upgrade_type", UPGRADE) not in UPGRADE_TYPES:
        raise BrokerError(ErrorCode.INVALID_UPDATE_VERSION, f"there is no upgrade of type {update.upgrade_type}")
    if update.max_version_level != level:
        raise BrokerError(
            ErrorCode.INVALID_UPDATE_VERSION,
            f"{update.feature} is at level {level} and cannot become {update.max_version_level}",
        )


# ---- leaders


def elect(broker: Broker, _: Exchange, request: Any) -> Body:
    """No election is ever needed: each partition is led by its only replica.

    Where all partitions are meant, as null says, topics are named without those that need none.
    """
    kind = getattr(request, "election_type", PREFERRED)
    if request.topic_partitions == ():
        return {"replica_election_results": ()}
    if kind not in {PREFERRED, UNCLEAN}:
        refused = BrokerError(ErrorCode.INVALID_REQUEST, f"there is no election of type {kind}")
        return {
            "error_code": refused.code,
            "replica_election_results": [
                {"topic": topic.topic, "partition_result": [_not_elected(index, refused) for index in topic.partitions]}
                for topic in request.topic_partitions or ()
            ],
        }
    if request.topic_partitions is None:
        return {"replica_election_results": [{"topic": name, "partition_result": ()} for name in broker.catalog.topics]}
    return {
        "replica_election_results": [
            {
                "topic": topic.topic,
                "partition_result": [_elected(broker, topic.topic, index) for index in topic.partitions],
            }
            for topic in request.topic_partitions
        ]
    }


def _elected(broker: Broker, topic: str, index: int) -> Body:
    error = BrokerError(ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.")
    try:
        broker.catalog.log(topic, index)
    except BrokerError as unknown:
        error = unknown
    return _not_elected(index, error)


def _not_elected(index: int, error: BrokerError) -> Body:
    return {"partition_id": index, "error_code": error.code, "error_message": error.message}


# ---- reassignments


def reassign(broker: Broker, _: Exchange, request: Any) -> Body:
    """A partition may be assigned to this broker, where it is."""
    if not request.topics:
        return {"error_message": "", "allow_replication_factor_change": True}
    return {
        "error_message": None,
        "allow_replication_factor_change": getattr(request, "allow_replication_factor_change", True),
        "responses": [
            {"name": topic.name, "partitions": [_reassigned(broker, topic.name, item) for item in topic.partitions]}
            for topic in request.topics
        ],
    }


def _reassigned(broker: Broker, topic: str, item: Any) -> Body:
    result: dict[str, Any] = {"partition_index": item.partition_index, "error_message": None}
    try:
        broker.catalog.log(topic, item.partition_index)
        if item.replicas is None:
            raise BrokerError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
        if tuple(item.replicas) != (broker.config.node_id,):
            raise BrokerError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"the only replica there can be is broker {broker.config.node_id}"
            )
    except BrokerError as error:
        result.update(error_code=error.code, error_message=error.message or None)
    return result


def list_reassignments(_: Broker, exchange: Exchange, request: Any) -> Body:
    """Nothing is ever under way."""
    del exchange, request
    return {"error_message": None, "topics": ()}
