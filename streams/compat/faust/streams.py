"""The stream that an agent is given, and the steps it may take: Faust's, over the records the runtime hands out.

Rules: steps that need another topic (`group_by`, `through`) are found before the worker runs, by calling the agent once
up to its loop; what stands before them becomes steps of the topology, what comes after runs in the agent.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from types import GenericAlias
from typing import Any, ClassVar, NamedTuple

from streams.compat.faust.errors import ImproperlyConfigured, not_here
from streams.compat.faust.models import FieldDescriptor
from streams.compat.faust.topics import Event
from streams.compat.faust.windows import Seconds


class Skip(Exception):  # noqa: N818  Faust's word
    """Raised by a processor to drop the value."""


class Reached(BaseException):
    """Ends the call that finds an agent's steps: its loop has begun. Not an Exception, so that agents let it pass."""


class Step(NamedTuple):
    """A step by way of another topic: `through` that topic, or grouped `by` a key. `before`: processors up to here."""

    before: list[Callable[[Any], Any]]
    through: Any = None
    by: Any = None
    name: str = ""
    partitions: int | None = None


class Echo:
    """A processor that sends what goes by to other channels too."""

    def __init__(self, app: Any, channels: tuple[Any, ...]) -> None:
        self._app = app
        self.channels = channels

    async def __call__(self, value: Any) -> Any:
        """Send it, without a key, and hand it on."""
        for channel in self.channels:
            await self._app.send(channel, value=value)
        return value


class Stream:
    """See the module. Loop over it for values, over `items()` for (key, value), over `events()` for all there is."""

    def __init__(self, copy: Any, *, planning: list[Step] | None = None) -> None:
        self._copy = copy
        self._planning = planning
        self._steps = 0
        self._processors: list[Callable[[Any], Any]] = []

    # Steps

    def add_processor(self, processor: Callable[[Any], Any]) -> None:
        """Have each value go through a function, async or not."""
        self._processors.append(processor)

    def filter(self, predicate: Callable[[Any], Any]) -> Stream:
        """Only the values that `predicate` holds for."""

        async def kept(found: Any, value: Any) -> Any:
            if not await found:
                raise Skip
            return value

        def keep(value: Any) -> Any:
            found = predicate(value)
            if inspect.isawaitable(found):
                return kept(found, value)
            if not found:
                raise Skip
            return value

        self.add_processor(keep)
        return self

    def echo(self, *channels: Any) -> Stream:
        """Send each value to other channels too."""
        self.add_processor(Echo(self._copy.agent.app, channels))
        return self

    def group_by(
        self, key: Any, *, name: str | None = None, topic: Any = None, partitions: int | None = None
    ) -> Stream:
        """Through a topic of its own, so that records of a key meet: `key` is a field, or a function of the value."""
        if topic is not None:
            raise not_here("stream.group_by", "topic")
        if name is None and not isinstance(key, FieldDescriptor):
            raise TypeError("group_by with a function needs a name: group_by(function, name='...')")
        named = name or f"{key.model.__name__}.{key.field}"
        return self._by_way(Step(self._processors, by=key, name=named, partitions=partitions))

    def through(self, channel: Any) -> Stream:
        """By way of a topic: records are forwarded there as they came, and read from it."""
        return self._by_way(Step(self._processors, through=channel))

    def processed(self, processors: Iterable[Callable[[Any], Any]]) -> Stream:
        """This stream through more functions, each async or not: what `app.stream(stream, processors=[...])` gives."""
        for processor in processors:
            self.add_processor(processor)
        return self

    def noack(self) -> Stream:
        """Commits follow the runtime; this changes nothing."""
        return self

    def get_active_stream(self) -> Stream:
        """This one."""
        return self

    def _by_way(self, step: Step) -> Stream:
        if self._planning is not None:
            self._planning.append(step)
        elif self._steps >= self._copy.agent.planned:
            name = self._copy.agent.name
            raise ImproperlyConfigured(
                f"that the agent {name} uses group_by or through could not be seen before it ran: call them in the agent "
                "itself or in a function that it names, on the stream of a topic, and under no condition"
            )
        self._steps += 1
        self._processors = []
        return self

    # Loops

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._planning is not None:
            raise Reached
        return self._processed() if self._processors else self._plain()

    async def items(self) -> AsyncIterator[tuple[Any, Any]]:
        """(key, value) of each record."""
        async for value in self:
            yield self._copy.key, value

    async def events(self) -> AsyncIterator[Event]:
        """Each record whole."""
        async for value in self:
            yield self._event(value)

    async def enumerate(self, start: int = 0) -> AsyncIterator[tuple[int, Any]]:
        """(number, value), counted from `start`."""
        async for value in self:
            yield start, value
            start += 1

    async def take(self, max_: int, within: Seconds | None = None) -> AsyncIterator[list[Any]]:  # noqa: ARG002  see below
        """Lists of up to `max_` values: those that have arrived.

        A list never waits for more (`within` is not needed), for a record held back would have to be held out of the
        commit too.
        """
        async for values in self._taken(max_, lambda value: value):
            yield values

    noack_take = take

    async def take_events(self, max_: int, within: Seconds | None = None) -> AsyncIterator[list[Event]]:  # noqa: ARG002
        """As `take`, each record whole."""
        async for events in self._taken(max_, self._event):
            yield events

    async def take_with_timestamp(
        self,
        max_: int,
        within: Seconds | None,  # noqa: ARG002  as `take` has it
        timestamp_field_name: str,
    ) -> AsyncIterator[list[Any]]:
        """As `take`; values that are dicts get a field with the time of their record, in seconds."""

        def timed(value: Any) -> Any:
            if isinstance(value, dict) and timestamp_field_name:
                value[timestamp_field_name] = self._copy.event().message.timestamp
            return value

        async for values in self._taken(max_, timed):
            yield values

    async def _taken(self, max_: int, made: Callable[[Any], Any]) -> AsyncIterator[list[Any]]:
        """What is made of each value while its record is in hand, several at a time."""
        self._copy.feed.least = max(self._copy.feed.least, max_)
        async for value in self:
            held = [made(value)]
            while len(held) < max_ and self._copy.feed.ready:
                try:
                    held.append(made(await self._through_processors(self._copy.step())))
                except Skip:
                    continue
            yield held

    def _event(self, value: Any) -> Event:
        """The record in hand, with what the processors made of its value."""
        event: Event = self._copy.event()
        event.value = value
        return event

    async def _plain(self) -> AsyncIterator[Any]:
        copy = self._copy
        copy.sleeping = False
        while True:
            feed = copy.feed  # another one when the copy was ended, and went on
            if feed.position >= feed.length:
                await feed.more(copy)
                continue
            copy.index = index = feed.position
            feed.position = index + 1
            yield feed.values[index]

    async def _processed(self) -> AsyncIterator[Any]:
        async for value in self._plain():
            try:
                done = await self._through_processors(value)
            except Skip:
                continue
            yield done

    async def _through_processors(self, value: Any) -> Any:
        for processor in self._processors:
            value = await _result(processor(value))
        return value

    # What the record in hand says

    @property
    def current_event(self) -> Event | None:
        """The record in hand."""
        return None if self._copy.index < 0 else self._copy.event()

    @property
    def app(self) -> Any:
        """The application."""
        return self._copy.agent.app

    def __and__(self, other: Any) -> Any:
        raise not_here("stream", "combine")

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)
    """For annotations: `stream: faust.Stream[Ride]`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise not_here("stream", name)


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
