"""One client's connection: bytes to frames, frames to dispatch, answers out in order.

Bytes are received straight into the frame buffer; every complete request of a read is dispatched before the next read, so
appends happen in the order of arrival. Answers wait in a queue until all before them are ready. Of a client that sends
without reading its answers, or more requests than `queued.max.requests`, no request is begun and nothing read until it has
caught up, even if a hundred came in one read: each answer may take megabytes. A fetch, whose answer grows only when there
is something to say, is begun when the answer to the one before has left. A client with quotas is served one request at a
time, and not at all while it is throttled. Garbage closes the connection and nothing else.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Protocol

from broker.errors import MalformedRequest
from broker.log.file_slice import FileSlice, copied
from broker.protocol.apis import ApiKey
from broker.protocol.framing import FrameBuffer
from broker.server.exchange import Exchange
from broker.server.file_sender import FileSender

logger = logging.getLogger(__name__)

WRITE_HIGH_WATER_BYTES = 8 << 20
JOIN_BYTES = 32 << 10
"""Pieces of an answer below this size are joined into one write; larger ones are not copied."""
_FETCH = ApiKey.FETCH.to_bytes(2, "big")
"""How a request for records begins."""


Dispatch = Callable[[memoryview, str, Callable[[], None]], Exchange]
"""Begins to serve a request: (frame, the client's address, `release`). Raises: MalformedRequest."""


class Server(Protocol):
    """What a connection needs of the server."""

    def dispatch(self, frame: memoryview, host: str, release: Callable[[], None]) -> Exchange:
        """Begin to serve a request. Raises: MalformedRequest."""
        ...

    def connected(self, connection: "Connection") -> bool:
        """Whether one more connection is welcome."""
        ...

    def disconnected(self, connection: "Connection") -> None:
        """A connection is gone."""
        ...


class Connection(asyncio.BufferedProtocol):
    """The server's end of a connection. `active_at` is the loop's time of the last sign of life."""

    def __init__(
        self,
        server: Server,
        loop: asyncio.AbstractEventLoop,
        max_frame_bytes: int,
        max_queued: int,
        *,
        encrypted: bool = False,
    ) -> None:
        self._server = server
        self._dispatch: Dispatch = server.dispatch
        self._encrypted = encrypted
        self._loop = loop
        self._frames = FrameBuffer(max_frame_bytes)
        self._max_queued = max_queued
        self._queue: deque[Exchange] = deque()
        self._incoming: Iterator[memoryview] | None = None
        """Requests of the last read that are not begun yet; the buffer stays as it is until they are."""
        self._next: memoryview | None = None
        self._fetch: Exchange | None = None
        """The fetch that is under way."""
        self._is_to_go_on = False
        self._throttle: asyncio.TimerHandle | None = None
        """Ends the time for which the client is throttled."""
        self._transport: asyncio.Transport | None = None
        self._host = ""
        self._receiving = False
        self._sender: FileSender | None = None
        self._write_paused = False
        self._read_paused = False
        self.active_at = loop.time()

    def serve_by(self, dispatch: Dispatch, least: int, most: int) -> None:
        """Have the next requests served by `dispatch`; they take from `least` to `most` bytes."""
        self._dispatch = dispatch
        self._frames.expect(least, most)

    # ---- asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        accepted = transport.get_extra_info("socket")  # or the end of an answer waits until the one before is confirmed
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = transport.get_extra_info("peername")
        self._host = peer[0] if peer else ""
        if not self._server.connected(self):
            transport.abort()  # the server says why, and not each time

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; answers still to come have nowhere to go."""
        del exc
        self._transport = None
        self._queue.clear()
        self._incoming = self._next = None
        if self._throttle is not None:
            self._throttle.cancel()
        if self._sender is not None:
            self._sender.close()
        self._server.disconnected(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        del sizehint
        return self._frames.writable()

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came: serve every request that is complete, now or when there is room for its answer."""
        self.active_at = self._loop.time()
        self._frames.received(nbytes)
        self._incoming = self._frames.frames()
        self._serve()

    def _serve(self) -> None:
        self._receiving = True
        try:
            while self._hand_out() and self._send_ready():
                pass  # what has left made room for more
        except MalformedRequest as error:
            self._incoming = self._next = None
            self.close(str(error))
            return
        finally:
            self._receiving = False
        self._send_ready()
        self._regulate()

    def _hand_out(self) -> bool:
        """Begin one request after the other; whether some are left, for which there is no room now."""
        frames, queue = self._incoming, self._queue
        if frames is None:
            return False
        waiting = sum(map(_bytes_ready, queue))
        held, self._next = self._next, None
        for frame in frames if held is None else chain((held,), frames):
            if (
                self._write_paused
                or self._throttle is not None
                or len(queue) >= self._max_queued
                or waiting >= WRITE_HIGH_WATER_BYTES
                or (self._fetch is not None and frame[:2] == _FETCH)
                or (queue and queue[-1].usage is not None)
            ):
                self._next = frame
                return True
            exchange = self._dispatch(frame, self._host, self._release)
            queue.append(exchange)
            if exchange.buffers is not None:
                waiting += _bytes_ready(exchange)
            if exchange.api_key == ApiKey.FETCH:
                self._fetch = exchange
        self._incoming = None
        return False

    def _go_on_soon(self) -> None:
        """Begin what there is room for now, though not from within what made the room."""
        if self._incoming is not None and not self._is_to_go_on:
            self._is_to_go_on = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_to_go_on = False
        if self._transport is not None and not self._transport.is_closing():
            self._serve()

    def eof_received(self) -> bool:
        """The client will send no more; what it asked for is not worth finishing."""
        return False

    def pause_writing(self) -> None:
        """The client does not read its answers: stop reading its requests."""
        self._write_paused = True
        self._regulate()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._write_paused = False
        self.active_at = self._loop.time()
        self._go_on_soon()
        self._regulate()

    # ---- answers

    def _release(self) -> None:
        """An answer is ready, or there is room for it."""
        if self._receiving:
            return
        if self._send_ready():
            self._go_on_soon()
        if self._read_paused:
            self._regulate()

    def _send_ready(self) -> bool:
        """Send all answers that are ready at the head of the queue; those behind one that leaves from a file wait for it.

        Whether there were any.
        """
        if self._transport is None or (self._sender is not None and self._sender.busy):
            return False
        queue = self._queue
        before = len(queue)
        ready: list[Any] = []
        sent = True
        while sent and queue and (buffers := queue[0].buffers) is not None:
            exchange = queue.popleft()
            if exchange is self._fetch:
                self._fetch = None
            if exchange.usage is not None and exchange.usage.throttle_ms:
                self._mute(exchange.usage.throttle_ms)
            ready.extend(buffers)
            if any(type(buffer) is FileSlice for buffer in buffers):
                sent = self._send(ready)
                ready = []
        if ready:
            self._write(ready)
        self.active_at = self._loop.time()
        return len(queue) < before

    def keep_waiting(self, throttle_ms: int) -> None:
        """Serve nothing, and hang up after so long: its host made connections too fast."""
        self._throttle = self._loop.call_later(
            throttle_ms / 1000, self.close, "its host is over its quota of connections"
        )
        self._loop.call_soon(self._regulate)  # not now: the transport begins to read after it told of itself

    def _mute(self, throttle_ms: int) -> None:
        """Serve no request for so long: the client is over a quota."""
        self._throttle = self._loop.call_later(throttle_ms / 1000, self._unmute)
        self._regulate()

    def _unmute(self) -> None:
        self._throttle = None
        self.active_at = self._loop.time()
        self._go_on_soon()
        self._regulate()

    def _send(self, buffers: list[Any]) -> bool:
        """Send answers of which parts lie in files; whether all has left. Who is behind, or has TLS, gets them copied."""
        assert self._transport is not None
        try:
            if self._encrypted or self._transport.get_write_buffer_size():
                self._write([copied(buffer) for buffer in buffers])
                return True
            if self._sender is None:
                self._sender = FileSender(self._loop, self._transport, self._moved, self._failed)
            return self._sender.send(buffers)
        except OSError as error:
            self._failed(error)
            return False

    def _moved(self, finished: bool) -> None:
        self.active_at = self._loop.time()
        if finished:
            self._release()

    def _failed(self, error: OSError) -> None:
        self.close(f"an answer could not be sent: {error}")

    def _write(self, buffers: list[Any]) -> None:
        assert self._transport is not None
        if len(buffers) == 1:
            self._transport.write(memoryview(buffers[0]))
            return
        small: list[bytes] = []
        for buffer in buffers:
            if len(buffer) < JOIN_BYTES:
                small.append(buffer)
                continue
            if small:
                self._transport.write(b"".join(small))
                small = []
            self._transport.write(memoryview(buffer))  # what the socket does not take at once is then copied once less
        if small:
            self._transport.write(b"".join(small))

    def _regulate(self) -> None:
        """Read on, or stop reading, as the queue and the client's own reading ask for."""
        if self._receiving or self._transport is None or self._transport.is_closing():
            return
        pause = (
            self._write_paused
            or len(self._queue) >= self._max_queued
            or self._incoming is not None
            or self._throttle is not None
        )
        if pause and not self._read_paused:
            self._transport.pause_reading()
        elif self._read_paused and not pause:
            self._transport.resume_reading()
        self._read_paused = pause

    @property
    def host(self) -> str:
        """The client's address."""
        return self._host

    @property
    def waiting(self) -> bool:
        """Whether the client waits for an answer, or is throttled, so that its silence means nothing."""
        return (bool(self._queue) and not self._write_paused) or self._throttle is not None

    def close(self, reason: str) -> None:
        """Say why and hang up; answers under way are dropped."""
        if self._transport is not None:
            logger.info("closing connection of %s: %s", self._host or "a client", reason)
            self._transport.abort()

    def finish(self) -> None:
        """Hang up after the answers that are ready have left."""
        if self._transport is not None:
            self._transport.close()


def _bytes_ready(exchange: Exchange) -> int:
    """What the answer of an exchange takes of memory now."""
    return sum(len(buffer) for buffer in exchange.buffers or () if type(buffer) is not FileSlice)
