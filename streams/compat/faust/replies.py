"""Requests that wait for a reply: who asked what, and the topic that the answers come to.

Rules: the form on the wire is Faust's (two headers with the question, a `@ReqRepResponse` as JSON with the answer), so
an agent here answers who asks from Faust, and the other way round. Each process has a reply topic of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from contextlib import ExitStack
from functools import cached_property
from typing import Any
from uuid import uuid4

from streams.clients.base import NewTopic
from streams.compat.faust.models import BLESSED, reconstructed
from streams.compat.faust.topics import wire_headers
from streams.connection import connected
from streams.dsl.options import Topic
from streams.record import Headers
from streams.serdes.primitives import BYTES

log = logging.getLogger(__name__)

REPLY_TO = "Faust-Ag-ReplyTo"
CORRELATION_ID = "Faust-Ag-CorrelationId"
_EXPIRES_MS = 24 * 3_600_000
_POLL_S = 0.2


def reply_of(headers: Headers, key: Any, value: Any) -> tuple[str, dict[str, Any]] | None:
    """The topic and the answer to a record that asks for one."""
    named = dict(headers)
    topic = named.get(REPLY_TO)
    if not topic:
        return None
    correlation = (named.get(CORRELATION_ID) or b"").decode()
    plain_key = key.decode(errors="replace") if isinstance(key, bytes) else key
    answer = {"key": plain_key, "value": value, "correlation_id": correlation, BLESSED: {"ns": "@ReqRepResponse"}}
    return topic.decode(), answer


class Replies:
    """The questions of this process that wait for an answer."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._ending = threading.Event()
        self._reader: threading.Thread | None = None
        self._reading: asyncio.Future[None] | None = None

    @cached_property
    def topic(self) -> str:
        """Where answers go."""
        return self._app.conf.reply_to or f"f-reply-{uuid4()}"

    async def ask(self, channel: Any, key: Any, value: Any, options: dict[str, Any]) -> asyncio.Future[Any]:
        """Send a question. Shape: what will be the answer."""
        await self._read()
        correlation = str(uuid4())
        answer = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = answer
        asked = ((REPLY_TO, self.topic.encode()), (CORRELATION_ID, correlation.encode()))
        headers = (*wire_headers(options.pop("headers", None)), *asked)
        await channel.send(key=key, value=value, headers=headers, **options)
        return answer

    def close(self) -> None:
        """Stop reading."""
        self._ending.set()
        if self._reader is not None:
            self._reader.join()

    async def _read(self) -> None:
        """Have the reply topic read, from now on."""
        if self._reading is None:
            loop = asyncio.get_running_loop()
            self._reading = loop.create_future()
            self._reader = threading.Thread(target=self._run, args=(loop, self._reading), name="replies", daemon=True)
            self._reader.start()
        await asyncio.shield(self._reading)

    def _run(self, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[None]) -> None:
        try:
            with ExitStack() as stack:
                connection = stack.enter_context(connected(self._app.config))
                connection.create([NewTopic(self.topic, 1, -1, {"retention.ms": str(_EXPIRES_MS)})])
                topic = Topic(self.topic, BYTES, BYTES)
                records = stack.enter_context(connection.read(topic, start="latest", follow=True))
                loop.call_soon_threadsafe(ready.set_result, None)
                while not self._ending.is_set():
                    for record in records.poll(_POLL_S):
                        loop.call_soon_threadsafe(self._answer, record.value)
        except Exception as error:
            log.exception("replies cannot be read")
            if not loop.is_closed():
                loop.call_soon_threadsafe(_fail, ready, error)

    def _answer(self, data: bytes) -> None:
        answer = json.loads(data)
        waiting = self._waiting.pop(answer.get("correlation_id", ""), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(reconstructed(answer["value"]))


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
