"""Records sent from outside of agents: timers, tasks, commands. They go out at once, as they gather.

Rules: one producer per process, made when the first record comes, in a thread that may block; whoever sends waits until
the broker has what it sent, together with all that was sent meanwhile. A record that cannot be sent is the error of its
sender alone. A producer that failed is of no more use (streams.clients.kafka.producer): the next records get a new one.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from typing import Any

from streams.compat.faust.topics import Outgoing, RecordMetadata
from streams.connection import connected
from streams.errors import BrokerUnreachable, ProductionError, StreamsError
from streams.runtime.collector import Collector

log = logging.getLogger(__name__)


class Sender:
    """See the module; one per application."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._release = ExitStack()
        self._collector: Collector | None = None
        self._waiting: list[tuple[Outgoing, asyncio.Future[RecordMetadata]]] = []
        self._at_work: asyncio.Task[None] | None = None

    async def send(self, outgoing: Outgoing) -> RecordMetadata:
        """Send, and wait until it is safe. Raises: StreamsError."""
        sent: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self._waiting.append((outgoing, sent))
        if self._at_work is None or self._at_work.done():
            self._at_work = asyncio.create_task(self._work())
        return await sent

    def close(self) -> None:
        """Let the producer go."""
        release, self._release, self._collector = self._release, ExitStack(), None
        release.close()

    async def _work(self) -> None:
        while self._waiting:
            now, self._waiting = self._waiting, []
            try:
                problems = await asyncio.to_thread(self._write, [outgoing for outgoing, _ in now])
            except BaseException as error:
                for _, sent in now:
                    if not sent.done():
                        sent.set_exception(error if isinstance(error, Exception) else RuntimeError("stopped"))
                if not isinstance(error, Exception):
                    raise
                continue
            for at, (outgoing, sent) in enumerate(now):
                if sent.done():
                    continue
                if at in problems:
                    sent.set_exception(problems[at])
                else:
                    sent.set_result(RecordMetadata(outgoing.topic))

    def _write(self, records: list[Outgoing]) -> dict[int, Exception]:
        """Write what can be written. Shape: by index, what is wrong with the others. Raises: what no record is to blame for."""
        try:
            collector = self._connected()
            problems = self._handed_over(collector, records)
            collector.producer.flush()  # type: ignore[attr-defined]  # it is a Producer, of which tasks need less
        except BaseException:
            self._give_up()
            raise
        return problems

    def _connected(self) -> Collector:
        if self._collector is None:
            connection = self._release.enter_context(connected(self._app.config))
            producer = connection.clients.producer()
            self._release.callback(producer.close)
            self._collector = Collector(producer)
        return self._collector

    def _handed_over(self, collector: Collector, records: list[Outgoing]) -> dict[int, Exception]:
        """Hand records to the producer. A topic that is unknown is waited for once, not for each of its records."""
        problems: dict[int, Exception] = {}
        counts: dict[str, int | StreamsError] = {}
        for at, each in enumerate(records):
            if each.topic not in counts:
                counts[each.topic] = _partition_count(collector, each.topic)
            problem = _handed(collector, each, counts[each.topic])
            if problem is not None:
                problems[at] = problem
        return problems

    def _give_up(self) -> None:
        """Close a producer that failed; that it cannot be closed in order changes nothing."""
        try:
            self.close()
        except Exception:
            log.exception("the producer that failed could not be closed in order")


def _partition_count(collector: Collector, topic: str) -> int | StreamsError:
    """How many partitions a topic has, or why it cannot be written to. Raises: BrokerUnreachable, as for all topics."""
    try:
        return collector.producer.partition_count(topic)
    except BrokerUnreachable:
        raise
    except StreamsError as error:
        return error


def _handed(collector: Collector, outgoing: Outgoing, count: int | StreamsError) -> Exception | None:
    """Hand one record over. Shape: what is wrong with it. Raises: what went wrong with the producer."""
    if isinstance(count, StreamsError):
        return count
    if outgoing.partition is not None and not 0 <= outgoing.partition < count:
        return _no_partition(outgoing, count)
    headers = [outgoing.headers] if outgoing.headers else None
    placed = None if outgoing.partition is None else [outgoing.partition]
    columns = [outgoing.key], [outgoing.value], [outgoing.timestamp]
    try:
        return _too_large(outgoing) if collector.send(outgoing.topic, *columns, headers, placed) else None
    except StreamsError:
        raise
    except Exception as error:  # what cannot be written: a header that is not bytes
        return error


def _no_partition(outgoing: Outgoing, count: int) -> ProductionError:
    return ProductionError(
        f"expected a partition from 0 to {count - 1} of {outgoing.topic}, got {outgoing.partition}",
        node="send",
        value=outgoing.value,
    )


def _too_large(outgoing: Outgoing) -> ProductionError:
    return ProductionError(
        f"a record for {outgoing.topic} is too large: raise max_request_size, and the topic's max.message.bytes",
        node="send",
        value=outgoing.value,
    )
