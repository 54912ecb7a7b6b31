"""Topics, channels in memory, and events: what applications send to and agents read from.

Rules: what an agent sends while it has a record goes out with its task's commit; what is sent from elsewhere goes out at
once, over a producer of its own. Times are in seconds since 1970, as in Faust.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping
from contextvars import ContextVar
from types import GenericAlias
from typing import Any, ClassVar, NamedTuple

from streams.compat.faust.errors import ImproperlyConfigured, not_here
from streams.compat.faust.schemas import with_schema
from streams.compat.faust.serdes import FaustSerde
from streams.compat.faust.windows import Seconds, seconds
from streams.record import Headers

CURRENT: ContextVar[Any] = ContextVar("agent")
"""The copy of an agent (`agents.Copy`) that the coroutine belongs to."""


class Outgoing(NamedTuple):
    """A record on its way out, as bytes; `partition` None leaves the choice to Kafka's partitioner."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    partition: int | None


class TP(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class RecordMetadata(NamedTuple):
    """Where a record went. Partition and offset are -1 where the commit decides them."""

    topic: str
    partition: int = -1
    offset: int = -1

    @property
    def topic_partition(self) -> TP:
        """Topic and partition."""
        return TP(self.topic, self.partition)


class Sent:
    """What `await topic.send(...)` gives: awaiting it again tells where the record went."""

    def __init__(self, metadata: RecordMetadata) -> None:
        self.metadata = metadata

    def result(self) -> RecordMetadata:
        """Where it went."""
        return self.metadata

    def __await__(self) -> Generator[None, None, RecordMetadata]:
        yield from ()
        return self.metadata


class Message(NamedTuple):
    """Where an event came from: Faust's `event.message`. `timestamp` is in seconds."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    headers: dict[str, bytes | None]
    key: Any
    value: Any

    @property
    def tp(self) -> TP:
        """Topic and partition."""
        return TP(self.topic, self.partition)


class Event:
    """A record as agents see it with `stream.events()`."""

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)
    __slots__ = ("app", "headers", "key", "message", "value")

    def __init__(self, app: Any, key: Any, value: Any, message: Message) -> None:
        self.app = app
        self.key = key
        self.value = value
        self.headers = message.headers
        self.message = message

    async def send(self, channel: Any, key: Any = None, value: Any = None, **options: Any) -> Sent:
        """Send something on behalf of this event."""
        return await self.app.send(channel, key=key, value=value, **options)  # type: ignore[no-any-return]

    async def forward(self, channel: Any, key: Any = None, value: Any = None, **options: Any) -> Sent:
        """Send the event on, with its key, value and headers where no others are given."""
        options.setdefault("headers", self.headers)
        key = self.key if key is None else key
        value = self.value if value is None else value
        return await self.app.send(channel, key=key, value=value, **options)  # type: ignore[no-any-return]

    def ack(self) -> bool:
        """Commits follow the runtime; nothing has to be acknowledged."""
        return True

    def reject(self) -> None:
        """As `ack`."""

    def __repr__(self) -> str:
        return f"<Event: k={self.key!r} v={self.value!r}>"


class Topic:
    """A topic, with how its keys and values are written. Made by `app.topic`."""

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __init__(
        self,
        app: Any,
        *topics: str,
        schema: Any = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        partitions: int | None = None,
        retention: Seconds | None = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        replicas: int | None = None,  # noqa: ARG002  the application's factor counts for all
        config: Mapping[str, Any] | None = None,
        internal: bool = False,
        acks: bool = True,  # noqa: ARG002  commits follow the runtime
        allow_empty: bool = True,  # noqa: ARG002  None is a value like any
        maxsize: int | None = None,  # noqa: ARG002  the runtime bounds its own buffers
        has_prefix: bool = False,
        **options: Any,
    ) -> None:
        for name in options:
            raise not_here("app.topic", name)
        if not topics or not all(isinstance(name, str) and name for name in topics):
            raise ImproperlyConfigured(f"app.topic: expected the names of topics, got {topics!r}")
        types = with_schema(schema, key_type=key_type, value_type=value_type)
        forms = with_schema(schema, key_serializer=key_serializer, value_serializer=value_serializer)
        self.app = app
        self.topics = topics
        self.key_type = types["key_type"]
        self.value_type = types["value_type"]
        self.partitions = partitions
        self.internal = internal
        self.has_prefix = has_prefix
        self.key_serializer = forms["key_serializer"] or _own_form(self.key_type) or app.conf.key_serializer
        self.value_serializer = forms["value_serializer"] or _own_form(self.value_type) or app.conf.value_serializer
        self.key_serde = FaustSerde(self.key_serializer, self.key_type)
        self.value_serde = FaustSerde(self.value_serializer, self.value_type)
        self.config = topic_config(retention, compacting=compacting, deleting=deleting, config=config)

    @property
    def name(self) -> str:
        """The topic's name, the first if there are several."""
        return self.topics[0]

    def get_topic_name(self) -> str:
        """The topic's name. Raises: TypeError when there are several."""
        if len(self.topics) > 1:
            raise TypeError(f"a topic of several names cannot be sent to: {', '.join(self.topics)}")
        return self.name

    async def send(
        self,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Callable[[Any], Any] | None = None,
        force: bool = False,  # noqa: ARG002  what is sent outside of agents is never held back
    ) -> Sent:
        """Send a record. Inside an agent it goes out with the commit."""
        if callback is not None:
            raise not_here("topic.send", "callback")
        key_serde = FaustSerde(key_serializer) if key_serializer else self.key_serde
        value_serde = FaustSerde(value_serializer) if value_serializer else self.value_serde
        outgoing = Outgoing(
            self.get_topic_name(),
            None if key is None else key_serde.serialize(key),
            None if value is None else value_serde.serialize(value),
            time.time_ns() // 1_000_000 if timestamp is None else round(timestamp * 1000),
            wire_headers(headers),
            partition,
        )
        copy = CURRENT.get(None)
        if copy is not None and copy.at_work:
            copy.send(outgoing)
            return Sent(RecordMetadata(outgoing.topic))
        return Sent(await self.app.sender.send(outgoing))

    def send_soon(self, **options: Any) -> Sent:
        """As `send`, from a function that is not async."""
        coroutine = self.send(**options)
        copy = CURRENT.get(None)
        if copy is not None and copy.at_work:
            try:
                coroutine.send(None)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
        self.app.loop_of_app.spawn(coroutine, f"sending to {self.name}")
        return Sent(RecordMetadata(self.name))

    async def declare(self) -> None:
        """Topics are made when the worker starts."""

    maybe_declare = declare

    def derive(self, *topics: str, **options: Any) -> Topic:
        """A topic like this one under another name or with other types."""
        given = {name: getattr(self, name) for name in ("key_type", "value_type", "key_serializer", "value_serializer")}
        return Topic(
            self.app,
            *(topics or self.topics),
            **{**given, "partitions": self.partitions, "has_prefix": self.has_prefix, **options},
        )

    def stream(self, **_options: Any) -> Any:
        """Streams are what agents are given."""
        raise not_here("topic", "stream")

    def __aiter__(self) -> Any:
        raise not_here("topic", "stream")

    def __str__(self) -> str:
        return ",".join(self.topics)

    def __repr__(self) -> str:
        return f"<Topic: {self}>"


class Channel:
    """A channel in memory: what is sent to it reaches the agents and loops of this worker, and nobody else."""

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __init__(
        self,
        app: Any,
        *,
        schema: Any = None,
        key_type: Any = None,
        value_type: Any = None,
        maxsize: int | None = None,
    ) -> None:
        types = with_schema(schema, key_type=key_type, value_type=value_type)
        self.app = app
        self.key_type = types["key_type"]
        self.value_type = types["value_type"]
        self._queue: asyncio.Queue[Event] = asyncio.Queue(maxsize or 0)

    async def send(self, *, key: Any = None, value: Any = None, headers: Any = None, **_options: Any) -> Sent:
        """Put a value in; waits while a bounded channel is full."""
        await self.put(self.event(value, key, headers))
        return Sent(RecordMetadata(""))

    def event(self, value: Any, key: Any = None, headers: Any = None) -> Event:
        """A value as those who loop over events have it."""
        message = Message("", 0, -1, time.time(), dict(wire_headers(headers)), key, value)
        return Event(self.app, key, value, message)

    async def put(self, event: Any) -> None:
        """Put an event in, or a value as it is, which `get` gives back so."""
        await self._queue.put(event)

    async def get(self, *, timeout: Seconds | None = None) -> Any:  # noqa: ASYNC109  Faust's signature
        """Take the next event. Raises: TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(None if timeout is None else seconds(timeout)):
            return await self._queue.get()

    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._queue.empty()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            yield await self._queue.get()

    async def stream(self) -> AsyncIterator[Any]:
        """The values."""
        async for event in self:
            yield event.value if isinstance(event, Event) else event


def _own_form(kind: Any) -> Any:
    if kind is bytes:
        return "raw"
    return kind._options.serializer if hasattr(kind, "__is_model__") else None


def wire_headers(headers: Any) -> Headers:
    """Headers as pairs, from a mapping or pairs; text becomes bytes."""
    if not headers:
        return ()
    pairs: Iterable[tuple[str, Any]] = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)


def topic_config(
    retention: Seconds | None, *, compacting: bool | None, deleting: bool | None, config: Mapping[str, Any] | None
) -> dict[str, str]:
    """Kafka's settings for a topic, from Faust's words."""
    found: dict[str, str] = {}
    policies = [name for name, wanted in (("compact", compacting), ("delete", deleting)) if wanted]
    if policies:
        found["cleanup.policy"] = ",".join(policies)
    if retention is not None:
        found["retention.ms"] = str(round(seconds(retention) * 1000))
    return found | {name: str(value) for name, value in (config or {}).items()}
