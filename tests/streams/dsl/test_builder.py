"""Where programs start."""

import re
from dataclasses import dataclass

import pytest

from state.serde import Serde
from streams.app import App
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized, Topic, ValueTimestamp
from streams.dsl.stores import key_value_store, window_store
from streams.errors import TopologyError
from streams.on_error import dead_letter
from streams.processor import log_and_skip_on_invalid_timestamp, wall_clock_timestamp
from streams.record import Record
from streams.serdes import serde_for
from streams.testing import TopologyTestDriver


def test_a_topic_carries_types_and_time(builder):
    """What a topic handle says need not be said again, and may be overruled."""
    topic = Topic.of("rides", key=str, value=dict, timestamp=lambda ride: ride["at"])
    plain, typed = builder.stream(topic), builder.stream(topic, key=int)
    source = builder.program.graph[plain.node]
    assert plain.serdes.key is serde_for(str)
    assert typed.serdes.key is serde_for(int)
    assert source.timestamp(Record("k", {"at": 7}), -1) == 7


def test_an_extractor_is_told_from_a_value_function():
    """(record, partition_time) is Kafka's extractor, (value) the short form."""

    def extractor(record, partition_time):
        return partition_time

    assert Topic.of("t", timestamp=extractor).timestamp is extractor
    assert isinstance(Topic.of("t", timestamp=lambda value: 0).timestamp, ValueTimestamp)


def test_time_may_be_a_field():
    """A field is taken out of structs, dataclasses and dicts; a type that has no such field is told at once."""

    @dataclass
    class Ride:
        at: int

    for kind, value in ((Ride, Ride(7)), (dict, {"at": 7}), (None, {"at": 7})):
        assert Topic.of("rides", value=kind, timestamp="at").timestamp(Record("k", value), -1) == 7
    deletion = Record("k", None, 9)
    assert Topic.of("rides", value=Ride, timestamp="at").timestamp(deletion, -1) == 9
    with pytest.raises(TopologyError, match=r"topic rides: timestamp: Ride has no field 'picked_up' \(it has: at\)"):
        Topic.of("rides", value=Ride, timestamp="picked_up")


class Reversed(Serde[str]):
    """Texts from their ends."""

    type = str

    def serialize(self, value):
        return value[::-1].encode()

    def deserialize(self, data):
        return data.decode()[::-1]


@pytest.mark.parametrize(
    ("option", "others"),
    [
        ("key", {"key": int}),
        ("value", {"value": int}),
        ("timestamp", {"timestamp": "at"}),
        ("timestamp", {"timestamp": log_and_skip_on_invalid_timestamp}),
        ("on_error", {"on_error": dead_letter("dlq")}),
    ],
)
@pytest.mark.parametrize("verb", ["stream", "add_source"])
def test_topics_of_one_source_say_the_same(builder, verb, option, others):
    """What the first said was applied to all: numbers were read as texts, and one's time was sought in the other."""
    app = App("topics")
    same = {"key": str, "value": dict, "timestamp": wall_clock_timestamp, "on_error": "continue"}
    one, two = app.topic("one", **same), app.topic("two", **same | others)
    read = builder.stream if verb == "stream" else lambda topics: builder.topology.add_source("s", topics)
    for topics in ([one, two], [two, one]):
        with pytest.raises(TopologyError, match=f"(one, two|two, one) are read by one source, .* the same {option}=: "):
            read(topics)


def test_topics_of_one_source_may_leave_it_to_each_other():
    """A serde or a policy that one leaves out is that of the other; equal fields and serdes of users' own are the same."""
    app = App("topics")
    one = app.topic("one", value=Reversed(), timestamp=int)
    two = app.topic("two", key=str, value=Reversed(), timestamp=int, on_error="continue")
    app.stream([one, two]).to("out", key=str, value=str)
    app.stream([app.topic("three", value=dict, timestamp="at"), app.topic("four", timestamp="at")])
    with TopologyTestDriver(app) as driver:
        driver.pipe("one", b"a", b"52", 0)
        driver.pipe("two", b"b", b"\xff", 0)
        driver.pipe("two", b"b", b"7", 0)
        assert driver.output("out").read() == [Record("a", "25", 25), Record("b", "7", 7)]


def test_what_is_said_of_a_source_goes_for_all_its_topics(builder):
    """Options of the verb win over what the topics say."""
    app = App("topics")
    builder.stream([app.topic("one", value=dict, timestamp="at"), app.topic("two")], value=str, timestamp=len)
    (source,) = builder.program.graph.nodes.values()
    assert (source.serdes.value, source.timestamp.of_value) == (serde_for(str), len)


def test_table_names_follow_kafkas_rule(builder):
    """Store, source and table are numbered in this order; a named store burns none."""
    assert builder.table("a").node == "KTABLE-SOURCE-0000000002"
    assert builder.table("b", name="rows").node == "KTABLE-SOURCE-0000000004"
    assert builder.program.graph["KTABLE-SOURCE-0000000002"].materialized.store == "a-STATE-STORE-0000000000"


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda b: b.stream([]), "stream: expected at least one topic, got none"),
        (lambda b: b.stream(7), "not iterable|expected a topic"),
        (lambda b: b.stream("a topic"), "the name of a topic: expected 1 to 249"),
        (lambda b: b.stream("t", offset_reset="first"), "offset_reset: expected earliest, latest, none or a duration"),
        (lambda b: b.stream("t", key=3), "no serde is known for 3"),
        (lambda b: b.table("t", store=Materialized(name="s", history=-1)), "history of a store: expected 0 ms or more"),
        (lambda b: b.global_table("t", store=Materialized(history=1)), "it cannot be versioned"),
        (lambda b: b.add_state_store("s"), r"expected a store such as key_value_store\(...\), got 's'"),
        (lambda b: window_store("w", str, str, size=10, retention=9), "expected a retention of at least the window"),
    ],
)
def test_mistakes_are_named(builder, use, says):
    """Wrong arguments are refused when the verb is called, with what was expected."""
    with pytest.raises((TopologyError, TypeError), match=says):
        use(builder)


def test_an_empty_program_is_refused(build):
    """There is nothing to run without a source."""
    with pytest.raises(TopologyError, match="app: there is nothing to run"):
        build()


def test_a_processor_may_use_stores_by_name_or_bring_its_own(builder, build):
    """Stores are added to the program, or come with the processor that uses them."""
    builder.add_state_store(key_value_store("shared", str, int))
    builder.stream("a").process(object, stores=["shared", key_value_store("own", str, int)], name="p")
    builder.stream("b").process_values(object, stores=["shared"], name="q")
    topology = build()
    assert set(topology.nodes["p"].stores) == {"shared", "own"}
    assert [part.source_topics for part in topology.subtopologies] == [("a", "b")]


def test_an_unknown_store_is_named(builder, build):
    """The error lists what there is."""
    builder.add_state_store(key_value_store("known", str, int))
    builder.stream("a").process(object, stores=["unknown"], name="p")
    with pytest.raises(TopologyError, match=r"p: there is no store 'unknown' \(known: known\): add it with"):
        build()


def test_two_stores_of_one_name_are_refused(builder, build):
    """Two steps that keep different things cannot share a store."""
    builder.table("a", key=str, name="rows")
    builder.table("b", key=int, name="rows")
    with pytest.raises(TopologyError, match="rows: there is another store of this name"):
        build()


def test_a_global_store_is_filled_by_its_processor(builder, build):
    """A global store has its own topic, and needs no mention where it is read."""
    builder.add_global_store(key_value_store("zones", int, str), "zone-topic", object, key=int, value=str)
    builder.stream("in").process(object, stores=["zones"], name="p")
    with pytest.raises(TopologyError, match="p: zones is a global store, which every processor may read"):
        build()


def test_patterns_and_topics_must_not_overlap(builder, build):
    """A topic that a pattern matches has one source already."""
    builder.stream(re.compile("trips-.*")).to("x")
    builder.stream("trips-1").to("y")
    with pytest.raises(TopologyError, match="the topic trips-1 has a source already"):
        build()


@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        (re.compile("trips-.*", re.IGNORECASE), True),
        (re.compile("(?i)trips-.*"), True),
        (re.compile("(?i)trips - .* # all", re.VERBOSE), True),
        (re.compile("trips-.*"), False),
    ],
)
def test_the_flags_of_a_pattern_count(builder, build, pattern, read):
    """Those that stand in its text, and those that it was compiled with. Kafka: Pattern.CASE_INSENSITIVE and the like."""
    builder.stream(pattern, key=str, value=str).to("out")
    with TopologyTestDriver(build(), topics=["Trips-1"]) as driver:
        if not read:
            with pytest.raises(TopologyError, match="no source of the topology reads"):
                driver.input("Trips-1")
            return
        driver.input("Trips-1").send("a", "v", 1)
        assert driver.output("out").read_values() == ["v"]


def test_patterns_of_other_flags_are_other_sources(builder, build):
    """As in Kafka, which merges two sources only where pattern and flags are the same."""
    for flags in (re.IGNORECASE, 0, re.IGNORECASE):
        builder.stream(re.compile("trips-.*", flags), key=str, value=str).for_each(lambda key, value: None)
    assert build().subtopologies[0].patterns == ("(?i)trips-.*",)
    assert build().subtopologies[1].patterns == ("trips-.*",)


def test_a_pattern_of_bytes_is_refused(builder):
    """Names of topics are text."""
    with pytest.raises(TopologyError, match="stream: topics have names of text, so their pattern is one of text"):
        builder.stream(re.compile(b"trips-.*"))


def test_generated_names_are_listed():
    """What will be renamed when the program changes is known, so that it can be warned about."""
    builder = StreamsBuilder()
    builder.stream("in").group_by(lambda k, v: v).count()
    topology = builder.build(StreamsConfig.of("app", {"default_key_serde": "str"}, environment={}))
    assert topology.unnamed == (
        "KSTREAM-AGGREGATE-STATE-STORE-0000000002",
        "KSTREAM-AGGREGATE-STATE-STORE-0000000002-repartition",
    )
