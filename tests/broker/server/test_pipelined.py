"""Requests that came together: no more of them are begun than their answers may take memory, and none is forgotten."""

import asyncio
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from broker.protocol.apis import ApiKey
from broker.protocol.framing import parse_request_header
from broker.server.connection import WRITE_HIGH_WATER_BYTES, Connection
from broker.server.exchange import Exchange

MANY = 200
MEGABYTE = 1 << 20


class Answering:
    """A server whose answers are as large as a test wants, given at once or when the test says so."""

    def __init__(self, answer_bytes: int, *, at_once: bool = True) -> None:
        self.answer_bytes = answer_bytes
        self.at_once = at_once
        self.begun: list[Exchange] = []

    def dispatch(self, frame: memoryview, host: str, release: Callable[[], None]) -> Exchange:
        exchange = Exchange(parse_request_header(frame), host, release)
        self.begun.append(exchange)
        if self.at_once:
            self.answer(exchange)
        return exchange

    def answer(self, exchange: Exchange) -> None:
        exchange.answer_frame(
            [struct.pack(">ii", 4 + self.answer_bytes, exchange.correlation_id), bytes(self.answer_bytes)]
        )

    def connected(self, connection: Connection) -> bool:
        return True

    def disconnected(self, connection: Connection) -> None:
        pass


def requests(api: ApiKey, count: int = MANY) -> bytes:
    """Requests without bodies, numbered from 0."""
    return b"".join(struct.pack(">ihhih", 10, api, 0, number, -1) for number in range(count))


async def numbers(reader: asyncio.StreamReader, count: int = MANY) -> list[int]:
    """The correlation ids of so many answers."""
    found = []
    for _ in range(count):
        size, number = struct.unpack(">ii", await reader.readexactly(8))
        await reader.readexactly(size - 4)
        found.append(number)
    return found


async def settled(server: Answering) -> int:
    """How many requests are begun when no more are."""
    before = -1
    while before != len(server.begun):
        before = len(server.begun)
        await asyncio.sleep(0.05)
    return before


def connected(
    server: Answering,
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]],
    most_queued: int = 500,
) -> None:
    """Let a client talk to a server."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: Connection(server, loop, 1 << 20, most_queued), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        await asyncio.wait_for(talk(reader, writer), 30)
        writer.close()
        listening.close()

    asyncio.run(run())


def test_answers_that_are_not_read_hold_up_requests() -> None:
    """A client that reads nothing has as many answers made as the socket and one bound take, and all of them in the end."""
    server = Answering(MEGABYTE)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(requests(ApiKey.METADATA))
        assert await settled(server) < MANY // 4
        assert await numbers(reader) == list(range(MANY))

    connected(server, talk)


def test_answers_that_wait_for_another_hold_up_requests() -> None:
    """Answers that are ready behind one that is not count as well."""
    server = Answering(MEGABYTE, at_once=False)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(requests(ApiKey.METADATA, 1))
        assert await settled(server) == 1
        server.at_once = True
        writer.write(requests(ApiKey.METADATA))
        assert await settled(server) == 1 + WRITE_HIGH_WATER_BYTES // MEGABYTE
        server.answer(server.begun[0])
        assert await numbers(reader, MANY + 1) == [0, *range(MANY)]

    connected(server, talk)


@pytest.mark.parametrize("most", [1, 7])
def test_requests_of_one_read_are_counted(most: int) -> None:
    """No more than `queued.max.requests` are under way, also of those that came together; the next is begun as one ends."""
    server = Answering(10, at_once=False)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(requests(ApiKey.PRODUCE, 20))
        for number in range(20):
            assert await settled(server) == min(number + most, 20)
            server.answer(server.begun[number])
        assert await numbers(reader, 20) == list(range(20))

    connected(server, talk, most)


def test_one_fetch_at_a_time() -> None:
    """A fetch, which may have a large answer any time, waits for the one before; what comes before it does not."""
    server = Answering(10, at_once=False)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(requests(ApiKey.FETCH, 1) + requests(ApiKey.PRODUCE, 5) + requests(ApiKey.FETCH, 2))
        assert await settled(server) == 6
        server.answer(server.begun[0])
        assert await settled(server) == 7
        for exchange in server.begun[1:7]:
            server.answer(exchange)
        assert await settled(server) == 8
        server.answer(server.begun[7])
        assert await numbers(reader, 8) == [0, *range(5), 0, 1]

    connected(server, talk)


def test_garbage_behind_requests_that_wait() -> None:
    """What cannot be read closes the connection when its turn comes."""
    server = Answering(10, at_once=False)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(requests(ApiKey.FETCH, 2) + struct.pack(">i", -1))
        assert await settled(server) == 1
        server.answer(server.begun[0])
        assert await numbers(reader, 1) == [0]
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)

    connected(server, talk)
