"""Sends an answer that lies partly in files straight to the client's socket: what it takes at once, the rest when it can.

Nothing is copied into this process. asyncio's own way (`loop.sendfile`) spends more on futures and epoll than it saves, so
this works beside the transport, on a descriptor of its own for the same socket; the transport's buffer must be empty then,
and nothing be written to it until all is sent.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from broker.log.file_slice import FileSlice


class FileSender:
    """One connection's. `moved` is called after each later step with whether all is sent, `failed` if the client is gone."""

    __slots__ = ("_buffers", "_descriptor", "_failed", "_loop", "_moved", "_sent", "_waiting")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        moved: Callable[[bool], None],
        failed: Callable[[OSError], None],
    ) -> None:
        """Raises: OSError, if no descriptor is left."""
        self._descriptor = -1
        self._descriptor = os.dup(transport.get_extra_info("socket").fileno())
        self._loop = loop
        self._moved = moved
        self._failed = failed
        self._buffers: deque[Any] = deque()
        self._sent = 0  # of the first buffer
        self._waiting = False

    @property
    def busy(self) -> bool:
        """Whether an answer is on its way."""
        return bool(self._buffers)

    def send(self, buffers: Iterable[Any]) -> bool:
        """Send bytes and FileSlices in order; whether all is sent already. Raises: OSError, if the client is gone."""
        assert not self.busy
        self._buffers.extend(buffers)
        if self._push():
            return True
        self._loop.add_writer(self._descriptor, self._ready)
        self._waiting = True
        return False

    def _push(self) -> bool:
        """Send as much as the socket takes; whether that was all."""
        buffers, descriptor = self._buffers, self._descriptor
        while buffers:
            buffer = buffers[0]
            left = len(buffer) - self._sent
            if not left:
                buffers.popleft()
                continue
            try:
                if type(buffer) is FileSlice:
                    sent = os.sendfile(descriptor, buffer.fileno(), buffer.offset + self._sent, left)
                else:
                    sent = os.write(descriptor, memoryview(buffer)[self._sent :])
            except BlockingIOError:
                return False
            if sent < left:
                if not sent:
                    raise OSError("a segment is shorter than it was")
                self._sent += sent
                continue
            self._sent = 0
            buffers.popleft()
            if type(buffer) is FileSlice:
                buffer.close()
        return True

    def _ready(self) -> None:
        try:
            finished = self._push()
        except OSError as error:
            self._stop()
            self._failed(error)
            return
        if finished:
            self._stop()
        self._moved(finished)

    def _stop(self) -> None:
        if self._waiting:
            self._loop.remove_writer(self._descriptor)
            self._waiting = False
        self._buffers.clear()
        self._sent = 0

    def close(self) -> None:
        """The connection is gone."""
        self._stop()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
