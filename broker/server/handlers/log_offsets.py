"""ListOffsets, OffsetForLeaderEpoch, DeleteRecords: where logs begin, end, and what lies at a time or epoch."""

from collections import Counter
from collections.abc import Callable, Mapping
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


def _each_partition(topics: Any, name_of: Callable[[Any], str], one: Callable[[str, Any], Body]) -> list[Body]:
    return [
        {"name": name_of(topic), "partitions": [one(name_of(topic), partition) for partition in topic.partitions]}
        for topic in topics
    ]


def list_offsets(broker: Broker, exchange: Exchange, request: Any) -> None:
    """For each partition the offset asked for, by timestamp or by one of the special numbers below zero."""
    committed = getattr(request, "isolation_level", 0) == READ_COMMITTED
    named = Counter((topic.name, wanted.partition_index) for topic in request.topics for wanted in topic.partitions)
    topics = []
    for topic in request.topics:
        once = [wanted for wanted in topic.partitions if named[topic.name, wanted.partition_index] == 1]
        listed = [_listed(broker, exchange.version, topic.name, wanted, committed=committed) for wanted in once]
        listed += [ListedOffset(twice, ErrorCode.INVALID_REQUEST) for twice in _repeated(topic, named)]
        topics.append(TopicPart(topic.name, listed))
    exchange.answer_frame((list_offsets_response(exchange.version, exchange.correlation_id, topics),))


def _repeated(topic: Any, named: Mapping[tuple[str, int], int]) -> list[int]:
    """Partitions of a topic that a request names more than once."""
    indexes = dict.fromkeys(wanted.partition_index for wanted in topic.partitions)
    return [index for index in indexes if named[topic.name, index] > 1]


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

    topics = _each_partition(request.topics, lambda topic: topic.topic, one)
    return {"topics": [{"topic": topic["name"], "partitions": topic["partitions"]} for topic in topics]}


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

    topics = _each_partition(request.topics, lambda topic: topic.name, one)
    broker.directory.save_start_offsets()
    return {"topics": topics}
