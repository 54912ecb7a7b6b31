"""Rows of A (builder and topology): names, parts, rewrites, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.errors import TopologyError
from streams.testing import TopologyTestDriver
from tests.checklist.proofs import plus, table, texts, topology_of

OPTIMIZED = {"topology_optimization": "all"}


def rekeyed_twice(builder: StreamsBuilder) -> None:
    stream = texts(builder).select_key(lambda key, value: value)
    stream.group_by_key().count(name="one")
    stream.group_by_key().count(name="other")


def test_optimization_is_a_setting_of_the_build() -> None:
    """Rows 9, 25: repartitions below one change of key become one."""
    plain, merged = topology_of(rekeyed_twice), topology_of(rekeyed_twice, **OPTIMIZED)
    assert (len(plain.repartition_topics), len(merged.repartition_topics)) == (2, 1)


def test_a_tables_topic_may_be_its_changelog() -> None:
    """Row 24: reuse.ktable.source.topics."""

    def say(builder: StreamsBuilder) -> None:
        table(builder, name="rows")

    assert topology_of(say).changelog_of("rows") == "app-rows-changelog"
    reused = topology_of(say, topology_optimization="reuse.ktable.source.topics")
    assert reused.changelog_of("rows") == "table"
    with TopologyTestDriver(reused) as driver:
        driver.input("table").send("a", "x", 1)
        assert driver.produced_topics() == ["table"]


def test_names_are_the_users() -> None:
    """Row 18: name= names processors, stores and topics."""

    def say(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str, name="read").filter(lambda key, value: True, name="wanted")
        counts = stream.group_by(lambda key, value: value, name="by-value").count(name="counts", processor="count")
        counts.to_stream(name="changes").to("out", name="write")

    topology = topology_of(say)
    assert {"read", "wanted", "count", "changes", "write"} <= set(topology.nodes)
    assert list(topology.stores) == ["counts"]
    assert list(topology.repartition_topics) == ["app-by-value-repartition"]


def test_generated_names_are_kafkas_to_the_digit() -> None:
    """Row 19: one counter for processors and stores, burned where Kafka burns it."""

    def say(builder: StreamsBuilder) -> None:
        texts(builder).group_by(lambda key, value: value).count().to_stream().to("out", key=str)

    assert list(topology_of(say).nodes) == [
        "KSTREAM-SOURCE-0000000000",
        "KSTREAM-KEY-SELECT-0000000001",
        "KSTREAM-FILTER-0000000005",
        "KSTREAM-SINK-0000000004",
        "KSTREAM-SOURCE-0000000006",
        "KSTREAM-AGGREGATE-0000000003",
        "KTABLE-TOSTREAM-0000000007",
        "KSTREAM-SINK-0000000008",
    ]


def test_parts_are_numbered() -> None:
    """Row 20: a topic parts the program; tasks are <part>_<partition>."""
    topology = topology_of(lambda b: (texts(b).group_by(lambda key, value: value).count(), texts(b, "other").to("out")))
    assert [part.id for part in topology.subtopologies] == [0, 1, 2]
    assert topology.subtopologies[1].source_topics[0].endswith("-repartition")


def test_where_reading_starts() -> None:
    """Row 27: earliest, latest, none, or a duration back from now."""

    def reset(policy: str) -> Any:
        topology = topology_of(lambda b: b.stream("in", offset_reset=policy).to("out"))
        return topology.subtopologies[0].sources[0].offset_reset

    assert [reset(each) for each in ("earliest", "latest", "none", "1 h")] == ["earliest", "latest", "none", 3_600_000]


def test_joined_repartitions_agree() -> None:
    """Row 28: explicit partition counts of joined inputs that differ are an error."""

    def say(builder: StreamsBuilder) -> None:
        texts(builder).repartition(partitions=2).join(texts(builder, "t").repartition(partitions=3).to_table(), plus)

    with pytest.raises(TopologyError, match="must have the same number of partitions"):
        topology_of(say)
