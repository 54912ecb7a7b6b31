"""CreateTopics, DeleteTopics, CreatePartitions: each topic of a request succeeds or fails by itself."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID, uuid4

from broker.errors import BrokerError, ErrorCode
from broker.metadata import Topic, check_growth
from broker.protocol.apis import ApiKey
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.handlers.configs import topic_entries

DEFAULT = -1
STRICT_FROM: dict[int, int] = {ApiKey.CREATE_TOPICS: 6, ApiKey.DELETE_TOPICS: 5, ApiKey.CREATE_PARTITIONS: 3}
"""Versions from which on a client understands that a change is refused because its quota is used up."""


def _use_quota(exchange: Exchange, partitions: int) -> None:
    """Count partitions that come or go by the client's quota. Raises: BrokerError."""
    if exchange.usage is not None:
        exchange.usage.change(partitions, strict=exchange.version >= STRICT_FROM[exchange.api_key])


def _each(names: Sequence[Any], what: Callable[[Any], Any]) -> list[Any]:
    """Names that occur twice in a request, which Kafka refuses."""
    counts = Counter(what(item) for item in names)
    return [name for name, count in counts.items() if count > 1]


def _failed(error: BrokerError) -> dict[str, Any]:
    return {"error_code": error.code, "error_message": error.message or None}


def create(broker: Broker, exchange: Exchange, request: Any) -> Body:
    """Create topics, or only check that they could be created."""
    twice = _each(request.topics, lambda topic: topic.name)
    once = [topic for topic in request.topics if topic.name not in twice]
    partitions = sum(len(topic.assignments) or max(topic.num_partitions, 0) for topic in once)
    results = []
    for wanted in {topic.name: topic for topic in request.topics}.values():
        try:
            check_growth(partitions)
            if wanted.name in twice:
                raise BrokerError(ErrorCode.INVALID_REQUEST, "the topic is named twice in one request")
            results.append(_create_one(broker, exchange, wanted, validate_only=request.validate_only))
        except BrokerError as error:
            failed = {"name": wanted.name, "num_partitions": -1, "replication_factor": -1, "configs": ()}
            results.append({**failed, **_failed(error)})
    return {"topics": results}


def _create_one(broker: Broker, exchange: Exchange, wanted: Any, *, validate_only: bool) -> dict[str, Any]:
    broker.catalog.check_free(wanted.name)
    settings = _settings(broker, wanted)
    if not wanted.assignments and wanted.replication_factor != DEFAULT and wanted.replication_factor < 1:
        raise BrokerError(
            ErrorCode.INVALID_REPLICATION_FACTOR, f"replication factor {wanted.replication_factor} was asked for, not 1"
        )
    count = _partition_count(broker, wanted)
    _check_replication(broker, wanted.replication_factor, manual=bool(wanted.assignments))
    topic = None
    broker.catalog.check_new(wanted.name, count, settings)
    _use_quota(exchange, count)
    if not validate_only:
        topic = broker.catalog.create(wanted.name, count, settings)
    return {
        "name": wanted.name,
        "topic_id": topic.topic_id if topic else uuid4(),
        "error_message": None,
        "num_partitions": count,
        "replication_factor": 1,
        "configs": _shown_settings(broker, settings),
    }


def _settings(broker: Broker, wanted: Any) -> dict[str, str]:
    unset = [item.name for item in wanted.configs if item.value is None]
    if unset:
        raise BrokerError(
            ErrorCode.INVALID_CONFIG, f"settings of a topic have values; none came for {', '.join(unset)}"
        )
    settings = {item.name: item.value for item in wanted.configs}
    broker.catalog.check_settings(settings)
    return settings


def _partition_count(broker: Broker, wanted: Any) -> int:
    if not wanted.assignments:
        count = broker.config.num_partitions if wanted.num_partitions == DEFAULT else wanted.num_partitions
        if count < 1:
            raise BrokerError(ErrorCode.INVALID_PARTITIONS, f"a topic has at least one partition, not {count}")
        return count
    if wanted.num_partitions != DEFAULT or wanted.replication_factor != DEFAULT:
        raise BrokerError(ErrorCode.INVALID_REQUEST, "give either counts or an assignment of replicas, not both")
    indexes = sorted(item.partition_index for item in wanted.assignments)
    if indexes != list(range(len(indexes))):
        raise BrokerError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions must be numbered from 0 without gaps")
    _check_assignments(broker, [item.broker_ids for item in wanted.assignments])
    return len(indexes)


def _check_assignments(broker: Broker, assignments: Sequence[Sequence[int]]) -> None:
    if any(tuple(replicas) != (broker.config.node_id,) for replicas in assignments):
        raise BrokerError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"the only replica there can be is broker {broker.config.node_id}"
        )


def _check_replication(broker: Broker, factor: int, *, manual: bool) -> None:
    if manual or factor in {DEFAULT, 1} or (factor > 1 and broker.config.replication_factor_clamp):
        return
    raise BrokerError(
        ErrorCode.INVALID_REPLICATION_FACTOR, f"replication factor {factor} was asked for, and there is one broker"
    )


def _shown_settings(broker: Broker, settings: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": entry["name"], "value": entry["value"], "config_source": entry["config_source"]}
        for entry in sorted(topic_entries(broker, settings), key=itemgetter("name"))
    ]


def delete(broker: Broker, exchange: Exchange, request: Any) -> Body:
    """Delete topics by name or, from version 6, by id; what is named twice is not deleted."""
    if exchange.version >= 6:
        wanted = [(item.name, item.topic_id) for item in request.topics]
    else:
        wanted = [(name, None) for name in request.topic_names]
    times = Counter(wanted)
    by_both = _named_by_both(broker, times)
    results = []
    for name, topic_id in times:
        if name is None and topic_id in by_both:
            continue  # Kafka answers such a topic once, under its name
        answer = {"name": name, "topic_id": topic_id}
        try:
            topic = _to_delete(broker, name, topic_id, twice=times[name, topic_id] > 1)
            answer = {"name": topic.name, "topic_id": topic.topic_id}
            if topic.topic_id in by_both:
                raise BrokerError(ErrorCode.INVALID_REQUEST, "the topic is named by its id as well")
            _use_quota(exchange, len(topic.partitions))
            broker.catalog.delete(topic.name)
            results.append(answer)
        except BrokerError as error:
            refused = [{**answer, **_failed(error)}]
            results += refused if (name is None) != (topic_id is None) else refused * times[name, topic_id]
    return {"responses": results}


def _named_by_both(broker: Broker, times: Mapping[tuple[str | None, Any], int]) -> frozenset[UUID]:
    """The ids of topics that a request names by name and by id, each once."""
    return frozenset(
        topic_id
        for (name, topic_id), count in times.items()
        if name is None
        and count == 1
        and (topic := broker.catalog.by_id.get(topic_id)) is not None
        and times.get((topic.name, None)) == 1
    )


def _to_delete(broker: Broker, name: str | None, topic_id: Any, *, twice: bool) -> Topic:
    if not broker.config.delete_topic_enable:
        raise BrokerError(ErrorCode.TOPIC_DELETION_DISABLED, "delete.topic.enable is false")
    if (name is None) == (topic_id is None):
        raise BrokerError(ErrorCode.INVALID_REQUEST, "a topic to delete has a name or an id, one of the two")
    if twice:
        raise BrokerError(ErrorCode.INVALID_REQUEST, "the topic is named twice in one request")
    if name is None:
        topic = broker.catalog.by_id.get(topic_id)
        if topic is None:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_ID, f"there is no topic with the id {topic_id}")
    else:
        topic = broker.catalog.get(name)
    if topic.internal:
        raise BrokerError(ErrorCode.INVALID_TOPIC, f"{topic.name} is the broker's own")
    return topic


def create_partitions(broker: Broker, exchange: Exchange, request: Any) -> Body:
    """Give topics more partitions."""
    twice = _each(request.topics, lambda topic: topic.name)
    results = []
    for wanted in {topic.name: topic for topic in request.topics}.values():
        result: dict[str, Any] = {"name": wanted.name, "error_message": None}
        try:
            if wanted.name in twice:
                raise BrokerError(ErrorCode.INVALID_REQUEST, "the topic is named twice in one request")
            _grow(broker, exchange, wanted, validate_only=request.validate_only)
        except BrokerError as error:
            unknown = error.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            result.update(error_code=error.code, error_message=None if unknown else error.message or None)
        results.append(result)
    return {"results": results}


def _grow(broker: Broker, exchange: Exchange, wanted: Any, *, validate_only: bool) -> None:
    topic = broker.catalog.get(wanted.name)
    now = len(topic.partitions)
    if wanted.count <= now:
        raise BrokerError(
            ErrorCode.INVALID_PARTITIONS, f"topic {wanted.name} has {now} partitions already, {wanted.count} is no more"
        )
    if wanted.assignments is not None:
        if len(wanted.assignments) != wanted.count - now:
            raise BrokerError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "one assignment for each new partition is needed")
        _check_assignments(broker, [item.broker_ids for item in wanted.assignments])
    check_growth(wanted.count - now)
    _use_quota(exchange, wanted.count - now)
    if not validate_only:
        broker.catalog.add_partitions(wanted.name, wanted.count)
