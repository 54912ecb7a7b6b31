"""Agents that never look at their stream: programs that only write have them, for something to send to."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streams import App
from streams.background import Running
from streams.compat import faust
from streams.compat.faust.uses import reads_stream
from streams.pytest_plugin import RunningBroker


async def nothing(item: Any) -> None:
    """Nothing at all."""


async def prints(_stream: Any) -> None:
    print("a stream")


async def takes_no_stream() -> None:
    raise NotImplementedError


async def loops(stream: Any) -> None:
    async for _ in stream:
        pass


async def loops_within(stream: Any) -> None:
    async def inner() -> None:
        async for _ in stream.events():
            pass

    await inner()


async def yields(stream: Any) -> Any:
    yield [value async for value in stream]


async def bound(stream: Any, stream_too: Any) -> None:
    async for _ in stream_too:
        print(stream_too)


async def looks(stream: Any) -> None:
    print(stream)


@pytest.mark.parametrize(
    ("function", "reads"),
    [
        (nothing, False),
        (prints, False),
        (takes_no_stream, True),
        (loops, True),
        (loops_within, True),
        (yields, True),
        (bound, False),
        (partial(bound, None), True),
        (looks, True),
        (len, True),
    ],
)
def test_what_counts_as_reading(function: Any, *, reads: bool) -> None:
    """Any use of the stream does; so does what cannot be seen."""
    assert reads_stream(function) is reads


@pytest.mark.broker
@pytest.mark.parametrize("reader", [True, False], ids=["beside one that reads", "alone"])
def test_an_idle_agent_is_called_once_and_its_topic_is_sent_to(
    streams_broker: RunningBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, reader: bool
) -> None:
    """Nothing of what is sent is read or lost, also with no agent beside it, and a warning says so."""
    app = faust.App(tmp_path.name, broker=streams_broker.url, topic_partitions=1)
    called: list[str] = []

    @app.agent(name="users")
    async def users(_stream: Any) -> None:
        called.append("users")

    @app.agent(app.topic("unread"), name="passing")
    async def passing(_stream: Any) -> Any:
        called.append("passing")
        yield None

    async def produce() -> None:
        for number in range(3):
            await users.send(value=number)

    if reader:
        app.agent(app.topic(f"{tmp_path.name}-read"))(loops)
    application = app.application()
    assert all("users" not in topic for part in application.topology.subtopologies for topic in part.source_topics)
    with Running(application) as run:
        run.catch_up(timeout_s=30)
        app.loop_of_app.run(produce())
    topic = f"{tmp_path.name}-users"
    reader_app = App("reader", broker=streams_broker.url)
    values = [record.value for record in reader_app.read(reader_app.topic(topic, key=bytes, value=bytes))]
    assert values == [b"0", b"1", b"2"]
    assert sorted(called) == ["passing", "users"]
    assert f"the agent users never reads its stream: what is sent to {topic} stays there" in caplog.text
