"""Records sent from outside of agents: timers, tasks, commands. They go out at once, as they gather.

Rules: one producer per process, made when the first record comes, in a thread that may block; whoever sends waits until
the broker has what it sent, together with all that was sent meanwhile.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

from streams.compat.faust.topics import Outgoing, RecordMetadata
from streams.connection import connected
from streams.errors import ProductionError
from streams.runtime.collector import Collector


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
        self._collector = None
        self._release.close()

    async def _work(self) -> None:
        while self._waiting:
            now, self._waiting = self._waiting, []
            try:
                left_out = await asyncio.to_thread(self._write, [outgoing for outgoing, _ in now])
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
                if at in left_out:
                    sent.set_exception(_too_large(outgoing))
                else:
                    sent.set_result(RecordMetadata(outgoing.topic))

    def _write(self, records: list[Outgoing]) -> set[int]:
        """Write all but those that are too large, whose indices are the answer."""
        if self._collector is None:
            connection = self._release.enter_context(connected(self._app.config))
            producer = connection.clients.producer()
            self._release.callback(producer.close)
            self._collector = Collector(producer)
        left_out: set[int] = set()
        for at, each in enumerate(records):
            headers = [each.headers] if each.headers else None
            placed = None if each.partition is None else [each.partition]
            if self._collector.send(each.topic, [each.key], [each.value], [each.timestamp], headers, placed):
                left_out.add(at)
        self._collector.producer.flush()  # type: ignore[attr-defined]  # it is a Producer, of which tasks need less
        return left_out


def _too_large(outgoing: Outgoing) -> ProductionError:
    return ProductionError(
        f"a record for {outgoing.topic} is too large: raise max_request_size, and the topic's max.message.bytes",
        node="send",
        value=outgoing.value,
    )
