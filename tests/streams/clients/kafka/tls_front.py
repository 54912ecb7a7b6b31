"""A front that speaks TLS before the bundled broker, which does not: bytes pass it as they are, in both directions."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

HOST = "127.0.0.1"


class TlsFront:
    """Listens on a port of its own from the begin; `serve` says for whom. Asks for a certificate if told to."""

    def __init__(self, folder: Path, *, name: str = HOST, asks: bool = False) -> None:
        authority = trustme.CA()
        self.ca, self.certificate, self.key = (str(folder / each) for each in ("ca.pem", "client.pem", "client.key"))
        authority.cert_pem.write_to_path(self.ca)
        client = authority.issue_cert("ann@example.org")
        Path(self.certificate).write_bytes(client.cert_chain_pems[0].bytes())
        client.private_key_pem.write_to_path(self.key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._context)
        if asks:
            self._context.verify_mode = ssl.CERT_REQUIRED
            authority.configure_trust(self._context)
        self._socket = socket.create_server((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._behind = 0
        self._loop = asyncio.new_event_loop()
        self._ended: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    @property
    def url(self) -> str:
        """As an application names it."""
        return f"kafka://{HOST}:{self.port}"

    def serve(self, port: int) -> Self:
        """Pass everything on to this port."""
        self._behind = port
        self._thread.start()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive() and self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()
        self._socket.close()
        self._loop.close()

    async def _run(self) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.start_server(self._pass, sock=self._socket, ssl=self._context)
        await self._ended.wait()
        server.close()
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for each in under_way:
            each.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, back = await asyncio.open_connection(HOST, self._behind)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError, ssl.SSLError):
            await asyncio.gather(self._copy(reader, back), self._copy(behind, writer))
        for each in (back, writer):
            each.close()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
        target.close()
