"""How records come to an agent: the topics and steps between its own topic and the one it loops over."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from streams.compat.faust.agent_processor import AgentProcessor
from streams.compat.faust.agents import Agent
from streams.compat.faust.errors import ImproperlyConfigured
from streams.compat.faust.models import FieldDescriptor
from streams.compat.faust.streams import Skip, Step
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


def prepared(stream: KStream, step: Step) -> KStream:
    """The processors that stand before a step by way of another topic."""

    def through(value: Any) -> list[Any]:
        try:
            for processor in step.before:
                value = at_once(processor(value))
        except Skip:
            return []
        return [value]

    return stream.flat_map_values(through) if step.before else stream


def at_once(value: Any) -> Any:
    """The result of a function that may be async, but waits for nothing."""
    if not inspect.iscoroutine(value):
        return value
    try:
        value.send(None)
    except StopIteration as done:
        return done.value
    raise ImproperlyConfigured("what stands before group_by or through must not wait: do it after, in the agent's loop")


def chooser(step: Step) -> Callable[[Any, Any], Any]:
    """What gives a record its new key: (key, value) -> key."""
    by = step.by
    if isinstance(by, FieldDescriptor):
        field = by.getattr
        return lambda _key, value: field(value)
    return lambda _key, value: at_once(by(value))
