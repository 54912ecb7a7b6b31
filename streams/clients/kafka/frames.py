"""How answers are read: into memory that stays, and copied out of it once, whole.

aiokafka reads through asyncio's StreamReader, which gathers an answer piece by piece in a buffer that grows and is copied
as it grows, and has the socket pause every 128 KB: for the megabytes of a fetch half of what the network thread does.
Here the kernel writes them where they stay until they are complete. Rules: a connection is taken over when aiokafka has
made it, versions and authentication included, and nothing is under way; aiokafka's own protocol object goes on to do what
has nothing to do with reading. How a connection ends is as before: all that wait for an answer are told.
"""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import ref

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason

FIRST_BYTES = 64 * 1024
KEPT_BYTES = 16 * 1024**2
"""Memory for longer answers is given back when one has been read."""
_SIZE = 4


class Frames(asyncio.BufferedProtocol):
    """Reads the answers of one connection: each is its size in 4 bytes, and so many bytes."""

    def __init__(self, connection: Any) -> None:
        self._connection = ref(connection)
        self._before: Any = connection._protocol
        self._memory = memoryview(bytearray(FIRST_BYTES))
        self._filled = 0

    @classmethod
    def take_over(cls, connection: Any) -> None:
        """Read a connection's answers from now on; one that is busy already stays as it is."""
        if connection._reader is None or connection._requests or connection._reader._buffer:
            return
        connection._read_task.cancel()
        frames = cls(connection)
        connection._protocol = frames
        connection._writer.transport.set_protocol(frames)

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
            self._hand_over(bytes(self._memory[begin + _SIZE : end]))
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

    def _hand_over(self, answer: bytes) -> None:
        connection = self._connection()
        if connection is None:
            return
        try:
            connection._handle_frame(answer)
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
        connection = self._connection()
        if connection is not None:
            connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)


def framed_client(**settings: Any) -> AIOKafkaClient:
    """Aiokafka's client, whose connections to nodes of the cluster are read by `Frames`."""
    client: Any = _FramedClient
    made: AIOKafkaClient = client(**settings)
    return made


class _FramedClient(AIOKafkaClient):
    async def _get_conn(
        self, node_id: int, *, group: ConnectionGroup = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        get_connection: Any = super()._get_conn
        connection = await get_connection(node_id, group=group, no_hint=no_hint)
        if connection is not None and not isinstance(connection._protocol, Frames):
            Frames.take_over(connection)
        return connection
