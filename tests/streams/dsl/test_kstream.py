"""The verbs of a stream: names, serdes, and what they refuse."""

import io
from collections.abc import Iterator

import msgspec
import pytest

from streams.dsl.builder import StreamsBuilder
from streams.errors import TopologyError
from streams.graph.nodes import Verb
from streams.graph.windows import JoinWindows, SessionWindows, TimeWindows
from streams.serdes import declared, serde_for


class Ride(msgspec.Struct):
    zone: int
    borough: str


class Other(msgspec.Struct):
    zone: int


def rides(builder):
    return builder.stream("rides", key=str, value=Ride)


def test_each_verb_has_kafkas_prefix(builder):
    """Names are a prefix per verb and the program's counter."""
    stream = builder.stream("in")
    made = [
        stream.filter(lambda k, v: True),
        stream.filter_not(lambda k, v: True),
        stream.map(lambda k, v: (k, v)),
        stream.map_values(lambda v: v),
        stream.flat_map(lambda k, v: []),
        stream.flat_map_values(lambda v: []),
        stream.select_key(lambda k, v: k),
        stream.peek(lambda k, v: None),
        stream.process(object),
        stream.process_values(object),
    ]
    assert [handle.node for handle in made] == [
        "KSTREAM-FILTER-0000000001",
        "KSTREAM-FILTER-0000000002",
        "KSTREAM-MAP-0000000003",
        "KSTREAM-MAPVALUES-0000000004",
        "KSTREAM-FLATMAP-0000000005",
        "KSTREAM-FLATMAPVALUES-0000000006",
        "KSTREAM-KEY-SELECT-0000000007",
        "KSTREAM-PEEK-0000000008",
        "KSTREAM-PROCESSOR-0000000009",
        "KSTREAM-PROCESSVALUES-0000000010",
    ]


def test_handles_are_immutable(builder):
    """A verb gives a new stream and leaves the old one as it was."""
    stream = rides(builder)
    filtered = stream.filter(lambda k, v: True, name="kept")
    assert (stream.node, filtered.node) == ("KSTREAM-SOURCE-0000000000", "kept")
    with pytest.raises(AttributeError):
        stream.node = "other"


def test_value_functions_may_ask_for_the_key(builder):
    """Kafka's two forms of mapValues are told apart by their parameters."""
    stream = rides(builder)
    plain = stream.map_values(lambda ride: ride.zone)
    keyed = stream.map_values(lambda key, ride: key)
    nodes = builder.program.graph.nodes
    assert (nodes[plain.node].with_key, nodes[keyed.node].with_key) == (False, True)
    assert nodes[plain.node].verb is Verb.MAP_VALUES


def test_only_a_change_of_key_asks_for_a_repartition(builder):
    """map, flat_map, select_key and process may change the key; value verbs keep it."""
    stream = rides(builder)
    keeps = [stream.map_values(lambda v: v), stream.process_values(object), stream.peek(lambda k, v: None)]
    changes = [stream.map(lambda k, v: (k, v)), stream.select_key(lambda k, v: v), stream.process(object)]
    assert [each.rekeyed for each in keeps] == [False, False, False]
    assert [each.rekeyed for each in changes] == [True, True, True]
    assert stream.merge(changes[0]).rekeyed
    assert not changes[0].repartition().rekeyed


def test_serdes_follow_what_steps_keep(builder):
    """Keys survive value steps, values survive key steps; what a function makes is told by its annotations."""

    def zone(ride: Ride) -> int:
        return ride.zone

    stream = rides(builder)
    assert stream.filter(lambda k, v: True).serdes == stream.serdes
    assert stream.map_values(zone).serdes.key is serde_for(str)
    assert stream.map_values(zone).serdes.value is serde_for(int)
    assert stream.select_key(lambda k, v: v.borough).serdes.key is serde_for(str)
    assert stream.select_key(lambda k, v: v.zone + 1).serdes.key is None
    assert stream.select_key(lambda k, v: v.zone + 1, key=int).serdes.key is serde_for(int)


def test_merged_streams_keep_the_types_they_share(builder):
    """Keys in windows as well, when the windows are equal; a type that differs is not known."""
    grouped = rides(builder).group_by_key()
    hours, others = (grouped.windowed_by(TimeWindows.of(size)).count().to_stream() for size in ("1 hour", "1 minute"))
    again = grouped.windowed_by(TimeWindows.of("1 hour")).count().to_stream()
    sessions = [grouped.windowed_by(SessionWindows.with_inactivity_gap("1 s")).count().to_stream() for _ in range(2)]
    assert hours.merge(again).serdes == hours.serdes
    assert sessions[0].merge(sessions[1]).serdes == sessions[0].serdes
    assert hours.merge(others).serdes.key is None
    assert hours.merge(sessions[0]).serdes.key is None


def test_map_takes_both_types_from_its_annotation(builder):
    """A function annotated tuple[K, V] tells both serdes."""

    def swap(key: str, ride: Ride) -> tuple[int, str]:
        return ride.zone, key

    assert rides(builder).map(swap).serdes.key is serde_for(int)
    assert rides(builder).map(swap).serdes.value is serde_for(str)
    assert not declared(rides(builder).map(lambda k, v: (v.zone + 1, k)).serdes.key)


def test_flat_steps_take_the_type_of_what_they_hold(builder):
    """An annotated iterable tells the type of its elements."""

    def zones(ride: Ride) -> Iterator[int]:
        yield ride.zone

    def pairs(key: str, ride: Ride) -> list[tuple[int, str]]:
        return [(ride.zone, key)]

    assert rides(builder).flat_map_values(zones).serdes.value is serde_for(int)
    assert rides(builder).flat_map(pairs).serdes.key is serde_for(int)
    assert rides(builder).flat_map(pairs).serdes.value is serde_for(str)


def test_a_result_without_a_serde_is_no_error_before_it_is_written(builder):
    """What only travels between two functions needs no serde."""

    def either(ride: Ride) -> Ride | Other:
        return ride

    assert rides(builder).map_values(either).serdes.value is None
    with pytest.raises(TopologyError, match="no serde is known"):
        rides(builder).map_values(either, value=Ride | Other)


@pytest.mark.parametrize(
    ("verb", "function", "says"),
    [
        ("filter", lambda ride: True, r"filter: expected a function of \(key, value\), but .* takes 1 argument$"),
        ("map_values", lambda a, b, c: a, r"map_values: expected a function of \(value\) or \(key, value\)"),
        ("select_key", "zone", "select_key: expected a function, got 'zone'"),
        ("peek", lambda: None, "peek: expected a function of"),
    ],
)
def test_functions_of_the_wrong_shape_are_refused(builder, verb, function, says):
    """The mistake is found when the verb is called, and the message says what the function would get."""
    with pytest.raises(TopologyError, match=says):
        getattr(rides(builder), verb)(function)


def test_print_writes_key_and_value(builder):
    """A printed record is one line, with the label."""
    out = io.StringIO()
    rides(builder).print("rides", file=out)
    node = builder.program.graph["KSTREAM-PRINTER-0000000001"]
    node.functions[0]("k", 7)
    assert out.getvalue() == "[rides]: k, 7\n"


@pytest.mark.parametrize(
    ("join", "says"),
    [
        (lambda s, o, t, g: s.join(o, lambda a, b: a), "two streams are joined within a time"),
        (lambda s, o, t, g: s.join(o, lambda a, b: a, within=JoinWindows.of(1), on=lambda k, v: k), "are for tables"),
        (lambda s, o, t, g: s.join(t, lambda a, b: a, within=JoinWindows.of(1)), "a table has no time"),
        (lambda s, o, t, g: s.join(t, lambda a, b: a, on=lambda k, v: k), "a table is joined by the record's key"),
        (lambda s, o, t, g: s.join(g, lambda a, b: a), "a global table needs on="),
        (lambda s, o, t, g: s.outer_join(t, lambda a, b: a), "only streams have an outer join"),
        (lambda s, o, t, g: s.join("zones", lambda a, b: a), "expected a stream, a table or a global table"),
        (lambda s, o, t, g: s.join(t, lambda a: a), r"the joiner: expected a function of \(left, right\)"),
        (lambda s, o, t, g: s.merge(t), "merge takes a stream"),
    ],
)
def test_joins_that_make_no_sense_are_refused(builder, join, says):
    """Each wrong combination says what to write instead."""
    parts = rides(builder), builder.stream("o"), builder.table("t"), builder.global_table("g")
    with pytest.raises(TopologyError, match=says):
        join(*parts)


def test_streams_of_two_apps_do_not_meet(builder):
    """A join across programs is refused."""
    with pytest.raises(TopologyError, match="belongs to another App"):
        rides(builder).merge(StreamsBuilder().stream("in"))


def test_unnamed_joins_of_one_stream_share_a_repartition(builder, build):
    """Kafka repartitions a rekeyed stream once for all its unnamed joins, and once more for a named one."""
    rekeyed = rides(builder).select_key(lambda k, v: v.zone)
    zones = builder.table("zones", key=int, name="zones")
    rekeyed.join(zones, lambda a, b: a).to("x")
    rekeyed.join(zones, lambda a, b: a).to("y")
    rekeyed.join(zones, lambda a, b: a, name="third").to("z")
    assert list(build().repartition_topics) == [
        "app-KSTREAM-KEY-SELECT-0000000001-repartition",
        "app-third-repartition",
    ]
