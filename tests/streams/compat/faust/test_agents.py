"""Batches in the hands of an agent: one after the other, and ended in the middle."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from streams.compat import faust
from streams.compat.faust.agents import ChannelFeed, Feed
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
    """An agent that sends on what it reads, waits for ever at one value, and calls what `at` says at others."""

    def __init__(self, app: faust.App, at: dict[str, Any] | None = None, **options: Any) -> None:
        self.seen: list[str] = []
        self.hanging = threading.Event()
        out = app.topic("out", value_type=str)

        @app.agent(app.topic("in", value_type=str), **options)
        async def read(stream: Any) -> None:
            async for value in stream:
                self.seen.append(value)
                if value == HANGS:
                    self.hanging.set()
                    await asyncio.Event().wait()
                if value == "fails":
                    raise ValueError(value)
                if at and value in at:
                    await at[value]()
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


def test_an_on_error_that_raises_is_logged_and_the_batch_goes_on(
    app: faust.App, caplog: pytest.LogCaptureFixture
) -> None:
    """The record failed with its own error; nobody waits for an agent that is no more."""

    async def tell(_agent: Any, _error: Exception) -> None:
        raise KeyError("the teller")

    agent = Reading(app, on_error=tell)
    results = agent.begin("fails", "b").result(10)
    failure = results[0][1]
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ValueError)
    assert results[1][1].value == b'"b"'
    assert "on_error of the agent" in caplog.text


async def _cancelled_elsewhere() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def _cancelled_by_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def _exit() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("misfortune", [_cancelled_elsewhere, _cancelled_by_itself, _exit])
def test_an_agent_that_is_cancelled_from_within_fails_at_that_record(app: faust.App, misfortune: Any) -> None:
    """A CancelledError that the worker did not ask for (of a future, a task) is an error as others are; so is an exit."""
    agent = Reading(app, at={"cancelled": misfortune})
    results = agent.begin("a", "cancelled", "b").result(10)
    assert [index for index, each in results if isinstance(each, Failure)] == [1]
    assert [each.value for _, each in results if not isinstance(each, Failure)] == [b'"a"', b'"b"']
    assert [each.value for _, each in agent.begin("c").result(10)] == [b'"c"']


def test_values_that_are_put_into_a_channel_are_read(app: faust.App) -> None:
    """`put` takes a value as it is, as in Faust: agents and loops read it like one that was sent, and `get` gives it back."""
    channel, other, done = app.channel(), app.channel(), threading.Event()
    seen: list[Any] = []

    @app.agent(channel)
    async def read(stream: Any) -> None:
        async for event in stream.events():
            seen.append((event.key, event.value))
            if event.value == "sent":
                done.set()

    async def fill(filled: Any) -> None:
        await filled.put(5)
        await filled.send(key="k", value="sent")

    app.loop_of_app.spawn(ChannelFeed(read, channel).live(), "read")
    app.loop_of_app.run(fill(channel))
    assert done.wait(10)
    assert seen == [(None, 5), ("k", "sent")]

    async def take() -> list[Any]:
        await fill(other)
        values = other.stream()
        taken = [await anext(values), await anext(values)]
        await other.put(7)
        return [*taken, await other.get()]

    assert app.loop_of_app.run(take()) == [5, "sent", 7]


def test_an_agent_over_a_channel_outlives_a_stray_cancellation(app: faust.App) -> None:
    """The next event is read, and `on_error` may raise as well."""
    told: list[str] = []
    channel, done = app.channel(), threading.Event()

    async def tell(_agent: Any, error: Exception) -> None:
        told.append(str(error))
        raise KeyError("the teller")

    @app.agent(channel, on_error=tell)
    async def read(stream: Any) -> None:
        async for value in stream:
            if value == "cancelled":
                await _cancelled_elsewhere()
            done.set()

    app.loop_of_app.spawn(ChannelFeed(read, channel).live(), "read")
    for value in ("cancelled", "b"):
        app.loop_of_app.run(channel.send(value=value))
    assert done.wait(10)
    assert told == ["it was cancelled, and not by the worker"]


@pytest.mark.parametrize("sends", [False, True])
def test_an_abandoned_copy_that_goes_on_gets_no_more_records(app: faust.App, sends: bool) -> None:
    """It took its cancellation for an error: the next batch belongs to the new copy, and is done when that one is.

    What the old one still sends belongs to the batch that was abandoned.
    """
    seen: list[tuple[int, str]] = []
    at_work, stuck, let_go, copies = threading.Event(), threading.Event(), threading.Event(), iter(range(10))
    out = app.topic("out", value_type=str)

    @app.agent(app.topic("in", value_type=str))
    async def read(stream: Any) -> None:
        number = next(copies)
        async for value in stream:
            seen.append((number, value))
            try:
                if value == HANGS:
                    at_work.set()
                    await asyncio.Event().wait()
            except BaseException:  # as careless applications do
                if sends:
                    await out.send(value="of the abandoned batch")
                continue
            if value == "z":
                stuck.set()
                while not let_go.is_set():  # noqa: ASYNC110  it is set on another thread
                    await asyncio.sleep(0.01)
            await out.send(value=value)

    feed = app.feed_of(read)
    abandoned = app.loop_of_app.begin(feed.hand_out(batch_of((HANGS, "b")), {}))
    assert at_work.wait(10)
    abandoned.cancel()
    following = app.loop_of_app.begin(feed.hand_out(batch_of(("x", "y", "z")), {}))
    assert stuck.wait(10)
    with pytest.raises(TimeoutError):
        following.result(0.3)
    let_go.set()
    assert [each.value for _, each in following.result(10)] == [b'"x"', b'"y"', b'"z"']
    assert seen == [(0, HANGS), (1, "x"), (1, "y"), (1, "z")]


def test_the_worker_stops_though_a_copy_refuses_to_end(app: faust.App) -> None:
    """One that swallows every cancellation keeps no other copy from its records, nor the loop from its turn."""
    seen: list[str] = []
    at_work = threading.Event()

    @app.agent(app.topic("in", value_type=str))
    async def read(stream: Any) -> None:
        for _ in range(5):
            try:
                async for value in stream:
                    seen.append(value)
                    at_work.set()
                    if value == HANGS:
                        await asyncio.Event().wait()
            except BaseException:  # as careless applications do
                continue

    feed = app.feed_of(read)
    abandoned = app.loop_of_app.begin(feed.hand_out(batch_of((HANGS,)), {}))
    assert at_work.wait(10)
    abandoned.cancel()
    assert app.loop_of_app.run(feed.hand_out(batch_of(("a",)), {})) == []
    assert seen == [HANGS, "a"]


def test_waiting_for_a_record_may_be_given_up(app: faust.App) -> None:
    """An agent that looks at the clock between records, by a timeout of its own, gets each record once."""
    seen: list[str] = []
    idle = threading.Event()
    out = app.topic("out", value_type=str)

    @app.agent(app.topic("in", value_type=str))
    async def read(stream: Any) -> None:
        records = aiter(stream)
        while True:
            try:
                value = await asyncio.wait_for(anext(records), 0.02)
            except TimeoutError:
                idle.set()
                await asyncio.sleep(0.02)
                records = aiter(stream)
                continue
            seen.append(value)
            await out.send(value=value)

    feed = app.feed_of(read)
    for values in (("a", "b"), ("c",), ("d", "e")):
        idle.clear()
        results = app.loop_of_app.begin(feed.hand_out(batch_of(values), {})).result(10)
        assert [(index, each.value) for index, each in results] == [
            (index, f'"{value}"'.encode()) for index, value in enumerate(values)
        ]
        assert idle.wait(10)
    assert seen == list("abcde")


def test_a_coroutine_of_the_application_that_leaves_takes_no_agent_with_it(app: faust.App) -> None:
    """sys.exit in a task that an agent made for itself ends that task: the loop goes on for the agents."""

    async def leave() -> None:
        sys.exit("bad")

    async def start() -> None:
        left.append(asyncio.create_task(leave()))
        await asyncio.sleep(0)

    left: list[asyncio.Task[None]] = []
    agent = Reading(app, {"a": start})
    agent.begin("a").result(20)
    agent.begin("b").result(20)
    assert agent.seen == ["a", "b"]
    assert isinstance(left[0].exception(), SystemExit)
