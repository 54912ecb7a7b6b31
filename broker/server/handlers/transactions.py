"""AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn, and what administrators may ask about transactions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from broker.coordinators.group_coordinator import Committer
from broker.coordinators.patterns import matcher
from broker.coordinators.runtime import Done
from broker.coordinators.transaction import ProducerEpoch, Transaction, TransactionState
from broker.errors import BrokerError, ErrorCode
from broker.metadata import INTERNAL_TOPICS, OFFSETS_TOPIC
from broker.protocol.bodies import Body
from broker.server.broker import Broker, now_ms
from broker.server.exchange import Exchange
from broker.server.handlers.offsets import committed, sort_offsets
from broker.server.topic_answers import MISSING, by_topic

FENCED_FROM = 2
BATCHED_FROM = 4
STATES = frozenset(state.shown for state in TransactionState)
END_BUMPS_FROM = 5
COMMIT_KNOWS_ABORTABLE = 4
COMMIT_ADDS_FROM = 5


def fenced(code: ErrorCode, knows_fenced: bool) -> ErrorCode:
    """Versions that do not know PRODUCER_FENCED get INVALID_PRODUCER_EPOCH, which they take as the same."""
    return ErrorCode.INVALID_PRODUCER_EPOCH if code is ErrorCode.PRODUCER_FENCED and not knows_fenced else code


def _producer(request: Any) -> ProducerEpoch:
    return ProducerEpoch(request.producer_id, request.producer_epoch)


# ---- adding


def add_partitions(broker: Broker, exchange: Exchange, request: Any) -> None:
    """All partitions or none: one that does not exist keeps the others out (55). From version 4 for many producers."""
    if exchange.version >= BATCHED_FROM:
        _add_for_many(broker, exchange, request.transactions)
        return
    wanted = _Wanted(
        request.v3_and_below_transactional_id,
        ProducerEpoch(request.v3_and_below_producer_id, request.v3_and_below_producer_epoch),
        request.v3_and_below_topics,
        verify_only=False,
    )
    knows_fenced = exchange.version >= FENCED_FROM
    _add(broker, wanted, knows_fenced, lambda topics: exchange.answer({"results_by_topic_v3_and_below": topics}))


class _Wanted(NamedTuple):
    """What one producer asks to be added, or only to be told of."""

    transactional_id: str
    producer: ProducerEpoch
    topics: Sequence[Any]
    verify_only: bool


def _add_for_many(broker: Broker, exchange: Exchange, transactions: Sequence[Any]) -> None:
    results: list[Body] = []

    def collector(transactional_id: str) -> Callable[[list[Body]], None]:
        def done(topics: list[Body]) -> None:
            results.append({"transactional_id": transactional_id, "topic_results": topics})
            if len(results) == len(transactions):
                exchange.answer({"results_by_transaction": results})

        return done

    if not transactions:
        exchange.answer({"results_by_transaction": ()})
    for item in transactions:
        producer = ProducerEpoch(item.producer_id, item.producer_epoch)
        wanted = _Wanted(item.transactional_id, producer, item.topics, item.verify_only)
        _add(broker, wanted, True, collector(item.transactional_id))


def _add(broker: Broker, wanted: _Wanted, knows_fenced: bool, answer: Callable[[list[Body]], None]) -> None:
    places = list(dict.fromkeys((topic.name, index) for topic in wanted.topics for index in topic.partitions))
    refused = {
        (name, index): ErrorCode.TOPIC_AUTHORIZATION_FAILED
        if name in INTERNAL_TOPICS
        else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        for name, index in places
        if name in INTERNAL_TOPICS or not _exists(broker, (name, index))
    }

    def done(error: ErrorCode) -> None:
        answer(_answered(wanted.topics, error))

    if refused:
        answer(_not_added(places, refused))
        return
    try:
        if wanted.verify_only:
            for place in places:
                broker.transactions.verify(
                    wanted.transactional_id, wanted.producer, place, ErrorCode.TRANSACTION_ABORTABLE
                )
            done(ErrorCode.NONE)
        else:
            broker.transactions.add_partitions(wanted.transactional_id, wanted.producer, places, done)
    except BrokerError as error:
        done(fenced(error.code, knows_fenced))


def _exists(broker: Broker, where: tuple[str, int]) -> bool:
    topic = broker.catalog.topics.get(where[0])
    return topic is not None and 0 <= where[1] < len(topic.partitions)


def _answered(topics: Iterable[Any], error: ErrorCode) -> list[Body]:
    """The same for all, as they were named."""
    return [
        {
            "name": topic.name,
            "results_by_partition": [
                {"partition_index": index, "partition_error_code": error} for index in topic.partitions
            ],
        }
        for topic in topics
    ]


def _not_added(places: Iterable[tuple[str, int]], refused: Mapping[tuple[str, int], ErrorCode]) -> list[Body]:
    """Some are refused, so that the others are not tried: each once, as in Kafka."""
    topics: dict[str, list[Body]] = {}
    for name, index in places:
        error = refused.get((name, index), ErrorCode.OPERATION_NOT_ATTEMPTED)
        topics.setdefault(name, []).append({"partition_index": index, "partition_error_code": error})
    return [{"name": name, "results_by_partition": results} for name, results in topics.items()]


def add_offsets(broker: Broker, exchange: Exchange, request: Any) -> None:
    """The offsets of a group become part of the transaction."""

    def done(error: ErrorCode) -> None:
        exchange.answer({"error_code": error})

    where = (OFFSETS_TOPIC, broker.groups.partition_of(request.group_id))
    try:
        broker.transactions.add_partitions(request.transactional_id, _producer(request), [where], done)
    except BrokerError as error:
        done(fenced(error.code, exchange.version >= FENCED_FROM))


def commit_offsets(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Offsets that count when the transaction commits; from version 3 the group's generation is checked."""
    topics = [(item.name, item.partitions) for item in request.topics]
    accepted, named = sort_offsets(broker, topics, broker.catalog.topics)

    def answer(error: ErrorCode) -> None:
        exchange.answer(by_topic(committed(named, error)))

    if all(own in MISSING for _, _, partitions in named for _, own in partitions):
        answer(ErrorCode.NONE)  # the coordinator never hears of it
        return
    who = Committer(
        getattr(request, "member_id", ""),
        getattr(request, "group_instance_id", None),
        getattr(request, "generation_id", -1),
    )
    try:
        if not request.group_id:
            raise BrokerError(ErrorCode.INVALID_GROUP_ID)
        done = _take_part(broker, exchange.version, request, answer)
        broker.groups.check_commit(request.group_id, who, accepted, transactional=True)
        broker.groups.store(request.group_id, accepted, done, producer=_producer(request))
    except BrokerError as error:
        answer(error.code)


def _take_part(broker: Broker, version: int, request: Any, done: Done) -> Done:
    """The group's offsets must belong to the transaction; from version 5 they come to by being committed.

    The callback that also waits for that to be durable. Raises: BrokerError.
    """
    producer = _producer(request)
    where = (OFFSETS_TOPIC, broker.groups.partition_of(request.group_id))
    broker.catalog.log(*where).producers.check_epoch(*producer)  # before the coordinator is asked, as in Kafka
    if version < COMMIT_ADDS_FROM:
        abortable = version >= COMMIT_KNOWS_ABORTABLE
        absent = ErrorCode.TRANSACTION_ABORTABLE if abortable else ErrorCode.INVALID_TXN_STATE
        broker.transactions.verify(request.transactional_id, producer, where, absent)
        return done
    try:
        log = broker.transactions.include(request.transactional_id, producer, [where])
    except BrokerError as error:
        raise BrokerError(fenced(error.code, knows_fenced=False)) from error
    if log is None:
        return done
    end = log.log_end_offset
    return lambda error: done(error) if error else broker.delayed.when_committed(log, end, done)


# ---- ending


def end(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer when every marker is durable."""
    bump = exchange.version >= END_BUMPS_FROM

    def done(error: ErrorCode, producer: ProducerEpoch) -> None:
        body: dict[str, Any] = {"error_code": error}
        if bump:
            body |= {"producer_id": producer.producer_id, "producer_epoch": producer.epoch}
        exchange.answer(body)

    try:
        broker.transactions.end(request.transactional_id, _producer(request), done, commit=request.committed, bump=bump)
    except BrokerError as error:
        done(fenced(error.code, exchange.version >= FENCED_FROM), ProducerEpoch(-1, -1))


# ---- administration


def describe(broker: Broker, _: Exchange, request: Any) -> Body:
    """State, producer and partitions of transactional ids."""
    return {"transaction_states": [_described(broker, name) for name in request.transactional_ids]}


def _described(broker: Broker, transactional_id: str) -> Body:
    transaction = broker.transactions.describe(transactional_id)
    if transaction is None:
        error = ErrorCode.TRANSACTIONAL_ID_NOT_FOUND if transactional_id else ErrorCode.INVALID_REQUEST
        return {"error_code": error, "transactional_id": transactional_id, "transaction_start_time": 0}
    by_topic: dict[str, list[int]] = {}
    for topic, partition in sorted(transaction.partitions):
        by_topic.setdefault(topic, []).append(partition)
    return {
        **_summary(transaction),
        "transaction_timeout": transaction.timeout_ms,
        "transaction_start_time": transaction.start_ms,
        "producer_epoch": transaction.producer.epoch,
        "topics": [{"topic": topic, "partitions": partitions} for topic, partitions in by_topic.items()],
    }


def _summary(transaction: Transaction) -> dict[str, Any]:
    return {
        "transactional_id": transaction.transactional_id,
        "producer_id": transaction.producer.producer_id,
        "transaction_state": transaction.state.shown,
    }


def list_transactions(broker: Broker, _: Exchange, request: Any) -> Body:
    """All transactional ids, or those in some states, of some producers, or open for long."""
    found = []
    matcher(getattr(request, "transactional_id_pattern", None) or "")
    for name in broker.transactions.transactional_ids():
        transaction = broker.transactions.describe(name)
        assert transaction is not None
        if _is_wanted(transaction, request):
            found.append(_summary(transaction))
    unknown = [state for state in dict.fromkeys(request.state_filters) if state not in STATES]
    return {"transaction_states": found, "unknown_state_filters": unknown}


def _is_wanted(transaction: Transaction, request: Any) -> bool:
    if request.state_filters and transaction.state.shown not in request.state_filters:
        return False
    if request.producer_id_filters and transaction.producer.producer_id not in request.producer_id_filters:
        return False
    pattern = getattr(request, "transactional_id_pattern", None)
    if pattern and not matcher(pattern)(transaction.transactional_id):
        return False
    open_for_ms = getattr(request, "duration_filter", -1)
    return open_for_ms < 0 or now_ms() - transaction.start_ms > open_for_ms


def describe_producers(broker: Broker, _: Exchange, request: Any) -> Body:
    """Who produces to partitions, and whose transaction is open there."""
    return {
        "topics": [
            {
                "name": topic.name,
                "partitions": [_producers(broker, topic.name, index) for index in topic.partition_indexes],
            }
            for topic in request.topics
        ]
    }


def _producers(broker: Broker, topic: str, index: int) -> Body:
    try:
        log = broker.catalog.log(topic, index)
    except BrokerError as error:
        message = None if topic in broker.catalog.topics else error.message
        code = broker.catalog.name_error(topic) or error.code
        return {"partition_index": index, "error_code": code, "error_message": message}
    return {
        "partition_index": index,
        "error_message": None,
        "active_producers": [
            {
                "producer_id": producer.producer_id,
                "producer_epoch": producer.epoch,
                "last_sequence": producer.last_sequence,
                "last_timestamp": producer.last_timestamp,
                "coordinator_epoch": producer.coordinator_epoch,
                "current_txn_start_offset": producer.transaction_start,
            }
            for producer in log.producers.producers.values()
        ],
    }
