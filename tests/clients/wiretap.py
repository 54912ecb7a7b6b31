"""A wire tap: passes bytes between clients and the broker, and notes the API versions that clients speak."""

import asyncio
import struct
import threading
from contextlib import suppress
from typing import Any, Self

from broker.protocol.apis import ApiKey

CHUNK = 1 << 16


class Wiretap:
    """Listens on `port`; `versions` holds the highest version asked for, and answered, per API since the last `start_over`."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.versions: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _hang_up(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def start_over(self) -> None:
        """Another client comes."""
        self.versions = {}

    async def _connected(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        try:
            broker, requests = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            answers.close()
            return
        await asyncio.gather(self._listen(client, requests), self._pass_on(broker, answers))

    async def _listen(self, client: asyncio.StreamReader, requests: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                size = await client.readexactly(4)
                frame = await client.readexactly(struct.unpack(">i", size)[0])
                key, version = struct.unpack_from(">hh", frame)
                name = ApiKey(key).name
                self.versions[name] = max(self.versions.get(name, -1), version)
                requests.write(size + frame)
                await requests.drain()
        requests.close()

    @staticmethod
    async def _pass_on(broker: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await broker.read(CHUNK):
                answers.write(data)
                await answers.drain()
        answers.close()

    def seen(self) -> dict[str, Any]:
        """API name -> highest version."""
        return dict(sorted(self.versions.items()))
