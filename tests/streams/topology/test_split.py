"""Sub-topologies: what runs together, under which number, with which topics and stores."""

import pytest

from streams.errors import TopologyError
from streams.graph.windows import JoinWindows


def test_a_repartition_parts_the_program(builder, build):
    """Writing to and reading from a repartition topic are in different tasks."""
    builder.stream("in").select_key(lambda key, value: value).group_by_key().count(name="n")
    first, second = build().subtopologies
    assert (first.source_topics, first.sink_topics, first.stores) == (("in",), ("app-n-repartition",), ())
    assert (second.source_topics, second.repartition_topics) == (("app-n-repartition",), ("app-n-repartition",))
    assert second.changelogs == {"n": "app-n-changelog"}


def test_a_shared_store_joins_two_parts(builder, build):
    """A stream that looks a table up runs in the table's tasks, although no edge connects them."""
    table = builder.table("zones", key=str, value=str, name="zones-by-id")
    builder.stream("trips").join(table, lambda trip, zone: zone).to("out")
    (part,) = build().subtopologies
    assert part.source_topics == ("zones", "trips")
    assert [store.name for store in part.stores] == ["zones-by-id"]


def test_parts_are_numbered_in_the_order_of_the_program(builder, build):
    """The number is part of a task's id, so it may not depend on names."""
    builder.stream("b").to("x")
    builder.stream("a").to("y")
    assert [(part.id, part.source_topics) for part in build().subtopologies] == [(0, ("b",)), (1, ("a",))]


def test_joined_topics_form_a_group(builder, build):
    """Both sides of a join, behind the repartition where there is one, must have equally many partitions."""
    left, right = builder.stream("l").select_key(lambda k, v: v), builder.stream("r")
    left.join(right, lambda a, b: a, within=JoinWindows.of(10)).to("out")
    assert build().copartition_groups == (frozenset({"app-KSTREAM-KEY-SELECT-0000000001-repartition", "r"}),)


def test_a_global_table_need_not_agree(builder, build):
    """A global table is whole everywhere, so nothing has to be partitioned like it."""
    zones = builder.global_table("zones")
    builder.stream("trips").join(zones, lambda a, b: a, on=lambda k, v: v).to("out")
    topology = build()
    assert topology.copartition_groups == ()
    assert [store.topic for store in topology.global_stores] == ["zones"]
    assert topology.user_topics == ("trips", "zones")


def test_fixed_partition_counts_that_disagree_are_refused(builder, build):
    """Two repartitions with different counts cannot be joined; the error says which have what."""
    left = builder.stream("l").repartition(name="left", partitions=2)
    right = builder.stream("r").repartition(name="right", partitions=3)
    left.join(right, lambda a, b: a, within=JoinWindows.of(10)).to("out")
    with pytest.raises(TopologyError, match="left-repartition 2, right-repartition 3"):
        build()


def test_a_source_topic_may_serve_as_changelog(builder, build):
    """With the optimization a table restores from its own topic, and no changelog is made."""
    builder.table("zones", name="z").to_stream().to("out")
    topology = build(topology_optimization="reuse.ktable.source.topics")
    assert topology.changelog_of("z") == "zones"
    assert topology.changelog_topics == {}
    assert not topology.stores["z"].logged
    assert build().changelog_of("z") == "app-z-changelog"
