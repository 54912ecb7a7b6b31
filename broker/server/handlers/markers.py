"""WriteTxnMarkers: an administrator ends a transaction that hangs in a partition; the coordinator writes its own markers."""

from collections.abc import Callable
from typing import Any

from broker.coordinators.runtime import Marker
from broker.errors import BrokerError, ErrorCode
from broker.server.broker import Broker
from broker.server.exchange import Exchange

TopicPartition = tuple[str, int]


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

    if not wanted:
        exchange.answer(_answer(request, results))
    for item, where, found in wanted:
        _write_one(broker, item, where, collector(where, found))


def _write_one(broker: Broker, item: Any, where: TopicPartition, done: Callable[[ErrorCode], None]) -> None:
    try:
        broker.catalog.log(*where)
    except BrokerError as error:
        done(error.code)
        return
    marker = Marker(item.producer_id, item.producer_epoch, item.transaction_result, item.coordinator_epoch)
    broker.write_marker(where, marker, done)


def _answer(request: Any, results: list[dict[TopicPartition, ErrorCode]]) -> dict[str, Any]:
    return {
        "markers": [
            {
                "producer_id": item.producer_id,
                "topics": [
                    {
                        "name": topic.name,
                        "partitions": [
                            {"partition_index": index, "error_code": found[topic.name, index]}
                            for index in topic.partition_indexes
                        ],
                    }
                    for topic in item.topics
                ],
            }
            for item, found in zip(request.markers, results, strict=True)
        ]
    }
