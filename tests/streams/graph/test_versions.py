"""Versioned tables: inherited, needed, and where they are impossible."""

import pytest

from streams.dsl.options import Materialized
from streams.dsl.suppressed import until_time_limit
from streams.dsl.windows import TimeWindows
from streams.errors import TopologyError


def versioned(builder, topic="t", history="10 s"):
    return builder.table(topic, key=str, store=Materialized(name=f"{topic}-rows", history=history))


def test_steps_without_a_store_inherit_the_history(builder, build):
    """A filter of a versioned table must not suppress, since every version counts."""
    table = versioned(builder).filter(lambda k, v: True).map_values(lambda v: v)
    table.group_by(lambda k, v: (v, k)).count()
    graph = build().graph
    assert graph["KTABLE-FILTER-0000000002"].versioned
    assert graph["KTABLE-SELECT-0000000004"].versioned


def test_a_store_of_its_own_ends_the_history(builder, build):
    """A step with a plain store hands on the latest values only."""
    table = versioned(builder).map_values(lambda v: v, store="plain")
    table.group_by(lambda k, v: (v, k)).count()
    assert not build().graph["KTABLE-SELECT-0000000003"].versioned


def test_joins_know_which_side_is_versioned(builder, build):
    """Each side of a table join is told apart."""
    versioned(builder).join(builder.table("plain"), lambda a, b: a)
    join = next(node for name, node in build().graph.items() if "MERGE" in name)
    assert (join.left_versioned, join.right_versioned) == (True, False)


def test_suppress_is_refused_below_a_history(builder, build):
    """Kafka's check at build time, through steps that inherit the history."""
    versioned(builder).filter(lambda k, v: True).suppress(until_time_limit("1 s"))
    with pytest.raises(TopologyError, match="suppress is not possible on a versioned table, and KTABLE-FILTER"):
        build()


def test_grace_needs_a_versioned_table(builder, build):
    """A stream can only wait for a table that remembers."""
    builder.stream("s").join(builder.table("t"), lambda a, b: a, grace="1 s").to("out")
    with pytest.raises(TopologyError, match="join with grace needs a versioned table, and KTABLE-SOURCE"):
        build()


def test_grace_must_fit_into_the_history(builder, build):
    """Rows from before the history cannot be joined."""
    builder.stream("s", key=str).join(versioned(builder), lambda a, b: a, grace="11 s").to("out")
    with pytest.raises(TopologyError, match=r"its grace of 11,000 ms is longer than the history .* \(10,000 ms\)"):
        build()


def test_a_windowed_cogroup_hands_the_history_on(builder, build):
    """As in Kafka: suppress is refused below windows of a cogroup over a versioned table's changes; below others not."""
    changes = versioned(builder).to_stream().group_by_key()
    windows = TimeWindows.of("10 ms")
    changes.windowed_by(windows).count().suppress(until_time_limit("1 s"))
    build()
    cogrouped = changes.cogroup(lambda k, v, total: total).windowed_by(windows).aggregate(lambda: 0, value=int)
    cogrouped.suppress(until_time_limit("1 s"))
    with pytest.raises(TopologyError, match="suppress is not possible on a versioned table, and COGROUPKSTREAM"):
        build()
