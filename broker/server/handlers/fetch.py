"""Fetch: whole batches from the offsets asked for, now or when there is enough.

A fetch that finds less than `min_bytes` waits, woken whenever one of its logs moves, at most `max_wait`. Sessions are
declined (id 0), so every request names all its partitions; clients fall back to that by themselves.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from broker.errors import BrokerError, ErrorCode
from broker.log.partition_log import PartitionLog
from broker.protocol.bodies import Body
from broker.protocol.hot import FetchedPartition, TopicPart, fetch_response
from broker.server.broker import Broker
from broker.server.exchange import Exchange, topic_part
from broker.server.handlers.log_offsets import READ_COMMITTED, check_leader_epoch

BY_ID = 13
NO_SESSION = 0


class Wanted(NamedTuple):
    """One partition of the request; the log, or why there is none."""

    partition: int
    log: PartitionLog | None
    error: BrokerError | None
    offset: int
    max_bytes: int
    leader_epoch: int


def fetch(broker: Broker, exchange: Exchange, request: Any) -> Body | None:
    """Answer at once if there is enough, an error, or no time to wait."""
    if request.session_id != NO_SESSION if exchange.version >= 7 else False:
        return {"error_code": ErrorCode.FETCH_SESSION_ID_NOT_FOUND}
    by_id = exchange.version >= BY_ID
    topics = [
        (
            topic.topic_id if by_id else topic.topic,
            [_wanted(broker, topic, item, by_id=by_id) for item in topic.partitions],
        )
        for topic in request.topics
    ]
    Fetch(broker, exchange, request, topics).begin()
    return None


def _wanted(broker: Broker, topic: Any, item: Any, *, by_id: bool) -> Wanted:
    log, error = None, None
    try:
        catalog = broker.catalog
        log = catalog.log_by_id(topic.topic_id, item.partition) if by_id else catalog.log(topic.topic, item.partition)
    except BrokerError as unknown:
        error = unknown
    epoch = getattr(item, "current_leader_epoch", -1)
    return Wanted(item.partition, log, error, item.fetch_offset, item.partition_max_bytes, epoch)


class Fetch:
    """A fetch between its request and its answer."""

    _timer: asyncio.TimerHandle | None

    def __init__(
        self, broker: Broker, exchange: Exchange, request: Any, topics: Sequence[tuple[Any, Sequence[Wanted]]]
    ) -> None:
        self._broker = broker
        self._exchange = exchange
        self._topics = topics
        self._committed = request.isolation_level == READ_COMMITTED
        self._max_wait_ms = request.max_wait
        self._min_bytes = request.min_bytes
        self._max_bytes = min(request.max_bytes, broker.config.fetch_max_bytes)
        self._timer = None

    def begin(self) -> None:
        """Answer or wait."""
        size, failed, responses = self._read()
        if size >= self._min_bytes or failed or self._max_wait_ms <= 0 or not responses:
            self._answer(responses)
            return
        self._broker.delayed.wait(self, self._logs())
        self._timer = self._broker.loop.call_later(self._max_wait_ms / 1000, self._timed_out)

    def woken(self) -> None:
        """There may be enough now."""
        size, failed, responses = self._read()
        if size >= self._min_bytes or failed:
            self._finish(responses)

    def _timed_out(self) -> None:
        self._finish(self._read()[2])

    def _finish(self, responses: list[TopicPart]) -> None:
        assert self._timer is not None
        self._timer.cancel()
        self._broker.delayed.stop(self, self._logs())
        self._answer(responses)

    def _logs(self) -> list[PartitionLog]:
        return [wanted.log for _, partitions in self._topics for wanted in partitions if wanted.log is not None]

    def _answer(self, responses: list[TopicPart]) -> None:
        exchange = self._exchange
        exchange.answer_frame(fetch_response(exchange.version, exchange.correlation_id, responses))

    def _read(self) -> tuple[int, bool, list[TopicPart]]:
        """(bytes found, whether any partition has an error, answers); the first batch may exceed every limit."""
        size, failed = 0, False
        by_id = self._exchange.version >= BY_ID
        responses: list[TopicPart] = []
        for where, partitions in self._topics:
            answers = []
            for wanted in partitions:
                try:
                    answer, found = self._read_one(wanted, self._max_bytes - size, minimum_one=size == 0)
                    size += found
                except BrokerError as error:
                    answer, failed = FetchedPartition(wanted.partition, error.code), True
                answers.append(answer)
            responses.append(topic_part(where, answers, by_id=by_id))
        return size, failed, responses

    def _read_one(self, wanted: Wanted, left: int, *, minimum_one: bool) -> tuple[FetchedPartition, int]:
        log = wanted.log
        if log is None:
            raise wanted.error or BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if log.deleted:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        check_leader_epoch(log, wanted.leader_epoch)
        max_bytes = max(min(wanted.max_bytes, left), 0)
        read = log.read(wanted.offset, max_bytes, committed=self._committed, minimum_one=minimum_one)
        answer = FetchedPartition(
            wanted.partition,
            ErrorCode.NONE,
            log.high_watermark,
            log.last_stable_offset,
            log.log_start_offset,
            read.aborted if self._committed else None,
            read.records,
        )
        return answer, read.size
