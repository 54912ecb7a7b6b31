"""How requests are sent and answers read: into memory that stays, and copied out of it once, whole.

aiokafka reads through asyncio's StreamReader, which gathers an answer piece by piece in a buffer that grows and is copied
as it grows, and has the socket pause every 128 KB: for the megabytes of a fetch half of what the network thread does.
Here the kernel writes them where they stay until they are complete. Rules: a connection is taken over when aiokafka has
made it, versions and authentication included, and nothing is under way; aiokafka's own protocol object goes on to do what
has nothing to do with reading. How a connection ends is as before: all that wait for an answer are told.

A request of aiokafka's passes four coroutines and sets a timer of its own. Here it is a future: answers come in the order
of requests, so one timer per connection watches over the oldest.

Where a login lasts for a time, a request that comes near its end is held back, with all behind it, until the connection has
logged in again: answers to those before it come first, and the order of requests stays.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import Any, NamedTuple
from weakref import ref

from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError

from streams.clients.kafka.hot import Written

FIRST_BYTES = 64 * 1024
KEPT_BYTES = 16 * 1024**2
"""Memory for longer answers is given back when one has been read."""
_SIZE = 4


class _Sent(NamedTuple):
    """A request that is to be answered by a time of the loop's clock, and when it was sent."""

    correlation_id: int
    at: float
    deadline: float
    answer: asyncio.Future[Any]


class Frames(asyncio.BufferedProtocol):
    """Reads the answers of one connection: each is its size in 4 bytes, and so many bytes."""

    def __init__(self, connection: Any) -> None:
        self._connection = ref(connection)
        self._before: Any = connection._protocol
        self._memory = memoryview(bytearray(FIRST_BYTES))
        self._filled = 0
        self._transport: Any = connection._writer.transport
        self._loop = asyncio.get_running_loop()
        self._sent: deque[_Sent] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._log_in_at = self._next_login(connection)
        self._login: asyncio.Task[None] | None = None
        """A new login that is under way; what is held back waits for it."""
        self._held: list[tuple[Any, asyncio.Future[Any]]] = []

    @classmethod
    def take_over(cls, connection: Any) -> None:
        """Read a connection's answers from now on; one that is busy already stays as it is."""
        if connection._reader is None or connection._requests or connection._reader._buffer:
            return
        connection._read_task.cancel()
        frames = cls(connection)
        connection._protocol = frames
        connection._writer.transport.set_protocol(frames)

    def send(self, request: Any) -> asyncio.Future[Any]:
        """Send a request of aiokafka's that is answered; the future gets the answer, or what became of the connection.

        Raises: IncompatibleBrokerVersion.
        """
        connection = self._connection()
        assert connection is not None, "somebody sends over it"
        prepared = request.prepare(connection._versions)
        answer = self._loop.create_future()
        now = self._loop.time()
        if now < self._log_in_at:
            self._send(connection, prepared, answer, now)
        else:
            self._held.append((prepared, answer))
            if self._login is None:
                self._login = asyncio.create_task(self._log_in_again(connection))
        return answer

    @property
    def owed_s(self) -> float:
        """For how long the broker has owed an answer, though nobody may wait for it any more; 0: it owes none."""
        return self._loop.time() - self._sent[0].at if self._sent else 0.0

    def _send(self, connection: Any, prepared: Any, answer: asyncio.Future[Any], now: float) -> None:
        correlation_id = connection._next_correlation_id()
        head = prepared.build_request_header(correlation_id=correlation_id, client_id=connection._client_id).encode()
        body = prepared.pieces if type(prepared) is Written else (prepared.encode(),)
        size = len(head) + sum(map(len, body))
        self._transport.writelines((size.to_bytes(_SIZE, "big"), head, *body))
        connection._requests.append((correlation_id, prepared, answer))
        deadline = now + connection._request_timeout
        self._sent.append(_Sent(correlation_id, now, deadline, answer))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look)

    def _next_login(self, connection: Any) -> float:
        """When to log in again, in the loop's time."""
        after_s = getattr(connection, "renew_after_s", None)
        return math.inf if after_s is None else self._loop.time() + after_s

    async def _log_in_again(self, connection: Any) -> None:
        """Then send what was held back; a login that fails ends the connection."""
        failure: Exception | None = None
        try:
            await connection.log_in_again()
        except (KafkaError, OSError, TimeoutError) as error:
            failure = error
            connection.close(reason=CloseReason.AUTH_FAILURE, exc=error)
        held, self._held, self._login = self._held, [], None
        self._log_in_at = self._next_login(connection)
        for prepared, answer in held:
            if answer.done():
                continue
            if failure is None and connection.connected():
                self._send(connection, prepared, answer, self._loop.time())
            else:
                gone = KafkaConnectionError(f"Connection at {connection.host}:{connection.port} closed")
                gone.__cause__ = failure
                answer.set_exception(gone)

    def _look(self) -> None:
        """End the connection if the oldest request has waited for too long and somebody still waits with it."""
        self._timer = None
        while self._sent and self._sent[0].answer.done():
            self._sent.popleft()
        if not self._sent:
            return
        _, _, deadline, answer = self._sent[0]
        if self._loop.time() < deadline:
            self._timer = self._loop.call_at(deadline, self._look)
            return
        answer.set_exception(RequestTimedOutError())
        connection = self._connection()
        if connection is not None:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to write what has come."""
        del sizehint
        return self._memory[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes were written: hand over the answers that are complete."""
        self._filled += nbytes
        begin = 0
        end = self._end_of(begin)
        while end <= self._filled:
            self._hand_over(self._memory[begin + _SIZE : end])
            begin, end = end, self._end_of(end)
        rest = self._filled - begin
        if begin or end - begin > len(self._memory):
            self._move(begin, rest, max(end - begin, FIRST_BYTES))
        self._filled = rest

    def _end_of(self, begin: int) -> int:
        """Where the answer ends that begins there; beyond what has come while its size is not known."""
        body = begin + _SIZE
        return body + int.from_bytes(self._memory[begin:body], "big") if body <= self._filled else body

    def _move(self, begin: int, count: int, needed: int) -> None:
        """Have what has come of the next answer at the front, with room for all of it."""
        rest = self._memory[begin : begin + count]
        if needed > len(self._memory) or len(self._memory) > KEPT_BYTES:
            self._memory = memoryview(bytearray(needed))
            self._memory[:count] = rest
        else:
            self._memory[:count] = bytes(rest)

    def _hand_over(self, answer: memoryview) -> None:
        connection = self._connection()
        if connection is None:
            return
        if self._sent and connection._requests and self._sent[0].correlation_id == connection._requests[0][0]:
            self._sent.popleft()
        try:
            if not _answered(connection, answer):
                connection._handle_frame(bytes(answer))
        except Exception as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)

    # What has nothing to do with reading

    def eof_received(self) -> bool:
        """The broker has closed: nobody will get an answer any more."""
        self._before.eof_received()
        self._end(EOFError("the broker closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._before.connection_lost(exc)
        self._end(exc)

    def pause_writing(self) -> None:
        """The transport has enough to send."""
        self._before.pause_writing()

    def resume_writing(self) -> None:
        """The transport can take more."""
        self._before.resume_writing()

    def _end(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        connection = self._connection()
        if connection is not None:
            connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)


def _answered(connection: Any, answer: memoryview) -> bool:
    """Take an answer that is read where it lies; False: aiokafka has to, from bytes of its own."""
    if not connection._requests:
        return False
    correlation_id, request, future = connection._requests[0]
    if type(request) is not Written or correlation_id != int.from_bytes(answer[:_SIZE], "big"):
        return False
    if not future.done():
        future.set_result(request.RESPONSE_TYPE.read(answer))
    connection._last_action = time.monotonic()
    connection._requests.popleft()
    return True
