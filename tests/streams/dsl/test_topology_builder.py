"""The low-level door: nodes named and wired by hand, Kafka's Topology."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.stores import key_value_store, session_store, timestamped_key_value_store
from streams.dsl.topology_builder import TopologyBuilder
from streams.errors import TopologyError
from streams.processor import Processor
from streams.record import Record
from streams.testing import TopologyTestDriver
from streams.topology.topology import Topology

CONFIG = StreamsConfig.of("app", {}, environment={})
COUNTS = key_value_store("counts", str, int)


class Counter(Processor):
    """Counts records by key."""

    def process(self, record: Record) -> None:
        counts = self.context.store("counts")
        counts.put(record.key, (counts.get(record.key) or 0) + 1)
        self.context.forward(replace(record, value=counts.get(record.key)))


class Keeper(Processor):
    """Keeps the latest value of each key in `kept`."""

    def process(self, record: Record) -> None:
        self.context.store("kept").put(record.key, record.value)


class Looker(Processor):
    """Passes on what `kept` has for the key."""

    def process(self, record: Record) -> None:
        self.context.forward(replace(record, value=self.context.store("kept").get(record.key)))


def counting() -> TopologyBuilder:
    return (
        TopologyBuilder()
        .add_source("Source", "in", key=str, value=str)
        .add_processor("Counter", Counter, "Source", stores=[COUNTS])
        .add_sink("Sink", "out", "Counter", key=str, value=int)
    )


def build(builder: TopologyBuilder) -> Topology:
    return builder.build(CONFIG)


def test_source_processor_and_sink_run() -> None:
    """A record goes from the source over the processor, with its store, to the sink."""
    with TopologyTestDriver(build(counting())) as driver:
        for key in ("a", "b", "a"):
            driver.input("in").send(key, "x", 5)
        assert driver.output("out").read() == [Record("a", 1, 5), Record("b", 1, 5), Record("a", 2, 5)]
        assert driver.store("counts").get("a") == 2


def test_description_is_kafkas() -> None:
    """Names are those given, and the text is what Kafka prints."""
    assert build(counting()).describe() == (
        "Topologies:\n"
        "   Sub-topology: 0\n"
        "    Source: Source (topics: [in])\n"
        "      --> Counter\n"
        "    Processor: Counter (stores: [counts])\n"
        "      --> Sink\n"
        "      <-- Source\n"
        "    Sink: Sink (topic: out)\n"
        "      <-- Counter\n\n"
    )


def test_a_shared_store_joins_processors_in_one_task() -> None:
    """`connect_processor_and_state_stores` and `add_state_store` put two sources into one sub-topology."""
    builder = TopologyBuilder().add_state_store(COUNTS)
    for name in ("one", "other"):
        builder.add_source(f"{name}-source", name, key=str, value=str)
        builder.add_processor(f"{name}-counter", Counter, f"{name}-source")
    assert len(build(builder).subtopologies) == 2
    builder.connect_processor_and_state_stores("one-counter", "counts")
    builder.connect_processor_and_state_stores("other-counter", "counts")
    assert len(build(builder).subtopologies) == 1


def test_a_store_is_connected_as_it_is_added() -> None:
    """`add_state_store(store, processors...)` in one call."""
    builder = TopologyBuilder().add_source("s", "in", key=str, value=str).add_processor("p", Counter, "s")
    topology = build(builder.add_state_store(COUNTS, "p"))
    assert topology.nodes["p"].stores == ("counts",)


def test_a_sink_may_choose_topic_and_partition() -> None:
    """By functions of the record."""
    builder = TopologyBuilder().add_source("s", re.compile("in.*"), key=str, value=str)
    builder.add_sink(
        "k",
        lambda key, value, record: f"to-{key}",
        ["s"],
        key=str,
        value=str,
        partitioner=lambda topic, key, value, count: 0,
    )
    with TopologyTestDriver(build(builder), topics=["in1"]) as driver:
        driver.input("in1").send("a", "x", 1)
        assert driver.output("to-a", str, str).read_values() == ["x"]


def test_a_global_store_is_filled_by_its_processor() -> None:
    """And every processor may read it."""
    builder = TopologyBuilder().add_global_store(
        key_value_store("kept", str, str), "gs", "kept-topic", "gp", Keeper, key=str, value=str
    )
    builder.add_source("s", "in", key=str, value=str).add_processor("p", Looker, "s")
    builder.add_sink("k", "out", "p", key=str, value=str)
    with TopologyTestDriver(build(builder)) as driver:
        driver.input("kept-topic").send("a", "known", 1)
        driver.input("in").send("a", "asked", 2)
        assert driver.output("out").read_values() == ["known"]


@pytest.mark.parametrize("store", [key_value_store, timestamped_key_value_store])
def test_a_read_only_store_has_its_topic_as_changelog(store: Callable[..., Any]) -> None:
    """It is filled by its processor, read by others, and logged nowhere else."""

    class Stamped(Keeper):
        def process(self, record: Record) -> None:
            self.context.store("kept").put(record.key, record.value, record.timestamp)

    builder = TopologyBuilder().add_read_only_state_store(
        store("kept", str, str), "ks", "kept-topic", "kp", Stamped, key=str, value=str
    )
    topology = build(builder)
    assert topology.changelog_of("kept") == "kept-topic"
    assert not topology.changelog_topics
    with TopologyTestDriver(topology) as driver:
        driver.input("kept-topic").send("a", "known", 1)
        assert driver.produced_topics() == ["kept-topic"]
        assert driver.store("kept").get("a") is not None


def test_both_doors_lead_to_one_program() -> None:
    """A processor may stand behind a step of the DSL."""
    builder = StreamsBuilder()
    builder.stream("in", key=str, value=str).filter(lambda key, value: value != "no", name="wanted")
    builder.topology.add_processor("Counter", Counter, "wanted", stores=[COUNTS])
    builder.topology.add_sink("Sink", "out", "Counter", key=str, value=int)
    with TopologyTestDriver(builder.build(CONFIG)) as driver:
        for value in ("yes", "no", "yes"):
            driver.input("in").send("a", value, 1)
        assert driver.output("out").read_values() == [1, 2]


REJECTED: dict[str, tuple[Callable[[TopologyBuilder], Any], str]] = {
    "a name that is taken": (lambda b: b.add_source("Source", "other"), "Source: there is a Source node of this name"),
    "a topic that is read": (lambda b: b.add_source("again", "in"), "the topic in has a source already, Source"),
    "no topic": (lambda b: b.add_source("none", []), "none: a source reads at least one topic, got none"),
    "no parent": (lambda b: b.add_processor("p", Counter, []), "p: expected the name of at least one parent"),
    "an unknown parent": (
        lambda b: b.add_processor("p", Counter, "nobody"),
        "p: there is no node 'nobody' to be its parent .nodes: Source, Counter, Sink.: add it first",
    ),
    "a sink as parent": (
        lambda b: b.add_processor("p", Counter, "Sink"),
        "p: its parent Sink is a sink, and nothing comes after a sink",
    ),
    "an unknown store": (
        lambda b: b.add_processor("p", Counter, "Source", stores=["nothing"]),
        "p: there is no store 'nothing' .known: counts.: add it with add_state_store first",
    ),
    "stores for no processor": (
        lambda b: b.connect_processor_and_state_stores("Sink", "counts"),
        "Sink: there is no processor of this name",
    ),
    "no stores to connect": (
        lambda b: b.connect_processor_and_state_stores("Counter"),
        "Counter: expected the name of at least one store",
    ),
    "another store of the name": (
        lambda b: b.add_state_store(COUNTS).add_state_store(key_value_store("counts", str, str)),
        "counts: there is another store of this name",
    ),
    "something else than a store": (lambda b: b.add_state_store("counts"), "add_state_store: expected a store"),
    "a processor that is none": (
        lambda b: b.add_processor("p", "Counter", "Source"),
        "p: the supplier of its processor: expected a function, got 'Counter'",
    ),
    "a read-only store of sessions": (
        lambda b: b.add_read_only_state_store(session_store("s", str, str, retention=10), "rs", "t", "rp", Keeper),
        "s: a read-only store is a key-value store, got one of session",
    ),
    "a bad topic name": (lambda b: b.add_sink("k", "out of reach", "Counter"), "the name of a topic"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_mistakes_are_named(name: str) -> None:
    """At once, with the node and what to do."""
    mistake, message = REJECTED[name]
    with pytest.raises(TopologyError, match=message):
        mistake(counting())
