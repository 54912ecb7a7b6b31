"""ListOffsets, OffsetForLeaderEpoch, DeleteRecords: where logs begin, end, and what lies at a time or epoch."""

from typing import Any

from broker.errors import BrokerError, ErrorCode
from broker.log.partition_log import PartitionLog
from broker.protocol.bodies import Body
from broker.protocol.hot import ListedOffset, TopicPart, list_offsets_response
from broker.server.broker import Broker
from broker.server.exchange import Exchange

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING_UPLOAD = -1, -2, -3, -4, -5, -6
SPECIAL_FROM = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}
"""Versions from which on the later special numbers may be asked for."""
NEVER = 1 << 15
READ_COMMITTED = 1
NOTHING = (-1, -1, -1)


def check_leader_epoch(log: PartitionLog, epoch: int) -> None:
    """Raises: BrokerError, if the client's idea of who leads is older or newer than ours; -1 is no idea."""
    if epoch in {-1, log.leader_epoch}:
        return
    raise BrokerError(ErrorCode.FENCED_LEADER_EPOCH if epoch < log.leader_epoch else ErrorCode.UNKNOWN_LEADER_EPOCH)


def list_offsets(broker: Broker, exchange: Exchange, request: Any) -> None:
    """For each partition the offset asked for, by timestamp or by one of the special numbers below zero."""
    committed = getattr(request, "isolation_level", 0) == READ_COMMITTED
    asked: dict[str, dict[int, list[Any]]] = {}
    for topic in request.topics:
        partitions = asked.setdefault(topic.name, {})
        for wanted in topic.partitions:
            partitions.setdefault(wanted.partition_index, []).append(wanted)
    topics = []
    for name, partitions in asked.items():
        if not partitions:
            continue  # not answered
        listed = [
            _listed(broker, exchange.version, name, wanted[0], committed=committed)
            if len(wanted) == 1
            else ListedOffset(index, ErrorCode.INVALID_REQUEST)  # named twice
            for index, wanted in partitions.items()
        ]
        topics.append(TopicPart(name, listed))
    exchange.answer_frame((list_offsets_response(exchange.version, exchange.correlation_id, topics),))


def _listed(broker: Broker, version: int, name: str, wanted: Any, *, committed: bool) -> ListedOffset:
    if wanted.timestamp < EARLIEST and version < SPECIAL_FROM.get(wanted.timestamp, NEVER):
        return ListedOffset(wanted.partition_index, ErrorCode.UNSUPPORTED_VERSION)
    try:
        log = broker.catalog.log(name, wanted.partition_index)
        check_leader_epoch(log, getattr(wanted, "current_leader_epoch", -1))
        found = _find(log, wanted.timestamp, committed=committed)
    except BrokerError as error:
        return ListedOffset(wanted.partition_index, error.code)
    return ListedOffset(wanted.partition_index, ErrorCode.NONE, *found)


def _find(log: PartitionLog, timestamp: int, *, committed: bool) -> tuple[int, int, int]:
    """(timestamp, offset, leader epoch) of what a special number or a time means in a log."""
    limit = log.last_stable_offset if committed else log.high_watermark
    if timestamp == LATEST:
        return -1, limit, log.leader_epoch
    if timestamp in {EARLIEST, EARLIEST_LOCAL}:
        return -1, log.log_start_offset, log.epoch_at(log.log_start_offset)
    if timestamp in {LATEST_TIERED, EARLIEST_PENDING_UPLOAD}:
        return NOTHING
    if timestamp == MAX_TIMESTAMP:
        newest = log.offset_of_max_timestamp()
        return newest if newest is not None and newest[1] < limit else NOTHING
    found = log.offset_for_timestamp(timestamp)
    return (*found, log.epoch_at(found[1])) if found is not None and found[1] < limit else NOTHING


def for_leader_epoch(broker: Broker, _: Exchange, request: Any) -> Body:
    """Where the epoch a client last saw has ended, so that it notices a log that was cut."""

    def one(name: str, wanted: Any) -> Body:
        body: dict[str, Any] = {"partition": wanted.partition}
        try:
            log = broker.catalog.log(name, wanted.partition)
            check_leader_epoch(log, wanted.current_leader_epoch)
        except BrokerError as error:
            return {**body, "error_code": error.code, "leader_epoch": -1, "end_offset": -1}
        epoch, end_offset = log.end_offset_for_epoch(wanted.leader_epoch)
        return {**body, "leader_epoch": epoch, "end_offset": end_offset}

    topics = [
        {"topic": topic.topic, "partitions": [one(topic.topic, wanted) for wanted in topic.partitions]}
        for topic in request.topics
    ]
    return {"topics": topics}


def delete_records(broker: Broker, _: Exchange, request: Any) -> Body:
    """Raise the start of logs; -1 means everything that is committed."""

    def one(name: str, wanted: Any) -> Body:
        body: dict[str, Any] = {"partition_index": wanted.partition_index}
        try:
            log = broker.catalog.log(name, wanted.partition_index)
            if broker.catalog.get(name).internal:
                raise BrokerError(ErrorCode.INVALID_TOPIC, f"{name} is the broker's own")
            return {**body, "low_watermark": log.delete_records(wanted.offset)}
        except BrokerError as error:
            return {**body, "error_code": error.code, "low_watermark": -1}

    named: dict[str, dict[int, Any]] = {}  # of a partition that is named twice the last counts, as in Kafka
    for topic in request.topics:
        named.setdefault(topic.name, {}).update((wanted.partition_index, wanted) for wanted in topic.partitions)
    topics = [
        {"name": name, "partitions": [one(name, wanted) for wanted in partitions.values()]}
        for name, partitions in named.items()
        if partitions
    ]
    broker.directory.save_start_offsets()
    return {"topics": topics}
