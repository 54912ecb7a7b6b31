"""What applications send on the real broker, and records that it cannot take: an error, wherever they were sent from."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from streams import App
from streams.background import Running
from streams.compat import faust
from streams.compat.faust.topics import Outgoing
from streams.errors import ProductionError, StreamsError
from streams.pytest_plugin import RunningBroker
from tests.broker.process import BrokerProcess

pytestmark = pytest.mark.broker

LIMIT = 20_000


@pytest.fixture
def app(streams_broker: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> faust.App:
    """An application whose records may not be large."""
    monkeypatch.setenv("STREAMS_MAX_REQUEST_SIZE", str(LIMIT))
    return faust.App(f"large-{tmp_path.name}", broker=streams_broker.url, topic_partitions=1, datadir=tmp_path)


def test_an_agents_record_that_is_too_large_ends_the_worker(app: faust.App, streams_broker: RunningBroker) -> None:
    """As other results that cannot be written do; its input is not committed, and comes again."""
    out = app.topic("large-out", value_type=str)

    @app.agent(app.topic("large-in", value_type=int))
    async def repeat(stream: Any) -> None:
        async for times in stream:
            await out.send(value="x" * times)

    writer = App("large-writer", broker=streams_broker.url)
    sizes = [("a", b"%d" % size) for size in (10, LIMIT + 1, 20)]
    writer.write(writer.topic("large-in", key=str, value=bytes, partitions=1), sizes)
    with pytest.raises(ProductionError, match="large-out.*bytes are too large"), Running(app.application()) as run:
        run.catch_up(timeout_s=30)


def test_a_timers_record_that_is_too_large_is_its_error(app: faust.App, streams_broker: RunningBroker) -> None:
    """Whoever sent it hears of it; what was sent with it is written."""
    writer = App("beside-writer", broker=streams_broker.url)
    beside = writer.topic("large-beside", key=str, value=bytes, partitions=1)
    writer.write(beside, [("a", b"before")])

    async def send(size: int) -> Any:
        return await app.sender.send(Outgoing("large-beside", b"a", b"x" * size, 1_000, (), None))

    async def send_all() -> list[Any]:
        return await asyncio.gather(send(1), send(LIMIT + 1), send(2), return_exceptions=True)

    try:
        first, second, third = asyncio.run(send_all())
    finally:
        app.sender.close()
    assert isinstance(second, ProductionError), second
    assert (first.topic, third.topic) == ("large-beside", "large-beside")
    assert [record.value for record in writer.read(beside)] == [b"before", b"x", b"xx"]


def outgoing(topic: str, value: bytes, **others: Any) -> Outgoing:
    """A record."""
    return Outgoing(topic, b"a", value, 1_000, (), None)._replace(**others)


def sent(app: faust.App, *records: Outgoing) -> list[Any]:
    """Send records at once. Shape: what came of each."""

    async def send_all() -> list[Any]:
        return await asyncio.gather(*map(app.sender.send, records), return_exceptions=True)

    return asyncio.run(send_all())


def test_a_record_that_cannot_be_sent_is_the_error_of_its_sender_alone(
    app: faust.App, streams_broker: RunningBroker
) -> None:
    """No such topic, no such partition, a header that is none: what was sent at the same time is written, once."""
    writer = App("alone-writer", broker=streams_broker.url)
    alone = writer.topic("sent-alone", key=str, value=bytes, partitions=1)
    writer.write(alone, [("a", b"before")])
    try:
        results = sent(
            app,
            outgoing("sent-alone", b"x"),
            outgoing("no such topic", b"lost"),
            outgoing("sent-alone", b"lost", partition=7),
            outgoing("sent-alone", b"lost", headers=(("number", 7),)),
            outgoing("sent-alone", b"y"),
        )
    finally:
        app.sender.close()
    assert [isinstance(each, Exception) for each in results] == [False, True, True, True, False], results
    assert "no such topic" in str(results[1])
    assert "expected a partition from 0 to 0 of sent-alone, got 7" in str(results[2])
    assert [record.value for record in writer.read(alone)] == [b"before", b"x", b"y"]


def test_after_a_failure_records_are_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker is away for longer than a delivery may take: that is an error, and when it is back all is well."""
    monkeypatch.setenv("STREAMS_DELIVERY_TIMEOUT_MS", "500")
    monkeypatch.setenv("STREAMS_CONNECT_TIMEOUT_MS", "500")
    broker = BrokerProcess(tmp_path / "broker").start()
    app = faust.App("away", broker=f"kafka://{broker.address}", topic_partitions=1, datadir=tmp_path / "data")
    writer = App("away-writer", broker=f"kafka://{broker.address}")
    kept = writer.topic("kept", key=str, value=bytes, partitions=1)
    try:
        writer.write(kept, [("a", b"before")])
        assert not isinstance(sent(app, outgoing("kept", b"x"))[0], Exception)
        broker.stop()
        assert isinstance(sent(app, outgoing("kept", b"lost"))[0], StreamsError)
        assert isinstance(sent(app, outgoing("kept", b"lost"))[0], StreamsError)
        broker.start()
        (back,) = sent(app, outgoing("kept", b"y"))
        assert not isinstance(back, Exception), back
        assert [record.value for record in writer.read(kept)] == [b"before", b"x", b"y"]
    finally:
        app.sender.close()
        broker.stop()


def test_an_application_that_only_sends_runs(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """Timers alone, as many a producer has: there is a worker, a group, and in it a leader."""
    app = faust.App("only-sends", broker=streams_broker.url, topic_partitions=1, datadir=tmp_path)
    made = app.topic("only-sent", value_type=int)
    count = iter(range(1_000))

    @app.timer(0.05, on_leader=True)
    async def make() -> None:
        await made.send(value=next(count))

    reader = App("only-sent-reader", broker=streams_broker.url)
    topic = reader.topic("only-sent", key=bytes, value=bytes, partitions=1)
    reader.write(topic, [(None, b"before")])
    with Running(app.application()):
        deadline = time.monotonic() + 30
        found: list[Any] = []
        while len(found) < 4:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
            found = [record.value for record in reader.read(topic)]
    assert found[:4] == [b"before", b"0", b"1", b"2"]
