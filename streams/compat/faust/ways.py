"""How records come to an agent: the topics and steps between its own topic and the one it loops over."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from streams.compat.faust.agent_processor import AgentProcessor
from streams.compat.faust.agents import Agent
from streams.compat.faust.errors import ImproperlyConfigured
from streams.compat.faust.models import FieldDescriptor
from streams.compat.faust.streams import Echo, Skip, Step
from streams.compat.faust.tables import Table
from streams.compat.faust.topics import Topic
from streams.dsl.kstream import KStream

log = logging.getLogger(__name__)


class Way(NamedTuple):
    """How records come to an agent: the topics, and the steps between them."""

    agent: Agent
    topics: list[Topic]
    steps: list[Step]


def read_back(ways: list[Way]) -> set[str]:
    """The tables whose changelog is what an agent reads that writes them: each change would come back to it for ever.

    Such a table is kept from the topic as it is, and writes nothing to it; in Faust, such an agent is given nothing.
    """
    found: set[str] = set()
    for way in ways:
        topic = way.topics[-1]
        for table in way.agent.tables():
            if not table.everywhere and table.changelog_topic.name in topic.topics:
                log.warning(
                    "the agent %s reads %s, the changelog of its table %s: what it writes to the table stays there",
                    *(way.agent.name, topic, table.name),
                )
                found.add(table.name)
    return found


def supplier(agent: Agent, tables: list[Table]) -> Callable[[], AgentProcessor]:
    """What makes the processors of an agent, one per task."""
    return lambda: AgentProcessor(agent, tables)


def prepared(app: Any, stream: KStream, step: Step) -> KStream:
    """The processors that stand before a step by way of another topic."""
    gathered: list[Callable[[Any], Any]] = []
    for processor in step.before:
        if isinstance(processor, Echo):
            stream, gathered = _through(app, stream, gathered), []
            for topic in map(partial(_topic_of, app), processor.channels):
                unkeyed = stream.select_key(lambda _key, _value: None)
                unkeyed.to(topic.name, key=topic.key_serde, value=topic.value_serde)
        else:
            gathered.append(processor)
    return _through(app, stream, gathered)


def _through(app: Any, stream: KStream, processors: list[Callable[[Any], Any]]) -> KStream:
    def through(value: Any) -> list[Any]:
        try:
            for processor in processors:
                value = at_once(app, processor(value))
        except Skip:
            return []
        return [value]

    return stream.flat_map_values(through) if processors else stream


def _topic_of(app: Any, channel: Any) -> Topic:
    channel = channel.channel if isinstance(channel, Agent) else channel
    topic = app.topic(channel) if isinstance(channel, str) else channel
    if not isinstance(topic, Topic):
        raise ImproperlyConfigured("echo before group_by or through goes to topics only: echo to a channel after it")
    return topic


def at_once(app: Any, value: Any) -> Any:
    """The result of a function that may be async: it runs on the application's loop, and the worker waits for it."""
    return app.loop_of_app.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def chooser(app: Any, step: Step) -> Callable[[Any, Any], Any]:
    """What gives a record its new key: (key, value) -> key."""
    by = step.by
    if isinstance(by, FieldDescriptor):
        field = by.getattr
        return lambda _key, value: field(value)
    return lambda _key, value: at_once(app, by(value))
