"""Internal topics: names, settings, partition counts."""

import pytest

from streams.dsl.options import Materialized
from streams.errors import TopologyError
from streams.graph.windows import JoinWindows, TimeWindows
from streams.topology.internal_topics import partition_counts


def counts(topology, **known):
    return partition_counts(known, topology.subtopologies, topology.repartition_topics, topology.copartition_groups)


def test_settings_of_a_repartition_topic(builder, build):
    """Repartition topics keep everything until the application has processed it."""
    builder.stream("in").repartition(name="r", partitions=3).to("out")
    (topic,) = build().repartition_topics.values()
    assert (topic.name, topic.partitions) == ("app-r-repartition", 3)
    assert topic.config == {
        "message.timestamp.type": "CreateTime",
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "segment.bytes": "52428800",
    }


def test_settings_of_changelogs_by_kind_of_store(builder, build):
    """Tables are compacted; windows deleted a day after their store forgets them; histories compacted late."""
    grouped = builder.stream("in").group_by_key()
    grouped.count(name="table")
    grouped.windowed_by(TimeWindows.of(1000, grace=500)).count(name="windows")
    builder.table("t", store=Materialized(name="versions", history=5000))
    config = {name: topic.config for name, topic in build().changelog_topics.items()}
    assert config["app-table-changelog"]["cleanup.policy"] == "compact"
    assert config["app-windows-changelog"]["cleanup.policy"] == "compact,delete"
    assert config["app-windows-changelog"]["retention.ms"] == str(1500 + 86_400_000)
    assert config["app-versions-changelog"]["min.compaction.lag.ms"] == str(5000 + 86_400_000)


def test_the_stores_own_settings_win(builder, build):
    """Precedence: library, the application's topic settings, the store's own."""
    builder.stream("in").group_by_key().count(store=Materialized(name="n", topic_config={"segment.bytes": "1"}))
    topology = build(topic_settings={"segment.bytes": "2", "min.insync.replicas": "2"})
    config = topology.changelog_topics["app-n-changelog"].config
    assert (config["segment.bytes"], config["min.insync.replicas"]) == ("1", "2")


def test_a_repartition_topic_adopts_the_largest_count_that_feeds_it(builder, build):
    """Through several repartitions the count of the users' topics is passed on."""
    merged = builder.stream("a").merge(builder.stream("b")).repartition(name="one")
    merged.select_key(lambda k, v: v).group_by_key().count(name="two")
    assert counts(build(), a=2, b=5) == {"app-one-repartition": 5, "app-two-repartition": 5}


def test_a_repartition_topic_adopts_the_count_of_its_join_partner(builder, build):
    """What is joined with a topic of fixed size gets that size."""
    left = builder.stream("l").select_key(lambda k, v: v)
    left.join(builder.stream("r"), lambda a, b: a, within=JoinWindows.of(10), name="j").to("out")
    assert counts(build(), l=8, r=3) == {"app-j-left-repartition": 3}


def test_joined_topics_of_different_size_are_refused(builder, build):
    """Kafka's check for co-partitioning, with the counts and the remedy."""
    builder.stream("l").join(builder.stream("r"), lambda a, b: a, within=JoinWindows.of(10)).to("out")
    with pytest.raises(TopologyError, match="they have: l 2, r 3; repartition one of the sides"):
        counts(build(), l=2, r=3)


def test_a_missing_topic_is_named(builder, build):
    """A repartition cannot be sized without the topics that feed it."""
    builder.stream("in").repartition(name="r").to("out")
    with pytest.raises(TopologyError, match="the topic in does not exist"):
        counts(build())


def test_the_topics_of_a_foreign_key_join_feed_each_other(builder, build):
    """Neither count follows from all of its sources; the tables that are there decide, as in Kafka."""
    right = builder.table("right", key=str, value=str)
    builder.table("left", key=str, value=str).join(right, lambda a, b: a + b, on=lambda value: value)
    found = counts(build(), left=3, right=5)
    assert {name.split("-")[5]: count for name, count in found.items()} == {"REGISTRATION": 5, "RESPONSE": 3}


def test_internal_topics_are_read_from_their_beginning(builder, build):
    """Whatever holds for users' topics: what waits in one is nobody's input any more. Kafka Streams would skip it."""
    right = builder.table("right", key=str, value=str)
    builder.table("left", key=str, value=str).join(right, lambda a, b: a + b, on=lambda value: value)
    builder.stream("in", offset_reset="latest").select_key(lambda k, v: v).group_by_key().count()
    sources = [source for part in build().subtopologies for source in part.sources]
    assert [source.offset_reset for source in sources if source.internal] == ["earliest"] * 3
    assert [source.offset_reset for source in sources if source.topics == ("in",)] == ["latest"]
