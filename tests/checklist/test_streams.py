"""Rows of A (sources) and B (streams): what goes in, and what comes out."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.processor import FixedKeyProcessor, Processor
from streams.record import Record
from streams.testing import TopologyTestDriver
from tests.checklist.proofs import Proof, numbers, outcome, table, texts, topology_of


class Doubled(Processor):
    """Forwards every record twice, under a second key too."""

    def process(self, record: Record) -> None:
        self.context.forward(record)
        self.context.forward(Record(f"{record.key}'", record.value, record.timestamp))


class Loud(FixedKeyProcessor):
    """Forwards values in capitals."""

    def process(self, record: Record) -> None:
        self.context.forward(Record(record.key, record.value.upper(), record.timestamp))


def two_sources(builder: StreamsBuilder) -> None:
    texts(builder).to("out")
    texts(builder).map_values(str.upper, value=str).to("out")


def branches(builder: StreamsBuilder) -> None:
    numbers(builder).split().branch(
        lambda key, value: value < 3, use=lambda stream: stream.map_values(lambda value: -value, value=int)
    ).default_branch(use=lambda stream: stream.to("out"))


PROOFS = [
    Proof(
        rows=(1, 43),
        title="a stream of one topic, and a sink",
        say=lambda b: texts(b).to("out"),
        sent=[("in", "a", "x", 5), ("in", None, None, 6)],
        expected=[("a", "x", 5), (None, None, 6)],
    ),
    Proof(
        rows=(2,),
        title="a stream of several topics",
        say=lambda b: b.stream(["one", "two"], key=str, value=str).to("out"),
        sent=[("two", "a", "x", 5), ("one", "b", "y", 3)],
        expected=[("a", "x", 5), ("b", "y", 3)],
    ),
    Proof(
        rows=(3,),
        title="a stream of all topics that match",
        say=lambda b: b.stream(re.compile("in-.*"), key=str, value=str).to("out"),
        sent=[("in-1", "a", "x", 5), ("in-2", "b", "y", 6)],
        expected=[("a", "x", 5), ("b", "y", 6)],
        topics=("in-1", "in-2", "other"),
    ),
    Proof(
        rows=(4,),
        title="two streams of one topic are one source, its children in order",
        say=two_sources,
        sent=[("in", "a", "x", 5)],
        expected=[("a", "x", 5), ("a", "X", 5)],
    ),
    Proof(
        rows=(5, 93),
        title="a table drops null keys, and None deletes",
        say=lambda b: table(b).to_stream().to("out"),
        sent=[("table", "a", "x", 5), ("table", None, "y", 6), ("table", "a", None, 7)],
        expected=[("a", "x", 5), ("a", None, 7)],
    ),
    Proof(
        rows=(29,),
        title="filter sees nulls",
        say=lambda b: texts(b).filter(lambda key, value: value != "x").to("out"),
        sent=[("in", "a", "x", 1), ("in", "a", "y", 2), ("in", None, None, 3)],
        expected=[("a", "y", 2), (None, None, 3)],
    ),
    Proof(
        rows=(30,),
        title="filter_not",
        say=lambda b: texts(b).filter_not(lambda key, value: value == "x").to("out"),
        sent=[("in", "a", "x", 1), ("in", "a", "y", 2)],
        expected=[("a", "y", 2)],
    ),
    Proof(
        rows=(31,),
        title="map keeps the time",
        say=lambda b: texts(b).map(lambda key, value: (value, key), key=str, value=str).to("out"),
        sent=[("in", "a", "x", 7)],
        expected=[("x", "a", 7)],
    ),
    Proof(
        rows=(32,),
        title="map_values with and without the key",
        say=lambda b: (
            texts(b)
            .map_values(lambda value: value * 2, value=str)
            .map_values(lambda key, value: f"{key}{value}", value=str)
            .to("out")
        ),
        sent=[("in", "a", "x", 7)],
        expected=[("a", "axx", 7)],
    ),
    Proof(
        rows=(33,),
        title="flat_map",
        say=lambda b: (
            texts(b).flat_map(lambda key, value: [(each, value) for each in key], key=str, value=str).to("out")
        ),
        sent=[("in", "ab", "x", 7), ("in", "", "y", 8)],
        expected=[("a", "x", 7), ("b", "x", 7)],
    ),
    Proof(
        rows=(34,),
        title="flat_map_values with and without the key",
        say=lambda b: (
            texts(b)
            .flat_map_values(lambda value: list(value), value=str)
            .flat_map_values(lambda key, value: [key + value], value=str)
            .to("out")
        ),
        sent=[("in", "a", "xy", 7)],
        expected=[("a", "ax", 7), ("a", "ay", 7)],
    ),
    Proof(
        rows=(35,),
        title="select_key",
        say=lambda b: texts(b).select_key(lambda key, value: value, key=str).to("out"),
        sent=[("in", "a", "x", 7)],
        expected=[("x", "x", 7)],
    ),
    Proof(
        rows=(39,),
        title="merge, in the order of arrival",
        say=lambda b: texts(b, "one").merge(texts(b, "two")).to("out", key=str, value=str),
        sent=[("two", "a", "x", 9), ("one", "b", "y", 3)],
        expected=[("a", "x", 9), ("b", "y", 3)],
    ),
    Proof(
        rows=(40, 41),
        title="split: the first branch that fits, functions on branches",
        say=branches,
        sent=[("in", "a", 1, 1), ("in", "a", 5, 2)],
        expected=[("a", 5, 2)],
    ),
    Proof(
        rows=(42,),
        title="repartition drops null keys",
        say=lambda b: texts(b).repartition(partitions=1).to("out"),
        sent=[("in", "a", "x", 1), ("in", None, "y", 2)],
        expected=[("a", "x", 1)],
    ),
    Proof(
        rows=(53,),
        title="but keeps them where a left join lies downstream",
        say=lambda b: (
            texts(b).repartition(name="even").left_join(table(b), lambda a, c: f"{a}{c}", value=str).to("out")
        ),
        sent=[("in", None, "y", 2)],
        expected=[(None, "yNone", 2)],
    ),
    Proof(
        rows=(44,),
        title="a sink that chooses its topic by the record",
        say=lambda b: b.stream("in").to(lambda key, value, record: f"to-{record.timestamp}"),
        sent=[("in", "a", "x", 1), ("in", "b", "y", 2)],
        expected=[("b", "y", 2)],
        topic="to-2",
    ),
    Proof(
        rows=(47,),
        title="to_table",
        say=lambda b: texts(b).to_table().to_stream().to("out"),
        sent=[("in", "a", "x", 1), ("in", None, "y", 2), ("in", "a", None, 3)],
        expected=[("a", "x", 1), ("a", None, 3)],
    ),
    Proof(
        rows=(48,),
        title="process may change keys",
        say=lambda b: texts(b).process(Doubled, key=str, value=str).to("out"),
        sent=[("in", "a", "x", 1)],
        expected=[("a", "x", 1), ("a'", "x", 1)],
    ),
    Proof(
        rows=(49, 127),
        title="process_values may not",
        say=lambda b: texts(b).process_values(Loud, value=str).to("out"),
        sent=[("in", "a", "x", 1)],
        expected=[("a", "X", 1)],
    ),
    Proof(
        rows=(50, 54),
        title="group_by_key, count: null keys and null values are dropped",
        say=lambda b: texts(b).group_by_key().count().to_stream().to("out"),
        sent=[("in", "a", "x", 5), ("in", None, "x", 6), ("in", "a", None, 7), ("in", "a", "x", 3)],
        expected=[("a", 1, 5), ("a", 2, 5)],
    ),
    Proof(
        rows=(51,),
        title="group_by another key",
        say=lambda b: texts(b).group_by(lambda key, value: value).count().to_stream().to("out", key=str),
        sent=[("in", "a", "x", 5), ("in", "b", "x", 6)],
        expected=[("x", 1, 5), ("x", 2, 6)],
    ),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
def test_proof(proof: Proof) -> None:
    """The row's rule, by a small program."""
    assert outcome(proof) == list(proof.expected)


def test_looking_at_records() -> None:
    """Rows 36, 37, 38: peek passes on, for_each and print end."""
    seen: list[Any] = []
    screen = io.StringIO()

    def say(builder: StreamsBuilder) -> None:
        stream = texts(builder).peek(lambda key, value: seen.append(("peek", value)))
        stream.for_each(lambda key, value: seen.append(("for_each", value)))
        stream.print("label", file=screen)
        stream.to("out")

    with TopologyTestDriver(topology_of(say)) as driver:
        driver.input("in").send("a", "x", 1)
        assert driver.output("out").read_values() == ["x"]
    assert seen == [("peek", "x"), ("for_each", "x")]
    assert screen.getvalue() == "[label]: a, x\n"


def test_only_changed_keys_are_repartitioned() -> None:
    """Row 52: values may change freely; a new key costs a topic, once."""
    kept = topology_of(lambda b: texts(b).map_values(str.upper, value=str).group_by_key().count())
    changed = topology_of(
        lambda b: texts(b).select_key(lambda key, value: value).filter(len_two).group_by_key().count()
    )
    assert not kept.repartition_topics
    assert len(changed.repartition_topics) == 1


def len_two(key: Any, value: Any) -> bool:
    return len(value) == 2
