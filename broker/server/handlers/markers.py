"""WriteTxnMarkers: an administrator ends a transaction that hangs in a partition; the coordinator writes its own markers."""

from collections.abc import Callable
from typing import Any

from broker.coordinators.runtime import Marker
from broker.errors import BrokerError, ErrorCode
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.topic_answers import Partition, by_topic

TopicPartition = tuple[str, int]
BUMPS_EPOCHS = 2
"""The version of transactions from which on each is ended under an epoch later than its own."""


def write(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer when every marker is durable, or refused."""
    results: list[dict[TopicPartition, ErrorCode]] = [{} for _ in request.markers]
    wanted = [
        (item, (topic.name, index), found)
        for item, found in zip(request.markers, results, strict=True)
        for topic in item.topics
        for index in topic.partition_indexes
    ]
    outstanding = len(wanted)

    def collector(where: TopicPartition, found: dict[TopicPartition, ErrorCode]) -> Callable[[ErrorCode], None]:
        def done(error: ErrorCode) -> None:
            nonlocal outstanding
            found[where] = error
            outstanding -= 1
            if outstanding == 0:
                exchange.answer(_answer(request, results))

        return done

    if any(_impossible(broker, item, where) for item, where, _ in wanted):
        for _, where, found in wanted:
            found[where] = ErrorCode.UNKNOWN_SERVER_ERROR
        wanted = []
    if not wanted:
        exchange.answer(_answer(request, results))
    for item, where, found in wanted:
        _write_one(broker, item, where, collector(where, found))


def _impossible(broker: Broker, item: Any, where: TopicPartition) -> bool:
    """A marker of no producer cannot be built, which fails a whole request of Kafka's; where there is no log, nothing is."""
    return (item.producer_id < 0 or item.producer_epoch < 0) and _exists(broker, where)


def _exists(broker: Broker, where: TopicPartition) -> bool:
    try:
        broker.catalog.log(*where)
    except BrokerError:
        return False
    return True


def _write_one(broker: Broker, item: Any, where: TopicPartition, done: Callable[[ErrorCode], None]) -> None:
    try:
        log = broker.catalog.log(*where)
    except BrokerError as error:
        done(error.code)
        return
    ends_anew = getattr(item, "transaction_version", 0) >= BUMPS_EPOCHS
    if ends_anew and log.producers.is_writing(item.producer_id, item.producer_epoch):
        done(ErrorCode.INVALID_PRODUCER_EPOCH)
        return
    marker = Marker(item.producer_id, item.producer_epoch, item.transaction_result, item.coordinator_epoch)
    broker.write_marker(where, marker, done)


def _answer(request: Any, results: list[dict[TopicPartition, ErrorCode]]) -> dict[str, Any]:
    """Each producer and each topic once, whatever it was named for, and nobody who was named for nothing: so Kafka."""
    producers: dict[int, dict[TopicPartition, ErrorCode]] = {}
    for item, found in zip(request.markers, results, strict=True):
        named = {(topic.name, index): None for topic in item.topics for index in topic.partition_indexes}
        if named:
            producers.setdefault(item.producer_id, {}).update((where, found[where]) for where in named)
    return {"markers": [{"producer_id": producer_id, **_topics(found)} for producer_id, found in producers.items()]}


def _topics(found: dict[TopicPartition, ErrorCode]) -> Body:
    topics: dict[str, list[Partition]] = {}
    for (name, index), error in found.items():
        topics.setdefault(name, []).append((index, error))
    return by_topic(topics.items())
