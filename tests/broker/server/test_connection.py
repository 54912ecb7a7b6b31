"""A connection as the system sees it."""

import asyncio
import socket
from pathlib import Path

import pytest

from broker.config import BrokerConfig
from broker.server.broker import Broker
from broker.server.connection import Connection
from broker.server.listener import Listener, bind

pytestmark = pytest.mark.broker


def test_answers_leave_at_once(tmp_path: Path) -> None:
    """The end of an answer does not wait in the system until the client has confirmed its beginning."""
    delays: list[int] = []

    class Watched(Connection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            delays.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async def connect() -> None:
        loop = asyncio.get_running_loop()
        broker = Broker(BrokerConfig(), tmp_path, loop)
        listener = Listener(broker)
        (bound,) = bind("127.0.0.1", 0)
        server = await loop.create_server(lambda: Watched(listener, loop, 1 << 20, 1), sock=bound)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        writer.write(bytes.fromhex("0000000a00120000000000070000"))
        assert len(await reader.readexactly(8)) == 8
        writer.close()
        server.close()
        await listener.stop()
        await broker.stop()

    asyncio.run(connect())
    assert delays == [1]
