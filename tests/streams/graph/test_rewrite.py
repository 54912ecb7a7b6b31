"""Rewrites of the graph, seen in the topology they lead to."""

import pytest

from streams.errors import ConfigError, TopologyError
from streams.graph.rewrite import OPTIMIZATIONS, optimizations
from streams.graph.windows import JoinWindows
from streams.processor import Processor


class Passing(Processor):
    """Passes on what it is given."""

    def process(self, record):
        self.context.forward(record)


def sources(topology):
    return [source.name for part in topology.subtopologies for source in part.sources]


def test_which_optimizations_a_setting_means():
    """none, all, or a list of Kafka's names."""
    assert optimizations("none") == frozenset()
    assert optimizations("all") == OPTIMIZATIONS
    assert optimizations("single.store.self.join, merge.repartition.topics") == OPTIMIZATIONS - {
        "reuse.ktable.source.topics"
    }
    with pytest.raises(ConfigError, match="topology_optimization: expected none, all or some of"):
        optimizations("most")


def test_two_streams_of_one_topic_share_a_source(builder, build):
    """A topic is read once, and both streams get its records."""
    builder.stream("in").to("a")
    builder.stream("in").to("b")
    assert sources(build()) == ["KSTREAM-SOURCE-0000000000"]


def test_sources_that_overlap_are_refused(builder, build):
    """Two sources of some common topics would both claim its offsets."""
    builder.stream(["a", "b"]).to("x")
    builder.stream(["b", "c"]).to("y")
    with pytest.raises(TopologyError, match="both read b, but not the same topics"):
        build()


def test_sources_of_one_topic_must_start_alike(builder, build):
    """One source cannot start both at the earliest and at the latest offset."""
    builder.stream("a", offset_reset="earliest").to("x")
    builder.stream("a", offset_reset="latest").to("y")
    with pytest.raises(TopologyError, match="start at different offsets"):
        build()


def test_a_table_and_a_stream_of_one_topic_are_refused(builder, build):
    """Kafka has one source per topic; the error says which there is."""
    builder.table("t", name="s")
    builder.stream("t").to("x")
    with pytest.raises(TopologyError, match="the topic t has a source already, KSTREAM-SOURCE-0000000000"):
        build()


def test_repartitions_below_one_change_of_key_become_one(builder, build):
    """Two aggregates over the same new key read one topic, which takes the first one's name."""
    rekeyed = builder.stream("in").select_key(lambda k, v: v)
    rekeyed.group_by_key(name="first").count(name="a")
    rekeyed.group_by_key(name="second").count(name="b")
    assert list(build().repartition_topics) == ["app-first-repartition", "app-second-repartition"]
    assert list(build(topology_optimization="all").repartition_topics) == ["app-first-repartition"]


def test_repartitions_behind_one_filter_are_merged_too(builder, build):
    """Where Kafka 4.3 gives up (a branch it has moved already), the repartitions still become one."""
    kept = builder.stream("in").select_key(lambda k, v: v).filter(lambda k, v: True)
    kept.group_by_key(name="first").count(name="a")
    kept.group_by_key(name="second").count(name="b")
    assert list(build(topology_optimization="all").repartition_topics) == ["app-first-repartition"]


def test_the_other_side_of_a_join_moves_behind_a_merged_repartition(builder, build):
    """Kafka's way up from the second repartition is the one around the new one, through the join's other side."""
    rekeyed = builder.stream("in").map(lambda k, v: (v, v))
    joined = rekeyed.join(rekeyed.flat_map_values(lambda v: [v]), lambda a, b: a, within=JoinWindows.of(10))
    processed = joined.process(Passing)
    processed.outer_join(builder.stream("other"), lambda a, b: a, within=JoinWindows.of(10)).to("out")
    parents = {node.name: node.parents for node in build(topology_optimization="all").graph.values()}
    assert parents["KSTREAM-FLATMAPVALUES-0000000002"] == ("KSTREAM-MAP-0000000001-repartition-source",)
    assert parents["KSTREAM-SOURCE-0000000008"] == ("KSTREAM-FLATMAPVALUES-0000000002",)


def test_a_change_of_values_keeps_its_repartition(builder, build):
    """Behind map_values the topic carries other values than before it, so it stays where it is."""
    rekeyed = builder.stream("in").select_key(lambda k, v: v)
    rekeyed.map_values(lambda v: 1).group_by_key(name="mapped").count(name="a")
    rekeyed.group_by_key(name="plain").count(name="b")
    merged = build(topology_optimization="all")
    assert list(merged.repartition_topics) == ["app-plain-repartition", "app-mapped-repartition"]


def test_a_repartition_below_two_merges_is_merged_once(builder, build):
    """Of a stream that meets itself twice under a changed key: Kafka Streams cannot build it."""
    stream = builder.stream("in", key=str, value=str)
    once = stream.merge(stream.select_key(lambda k, v: v))
    stream.merge(once).to_table(name="latest")
    assert len(build(topology_optimization="all").repartition_topics) == 1


def test_a_self_join_keeps_one_store(builder, build):
    """A stream joined with itself needs its records once."""
    stream = builder.stream("in")
    stream.join(stream, lambda a, b: a, within=JoinWindows.of(10)).to("out")
    assert len(build().stores) == 2
    assert list(build(topology_optimization="single.store.self.join").stores) == ["KSTREAM-JOINTHIS-0000000003-store"]


@pytest.mark.parametrize(("verb", "kept"), [("join", False), ("left_join", True), ("outer_join", True)])
def test_null_keys_pass_a_repartition_only_towards_left_and_outer_joins(builder, build, verb, kept):
    """KIP-962: a left or outer join emits records without a key, an inner one would drop them."""
    left = builder.stream("l").repartition(name="r")
    getattr(left, verb)(builder.stream("o"), lambda a, b: a, within=JoinWindows.of(10)).to("out")
    assert build().graph["r-repartition-source"].keep_null_keys is kept


def test_building_twice_gives_the_same(builder, build):
    """A build draws names for merged repartitions without using up the program's."""
    rekeyed = builder.stream("in").select_key(lambda k, v: v)
    rekeyed.group_by_key().count()
    rekeyed.group_by_key().count()
    assert build(topology_optimization="all").describe() == build(topology_optimization="all").describe()
