"""A proof: a program, what goes in and what comes out, and the rows of the list of Kafka Streams' features that it shows.

The list numbers what a Kafka Streams program can say and rely on (A builder, B streams, C aggregations, D windows,
E tables, F joins, G processors, H stores, I queries, J runtime, K test tools).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.testing import TopologyTestDriver
from streams.topology.topology import Topology

Sent = tuple[Any, ...]
"""(topic, key, value, timestamp)"""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """`expected` are (key, value, timestamp) of what arrives in `topic`."""

    rows: tuple[int, ...]
    title: str
    say: Callable[[StreamsBuilder], Any]
    sent: Sequence[Sent]
    expected: Sequence[tuple[Any, Any, int]]
    topic: str = "out"
    settings: Mapping[str, Any] = field(default_factory=dict)
    topics: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{'+'.join(map(str, self.rows))} {self.title}"


def topology_of(say: Callable[[StreamsBuilder], Any], **settings: Any) -> Topology:
    """The topology of a program."""
    builder = StreamsBuilder()
    say(builder)
    return builder.build(StreamsConfig.of("app", settings, environment={}))


def outcome(proof: Proof) -> list[tuple[Any, Any, int]]:
    """What a program makes of its records."""
    topology = topology_of(proof.say, **proof.settings)
    config = StreamsConfig.of("app", proof.settings, environment={})
    with TopologyTestDriver(topology, config=config, start_ms=0, topics=proof.topics) as driver:
        for topic, key, value, timestamp in proof.sent:
            driver.input(topic).send(key, value, timestamp)
        return [(record.key, record.value, record.timestamp) for record in driver.output(proof.topic).read()]


def texts(builder: StreamsBuilder, topic: str = "in") -> Any:
    """A stream of texts."""
    return builder.stream(topic, key=str, value=str)


def numbers(builder: StreamsBuilder, topic: str = "in") -> Any:
    """A stream of numbers by text."""
    return builder.stream(topic, key=str, value=int)


def table(builder: StreamsBuilder, topic: str = "table", **options: Any) -> Any:
    """A table of texts."""
    return builder.table(topic, key=str, value=str, **options)


def plus(left: Any, right: Any) -> str:
    """A joiner whose result shows both sides."""
    return f"{left}+{right}"
