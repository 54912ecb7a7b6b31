"""Agents: the application's coroutines, fed by the runtime one batch at a time.

Rules: `concurrency` copies of an agent run on each worker and share its records. A batch is done when every copy asks
for more, and only then does its task go on, so that what an agent did to tables and topics is committed with the
records it did it for. Agents run ahead of their records' turn (docs/decisions/0015 and 0018), so that one that waits holds
up no others. An agent that raises is called again and goes on with the next record, as in Faust; errors of ours that no
record is to blame for (a table that cannot be seen, a store that cannot be read) end the worker before it reads past any.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from types import GenericAlias
from typing import Any, ClassVar

from streams.compat.faust.errors import FaustError, ImproperlyConfigured, blameless, not_here
from streams.compat.faust.replies import Replies, reply_of
from streams.compat.faust.streams import Reached, Step, Stream
from streams.compat.faust.tables import Table
from streams.compat.faust.topics import CURRENT, Channel, Event, Message, Outgoing, Sent, Topic
from streams.compat.faust.uses import mentions, reads_stream, tables_of
from streams.dsl.agent_results import Failure
from streams.dsl.agents import cancelled
from streams.record import Batch

log = logging.getLogger(__name__)

_PAUSE_S = 0.05
NO_RECORDS = Batch([], [], [])


class Copy:
    """One running copy of an agent; `index` is its record in hand, -1 before the first."""

    def __init__(self, agent: Agent, feed: Feed | ChannelFeed) -> None:
        self.agent = agent
        self.feed: Feed | ChannelFeed | Remains = feed
        self.index = -1
        self.sleeping = False

    @property
    def at_work(self) -> bool:
        """Whether it has a record, so that what it does belongs to a commit."""
        return self.feed.in_turn and self.index >= 0 and not self.sleeping

    @property
    def key(self) -> Any:
        """The key of the record in hand."""
        return self.feed.batch.keys[self.index]

    @property
    def partition(self) -> int:
        """The partition of the record in hand."""
        return self.feed.batch.partition

    @property
    def timestamp(self) -> float:
        """The time of the record in hand, in seconds."""
        return self.feed.batch.timestamps[self.index] / 1000

    def send(self, outgoing: Outgoing) -> None:
        """Have a record go out with the commit of the record in hand."""
        self.feed.results.append((self.index, outgoing))

    def step(self) -> Any:
        """Take the next record in hand, which must be there. Shape: its value."""
        self.index = self.feed.position
        self.feed.position += 1
        return self.feed.values[self.index]

    def event(self) -> Event:
        """The record in hand, whole."""
        batch, index = self.feed.batch, self.index
        key, value = batch.keys[index], batch.values[index]
        headers = dict(batch.headers[index]) if batch.headers else {}
        offset = batch.offsets[index] if batch.offsets else -1
        message = Message(batch.topic or "", batch.partition, offset, self.timestamp, headers, key, value)
        return Event(self.agent.app, key, value, message)


Result = tuple[int, Outgoing | Failure]
"""What came of a record, by its index in the batch."""


class Feed:
    """The records of one batch at a time, shared by the copies of an agent, and what they made of them.

    `least` is how many records the agent asked for at once.
    """

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.batch = NO_RECORDS
        self.values: list[Any] = []
        self.position = self.length = 0
        self.in_turn = False
        self.stores: dict[str, Any] = {}
        self.results: list[Result] = []
        self.least = 1
        self._turn = asyncio.Lock()
        self._broken: Exception | None = None
        self._copies: set[Copy] = set()
        self._waiting: dict[Copy, asyncio.Future[None]] = {}
        self._done: asyncio.Future[None] | None = None
        self._running: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether there is a record to be had without waiting."""
        return self.position < self.length

    async def hand_out(self, batch: Batch, stores: dict[str, Any]) -> list[Result]:
        """Give a batch to the copies, and wait until all of them ask for more; batches of other tasks wait their turn.

        Cancelled, it ends the copies; new ones begin with the next batch. Raises: what no copy can go on after.
        """
        async with self._turn:
            try:
                return await self._hand_out(batch, stores)
            except asyncio.CancelledError:
                await self._stop()
                raise

    async def _hand_out(self, batch: Batch, stores: dict[str, Any]) -> list[Result]:
        if self._broken is not None:
            raise self._broken
        self.batch, self.values, self.stores, self.results = batch, batch.values, stores, []
        self.position, self.length, self.in_turn = 0, len(batch), True
        self._done = asyncio.get_running_loop().create_future()
        if not self._running:
            self._running = [asyncio.ensure_future(self._live()) for _ in range(self.agent.concurrency)]
        waiting, self._waiting = self._waiting, {}
        for copy, sleeper in waiting.items():
            if not sleeper.done():  # else it gave up waiting, and will ask again
                copy.sleeping = False
                sleeper.set_result(None)
        try:
            await self._done
        finally:
            self.in_turn, self._done = False, None
        if self._broken is not None:
            raise self._broken
        return self.results

    async def _stop(self) -> None:
        running, self._running, self._waiting = self._running, [], {}
        self.position = self.length
        remains = Remains(self)
        for copy in self._copies:
            copy.feed = remains
        self._copies.clear()
        await cancelled(running)

    async def more(self, copy: Copy) -> None:
        """Wait for a batch; asking says that the copy is done with the one before."""
        if self.agent.app.loop_of_app.stopping:  # and the copy did not let itself be cancelled
            await no_more()
        sleeper = asyncio.get_running_loop().create_future()
        copy.sleeping = True
        self._waiting[copy] = sleeper
        all_sleep = len(self._copies) == self.agent.concurrency and all(each.sleeping for each in self._copies)
        if all_sleep and self._done is not None and not self._done.done():
            self._done.set_result(None)
        await sleeper

    async def _live(self) -> None:
        """One copy: the agent is called again whenever it ends or raises, and each call must read a record."""
        while self._broken is None:
            copy = Copy(self.agent, self)
            CURRENT.set(copy)
            self._copies.add(copy)
            error = await self.agent.app.loop_of_app.outcome_of(self.agent.run(copy), self._ended)
            if self._ended():  # it took its cancellation for an error of its own, and came to an end at last
                return
            if copy.index < 0:
                self._break_off(error or FaustError(f"the agent {self.agent.name} ended without reading a record"))
            elif error is not None:
                so = "and the worker ends" if blameless(error) else "and goes on with the next record"
                log.error("the agent %s raised, %s", self.agent.name, so, exc_info=error)
                self.results.append((copy.index, Failure(error)))
                await self.agent.tell_error(error, self._ended)
            self._copies.discard(copy)

    def _ended(self) -> bool:
        """Whether the copy that this task runs was told to end."""
        return asyncio.current_task() not in self._running

    def _break_off(self, error: Exception) -> None:
        self._broken = error
        if self._done is not None and not self._done.done():
            self._done.set_result(None)


async def no_more() -> None:
    """Cancel whoever asks for more. The pause is for him who asks again and again, so that others get their turn."""
    await asyncio.sleep(_PAUSE_S)
    raise asyncio.CancelledError


class Remains:
    """What a copy that was ended has left, should it go on all the same: the batch that was taken from it, and no other.

    What it still does to tables and topics is forgotten, with what it did before.
    """

    least = 1

    def __init__(self, feed: Feed) -> None:
        self.batch, self.values, self.stores, self.results = feed.batch, feed.values, feed.stores, feed.results
        self.position = self.length = feed.length
        self.in_turn, self.ready = True, False

    async def more(self, _copy: Copy) -> None:
        """There is no more."""
        await no_more()


class ChannelFeed:
    """The events of a channel in memory, one at a time; nothing of it belongs to a commit."""

    in_turn = False
    least = 1

    def __init__(self, agent: Agent, channel: Channel) -> None:
        self.agent = agent
        self.channel = channel
        self.batch = NO_RECORDS
        self.values: list[Any] = []
        self.results: list[Result] = []
        self.stores: dict[str, Any] = {}
        self.position = self.length = 0

    @property
    def ready(self) -> bool:
        """Whether there is an event to be had without waiting."""
        return self.position < self.length

    async def more(self, _copy: Copy) -> None:
        """Wait for an event."""
        given = await self.channel.get()
        event = given if isinstance(given, Event) else self.channel.event(given)
        headers = [tuple(event.headers.items())]
        self.batch = Batch([event.key], [event.value], [round(event.message.timestamp * 1000)], headers)
        self.values, self.position, self.length = [event.value], 0, 1

    async def live(self) -> None:
        """Run the agent, again and again."""
        while True:
            copy = Copy(self.agent, self)
            CURRENT.set(copy)
            error = await self.agent.app.loop_of_app.outcome_of(self.agent.run(copy))
            if error is not None:
                log.error("the agent %s raised, and goes on with the next event", self.agent.name, exc_info=error)
                await self.agent.tell_error(error)
            if copy.index < 0:
                raise FaustError(f"the agent {self.agent.name} ended without reading an event")


class Agent:
    """An agent, as its application sees it. Made by `@app.agent`."""

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __init__(
        self,
        app: Any,
        function: Callable[..., Any],
        channel: Topic | Channel,
        *,
        name: str,
        concurrency: int,
        sink: Iterable[Any],
        on_error: Callable[..., Any] | None,
        help_text: str,
    ) -> None:
        self.app = app
        self.fun = function
        self.channel = channel
        self.name = name
        self.concurrency = concurrency
        self.help = help_text
        self.sinks = list(sink)
        self.on_error = on_error
        self.planned = 0
        """How many steps by way of other topics have been found."""
        self.idle = not reads_stream(function)
        """Whether it never looks at its stream: it is called once, and its topic only sent to, as in Faust."""
        self.yields = inspect.isasyncgenfunction(function)
        if not (self.yields or inspect.iscoroutinefunction(function)):
            raise ImproperlyConfigured(f"the agent {name} is not async: write async def")
        if self.sinks and not self.yields:
            raise ImproperlyConfigured(f"the agent {name} has a sink, so it must yield")

    # What the runtime asks

    def tables(self) -> list[Table]:
        """The tables it uses, its sinks included."""
        functions: list[Callable[..., Any]] = [
            self.fun,
            *(sink for sink in self.sinks if not isinstance(sink, Agent | Topic | Channel)),
        ]
        return list({table.name: table for each in functions for table in tables_of(each)}.values())

    def steps(self) -> list[Step]:
        """Its steps by way of other topics. The agent is called up to its loop to find them, if it has any."""
        steps: list[Step] = []
        if mentions(self.fun, "group_by", "through"):
            asyncio.run(self._plan(steps))
        self.planned = len(steps)
        return steps

    async def _plan(self, steps: list[Step]) -> None:
        copy = Copy(self, Feed(self))
        running = self.fun(Stream(copy, planning=steps))
        try:
            await (anext(running) if self.yields else running)
        except Reached:
            return
        except StopAsyncIteration:
            pass
        raise FaustError(f"the agent {self.name} ended without reading its stream: loop `async for value in stream`")

    async def run(self, copy: Copy) -> None:
        """Call the function once, and hand on what it yields."""
        running = self.fun(Stream(copy))
        if not self.yields:
            await running
            return
        async for value in running:
            if copy.index >= 0:
                await self._reply(copy, value)
            for sink in self.sinks:
                await self._hand_on(sink, value)

    async def run_idle(self) -> None:
        """Call the function once, for what else it does."""
        log.warning("the agent %s never reads its stream: what is sent to %s stays there", self.name, self.channel)
        running = self.fun(None)
        if self.yields:
            async for _ in running:
                pass
        else:
            await running

    async def _reply(self, copy: Copy, value: Any) -> None:
        headers = copy.feed.batch.headers
        if headers and (reply := reply_of(headers[copy.index], copy.key, value)) is not None:
            topic, response = reply
            await self.app.topic(topic, value_serializer="json").send(value=response)

    async def _hand_on(self, sink: Any, value: Any) -> None:
        if isinstance(sink, Agent | Topic | Channel):
            await sink.send(value=value)
            return
        result = sink(value)
        if inspect.isawaitable(result):
            await result

    async def tell_error(self, error: Exception, ended: Callable[[], bool] = lambda: False) -> None:
        """Call the application's own `on_error`; what that raises is logged, for there is nobody else to tell."""
        on_error = self.on_error
        if on_error is None:
            return

        async def tell() -> None:
            result = on_error(self, error)
            if inspect.isawaitable(result):
                await result

        problem = await self.app.loop_of_app.outcome_of(tell(), ended)
        if problem is not None:
            log.error("on_error of the agent %s raised", self.name, exc_info=problem)

    # What applications ask

    def add_sink(self, sink: Any) -> None:
        """Have results go somewhere else too."""
        if sink not in self.sinks:
            self.sinks.append(sink)

    async def send(self, *, key: Any = None, value: Any = None, **options: Any) -> Sent:
        """Send a value to the agent's topic."""
        if options.pop("reply_to", None) is not None:
            raise not_here("agent.send", "reply_to")
        return await self.channel.send(key=key, value=value, **options)

    async def cast(self, value: Any = None, *, key: Any = None, **options: Any) -> None:
        """Send a value, and expect no reply."""
        await self.send(key=key, value=value, **options)

    async def ask(self, value: Any = None, *, key: Any = None, **options: Any) -> Any:
        """Send a value, and wait for what the agent yields for it."""
        self._expect_outside("ask")
        return await (await self._replies.ask(self.channel, key, value, options))

    async def ask_nowait(self, value: Any = None, *, key: Any = None, **options: Any) -> asyncio.Future[Any]:
        """As `ask`; what it gives can be awaited later."""
        self._expect_outside("ask_nowait")
        return await self._replies.ask(self.channel, key, value, options)

    async def map(self, values: Any, key: Any = None) -> AsyncIterator[Any]:
        """Ask for many; replies come as they arrive."""
        async for value in self.kvmap([(key, value) async for value in _each(values)]):
            yield value

    async def kvmap(self, items: Any) -> AsyncIterator[Any]:
        """Ask for many (key, value) pairs; replies come as they arrive."""
        asked = [await self.ask_nowait(value, key=key) async for key, value in _each(items)]
        for reply in asyncio.as_completed(asked):
            yield await reply

    async def join(self, values: Any, key: Any = None) -> list[Any]:
        """Ask for many, and wait for all; replies in the order of the questions."""
        return await self.kvjoin([(key, value) async for value in _each(values)])

    async def kvjoin(self, items: Any) -> list[Any]:
        """Ask for many (key, value) pairs, and wait for all."""
        return list(await asyncio.gather(*[await self.ask_nowait(value, key=key) async for key, value in _each(items)]))

    @property
    def _replies(self) -> Replies:
        return self.app.replies  # type: ignore[no-any-return]  # there is one per application

    def _expect_outside(self, verb: str) -> None:
        copy = CURRENT.get(None)
        if copy is not None and copy.at_work:
            raise FaustError(
                f"{self.name}.{verb} inside the agent {copy.agent.name}: the reply can only come after this record is "
                "committed. Ask from a task, a timer or a command; or send, and have the answer in a topic of its own"
            )

    def test_context(self, *_arguments: Any, **_options: Any) -> Any:
        """Faust's own way to test agents."""
        raise not_here("agent", "test_context")

    def __repr__(self) -> str:
        return f"<Agent: {self.name}>"


async def _each(values: Any) -> AsyncIterator[Any]:
    if hasattr(values, "__aiter__"):
        async for value in values:
            yield value
        return
    for value in values:
        yield value
