"""What applications send on the real broker, and records that it cannot take: an error, wherever they were sent from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streams import App
from streams.background import Running
from streams.compat import faust
from streams.compat.faust.topics import Outgoing
from streams.errors import ProductionError
from streams.pytest_plugin import RunningBroker

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
