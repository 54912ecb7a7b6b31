"""Produce: batches into logs, and an answer when they are as safe as the client asked for.

`acks=0` is never answered; a failure closes the connection, which is how such a client learns of it. `acks=1` and `acks=-1`
mean the same on one node: answered when the batch is committed, which under group commit is when the disk has it.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from broker.coordinators.transaction import ProducerEpoch, TopicPartition
from broker.errors import BrokerError, ErrorCode, MalformedRequest
from broker.log.partition_log import AppendResult, PartitionLog
from broker.metadata import INTERNAL_TOPICS
from broker.protocol.hot import ProducedPartition, produce_response
from broker.protocol.record_batch import HEADER_BYTES, TRANSACTIONAL_BIT, check_shape, is_torn, parse_header
from broker.server.broker import Broker, now_ms
from broker.server.exchange import Exchange, topic_part
from broker.server.handlers.transactions import fenced

BY_ID = 13
ADDS_PARTITIONS_FROM = 12
KNOWS_ABORTABLE_FROM = 11
ZSTD_FROM = 7
ZSTD = 4
ATTRIBUTES_BYTE = 22
CODEC_MASK = 7

WITHOUT_START = frozenset(
    {
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.INVALID_REQUIRED_ACKS,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.RECORD_LIST_TOO_LARGE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
)
"""Errors beside which Kafka does not say where a log begins."""
EXPLAINED = frozenset({ErrorCode.INVALID_TXN_STATE, ErrorCode.NOT_ENOUGH_REPLICAS})
"""Errors that Kafka puts into words though they are not about single records."""


class _Refused(NamedTuple):
    """A batch that was not stored, and where its log begins if the client is to hear of it."""

    error: BrokerError
    log_start_offset: int
    explained: bool = False


Partition = tuple[int, AppendResult | _Refused]
Batches = dict[Any, dict[int, Any]]
"""Records by topic, named or by its id, and partition."""


def produce(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Append every batch, then answer once all of them are committed."""
    pending = _Pending(broker, exchange)
    batches = _batches(request, by_id=exchange.version >= BY_ID)
    joining = None
    if exchange.version >= ADDS_PARTITIONS_FROM:
        joining = _Joining(broker, exchange.version, request.transactional_id, batches, pending)
    refusal = _refusal(request)
    reached: PartitionLog | None
    for where, partitions in batches.items():
        results: list[Partition] = []
        for index, records in partitions.items():
            reached = None
            try:
                if refusal is not None and refusal.code is not ErrorCode.INVALID_REQUIRED_ACKS:
                    raise refusal
                log = _log(broker, exchange.version, where, index)
                check_shape(records)
                _check_codec(exchange.version, records)  # before the attempt is noted, as in Kafka
                _attempt(log, records, joins=joining is not None)
                _check(broker, exchange.version, request, log, records)
                if joining is not None:
                    joining.join(records)
                if refusal is not None:
                    raise refusal
                if log.topic in INTERNAL_TOPICS:
                    raise BrokerError(ErrorCode.INVALID_TOPIC, f"{log.topic} is the broker's own")
                reached = log
                result = log.append(records, now_ms=pending.now_ms)
                pending.wait_for(log, result.last_offset + 1)
                results.append((index, result))
            except BrokerError as error:
                start = -1 if reached is None or error.code in WITHOUT_START else reached.log_start_offset
                explained = error is refusal or error.code in EXPLAINED
                results.append((index, _Refused(error, start, explained=explained)))
            except OSError as error:
                refused = BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, f"the disk refused: {error.strerror}")
                results.append((index, _Refused(refused, -1)))
        pending.results.append((where, results))
    if request.acks == 0:
        _finish_silently(exchange, pending)
    else:
        pending.begin()


def _batches(request: Any, *, by_id: bool) -> Batches:
    """What goes where; of a partition that is named twice the last counts, as in Kafka."""
    batches: Batches = {}
    for topic in request.topic_data:
        if topic.partition_data:  # a topic without any is not answered
            partitions = batches.setdefault(topic.topic_id if by_id else topic.name, {})
            partitions.update((partition.index, partition.records) for partition in topic.partition_data)
    return batches


def _refusal(request: Any) -> BrokerError | None:
    """What keeps a whole request out; one torn batch is enough, as Kafka looks for a transaction's before all else."""
    for topic in request.topic_data:
        for partition in topic.partition_data:
            records = partition.records or b""
            if is_torn(records):
                return BrokerError(ErrorCode.CORRUPT_MESSAGE, f"partition {partition.index} came with a torn batch")
            if len(records) > ATTRIBUTES_BYTE and records[ATTRIBUTES_BYTE] & TRANSACTIONAL_BIT:
                if request.transactional_id is None:
                    return BrokerError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
                break
    return None if request.acks in {-1, 0, 1} else BrokerError(ErrorCode.INVALID_REQUIRED_ACKS)


def _log(broker: Broker, version: int, where: Any, partition: int) -> PartitionLog:
    if version >= BY_ID:
        return broker.catalog.log_by_id(where, partition)
    return broker.catalog.log(where, partition)


def _check_codec(version: int, records: bytes) -> None:
    if records[ATTRIBUTES_BYTE] & CODEC_MASK == ZSTD and version < ZSTD_FROM:
        raise BrokerError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Produce version 7 or later")


def _check(broker: Broker, version: int, request: Any, log: PartitionLog, records: bytes) -> None:
    """What depends on the request rather than on the batch. Raises: BrokerError."""
    if records[ATTRIBUTES_BYTE] & TRANSACTIONAL_BIT and version < ADDS_PARTITIONS_FROM:
        _check_transaction(broker, version, request.transactional_id, log, records)


def _attempt(log: PartitionLog, records: bytes, *, joins: bool) -> None:
    if records[ATTRIBUTES_BYTE] & TRANSACTIONAL_BIT and len(records) >= HEADER_BYTES:
        log.producers.attempt(parse_header(records), joins=joins)


def _producer(records: bytes) -> ProducerEpoch:
    if len(records) < HEADER_BYTES:
        raise BrokerError(ErrorCode.CORRUPT_MESSAGE, "a batch is shorter than its header")
    header = parse_header(records)
    return ProducerEpoch(header.producer_id, header.producer_epoch)


def _check_transaction(
    broker: Broker, version: int, transactional_id: str | None, log: PartitionLog, records: bytes
) -> None:
    """A batch of a transaction goes to a partition that was added to it, by the producer it belongs to."""
    knows = version >= KNOWS_ABORTABLE_FROM
    absent = ErrorCode.TRANSACTION_ABORTABLE if knows else ErrorCode.INVALID_TXN_STATE
    try:
        broker.transactions.verify(transactional_id or "", _producer(records), (log.topic, log.partition), absent)
    except BrokerError as error:
        if error.code is not ErrorCode.CONCURRENT_TRANSACTIONS:
            raise
        raise BrokerError(
            ErrorCode.NOT_ENOUGH_REPLICAS, "the transaction before is still ending: send the batch again"
        ) from error


class _Joining:
    """Partitions that come to a transaction by being written to (Produce 12): added once per request, on the first batch.

    A transaction's record is appended before its data. Both are on their way to the disk when the answer waits for both;
    what a power failure keeps of the data alone is aborted at the next start.
    """

    __slots__ = ("_batches", "_broker", "_outcome", "_pending", "_transactional_id", "_version")

    def __init__(
        self, broker: Broker, version: int, transactional_id: str | None, batches: Batches, pending: "_Pending"
    ) -> None:
        self._broker = broker
        self._version = version
        self._transactional_id = transactional_id or ""
        self._batches = batches
        self._pending = pending
        self._outcome: BrokerError | bool | None = False

    def join(self, records: bytes) -> None:
        """Let all partitions of the request take part, if this batch is part of a transaction. Raises: BrokerError."""
        if not records[ATTRIBUTES_BYTE] & TRANSACTIONAL_BIT:
            return
        if self._outcome is False:
            self._outcome = self._include(_producer(records))
        if isinstance(self._outcome, BrokerError):
            raise self._outcome

    def _include(self, producer: ProducerEpoch) -> BrokerError | None:
        transactions = self._broker.transactions
        try:
            log = transactions.include(self._transactional_id, producer, list(self._partitions()))
        except BrokerError as error:
            return BrokerError(fenced(error.code, knows_fenced=False), error.message)
        if log is not None:
            self._pending.wait_for(log, log.log_end_offset)
        return None

    def _partitions(self) -> Iterator[TopicPartition]:
        """Those of the request's partitions that exist and get a batch of a transaction."""
        for where, partitions in self._batches.items():
            for index, records in partitions.items():
                if records is None or len(records) < HEADER_BYTES or not records[ATTRIBUTES_BYTE] & TRANSACTIONAL_BIT:
                    continue
                with suppress(BrokerError):
                    log = _log(self._broker, self._version, where, index)
                    yield log.topic, log.partition


def _finish_silently(exchange: Exchange, pending: "_Pending") -> None:
    failed = [error for _, results in pending.results for _, error in results if isinstance(error, _Refused)]
    if failed:
        raise MalformedRequest(f"a produce request that wants no answer failed: {failed[0].error}")
    exchange.answer_frame(())


class _Pending:
    """A produce request between its appends and its answer."""

    __slots__ = ("_broker", "_exchange", "_failure", "_logs", "_outstanding", "now_ms", "results")

    def __init__(self, broker: Broker, exchange: Exchange) -> None:
        self._broker = broker
        self._exchange = exchange
        self._logs: list[tuple[PartitionLog, int]] = []
        self._outstanding = 0
        self._failure = ErrorCode.NONE
        self.now_ms = now_ms()
        self.results: list[tuple[Any, list[Partition]]] = []

    def wait_for(self, log: PartitionLog, offset: int) -> None:
        """The answer must not leave before the log is committed up to `offset`."""
        if log.high_watermark < offset:
            self._logs.append((log, offset))

    def begin(self) -> None:
        """All appends are made: wait, or answer at once."""
        self._outstanding = len(self._logs)
        if not self._outstanding:
            self._answer()
        for log, offset in self._logs:
            self._broker.delayed.when_committed(log, offset, self._one_committed)

    def _one_committed(self, error: ErrorCode) -> None:
        self._outstanding -= 1
        self._failure = self._failure or error
        if not self._outstanding:
            self._answer()

    def _answer(self) -> None:
        if self._failure:
            self._fail_appended(BrokerError(self._failure, "the log could not be committed"))
        exchange = self._exchange
        topics = [
            topic_part(where, [_written(index, result) for index, result in results], by_id=exchange.version >= BY_ID)
            for where, results in self.results
        ]
        exchange.answer_frame((produce_response(exchange.version, exchange.correlation_id, topics),))

    def _fail_appended(self, error: BrokerError) -> None:
        """A log was not committed: no batch of this request counts as stored, and the client tries all again."""
        for _, results in self.results:
            results[:] = [
                (index, result if isinstance(result, _Refused) else _Refused(error, -1)) for index, result in results
            ]


def _written(index: int, result: AppendResult | _Refused) -> ProducedPartition:
    if isinstance(result, _Refused):
        error = result.error
        return ProducedPartition(
            index,
            error.code,
            log_start_offset=result.log_start_offset,
            record_errors=error.record_errors,
            error_message=(error.message or None) if error.record_errors or result.explained else None,
        )
    return ProducedPartition(
        index, ErrorCode.NONE, result.base_offset, result.log_append_time_ms, result.log_start_offset
    )
