"""Rows of E (tables) and F (joins): what goes in, and what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.graph.windows import JoinWindows
from streams.testing import TopologyTestDriver
from tests.checklist.proofs import Proof, outcome, plus, table, texts, topology_of


def by_value(builder: StreamsBuilder) -> Any:
    return table(builder).group_by(lambda key, value: (value, key), key=str, value=str)


def windowed(builder: StreamsBuilder, verb: str, windows: JoinWindows, **options: Any) -> None:
    left, right = texts(builder, "left"), texts(builder, "right")
    getattr(left, verb)(right, plus, within=windows, value=str, **options).to("out")


def looked_up(builder: StreamsBuilder, verb: str, **options: Any) -> None:
    rows = table(builder, **options)
    getattr(texts(builder), verb)(rows, plus, value=str).to("out")


def tables(builder: StreamsBuilder, verb: str) -> None:
    left, right = table(builder, "left"), table(builder, "right")
    getattr(left, verb)(right, plus, value=str).to_stream().to("out")


def foreign(builder: StreamsBuilder, verb: str, **options: Any) -> None:
    left, right = table(builder, "left"), table(builder, "right")
    options = {"on": lambda value: value[0], **options}
    getattr(left, verb)(right, plus, value=str, **options).to_stream().to("out")


def globally(builder: StreamsBuilder, verb: str) -> None:
    rows = builder.global_table("table", key=str, value=str)
    getattr(texts(builder), verb)(rows, plus, on=lambda key, value: value, value=str).to("out")


def with_itself(builder: StreamsBuilder) -> None:
    stream = texts(builder)
    stream.join(stream, plus, within=WITHIN, value=str).to("out")


WITHIN = JoinWindows.of(10)
HISTORY = Materialized(name="rows", history=1_000)
BOTH = [("left", "a", "L", 1), ("right", "a", "R", 2), ("left", "a", None, 3), ("right", "a", None, 4)]

PROOFS = [
    Proof(
        rows=(90,),
        title="a filtered row is a deletion",
        say=lambda b: table(b).filter(lambda key, value: value == "x").to_stream().to("out"),
        sent=[("table", "a", "y", 1), ("table", "a", "x", 2), ("table", "a", None, 3)],
        expected=[("a", None, 1), ("a", "x", 2), ("a", None, 3)],
    ),
    Proof(
        rows=(91,),
        title="map_values does not see deletions, and forwards unchanged results",
        say=lambda b: table(b).map_values(lambda value: "same", value=str).to_stream().to("out"),
        sent=[("table", "a", "x", 1), ("table", "a", "y", 2), ("table", "a", None, 3)],
        expected=[("a", "same", 1), ("a", "same", 2), ("a", None, 3)],
    ),
    Proof(
        rows=(93,),
        title="to_stream with another key",
        say=lambda b: table(b).to_stream(lambda key, value: f"{key}!", key=str).to("out"),
        sent=[("table", "a", "x", 1)],
        expected=[("a!", "x", 1)],
    ),
    Proof(
        rows=(95, 96, 99),
        title="a changed row leaves its old group first",
        say=lambda b: by_value(b).count().to_stream().to("out"),
        sent=[("table", "a", "x", 1), ("table", "b", "x", 2), ("table", "a", "y", 3)],
        expected=[("x", 1, 1), ("x", 2, 2), ("x", 1, 3), ("y", 1, 3)],
    ),
    Proof(
        rows=(97,),
        title="reduce with a subtractor",
        say=lambda b: (
            by_value(b).reduce(lambda one, two: one + two, lambda one, two: one.replace(two, "")).to_stream().to("out")
        ),
        sent=[("table", "a", "x", 1), ("table", "b", "x", 2), ("table", "a", "y", 3)],
        expected=[("x", "a", 1), ("x", "ab", 2), ("x", "b", 3), ("y", "a", 3)],
    ),
    Proof(
        rows=(98,),
        title="aggregate with a subtractor",
        say=lambda b: (
            by_value(b)
            .aggregate(
                str, lambda key, value, text: text + value, lambda key, value, text: text + "-" + value, value=str
            )
            .to_stream()
            .to("out")
        ),
        sent=[("table", "a", "x", 1), ("table", "a", None, 3)],
        expected=[("x", "a", 1), ("x", "a-a", 3)],
    ),
    Proof(
        rows=(104,),
        title="stream-stream join: every pair within the time, at the later one's",
        say=lambda b: windowed(b, "join", WITHIN),
        sent=[("left", "a", "L", 1), ("right", "a", "R", 11), ("right", "a", "S", 12), ("right", "b", "T", 1)],
        expected=[("a", "L+R", 11)],
    ),
    Proof(
        rows=(105, 108, 109),
        title="stream-stream left join: what found no partner, when none can come any more",
        say=lambda b: windowed(b, "left_join", WITHIN),
        sent=[("left", "a", "L", 1), ("left", "b", "M", 12), ("right", "b", "R", 12)],
        expected=[("a", "L+None", 1), ("b", "M+R", 12)],
    ),
    Proof(
        rows=(106,),
        title="stream-stream outer join: of either side",
        say=lambda b: windowed(b, "outer_join", WITHIN),
        sent=[("left", "a", "L", 1), ("right", "b", "R", 2), ("left", "c", "M", 30)],
        expected=[("a", "L+None", 1), ("b", "None+R", 2)],
    ),
    Proof(
        rows=(79,),
        title="join windows before and after",
        say=lambda b: windowed(b, "join", JoinWindows.of(0).after(5)),
        sent=[("left", "a", "L", 10), ("right", "a", "R", 15), ("right", "a", "S", 9)],
        expected=[("a", "L+R", 15)],
    ),
    Proof(
        rows=(79,),
        title="Kafka's deprecated join windows emit at once",
        say=lambda b: windowed(b, "left_join", JoinWindows.eager_of(10)),
        sent=[("left", "a", "L", 1), ("right", "a", "R", 2)],
        expected=[("a", "L+None", 1), ("a", "L+R", 2)],
    ),
    Proof(
        rows=(111, 125),
        title="stream-table join: only the stream triggers, at its own time",
        say=lambda b: texts(b).join(table(b), lambda key, left, right: key + left + right, value=str).to("out"),
        sent=[
            ("in", "a", "x", 1),
            ("table", "a", "1", 9),
            ("in", "a", "y", 2),
            ("in", None, "z", 3),
            ("in", "a", None, 4),
        ],
        expected=[("a", "ay1", 2)],
    ),
    Proof(
        rows=(112,),
        title="stream-table left join",
        say=lambda b: looked_up(b, "left_join"),
        sent=[("in", "a", "x", 1), ("in", None, "y", 2)],
        expected=[("a", "x+None", 1), (None, "y+None", 2)],
    ),
    Proof(
        rows=(113, 102),
        title="a versioned table answers with what was valid then",
        say=lambda b: looked_up(b, "join", store=HISTORY),
        sent=[("table", "a", "new", 9), ("table", "a", "old", 1), ("in", "a", "x", 5), ("in", "a", "y", 9)],
        expected=[("a", "x+old", 5), ("a", "y+new", 9)],
    ),
    Proof(
        rows=(114,),
        title="with grace, records wait for the table, in the order of time",
        say=lambda b: texts(b).join(table(b, store=HISTORY), plus, grace=10, value=str).to("out"),
        sent=[("in", "a", "y", 6), ("in", "a", "x", 5), ("table", "a", "row", 4), ("in", "b", "z", 16)],
        expected=[("a", "x+row", 5), ("a", "y+row", 6)],
    ),
    Proof(
        rows=(115, 6),
        title="stream-global join",
        say=lambda b: globally(b, "join"),
        sent=[("table", "x", "row", 1), ("in", "a", "x", 2), ("in", "a", "y", 3)],
        expected=[("a", "x+row", 2)],
    ),
    Proof(
        rows=(115,),
        title="stream-global left join",
        say=lambda b: globally(b, "left_join"),
        sent=[("in", None, "x", 2)],
        expected=[(None, "x+None", 2)],
    ),
    Proof(
        rows=(117,),
        title="table-table join: tombstones as long as the other side has a row",
        say=lambda b: tables(b, "join"),
        sent=BOTH,
        expected=[("a", "L+R", 2), ("a", None, 3)],
    ),
    Proof(
        rows=(118,),
        title="table-table left join",
        say=lambda b: tables(b, "left_join"),
        sent=BOTH,
        expected=[("a", "L+None", 1), ("a", "L+R", 2), ("a", None, 3)],
    ),
    Proof(
        rows=(119,),
        title="table-table outer join",
        say=lambda b: tables(b, "outer_join"),
        sent=BOTH,
        expected=[("a", "L+None", 1), ("a", "L+R", 2), ("a", "None+R", 3), ("a", None, 4)],
    ),
    Proof(
        rows=(120,),
        title="foreign-key join: from either side, and when the reference moves",
        say=lambda b: foreign(b, "join"),
        sent=[("right", "x", "X", 1), ("left", "1", "x", 2), ("right", "x", "Y", 3), ("left", "1", "z", 4)],
        expected=[("1", "x+X", 2), ("1", "x+Y", 3), ("1", None, 4)],
    ),
    Proof(
        rows=(121,),
        title="foreign-key left join",
        say=lambda b: foreign(b, "left_join"),
        sent=[("left", "1", "x", 2), ("right", "x", "X", 3), ("left", "1", None, 4)],
        expected=[("1", "x+None", 2), ("1", "x+X", 3), ("1", None, 4)],
    ),
    Proof(
        rows=(122,),
        title="the foreign key may be made of key and value",
        say=lambda b: foreign(b, "join", on=lambda key, value: key + value),
        sent=[("right", "1x", "X", 1), ("left", "1", "x", 2)],
        expected=[("1", "x+X", 2)],
    ),
    Proof(
        rows=(123,),
        title="a foreign-key join with partitioners of its own",
        say=lambda b: foreign(
            b,
            "join",
            partitioner=lambda topic, key, value, count: 0,
            other_partitioner=lambda topic, key, value, count: 0,
        ),
        sent=[("right", "x", "X", 1), ("left", "1", "x", 2)],
        expected=[("1", "x+X", 2)],
    ),
    Proof(
        rows=(110, 26),
        title="a self join with one store: older ones first, then itself",
        say=with_itself,
        sent=[("in", "a", "x", 1), ("in", "a", "y", 2)],
        expected=[("a", "x+x", 1), ("a", "y+x", 2), ("a", "x+y", 2), ("a", "y+y", 2)],
        settings={"topology_optimization": "single.store.self.join"},
    ),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
def test_proof(proof: Proof) -> None:
    """The row's rule, by a small program."""
    assert outcome(proof) == list(proof.expected)


def test_a_source_table_has_a_store_when_it_is_needed() -> None:
    """Row 100: a name, or someone who looks it up."""
    assert not topology_of(lambda b: table(b).to_stream().to("out")).stores
    assert list(topology_of(lambda b: table(b, name="rows")).stores) == ["rows"]
    assert list(topology_of(lambda b: looked_up(b, "join")).stores) == ["table-STATE-STORE-0000000000"]


def test_what_a_store_may_be_told() -> None:
    """Row 101: name, types, cache, log, medium, retention, history, topic settings."""
    store = Materialized(name="rows", cached=False, logged=False, persistent=False, topic_config={"segment.ms": "1000"})
    spec = topology_of(lambda b: table(b, store=store)).stores["rows"]
    assert (spec.cached, spec.logged, spec.persistent, spec.topic_config) == (
        False,
        False,
        False,
        {"segment.ms": "1000"},
    )


def test_stores_of_a_stream_join() -> None:
    """Row 107: names by Kafka's rule, and whether they are logged."""
    topology = topology_of(
        lambda b: windowed(b, "outer_join", WITHIN, store=Materialized(name="j", logged=False), name="n")
    )
    assert set(topology.stores) == {
        "j-outer-this-join-store",
        "j-outer-other-join-store",
        "j-outer-shared-join-store",
    }
    assert not topology.changelog_topics


def test_a_stale_answer_is_dropped() -> None:
    """Row 124: an answer counts only while the row that asked is still the same."""
    with TopologyTestDriver(topology_of(lambda b: foreign(b, "join"))) as driver:
        driver.input("right").send("x", "X", 1)
        driver.input("left").send("1", "x", 2)
        response = next(name for name in driver.produced_topics() if "RESPONSE" in name)
        stale = driver.written(response, 0)[0]
        driver.input("left").send("1", "xx", 3)
        driver.output("out").read()
        fresh = driver.written("out", 0)
        driver.pipe(response, stale.key, stale.value, 4)
        assert driver.written("out", 0) == fresh


def test_changes_on_the_wire() -> None:
    """Row 103: a changed row is one message of new and old, or two for instances before 3.5."""

    def messages(**settings: Any) -> int:
        topology = topology_of(
            lambda b: table(b).group_by(lambda key, value: ("all", value), key=str, value=str).count(name="c"),
            **settings,
        )
        with TopologyTestDriver(topology) as driver:
            for value in ("x", "y"):
                driver.input("table").send("a", value, 1)
            return len(driver.written("app-c-repartition", 0))

    assert (messages(), messages(upgrade_from="3.4")) == (2, 3)
