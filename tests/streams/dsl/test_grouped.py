"""Grouping and aggregates."""

import msgspec
import pytest

from streams.errors import TopologyError
from streams.graph.windows import EmitStrategy, SessionWindows, TimeWindows, UnlimitedWindows
from streams.serdes import SessionWindowedSerde, TimeWindowedSerde, serde_for


class Takings(msgspec.Struct):
    rides: int = 0


def add(key: str, value: int, total: Takings) -> Takings:
    return Takings(total.rides + 1)


def test_grouping_by_key_needs_no_repartition(builder, build):
    """A key that was never changed is where it belongs."""
    builder.stream("in").group_by_key().count(name="n")
    assert build().repartition_topics == {}


def test_grouping_by_another_key_repartitions_under_its_name(builder, build):
    """The topic is named after the grouping, or after the store."""
    stream = builder.stream("in")
    stream.group_by(lambda k, v: v, name="by-value").count(name="n")
    stream.group_by(lambda k, v: v).count(name="m")
    assert list(build().repartition_topics) == ["app-by-value-repartition", "app-m-repartition"]


def test_aggregates_of_a_named_grouping_share_its_topic(builder, build):
    """A user's name stands for one topic, however many aggregates read it."""
    grouped = builder.stream("in").group_by(lambda k, v: v, name="by-value")
    grouped.count(name="a")
    grouped.reduce(lambda x, y: x, name="b")
    assert list(build().repartition_topics) == ["app-by-value-repartition"]


def test_serdes_of_aggregates(builder):
    """Counts are longs, a reduce keeps the value's serde, an aggregate tells its own."""
    grouped = builder.stream("in", key=str, value=int).group_by_key()
    assert grouped.count().serdes.value is serde_for(int)
    assert grouped.reduce(max).serdes.value is serde_for(int)
    assert grouped.aggregate(Takings, add).serdes.value is serde_for(Takings)
    assert grouped.aggregate(Takings, lambda k, v, t: t).serdes.value is serde_for(Takings)
    assert grouped.aggregate(list, lambda k, v, t: t, value=list[int]).serdes.value is serde_for(list[int])


def test_windowed_keys_have_windowed_serdes(builder):
    """A table of windows is keyed by Windowed, in Kafka's layout for its kind."""
    grouped = builder.stream("in", key=str).group_by_key()
    tumbling = grouped.windowed_by(TimeWindows.of(10)).count()
    sessions = grouped.windowed_by(SessionWindows.with_inactivity_gap(10)).count()
    assert isinstance(tumbling.serdes.key, TimeWindowedSerde)
    assert tumbling.serdes.key.size_ms == 10
    assert isinstance(sessions.serdes.key, SessionWindowedSerde)


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda g: g.windowed_by("1 minute"), "windowed_by: expected TimeWindows, SlidingWindows"),
        (lambda g: g.reduce(lambda a: a), r"reduce: expected a function of \(aggregate, value\)"),
        (lambda g: g.aggregate(dict, lambda a, v: a), r"expected a function of \(key, value, aggregate\)"),
        (lambda g: g.cogroup(lambda k, v, a: a).cogroup("x", lambda k, v, a: a), "cogroup: expected a grouped stream"),
        (
            lambda g: g.windowed_by(SessionWindows.with_inactivity_gap(1)).aggregate(dict, lambda k, v, a: a),
            "sessions that grow together must be merged",
        ),
        (
            lambda g: g.windowed_by(UnlimitedWindows.of()).emit_strategy(EmitStrategy.ON_WINDOW_CLOSE),
            "unlimited windows never close",
        ),
        (lambda g: g.windowed_by(TimeWindows.of(1)).emit_strategy("close"), "expected an EmitStrategy, got 'close'"),
    ],
)
def test_impossible_aggregates_are_refused(builder, use, says):
    """Each mistake is found when the verb is called."""
    with pytest.raises(TopologyError, match=says):
        use(builder.stream("in").group_by_key())


def test_a_cogroup_has_one_store(builder, build):
    """Several streams fold into one aggregate, each with its own function."""
    left, right = builder.stream("l").group_by_key(), builder.stream("r").group_by_key()
    left.cogroup(lambda k, v, a: a + v).cogroup(right, lambda k, v, a: a - v).aggregate(int, name="sum")
    topology = build()
    (part,) = topology.subtopologies
    assert [store.name for store in part.stores] == ["sum"]
    assert topology.copartition_groups == (frozenset({"l", "r"}),)


def test_two_unnamed_rekeyed_inputs_of_a_cogroup_are_refused(builder, build):
    """Kafka gives both repartition topics one name, and fails too; here the remedy is named."""
    groups = [builder.stream(name).group_by(lambda k, v: v) for name in ("l", "r")]
    groups[0].cogroup(lambda k, v, a: a).cogroup(groups[1], lambda k, v, a: a).aggregate(int)
    with pytest.raises(TopologyError, match=r"name all but one of them with group_by\(..., name=...\)"):
        build(topology_optimization="all")


def test_unnamed_rekeyed_inputs_of_a_cogroup_may_be_merged(builder, build):
    """Two groups of one rekeyed stream share a repartition once the optimization merges them."""
    rekeyed = builder.stream("l").select_key(lambda k, v: v)
    groups = [rekeyed.group_by_key() for _ in range(2)]
    groups[0].cogroup(lambda k, v, a: a).cogroup(groups[1], lambda k, v, a: a).aggregate(int)
    assert len(build(topology_optimization="all").repartition_topics) == 1
    with pytest.raises(TopologyError, match="would have the same name"):
        build()


def test_groups_of_one_name_are_built_where_they_can_be_merged(builder, build):
    """As in Kafka: the optimization has them share a repartition, which keeps the name; else one of them needs another."""
    rekeyed = builder.stream("in", key=str, value=str).select_key(lambda key, value: value, key=str)
    for number in range(3):
        rekeyed.group_by_key(name="by-value").count(name=f"counts-{number}")
    topology = build(topology_optimization="all")
    assert list(topology.repartition_topics) == ["app-by-value-repartition"]
    assert len(topology.changelog_topics) == 3
    assert "    Source: by-value-repartition-source (topics: [by-value-repartition])" in topology.describe()
    with pytest.raises(TopologyError, match=r"by-value-repartition: the repartition topics of two groups.* same name"):
        build()


def test_groups_of_different_streams_need_different_names(builder, build):
    """Also with the optimization, which cannot merge what comes from two streams."""
    for topic in ("a", "b"):
        rekeyed = builder.stream(topic, key=str, value=str).select_key(lambda key, value: value, key=str)
        rekeyed.group_by_key(name="by-value").count()
    with pytest.raises(TopologyError, match="would have the same name"):
        build(topology_optimization="all")


def test_a_grouped_table_repartitions_changes(builder, build):
    """Old and new values travel together, so that both arrive at the aggregate."""
    builder.table("t", key=str, value=int).group_by(lambda k, v: (v, k)).count(name="n")
    (repartition,) = (node for node in build().graph.values() if type(node).__name__ == "Repartition")
    assert (repartition.changes, repartition.topic, repartition.filter) == (True, "n-repartition", None)
