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
                await asyncio.to_thread(self._write, [outgoing for outgoing, _ in now])
            except BaseException as error:
                for _, sent in now:
                    if not sent.done():
                        sent.set_exception(error if isinstance(error, Exception) else RuntimeError("stopped"))
                if not isinstance(error, Exception):
                    raise
                continue
            for outgoing, sent in now:
                if not sent.done():
                    sent.set_result(RecordMetadata(outgoing.topic))

    def _write(self, records: list[Outgoing]) -> None:
        if self._collector is None:
            connection = self._release.enter_context(connected(self._app.config))
            producer = connection.clients.producer()
            self._release.callback(producer.close)
            self._collector = Collector(producer)
        for each in records:
            headers = [each.headers] if each.headers else None
            placed = None if each.partition is None else [each.partition]
            self._collector.send(each.topic, [each.key], [each.value], [each.timestamp], headers, placed)
        self._collector.producer.flush()  # type: ignore[attr-defined]  # it is a Producer, of which tasks need less
