"""Answers come whole, however the network cuts them, and a connection that ends tells all who wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from io import BytesIO
from itertools import accumulate, pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import CorrelationIdError, KafkaConnectionError, RequestTimedOutError
from aiokafka.protocol.fetch import FetchResponse_v11
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.clients.kafka.frames import FIRST_BYTES, KEPT_BYTES, Frames
from streams.clients.kafka.hot import Fetch


async def conversation(pieces: list[bytes], until: Callable[[list[bytes]], bool]) -> list[bytes]:
    """What a connection hands over of pieces that a broker sends one by one."""
    answers: list[bytes] = []
    done = asyncio.Event()

    class Connection(AIOKafkaConnection):
        def _handle_frame(self, answer: bytes) -> None:
            answers.append(answer)
            if until(answers):
                done.set()

    async with serving(one_by_one(pieces)) as port:
        connection = made(Connection, port)
        await connection.connect()
        Frames.take_over(connection)
        connection._writer.write(b"!")
        await asyncio.wait_for(done.wait(), 30)
        await connection.close()
    return answers


def made(kind: Any, port: int) -> Any:
    """A connection that does not ask the server for its versions."""
    connection = kind("127.0.0.1", port)
    connection._do_version_lookup = nothing
    return connection


async def nothing() -> None:
    """The servers here answer no requests."""


Talk = Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]


def one_by_one(pieces: list[bytes]) -> Talk:
    """Send these, each by itself."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return talk


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[int]:
    """A server that talks to whoever has sent a byte, and its port."""
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            await reader.readexactly(1)
            await talk(writer)
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        server.close()
        await asyncio.sleep(0)


def framed(answers: list[bytes]) -> bytes:
    return b"".join(len(answer).to_bytes(4, "big") + answer for answer in answers)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.sampled_from([0, 1, 3, 4, 5, 100, FIRST_BYTES - 4, FIRST_BYTES, 3 * FIRST_BYTES]), min_size=1, max_size=6
    ),
    st.lists(st.sampled_from([1, 2, 3, 4, 5, 50, FIRST_BYTES, 10 * FIRST_BYTES]), min_size=1, max_size=8),
)
def test_answers_come_whole_however_they_are_cut(sizes: list[int], cuts: list[int]) -> None:
    """Several in one piece, and one in many."""
    answers = [bytes([65 + at]) * size for at, size in enumerate(sizes)]
    data = framed(answers)
    ends = [0, *accumulate(cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(ends) if data[start:end]]
    found = asyncio.run(conversation(pieces, lambda found: len(found) == len(answers)))
    assert found == answers


def test_memory_for_a_very_long_answer_is_given_back() -> None:
    """The next answers are read into less."""
    answers = [bytes(KEPT_BYTES + 1), b"short"]

    async def run() -> int:
        frames: list[Frames] = []
        take_over = Frames.take_over

        def remembering(connection: Any) -> None:
            take_over(connection)
            frames.append(connection._protocol)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Frames, "take_over", remembering)
            assert await conversation([framed(answers)], lambda found: len(found) == 2) == answers
        return len(frames[0]._memory)

    assert asyncio.run(run()) == FIRST_BYTES


def ended(talk: Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]) -> tuple[bool, BaseException]:
    """Whether a connection that a broker ends so counts as connected, and what somebody who waits is told."""

    async def run() -> tuple[bool, BaseException]:
        async with serving(talk) as port:
            connection = made(AIOKafkaConnection, port)
            reasons: deque[CloseReason] = deque()
            connection._on_close_cb = lambda _connection, reason: reasons.append(reason)
            await connection.connect()
            Frames.take_over(connection)
            waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            connection._requests.append((1, None, waiting))
            connection._writer.write(b"!")
            error: Any = (await asyncio.gather(waiting, return_exceptions=True))[0]
            assert list(reasons) == [CloseReason.CONNECTION_BROKEN]
            await connection.close()
            return connection.connected(), error

    return asyncio.run(run())


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Between two answers."""
    writer.close()


async def hang_up_in_between(writer: asyncio.StreamWriter) -> None:
    """In the middle of one."""
    writer.write(b"\0\0\0\5ab")
    await writer.drain()
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Without a word."""
    writer.transport.abort()


async def nonsense(writer: asyncio.StreamWriter) -> None:
    """An answer that aiokafka cannot read."""
    writer.write(framed([b"?"]))
    await writer.drain()


@pytest.mark.parametrize("talk", [hang_up, hang_up_in_between, reset, nonsense])
def test_whoever_waits_is_told_that_the_connection_ended(
    talk: Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]],
) -> None:
    """At once, and the connection is not used again."""
    connected, error = ended(talk)
    assert not connected
    assert "closed" in str(error)


async def requested(answers: bytes, count: int, *, cancel: int = 0, timeout_s: float = 0.1) -> tuple[bool, list[Any]]:
    """Whether a connection still counts as connected, and what became of requests over it of which some are answered."""
    over = asyncio.Event()

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(answers)
        await over.wait()

    async with serving(talk) as port:
        connection = made(AIOKafkaConnection, port)
        connection._versions = {}
        connection._request_timeout = timeout_s
        await connection.connect()
        Frames.take_over(connection)
        waiting = [connection._protocol.send(Heard()) for _ in range(count)]
        for future in waiting[:cancel]:
            future.cancel()
        became = await asyncio.gather(*waiting[cancel:], return_exceptions=True)
        await asyncio.sleep(timeout_s * 2 if cancel else 0)
        connected = connection.connected()
        over.set()
        await connection.close()
    return connected, became


class Heard(NamedTuple):
    """A request without a body, whose answer is what stands behind its number."""

    def prepare(self, versions: Any) -> Heard:
        return self

    def build_request_header(self, correlation_id: int, client_id: str) -> Heard:
        return self

    def encode(self) -> bytes:
        return b""

    def parse_response_header(self, answer: BytesIO) -> Any:
        return SimpleNamespace(correlation_id=int.from_bytes(answer.read(1)))

    class RESPONSE_TYPE:  # noqa: N801  aiokafka's name
        @staticmethod
        def decode(answer: BytesIO) -> bytes:
            return answer.read()


def test_answers_come_to_those_who_asked() -> None:
    """In order, and what is answered in time has no deadline any more."""
    answers = framed([b"\1one", b"\2two", b"\3three"])
    assert asyncio.run(requested(answers, 3, timeout_s=60)) == (True, [b"one", b"two", b"three"])


def test_a_broker_that_does_not_answer_in_time() -> None:
    """The first that has waited for too long is told so, and the connection is closed: those behind it wait in vain."""
    connected, (late, behind) = asyncio.run(requested(b"", 2))
    assert (connected, type(late)) == (False, RequestTimedOutError)
    assert isinstance(behind, KafkaConnectionError)


def test_nobody_waits_any_more() -> None:
    """An answer that is overdue and that nobody wants ends no connection."""
    assert asyncio.run(requested(b"", 2, cancel=2)) == (True, [])


def fetch_answer(number: int, size: int) -> bytes:
    """Records of so many bytes of each of two partitions, as the answer to a request of that number."""
    parts = [(at, 0, 9, 9, 0, None, -1, bytes([65 + at]) * size) for at in (0, 1)]
    return number.to_bytes(4, "big") + bytes(FetchResponse_v11(0, 0, 0, [("rides", parts)]).encode())


async def fetched(pieces: list[bytes], count: int) -> list[Any]:
    """What so many fetches are told by a broker that sends these pieces."""
    async with serving(one_by_one(pieces)) as port:
        connection = made(AIOKafkaConnection, port)
        connection._versions = {1: (4, 11)}
        await connection.connect()
        Frames.take_over(connection)
        asked = [connection._protocol.send(Fetch(0, 0, 0, 0, [])) for _ in range(count)]
        answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 30)
        await connection.close()
    return answers


def test_a_fetch_is_read_wherever_its_answer_is_cut() -> None:
    """At every byte of small answers, of which the second begins anywhere in a piece."""
    data = framed([fetch_answer(1, 3), fetch_answer(2, 0)])
    for cut in range(1, len(data)):
        first, second = asyncio.run(fetched([data[:cut], data[cut:]], 2))
        assert [part[-1] for part in first.topics[0][1]] == [b"AAA", b"BBB"]
        assert [part[-1] for part in second.topics[0][1]] == [b"", b""]


def test_fetched_records_stay_when_the_next_answer_takes_their_memory() -> None:
    """Large ones that are followed by small ones, which follow at once or later."""
    sizes = [3 * FIRST_BYTES, 5, 2 * FIRST_BYTES, 1]
    answers = [framed([fetch_answer(at, size)]) for at, size in enumerate(sizes, 1)]
    for pieces in (answers, [b"".join(answers)]):
        for size, answer in zip(sizes, asyncio.run(fetched(pieces, len(sizes))), strict=True):
            assert [part[-1] for part in answer.topics[0][1]] == [b"A" * size, b"B" * size]


def test_an_answer_to_another_request_ends_the_connection() -> None:
    """As aiokafka has it: nobody can tell any more which answer is whose."""
    (error,) = asyncio.run(fetched([framed([fetch_answer(7, 3)])], 1))
    assert isinstance(error, CorrelationIdError)


def test_a_fetch_whose_answer_is_too_short() -> None:
    """The connection ends, and who asked is told so."""
    (error,) = asyncio.run(fetched([framed([fetch_answer(1, 3)[:-1]])], 1))
    assert isinstance(error, KafkaConnectionError)
