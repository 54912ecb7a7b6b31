"""Throws random requests at a live broker over many connections, and watches that nobody else suffers.

Meanwhile a witness produces and fetches on a connection of its own, slow senders dribble a request byte by byte, and the
broker's memory is read. What counts as a failure: the broker is gone, does not answer the witness, grows beyond bounds, or
met an exception it did not expect (a traceback in its log).
"""

import asyncio
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from broker.protocol.apis import ApiKey
from broker.protocol.records import Record, build_batch
from tests.broker.fuzz.requests import Requests
from tests.broker.process import BrokerProcess

CONNECTIONS = 12
QUIET_SECONDS = 0.03
ANSWER_SECONDS = 20
MEMORY_BYTES = 200 << 20
WITNESS_TOPIC = b"witness"
SETTINGS = ("--set=group.initial.rebalance.delay.ms=0", "--set=log.flush=os")


class Outcome(NamedTuple):
    """What a run came to."""

    sent: int
    answered: int
    closed: int
    memory_bytes: int


async def closed(writer: asyncio.StreamWriter) -> None:
    """Hang up, whatever the other side did."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class Witness:
    """An innocent client: produces a record, and fetches it again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.offset = 0
        self.correlation_id = 0

    async def connect(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        await self.call(ApiKey.METADATA, 1, struct.pack(">ih", 1, len(WITNESS_TOPIC)) + WITNESS_TOPIC)

    async def call(self, key: int, version: int, body: bytes) -> bytes:
        """The body of the answer."""
        self.correlation_id += 1
        header = struct.pack(">hhih", key, version, self.correlation_id, -1)
        self.writer.write(struct.pack(">i", len(header) + len(body)) + header + body)
        return await asyncio.wait_for(self.answer(), ANSWER_SECONDS)

    async def answer(self) -> bytes:
        size, correlation_id = struct.unpack(">ii", await self.reader.readexactly(8))
        assert correlation_id == self.correlation_id, f"the answer to {correlation_id} came to {self.correlation_id}"
        return await self.reader.readexactly(size - 4)

    async def round_trip(self) -> None:
        """One record out and back. Raises: AssertionError, TimeoutError, IncompleteReadError."""
        batch = build_batch([Record(0, time.time_ns() // 1_000_000, None, b"%d" % self.offset)])  # retention looks
        topic = struct.pack(">ih", 1, len(WITNESS_TOPIC)) + WITNESS_TOPIC
        produce = struct.pack(">hhi", -1, 1, 5_000) + topic + struct.pack(">iii", 1, 0, len(batch)) + batch
        answer = await self.call(ApiKey.PRODUCE, 3, produce)
        error, base = struct.unpack_from(">hq", answer, 4 + 2 + len(WITNESS_TOPIC) + 4 + 4)
        assert (error, base) == (0, self.offset), f"the witness got error {error}, offset {base}, not {self.offset}"
        place = struct.pack(">iiqi", 1, 0, base, 1 << 20)
        fetch = struct.pack(">iiiib", -1, 0, 1, 1 << 20, 0) + topic + place
        assert (b"%d" % self.offset) in await self.call(ApiKey.FETCH, 4, fetch)
        self.offset += 1


class Campaign:
    """One broker, and `count` requests of one seed against it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.requests = Requests(seed)
        self.broker = BrokerProcess(folder / "data", *SETTINGS)
        self.sent = self.answered = self.closed = self.memory_bytes = 0
        self.remaining = 0
        self.over = asyncio.Event()

    def run(self, count: int) -> Outcome:
        """Raises: AssertionError, saying what the broker did."""
        self.broker.start()
        self.remaining = count
        try:
            asyncio.run(self.everybody())
            code = self.broker.stop()
        finally:
            if self.broker.process is not None and self.broker.process.poll() is None:
                self.broker.kill()
        log = self.broker.log
        assert code == 0, f"the broker ended with {code}: {log[-3000:]}"
        assert "Traceback" not in log, log[max(log.index("Traceback") - 500, 0) :][:4000]
        return Outcome(self.sent, self.answered, self.closed, self.memory_bytes)

    async def everybody(self) -> None:
        witness = Witness(self.broker.port)
        await witness.connect()
        try:
            async with asyncio.TaskGroup() as group:
                slow = group.create_task(self.slow_sender())
                group.create_task(self.watch(witness))
                async with asyncio.TaskGroup() as senders:
                    for _ in range(CONNECTIONS):
                        senders.create_task(self.sender())
                slow.cancel()
                self.over.set()
        finally:
            await closed(witness.writer)

    async def watch(self, witness: Witness) -> None:
        """Round trips until all is sent, and one after it; not cancelled, for a round trip cut short leaves its answer."""
        over = False
        while not over:
            over = self.over.is_set()
            await witness.round_trip()
            self.look_at_memory()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), 0.2)  # a pace: the broker has others to serve

    def look_at_memory(self) -> None:
        assert self.broker.process is not None
        status = Path(f"/proc/{self.broker.process.pid}/status")
        if status.exists():
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
            self.memory_bytes = max(self.memory_bytes, int(line.split()[1]) * 1024)
        assert self.memory_bytes < MEMORY_BYTES, f"the broker takes {self.memory_bytes >> 20} MB"

    async def slow_sender(self) -> None:
        """A request that takes for ever, one byte at a time, and then another."""
        request = struct.pack(">ihhih", 10, ApiKey.API_VERSIONS, 0, 9, -1)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.broker.port)
        try:
            while True:
                for byte in request:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.05)  # the slowness itself
                head = await asyncio.wait_for(reader.readexactly(8), ANSWER_SECONDS)
                size, correlation_id = struct.unpack(">ii", head)
                await reader.readexactly(size - 4)
                assert correlation_id == 9
        finally:
            await closed(writer)

    async def sender(self) -> None:
        """Connections one after the other, until enough was sent; each lasts until the broker hangs up or falls silent."""
        while self.remaining > 0:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.broker.port)
            try:
                while self.remaining > 0 and await self.exchange(reader, writer):
                    self.answered += 1
            except (ConnectionError, asyncio.IncompleteReadError):
                self.closed += 1
            finally:
                await closed(writer)

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; False if no answer comes, as for one that was cut short and for acks=0."""
        self.remaining -= 1
        self.sent += 1
        writer.write(self.requests.frame())
        try:
            head = await asyncio.wait_for(reader.readexactly(4), QUIET_SECONDS)
        except TimeoutError:
            return False
        await asyncio.wait_for(reader.readexactly(struct.unpack(">i", head)[0]), ANSWER_SECONDS)
        return True
