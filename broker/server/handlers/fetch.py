"""Fetch: whole batches from the offsets asked for, now or when there is enough.

A fetch that finds less than `min_bytes` waits, woken whenever one of its logs moves, at most `max_wait`. Within a session
(`fetch_sessions`) a request names only what changed, and the answer what is news.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from broker.errors import BrokerError, ErrorCode
from broker.log.partition_log import PartitionLog
from broker.protocol.apis import ApiKey, flexible
from broker.protocol.hot import FetchedPartition, fetch_response, total_size
from broker.server.broker import Broker
from broker.server.exchange import Exchange, topic_part
from broker.server.fetch_sessions import FIRST, LAST, NO_SESSION, Session, Wanted
from broker.server.handlers.log_offsets import READ_COMMITTED, check_leader_epoch

logger = logging.getLogger(__name__)

BY_ID = 13
SENT_FROM_FILES = 128 << 10
"""Bytes of a partition from which on the system sends them from the file; below, a copy costs less than the call."""
SESSIONS_FROM = 7
CORRELATION_ID_BYTES = 4
UNKNOWN = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.INCONSISTENT_TOPIC_ID})
"""Errors beside which the list of aborted transactions is empty, not null."""

Answers = list[tuple[Any, list[FetchedPartition]]]
"""Partitions by topic, each topic by its name or id."""


def fetch(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer at once if there is enough, an error, or no time to wait."""
    by_id = exchange.version >= BY_ID
    wanted = list({(item.where, item.partition): item for item in _named(broker, request, by_id=by_id)}.values())
    if exchange.version < SESSIONS_FROM:
        Fetch(broker, exchange, request, wanted).begin()
        return
    try:
        session, is_new = _session(broker, request, wanted, by_id=by_id)
    except BrokerError as error:
        exchange.answer_frame(fetch_response(exchange.version, exchange.correlation_id, (), error=error.code))
        return
    if session is not None and not is_new:
        wanted = [_renewed(broker, item, by_id=by_id) for item in session.wanted.values()]
    Fetch(broker, exchange, request, wanted, session, in_full=is_new).begin()


def _session(broker: Broker, request: Any, wanted: Sequence[Wanted], *, by_id: bool) -> tuple[Session | None, bool]:
    """The session of a request, if it has one, and whether the client is to hear of every partition.

    Raises: BrokerError.
    """
    sessions = broker.fetch_sessions
    if request.session_epoch == LAST:
        sessions.end(request.session_id)
        return None, True
    if request.session_epoch == FIRST:
        sessions.end(request.session_id)
        return sessions.begin(wanted, by_id=by_id), True
    session = sessions.resume(request.session_id, request.session_epoch, by_id=by_id)
    session.update(wanted, _forgotten(request, by_id=by_id))
    if not session.wanted:
        sessions.end(session.session_id)
        return None, True
    return session, False


def _forgotten(request: Any, *, by_id: bool) -> Iterator[tuple[Any, int]]:
    for topic in request.forgotten_topics_data:
        where = topic.topic_id if by_id else topic.topic
        yield from ((where, partition) for partition in topic.partitions)


def _named(broker: Broker, request: Any, *, by_id: bool) -> Iterator[Wanted]:
    """The partitions a request names."""
    for topic in request.topics:
        where = topic.topic_id if by_id else topic.topic
        for item in topic.partitions:
            log, error = _find(broker, where, item.partition, by_id=by_id)
            epoch = getattr(item, "current_leader_epoch", -1)
            last_epoch = getattr(item, "last_fetched_epoch", -1)
            yield Wanted(
                where, item.partition, log, error, item.fetch_offset, item.partition_max_bytes, epoch, last_epoch
            )


def _find(broker: Broker, where: Any, partition: int, *, by_id: bool) -> tuple[PartitionLog | None, BrokerError | None]:
    try:
        catalog = broker.catalog
        return (catalog.log_by_id(where, partition) if by_id else catalog.log(where, partition)), None
    except BrokerError as unknown:
        return None, unknown


def _renewed(broker: Broker, wanted: Wanted, *, by_id: bool) -> Wanted:
    """A session's partition, looked up again if it was not there or is gone."""
    if wanted.log is not None and not wanted.log.deleted:
        return wanted
    log, error = _find(broker, wanted.where, wanted.partition, by_id=by_id)
    return wanted._replace(log=log, error=error)


def _is_missing(wanted: Wanted) -> bool:
    """Partitions that are not there are answered behind the others, as by Kafka."""
    return wanted.log is None


def _diverging(log: PartitionLog, wanted: Wanted) -> tuple[int, int] | None:
    """(epoch, end offset) up to which a client's log follows ours, if it has gone elsewhere since.

    Raises: BrokerError(OFFSET_OUT_OF_RANGE), if its last epoch is not known. Source: Kafka's Partition.readRecords.
    """
    epoch, end_offset = log.end_offset_for_epoch(wanted.last_epoch)
    if epoch < 0 or wanted.offset < log.log_start_offset:
        raise BrokerError(ErrorCode.OFFSET_OUT_OF_RANGE)
    return (epoch, end_offset) if epoch < wanted.last_epoch or end_offset < wanted.offset else None


class Fetch:
    """A fetch between its request and its answer."""

    _timer: asyncio.TimerHandle | None

    def __init__(
        self,
        broker: Broker,
        exchange: Exchange,
        request: Any,
        wanted: Sequence[Wanted],
        session: Session | None = None,
        *,
        in_full: bool = True,
    ) -> None:
        self._broker = broker
        self._exchange = exchange
        self._wanted = sorted(wanted, key=_is_missing)
        self._session = session
        self._in_full = in_full
        self._committed = request.isolation_level == READ_COMMITTED
        self._max_wait_ms = request.max_wait
        self._max_bytes = min(request.max_bytes, broker.config.fetch_max_bytes)
        if exchange.usage is not None:  # more than that would be over the quota every time
            self._max_bytes = int(min(self._max_bytes, exchange.usage.most_fetched))
        self._min_bytes = min(request.min_bytes, self._max_bytes)
        self._timer = None

    def begin(self) -> None:
        """Answer or wait."""
        size, failed, answers = self._read()
        if size >= self._min_bytes or failed or self._max_wait_ms <= 0 or not answers:
            self._answer(answers)
            return
        self._broker.delayed.wait(self, self._logs())
        self._timer = self._broker.loop.call_later(self._max_wait_ms / 1000, self._timed_out)

    def woken(self) -> None:
        """There may be enough now."""
        size, failed, answers = self._read()
        if size >= self._min_bytes or failed:
            self._finish(answers)

    def _timed_out(self) -> None:
        self._finish(self._read()[2])

    def _finish(self, answers: Answers) -> None:
        assert self._timer is not None
        self._timer.cancel()
        self._broker.delayed.stop(self, self._logs())
        self._answer(answers)

    def _logs(self) -> list[PartitionLog]:
        return [wanted.log for wanted in self._wanted if wanted.log is not None]

    def _answer(self, answers: Answers) -> None:
        exchange, session = self._exchange, self._session
        if exchange.usage is not None and not exchange.usage.fetched(self._size(answers)):
            self._answer_nothing()
            return
        if session is not None:
            in_full = self._in_full
            news = [
                (where, [item for item in found if session.is_news(where, item, in_full=in_full)])
                for where, found in answers
            ]
            if not in_full:
                answers = [(where, found) for where, found in news if found]
        by_id = exchange.version >= BY_ID
        topics = [topic_part(where, found, by_id=by_id) for where, found in answers]
        session_id = NO_SESSION if session is None else session.session_id
        exchange.answer_frame(fetch_response(exchange.version, exchange.correlation_id, topics, session_id=session_id))

    def _size(self, answers: Answers) -> int:
        """Bytes that an answer would take, as Kafka counts them: without the header, but with the length before it."""
        exchange, session = self._exchange, self._session
        if session is not None and not self._in_full:
            news = [(where, [item for item in found if session.would_be_news(where, item)]) for where, found in answers]
            answers = [(where, found) for where, found in news if found]
        topics = [topic_part(where, found, by_id=exchange.version >= BY_ID) for where, found in answers]
        size = total_size(fetch_response(exchange.version, exchange.correlation_id, topics))
        return size - CORRELATION_ID_BYTES - flexible(ApiKey.FETCH, exchange.version)

    def _answer_nothing(self) -> None:
        """The client is over a quota: it asks again later, in the session it has; one that was to begin now does not."""
        exchange, session_id = self._exchange, NO_SESSION
        if self._session is not None:
            if self._in_full:
                self._broker.fetch_sessions.end(self._session.session_id)
            else:
                session_id = self._session.session_id
        exchange.answer_frame(fetch_response(exchange.version, exchange.correlation_id, (), session_id=session_id))

    def _read(self) -> tuple[int, bool, Answers]:
        """(bytes there are, whether any partition has an error or was cut, answers); the first batch may exceed every limit.

        What does not fit into the answer is there as well, up to the limits: who wants so many bytes need not wait for more.
        """
        there, size, failed = 0, 0, False
        answers: Answers = []
        for wanted in self._wanted:
            try:
                answer, found, available = self._read_one(wanted, self._max_bytes - size, minimum_one=size == 0)
                size += found
                there += available
                failed = failed or answer.diverging is not None
            except BrokerError as error:
                aborted = () if error.code in UNKNOWN else None
                answer, failed = FetchedPartition(wanted.partition, error.code, aborted=aborted), True
            except OSError:
                logger.exception("partition %d of %s could not be read", wanted.partition, wanted.where)
                answer, failed = FetchedPartition(wanted.partition, ErrorCode.KAFKA_STORAGE_ERROR), True
            if not answers or answers[-1][0] != wanted.where:
                answers.append((wanted.where, []))
            answers[-1][1].append(answer)
        return there, failed, answers

    def _read_one(self, wanted: Wanted, left: int, *, minimum_one: bool) -> tuple[FetchedPartition, int, int]:
        """The answer, its bytes, and the bytes there are within the limits."""
        log = wanted.log
        if log is None:
            raise wanted.error or BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if log.deleted:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        check_leader_epoch(log, max(wanted.leader_epoch, -1))  # any below zero is no idea, here alone
        if wanted.last_epoch >= 0 and (diverging := _diverging(log, wanted)) is not None:
            bounds = log.high_watermark, log.last_stable_offset, log.log_start_offset
            return FetchedPartition(wanted.partition, ErrorCode.NONE, *bounds, diverging=diverging), 0, 0
        max_bytes = max(min(wanted.max_bytes, left), 0)
        read = log.read(
            wanted.offset, max_bytes, committed=self._committed, minimum_one=minimum_one, in_files_from=SENT_FROM_FILES
        )
        too_large = not read.size and max_bytes > 0 and wanted.offset < log.last_stable_offset
        answer = FetchedPartition(
            wanted.partition,
            ErrorCode.NONE,
            log.high_watermark,
            log.last_stable_offset,
            log.log_start_offset,
            read.aborted if self._committed and not too_large else None,  # null beside a batch held back, as Kafka's
            read.records,
        )
        return answer, read.size, read.size if read.is_all else max(read.size, max_bytes)
