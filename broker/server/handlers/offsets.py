"""OffsetCommit and OffsetFetch: where groups stand. Topics go by name, and by id from version 10."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from broker.coordinators.group_coordinator import Committer, OffsetCommit
from broker.coordinators.group_records import CommittedOffset
from broker.coordinators.offsets import TopicPartition
from broker.errors import BrokerError, ErrorCode
from broker.metadata import Topic
from broker.protocol.hot import TopicPart, offset_commit_response
from broker.server.broker import Broker
from broker.server.exchange import Exchange, topic_part

BY_ID = 10
KNOWS_MISSING_GROUPS = 9
KNOWS_MEMBER_EPOCHS = 9
GROUPS_IN_BATCHES = 8
NOTHING_COMMITTED = CommittedOffset(-1, -1, "", -1)

Errors = dict[tuple[str, int], ErrorCode]


# ---- commit


def commit(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer when the offsets are stored; a partition that does not exist fails alone."""
    topics = [(item, _commit_topic(broker, exchange.version, item)) for item in request.topics]
    retention_ms = getattr(request, "retention_time", -1)
    accepted, errors = sort_offsets(broker, topics, retention_ms)

    def done(error: ErrorCode) -> None:
        parts = _committed(exchange.version, topics, errors, error)
        exchange.answer_frame((offset_commit_response(exchange.version, exchange.correlation_id, parts),))

    who = Committer(
        request.member_id, getattr(request, "group_instance_id", None), request.generation_id_or_member_epoch
    )
    try:
        if (
            who.generation >= 0
            and exchange.version >= KNOWS_MISSING_GROUPS
            and not broker.groups.exists(request.group_id)
        ):
            raise BrokerError(ErrorCode.GROUP_ID_NOT_FOUND)
        if exchange.version < KNOWS_MEMBER_EPOCHS and broker.groups.is_new_member(request.group_id, who.member_id):
            raise BrokerError(ErrorCode.UNSUPPORTED_VERSION)
        broker.groups.commit(request.group_id, who, accepted, done)
    except BrokerError as error:
        done(error.code)


def _commit_topic(broker: Broker, version: int, item: Any) -> Topic | None:
    return broker.catalog.by_id.get(item.topic_id) if version >= BY_ID else broker.catalog.topics.get(item.name)


def sort_offsets(
    broker: Broker, topics: Iterable[tuple[Any, Topic | None]], retention_ms: int = -1
) -> tuple[list[OffsetCommit], Errors]:
    """What can be committed, and what cannot with the reason."""
    accepted: list[OffsetCommit] = []
    errors: Errors = {}
    limit = broker.config.offset_metadata_max_bytes
    for item, topic in topics:
        if topic is None:
            continue
        count = len(topic.partitions)
        for partition in item.partitions:
            index, metadata = partition.partition_index, partition.committed_metadata or ""
            if not 0 <= index < count:
                errors[topic.name, index] = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif len(metadata) > limit:
                errors[topic.name, index] = ErrorCode.OFFSET_METADATA_TOO_LARGE
            else:
                epoch = getattr(partition, "committed_leader_epoch", -1)
                accepted.append(
                    OffsetCommit(topic.name, index, partition.committed_offset, epoch, metadata, retention_ms)
                )
    return accepted, errors


def _committed(
    version: int, topics: Iterable[tuple[Any, Topic | None]], errors: Errors, error: ErrorCode
) -> list[TopicPart]:
    by_id = version >= BY_ID
    unknown = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    parts = []
    for item, topic in topics:
        indexes = [partition.partition_index for partition in item.partitions]
        if topic is None:
            partitions = [(index, unknown) for index in indexes]
        else:
            partitions = [(index, outcome(errors.get((topic.name, index)), error)) for index in indexes]
        parts.append(topic_part(item.topic_id if by_id else item.name, partitions, by_id=by_id))
    return parts


def outcome(own: ErrorCode | None, error: ErrorCode) -> ErrorCode:
    """What became of one partition: the coordinator's refusal comes before what it would have found in the offset."""
    if own is ErrorCode.OFFSET_METADATA_TOO_LARGE and error:
        return error
    return error if own is None else own


# ---- fetch


def fetch(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer with durable offsets; -1 where nothing was committed, also for groups nobody knows."""
    stable = bool(getattr(request, "require_stable", False))
    if exchange.version < GROUPS_IN_BATCHES:
        broker.groups.fetch(
            request.group_id,
            lambda offsets: exchange.answer(
                {"topics": _fetched(_view(broker, exchange, request.group_id, offsets, stable=stable), request.topics)}
            ),
        )
        return
    answers: list[dict[str, Any]] = []

    def add(answer: dict[str, Any]) -> None:
        answers.append(answer)
        if len(answers) == len(request.groups):
            exchange.answer({"groups": answers})

    def refused(group: Any, error: BrokerError) -> None:
        add({"group_id": group.group_id, "error_code": error.code})

    def ready(group: Any, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        view = _view(broker, exchange, group.group_id, offsets, stable=stable)
        add({"group_id": group.group_id, "topics": _fetched(view, group.topics)})

    if not request.groups:
        exchange.answer({"groups": []})
    for group in request.groups:
        try:
            broker.groups.check_fetch(
                group.group_id, getattr(group, "member_id", None), getattr(group, "member_epoch", -1)
            )
        except BrokerError as error:
            refused(group, error)
        else:
            broker.groups.fetch(group.group_id, functools.partial(ready, group))


class _View(NamedTuple):
    """A group's offsets as one request is to see them; `unstable` ones are hidden until their transaction ends."""

    broker: Broker
    by_id: bool
    offsets: Mapping[TopicPartition, CommittedOffset]
    unstable: frozenset[TopicPartition]


def _view(
    broker: Broker,
    exchange: Exchange,
    group_id: str,
    offsets: Mapping[TopicPartition, CommittedOffset],
    *,
    stable: bool,
) -> _View:
    unstable = broker.groups.pending_offsets(group_id) if stable else frozenset()
    return _View(broker, exchange.version >= BY_ID, offsets, unstable)


def _fetched(view: _View, topics: Any) -> list[dict[str, Any]]:
    if topics is None:
        by_topic: dict[str, list[int]] = {}
        for topic, partition in view.offsets.keys() | view.unstable:
            by_topic.setdefault(topic, []).append(partition)
        return [_fetched_topic(view, name, indexes) for name, indexes in by_topic.items()]
    if not view.by_id:
        return [_fetched_topic(view, item.name, item.partition_indexes) for item in topics]
    return [_fetched_by_id(view, item) for item in topics]


def _fetched_by_id(view: _View, item: Any) -> dict[str, Any]:
    topic = view.broker.catalog.by_id.get(item.topic_id)
    if topic is not None:
        return _fetched_topic(view, topic.name, item.partition_indexes)
    partitions = [
        {**_offset_fields(index, NOTHING_COMMITTED), "error_code": ErrorCode.UNKNOWN_TOPIC_ID}
        for index in item.partition_indexes
    ]
    return {"topic_id": item.topic_id, "partitions": partitions}


def _fetched_topic(view: _View, name: str, indexes: Iterable[int]) -> dict[str, Any]:
    partitions = [
        {**_offset_fields(index, NOTHING_COMMITTED), "error_code": ErrorCode.UNSTABLE_OFFSET_COMMIT}
        if (name, index) in view.unstable
        else _offset_fields(index, view.offsets.get((name, index), NOTHING_COMMITTED))
        for index in indexes
    ]
    if not view.by_id:
        return {"name": name, "partitions": partitions}
    topic = view.broker.catalog.topics.get(name)
    return {"topic_id": topic.topic_id if topic else None, "partitions": partitions}


def _offset_fields(index: int, offset: CommittedOffset) -> dict[str, Any]:
    return {
        "partition_index": index,
        "committed_offset": offset.offset,
        "committed_leader_epoch": offset.leader_epoch,
        "metadata": offset.metadata,
    }
