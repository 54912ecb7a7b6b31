"""OffsetCommit and OffsetFetch: where groups stand. Topics go by name, and by id from version 10."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from broker.coordinators.group_coordinator import Committer, OffsetCommit
from broker.coordinators.group_records import CommittedOffset
from broker.coordinators.offsets import TopicPartition
from broker.errors import BrokerError, ErrorCode
from broker.metadata import Topic
from broker.protocol.hot import offset_commit_response
from broker.server.broker import Broker
from broker.server.exchange import Exchange, topic_part
from broker.server.topic_answers import Partition, joined

BY_ID = 10
KNOWS_MISSING_GROUPS = 9
KNOWS_MEMBER_EPOCHS = 9
GROUPS_IN_BATCHES = 8
NOTHING_COMMITTED = CommittedOffset(-1, -1, "", -1)

Named = list[tuple[Any, bool, list[tuple[int, ErrorCode | None]]]]
"""Topics as a commit names them, whether there are such, and each partition with what keeps it out."""


# ---- commit


def commit(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer when the offsets are stored; a partition that does not exist fails alone."""
    by_id = exchange.version >= BY_ID
    unknown = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    accepted, named = sort_offsets(
        broker,
        [(item.topic_id if by_id else item.name, item.partitions) for item in request.topics],
        broker.catalog.by_id if by_id else broker.catalog.topics,
        unknown=unknown,
        retention_ms=getattr(request, "retention_time", -1),
    )

    def done(error: ErrorCode) -> None:
        parts = [topic_part(where, partitions, by_id=by_id) for where, partitions in committed(named, error)]
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


def sort_offsets(
    broker: Broker,
    topics: Iterable[tuple[Any, Iterable[Any]]],
    known: Mapping[Any, Topic],
    *,
    unknown: ErrorCode = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    retention_ms: int = -1,
) -> tuple[list[OffsetCommit], Named]:
    """What can be committed, and everything as it was named; of topics that are not `known` nothing can."""
    accepted: list[OffsetCommit] = []
    named: Named = []
    limit = broker.config.offset_metadata_max_bytes
    for where, offsets in topics:
        topic = known.get(where)
        partitions: list[tuple[int, ErrorCode | None]] = []
        named.append((where, topic is not None, partitions))
        for offset in offsets:
            index, metadata = offset.partition_index, offset.committed_metadata or ""
            if topic is None:
                partitions.append((index, unknown))
            elif not 0 <= index < len(topic.partitions):
                partitions.append((index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
            elif len(metadata) > limit:
                partitions.append((index, ErrorCode.OFFSET_METADATA_TOO_LARGE))
            else:
                partitions.append((index, None))
                epoch = getattr(offset, "committed_leader_epoch", -1)
                accepted.append(OffsetCommit(topic.name, index, offset.committed_offset, epoch, metadata, retention_ms))
    return accepted, named


def committed(named: Named, error: ErrorCode) -> list[tuple[Any, list[Partition]]]:
    """What became of a commit's partitions, in the order of the answer; `error` is the coordinator's."""
    return joined(
        (where, exists, [(index, _outcome(own, error)) for index, own in partitions])
        for where, exists, partitions in named
    )


def _outcome(own: ErrorCode | None, error: ErrorCode) -> ErrorCode:
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
