"""Batches in the hands of an agent: one after the other, and ended in the middle."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from streams.compat import faust
from streams.compat.faust.agents import Feed
from streams.dsl.agent_results import Failure
from streams.record import Batch

HANGS = "hangs"


@pytest.fixture
def app() -> Iterator[faust.App]:
    """An application whose loop runs."""
    app = faust.App("app", broker="kafka://unused:9092", topic_partitions=1)
    app.loop_of_app.start()
    yield app
    app.loop_of_app.stop()


class Reading:
    """An agent that sends on what it reads, and waits for ever at one value."""

    def __init__(self, app: faust.App) -> None:
        self.seen: list[str] = []
        self.hanging = threading.Event()
        out = app.topic("out", value_type=str)

        @app.agent(app.topic("in", value_type=str))
        async def read(stream: Any) -> None:
            async for value in stream:
                self.seen.append(value)
                if value == HANGS:
                    self.hanging.set()
                    await asyncio.Event().wait()
                if value == "fails":
                    raise ValueError(value)
                await out.send(value=value)

        self.begin = lambda *values: app.loop_of_app.begin(feed.hand_out(batch_of(values), {}))
        feed: Feed = app.feed_of(read)


def batch_of(values: tuple[str, ...]) -> Batch:
    """Records without keys."""
    return Batch([None] * len(values), list(values), [0] * len(values))


def test_batches_of_several_tasks_wait_for_each_other(app: faust.App) -> None:
    """What a batch came to is told by record, and belongs to that batch alone; a failure stands in its place."""
    agent = Reading(app)
    first, second = agent.begin("a", "fails", "b"), agent.begin("c")
    results = [(index, "failed" if isinstance(each, Failure) else each.value) for index, each in first.result(10)]
    assert results == [(0, b'"a"'), (1, "failed"), (2, b'"b"')]
    assert [(index, each.value) for index, each in second.result(10)] == [(0, b'"c"')]


def test_an_abandoned_batch_ends_the_agent_and_the_next_one_begins_anew(app: faust.App) -> None:
    """What was in hand is dropped, with what was sent for it; the agent is called again for the next batch."""
    agent = Reading(app)
    abandoned = agent.begin("a", HANGS, "b")
    assert agent.hanging.wait(10)
    abandoned.cancel()
    assert [each.value for _, each in agent.begin("c").result(10)] == [b'"c"']
    assert agent.seen == ["a", HANGS, "c"]
