"""Bytes that are no requests: the connection that sent them closes, the broker and everybody else go on."""

import random
import socket
import struct

import pytest
from confluent_kafka.admin import AdminClient

pytestmark = pytest.mark.broker

API_VERSIONS, METADATA = 18, 3


def connect(broker) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", broker.port), timeout=10)
    connection.settimeout(10)
    return connection


def request(api_key: int, version: int, correlation_id: int, body: bytes = b"") -> bytes:
    payload = struct.pack(">hhih", api_key, version, correlation_id, 4) + b"test" + body
    return struct.pack(">i", len(payload)) + payload


def answer(connection: socket.socket) -> bytes:
    """One response without its length; empty if the broker hung up."""
    head = exactly(connection, 4)
    return exactly(connection, struct.unpack(">i", head)[0]) if head else b""


def exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            piece = connection.recv(count - len(data))
        except ConnectionResetError:
            return b""
        if not piece:
            return b""
        data += piece
    return data


def lives(broker) -> bool:
    """Whether the broker serves somebody else."""
    return bool(AdminClient({"bootstrap.servers": broker.address}).list_topics(timeout=10).brokers)


@pytest.mark.parametrize(
    "garbage",
    [
        struct.pack(">i", -1),
        struct.pack(">i", 3) + b"abc",
        struct.pack(">i", 2**31 - 1),
        struct.pack(">i", 200 * 1024 * 1024) + b"x" * 1_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        request(999, 0, 1),
        request(METADATA, 99, 1),
        request(METADATA, 1, 1, struct.pack(">i", 1_000_000) + b"\0\5ab"),
        request(0, 2, 1),
    ],
    ids=[
        "negative size",
        "too small",
        "too large",
        "oversized",
        "http",
        "unknown api",
        "unknown version",
        "cut body",
        "unserved produce",
    ],
)
def test_garbage_closes_the_connection(shared_broker, garbage: bytes) -> None:
    """The sender is hung up on, and nobody else notices."""
    with connect(shared_broker) as connection:
        connection.sendall(garbage)
        assert answer(connection) == b""
    assert lives(shared_broker)


def test_random_bytes(shared_broker) -> None:
    """Random bytes behind an honest length never bring the broker down."""
    chance = random.Random(7)
    for _ in range(300):
        with connect(shared_broker) as connection:
            body = chance.randbytes(chance.randrange(8, 200))
            if chance.random() < 0.7:
                body = struct.pack(">hh", chance.randrange(0, 61), chance.randrange(0, 8)) + body
            connection.sendall(struct.pack(">i", len(body)) + body)
            connection.shutdown(socket.SHUT_WR)
            while connection_data(connection):
                pass
    assert lives(shared_broker)
    assert "Traceback" not in shared_broker.log


def connection_data(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionResetError:
        return b""


def test_half_request_waits_for_its_other_half(shared_broker) -> None:
    """A request may come a byte at a time, and others are served meanwhile."""
    with connect(shared_broker) as connection:
        whole = request(API_VERSIONS, 0, 42)
        for byte in whole[:-1]:
            connection.sendall(bytes([byte]))
        assert lives(shared_broker)
        connection.sendall(whole[-1:])
        assert answer(connection)[:4] == struct.pack(">i", 42)


def test_pipelined_answers_come_in_order(shared_broker) -> None:
    """Requests sent together are answered in their order, one of them split over two writes."""
    with connect(shared_broker) as connection:
        together = b"".join(request(API_VERSIONS, 0, number) for number in range(50))
        connection.sendall(together[:333])
        connection.sendall(together[333:])
        assert [struct.unpack(">i", answer(connection)[:4])[0] for _ in range(50)] == list(range(50))


def test_version_from_the_future(shared_broker) -> None:
    """An unknown ApiVersions version is answered in version 0 with error 35, and the connection stays.

    The answer has the versions of ApiVersions alone, as Kafka's: franz-go takes a longer one for the whole truth, and goes
    without features.
    """
    with connect(shared_broker) as connection:
        connection.sendall(request(API_VERSIONS, 99, 7, b"\0"))
        assert answer(connection) == struct.pack(">ihihhh", 7, 35, 1, API_VERSIONS, 0, 4)
        connection.sendall(request(API_VERSIONS, 0, 8))
        assert struct.unpack_from(">ih", answer(connection)) == (8, 0)
