"""The verbs of a table."""

import pytest

from streams.dsl.options import Materialized
from streams.dsl.suppressed import until_time_limit, until_window_closes
from streams.errors import TopologyError
from streams.graph.windows import SessionWindows, TimeWindows
from streams.serdes import serde_for


def test_stateless_steps_keep_nothing_unless_told(builder, build):
    """`store=` keeps the results of a filter or a mapping; `name=` only names the step."""
    table = builder.table("t", key=str, value=int)
    table.filter(lambda k, v: True, name="plain").map_values(lambda v: v, store="kept")
    topology = build()
    assert list(topology.stores) == ["kept"]
    assert topology.nodes["plain"].stores == ()


def test_an_unnamed_store_burns_a_number(builder):
    """Kafka draws a store name for a filter that was given a store without one, and keeps nothing."""
    table = builder.table("t", name="rows")
    assert table.filter(lambda k, v: True, store=Materialized()).node == "KTABLE-FILTER-0000000003"


def test_to_stream_may_change_the_key(builder):
    """to_stream(selector) is to_stream and select_key."""
    stream = builder.table("t", key=str, value=int).to_stream(lambda k, v: v)
    assert stream.node == "KSTREAM-KEY-SELECT-0000000004"
    assert stream.rekeyed
    assert stream.serdes.key is serde_for(int)


def test_a_stream_becomes_a_table(builder, build):
    """to_table keeps the latest value of each key, behind a repartition if the key changed."""
    builder.stream("in").select_key(lambda k, v: v).to_table(name="latest")
    topology = build()
    assert list(topology.stores) == ["latest"]
    assert list(topology.repartition_topics) == ["app-KSTREAM-TOTABLE-0000000002-repartition"]


def test_a_foreign_key_join_names_its_topics(builder, build):
    """Registrations and answers travel through two topics of the application."""
    trips, zones = builder.table("trips", key=str, value=int), builder.table("zones", key=int, value=str)
    trips.join(zones, lambda trip, zone: zone, on=lambda trip: trip, processor="fk", name="joined")
    topology = build()
    assert list(topology.repartition_topics) == [
        "app-fk-subscription-registration-topic",
        "app-fk-subscription-response-topic",
    ]
    assert {frozenset({"zones", "app-fk-subscription-registration-topic"})} <= set(topology.copartition_groups)
    assert "joined" in topology.stores


def test_suppress_waits_for_the_grace_upstream(builder):
    """The wait is found above, through steps that know no windows."""
    grouped = builder.stream("in").group_by_key()
    tumbling = grouped.windowed_by(TimeWindows.of(10, grace=3)).count().filter(lambda k, v: True)
    sessions = grouped.windowed_by(SessionWindows.with_inactivity_gap(10, grace=3)).count()
    nodes = [table.suppress(until_window_closes()).node for table in (tumbling, sessions)]
    assert [builder.program.graph[name].wait_ms for name in nodes] == [3, 13]


def test_suppress_until_close_needs_windows(builder):
    """Without windows nothing ever closes; the error names the way out."""
    table = builder.table("t")
    with pytest.raises(TopologyError, match="there are no windows above it, up to KTABLE-SOURCE"):
        table.suppress(until_window_closes())


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda t: t.suppress("10 s"), r"suppress: expected until_window_closes\(\) or until_time_limit"),
        (lambda t: t.suppress(until_time_limit(-1)), "the time limit of suppress: expected at least 0 ms"),
        (lambda t: t.join("other", lambda a, b: a), "a table joins a table, got 'other'"),
        (lambda t: t.group_by(lambda v: v), r"group_by: expected a function of \(key, value\)"),
        (lambda t: t.filter(lambda k, v: v, store=7), r"store: expected a name or Materialized\(...\), got 7"),
        (
            lambda t: t.to_stream().group_by_key().count(name="a", store="b"),
            "a store has one name, but got 'a' and 'b'",
        ),
        (lambda t: t.transform_values(object, stores="s"), "stores: expected a list of store names, got 's'"),
    ],
)
def test_mistakes_are_named(builder, use, says):
    """Wrong arguments are refused when the verb is called."""
    with pytest.raises(TopologyError, match=says):
        use(builder.table("t"))
