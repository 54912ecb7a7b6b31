"""Programs that cannot run are refused as they are written or built: the node, what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.dsl.stores import key_value_store, window_store
from streams.dsl.suppressed import until_time_limit, until_window_closes
from streams.errors import ConfigError, DeserializationError, TopologyError
from streams.graph.windows import (
    EmitStrategy,
    JoinWindows,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
)
from streams.processor import Processor
from streams.testing import TopologyTestDriver

Say = Callable[[StreamsBuilder], Any]


def stream(builder: StreamsBuilder, topic: str = "in", **options: Any) -> Any:
    return builder.stream(topic, key=str, value=str, **options)


def table(builder: StreamsBuilder, topic: str = "table", **options: Any) -> Any:
    return builder.table(topic, key=str, value=str, **options)


def grouped(builder: StreamsBuilder) -> Any:
    return stream(builder).group_by_key()


def windowed(builder: StreamsBuilder) -> Any:
    return grouped(builder).windowed_by(TEN).count().to_stream()


def join(left: Any, right: Any) -> str:
    return left + right


async def asks(key: str, value: str) -> bool:
    return key == value


async def yields(key: str, value: str) -> AsyncIterator[tuple[str, str]]:
    yield key, value


HISTORY = Materialized(name="rows", history="1 s")
TEN = TimeWindows.of(10)

BUILDS: dict[str, tuple[Say, str]] = {
    "nothing": (lambda b: None, "there is nothing to run; read a topic"),
    "a name twice": (lambda b: stream(b, name="n").filter(lambda k, v: True, name="n"), "n: there is a Source node"),
    "a store's name twice": (
        lambda b: (table(b, name="s"), table(b, "other", name="s")),
        "s: there is another store of this name; give one of the two another name",
    ),
    "a stream and a table of one topic": (lambda b: (stream(b), table(b, "in")), "the topic in has a source already"),
    "overlapping sources": (
        lambda b: (b.stream(["in", "two"]), stream(b)),
        "both read in, but not the same topics",
    ),
    "different starts of one topic": (
        lambda b: (stream(b, offset_reset="earliest"), stream(b, offset_reset="latest")),
        "start at different offsets",
    ),
    "windowed keys as text": (
        lambda b: windowed(b).to("out", key=str),
        r"to out: the keys of KTABLE-TOSTREAM.* are windowed, .* given for them is str: leave key= out, or .*select_key",
    ),
    "windowed keys as JSON": (lambda b: windowed(b).to("out", key=object), "given for them is object: leave key= out"),
    "windowed keys as a table": (lambda b: windowed(b).to_table(key=int), "to_table: .* given for them is int"),
    "windowed keys grouped": (lambda b: windowed(b).group_by_key(key=str), "group_by_key: .* given for them is str"),
    "windowed keys repartitioned": (lambda b: windowed(b).repartition(key=bytes), "repartition: .* them is bytes"),
    "an unknown store": (
        lambda b: stream(b).process(Processor, stores=["nothing"]),
        "there is no store 'nothing' .known: none.: add it with add_state_store",
    ),
    "a global store that is connected": (
        lambda b: (
            b.add_global_store(key_value_store("g", str, str), "g", Processor),
            stream(b).process(Processor, stores=["g"]),
        ),
        "g is a global store, which every processor may read: leave it out",
    ),
    "a retention below the windows": (
        lambda b: grouped(b).windowed_by(TEN).count(store=Materialized(retention=5)),
        "must keep windows for 10 ms at least .* but its retention is 5 ms",
    ),
    "suppress of a versioned table": (
        lambda b: table(b, store=HISTORY).suppress(until_time_limit(5)),
        "suppress is not possible on a versioned table",
    ),
    "grace without a history": (
        lambda b: stream(b).join(table(b), join, grace=5),
        "versioned",
    ),
    "grace beyond the history": (
        lambda b: stream(b).join(table(b, store=HISTORY), join, grace="2 s"),
        "history",
    ),
    "fixed partitions that differ": (
        lambda b: (
            stream(b)
            .repartition(partitions=2)
            .join(stream(b, "two").repartition(partitions=3), join, within=JoinWindows.of(5))
        ),
        "must have the same number of partitions, but .* 2, .* 3",
    ),
}

SAYS: dict[str, tuple[Say, str]] = {
    "a window without size": (lambda b: TimeWindows.of(0), "the size of time windows: expected at least 1 ms, got 0"),
    "an advance beyond the size": (lambda b: TEN.advance_by(11), "expected at most their size of 10 ms, got 11 ms"),
    "an advance of nothing": (lambda b: TEN.advance_by(0), "the advance of time windows: expected at least 1 ms"),
    "a negative grace": (lambda b: TimeWindows.of(10, grace=-1), "the grace of time windows: .*-1"),
    "a negative difference": (lambda b: SlidingWindows.of(-1), "the time difference of sliding windows"),
    "a session without gap": (lambda b: SessionWindows.with_inactivity_gap(0), "the inactivity gap of session windows"),
    "a negative start": (lambda b: UnlimitedWindows.of(-1), "the start of unlimited windows"),
    "a retention without windows": (
        lambda b: grouped(b).count(store=Materialized(name="counts", retention=5)),
        "counts: a store without windows forgets nothing by itself, so it has no retention",
    ),
    "a bound without a name": (
        lambda b: grouped(b).count(store=Materialized(max_entries=5)),
        "a store with max_entries needs a name",
    ),
    "a bound of windows": (
        lambda b: grouped(b).windowed_by(TEN).count(store=Materialized(name="counts", max_entries=5)),
        "counts: windows and histories go by time, not by entries: leave `max_entries` out",
    ),
    "a bound of a history": (
        lambda b: table(b, store=Materialized(name="rows", history="1 s", max_entries=5)),
        "rows: windows and histories go by time",
    ),
    "a bound on disk": (
        lambda b: table(b, store=Materialized(name="rows", persistent=True, max_entries=5)),
        "rows: a store with max_entries is kept in memory: leave persistent= and engine= out",
    ),
    "a bound of no entries": (
        lambda b: table(b, store=Materialized(name="rows", max_entries=0)),
        "rows: max_entries: expected a whole number of at least 1, got 0",
    ),
    "a stream join with a bound": (
        lambda b: stream(b).join(stream(b, "two"), join, within=JoinWindows.of(5), store=Materialized(max_entries=5)),
        "its stores keep the records of its streams, .* leave history=, max_entries=, key= and value= out",
    ),
    "a table with a retention": (
        lambda b: table(b, store=Materialized(name="rows", retention=5)),
        "rows: a store without windows forgets nothing by itself",
    ),
    "a retention that is not that of the join": (
        lambda b: stream(b).join(
            stream(b, "two"), join, within=JoinWindows.of(5, grace=2), store=Materialized(retention=11)
        ),
        "must keep records for 12 ms, the size and grace of its windows, but their retention is 11",
    ),
    "a stream join with a history": (
        lambda b: stream(b).join(stream(b, "two"), join, within=JoinWindows.of(5), store=Materialized(history=5)),
        "its stores keep the records of its streams, .* leave history=, max_entries=, key= and value= out",
    ),
    "a stream join with serdes": (
        lambda b: stream(b).join(stream(b, "two"), join, within=JoinWindows.of(5), store=Materialized(value=int)),
        "its stores keep the records of its streams",
    ),
    "an empty join window": (lambda b: JoinWindows.of(5).before(-6), "are empty"),
    "a size that is no time": (lambda b: TimeWindows.of("soon"), "the size of time windows: .*'soon'"),
    "a store that forgets its windows": (
        lambda b: window_store("w", str, str, size=10, retention=5),
        "w: expected a retention of at least the window size, 10 ms, got 5 ms",
    ),
    "emit on close without an end": (
        lambda b: grouped(b).windowed_by(UnlimitedWindows.of()).emit_strategy(EmitStrategy.ON_WINDOW_CLOSE),
        "close",
    ),
    "windows that are none": (lambda b: grouped(b).windowed_by(10), "windowed_by: .*10"),
    "join windows for a fold": (lambda b: grouped(b).windowed_by(JoinWindows.of(5)), "windowed_by"),
    "sessions without merge": (
        lambda b: grouped(b).windowed_by(SessionWindows.with_inactivity_gap(5)).aggregate(str, lambda k, v, t: t, None),
        "merge",
    ),
    "final results without windows": (
        lambda b: table(b).suppress(until_window_closes()),
        "window",
    ),
    "suppress until never": (lambda b: table(b).suppress("10 s"), "suppress: expected until_window_closes.. or"),
    "a filter that is none": (lambda b: stream(b).filter("yes"), "filter: expected a function, got 'yes'"),
    "a filter of one argument": (lambda b: stream(b).filter(len), "filter: expected a function of .key, value."),
    "a joiner of one argument": (
        lambda b: stream(b).join(table(b), lambda left: left),
        "the joiner: expected a function of .left, right. or .key, left, right., but .* takes 1",
    ),
    "streams joined without a time": (
        lambda b: stream(b).join(stream(b, "two"), join),
        "two streams are joined within a time: give within=JoinWindows.of",
    ),
    "a table joined within a time": (
        lambda b: stream(b).join(table(b), join, within=JoinWindows.of(5)),
        "a table has no time, so `within` does not apply",
    ),
    "an outer join of stream and table": (lambda b: stream(b).outer_join(table(b), join), "use left_join"),
    "a global table without a key": (
        lambda b: stream(b).join(b.global_table("g"), join),
        "a global table needs on=function.key, value.",
    ),
    "a versioned global table": (
        lambda b: b.global_table("g", store=HISTORY),
        "global table of g: it cannot be versioned",
    ),
    "a join with anything": (lambda b: stream(b).join("two", join), "expected a stream, a table or a global table"),
    "a table joined with a stream": (lambda b: table(b).join(stream(b), join), "a table joins a table"),
    "a merge with a table": (lambda b: stream(b).merge(table(b)), "merge takes a stream"),
    "another program": (lambda b: stream(b).merge(stream(StreamsBuilder())), "belongs to another App"),
    "no topics": (lambda b: b.stream([]), "stream: expected at least one topic"),
    "a name for no topic": (lambda b: stream(b).to("a b"), "the name of a topic: .*'a b'"),
    "no partitions": (
        lambda b: stream(b).repartition(partitions=0),
        "repartition: partitions: expected a whole number of at least 1, got 0",
    ),
    "partitions as text": (
        lambda b: stream(b).repartition(partitions="4"),
        "repartition: partitions: expected a whole number of at least 1, got '4'; write it without quotes",
    ),
    "to nothing": (lambda b: stream(b).to(None), "to: expected a topic, its name or a function .*, got None"),
    "to a number": (lambda b: stream(b).to(5), "to: expected a topic, its name or a function .*, got 5"),
    "a partitioner that is none": (lambda b: stream(b).to("out", partitioner=5), "to: the partitioner: .* got 5"),
    "a sink to nothing": (
        lambda b: b.topology.add_source("s", "in").add_sink("k", None, "s"),
        "k: expected a topic, its name or a function .*, got None",
    ),
    "a stream of nothing": (lambda b: b.stream(None), "stream: expected a topic, its name, .*, got None"),
    "a stream of a number": (lambda b: b.stream(5), "stream: expected a topic, its name, .*, got 5"),
    "a source of nothing": (lambda b: b.topology.add_source("s", None), "s: expected a topic, its name, .*, got None"),
    "a first value in place of its function": (
        lambda b: grouped(b).aggregate(0, lambda k, v, t: t),
        "aggregate: the initializer: expected a function, got 0; write lambda: 0",
    ),
    "the same of a table": (
        lambda b: table(b).group_by(lambda k, v: (k, v)).aggregate([], lambda k, v, t: t, lambda k, v, t: t),
        r"aggregate: the initializer: expected a function, got \[\]; write lambda: \[\]",
    ),
    "the same of a cogroup": (
        lambda b: grouped(b).cogroup(lambda k, v, t: t).aggregate(0),
        "aggregate: the initializer: expected a function, got 0",
    ),
    "a first value by key": (
        lambda b: grouped(b).aggregate(lambda key: 0, lambda k, v, t: t),
        "aggregate: the initializer: expected a function without arguments, but .* takes 1 argument",
    ),
    "a bound as text": (
        lambda b: until_time_limit("1 s", max_records="5"),
        "suppress: max_records: expected a whole number of at least 1, got '5'",
    ),
    "a bound of nothing": (lambda b: until_window_closes(max_bytes=0), "suppress: max_bytes: .* at least 1, got 0"),
    "settings of a changelog as text": (
        lambda b: grouped(b).count(store=Materialized(topic_config="retention.ms=5")),
        "topic_config: expected Kafka's topic settings as a dict such as .*, got 'retention.ms=5'",
    ),
    "an unknown start": (lambda b: stream(b, offset_reset="middle"), "offset_reset: expected earliest, latest, none"),
    "a type that is none": (lambda b: b.stream("in", key=3), "no serde is known for 3: .*\\n.*give a type"),
    "stores that are no list": (lambda b: stream(b).process(Processor, stores="counts"), "stores: expected a list"),
    "an async filter": (
        lambda b: stream(b).filter(asks),
        "filter: expected a plain function, but asks is async .* write def, or have @app.agent run it",
    ),
    "an async table's filter": (lambda b: table(b).filter_not(asks), "filter_not: expected a plain function"),
    "an async mapper": (lambda b: stream(b).map_values(asks), "map_values: expected a plain function"),
    "an async generator": (lambda b: stream(b).flat_map(yields), "flat_map: expected a plain function"),
    "an async joiner": (lambda b: stream(b).join(table(b), asks), "expected a plain function, but asks is async"),
    "an async first value": (
        lambda b: grouped(b).aggregate(asks, lambda k, v, t: t),
        "aggregate: the initializer: expected a plain function",
    ),
    "a processor that is none": (lambda b: stream(b).process(Processor()), "process: expected a function, got"),
}


@pytest.mark.parametrize("name", SAYS)
def test_refused_as_it_is_said(name: str) -> None:
    """At the verb, so that the traceback points to the line."""
    say, message = SAYS[name]
    with pytest.raises(TopologyError, match=message):
        say(StreamsBuilder())


@pytest.mark.parametrize("name", BUILDS)
def test_refused_as_it_is_built(name: str) -> None:
    """Where only the whole program shows it."""
    say, message = BUILDS[name]
    builder = StreamsBuilder()
    with pytest.raises(TopologyError, match=message):
        say(builder)
        builder.build(StreamsConfig.of("app", {}, environment={}))


def test_an_unknown_optimization_is_refused() -> None:
    """With those that exist."""
    builder = StreamsBuilder()
    stream(builder)
    with pytest.raises(
        ConfigError, match=r"expected none, all or some of merge\.repartition\.topics.* got 'everything'"
    ):
        builder.build(StreamsConfig.of("app", {"topology_optimization": "everything"}, environment={}))


def test_a_table_without_a_key_type_is_refused() -> None:
    """When the program is built: the message names the node, the topic and the remedy."""
    builder = StreamsBuilder()
    builder.table("table").to_stream().to("out")
    with pytest.raises(
        TopologyError, match=r"KTABLE-SOURCE-0000000002: .* kept by key; say key=.* where table is read"
    ):
        builder.build(StreamsConfig.of("app", {}, environment={}))


def test_keys_of_no_declared_type_say_so_when_they_are_no_json() -> None:
    """In steps that keep nothing they are read as JSON; an error names topic and offset, and how to declare them."""
    builder = StreamsBuilder()
    builder.stream("in").to("out")
    topology = builder.build(StreamsConfig.of("app", {}, environment={}))
    with (
        TopologyTestDriver(topology) as driver,
        pytest.raises(DeserializationError, match=r"no type was declared.* say key= or value=") as caught,
    ):
        driver.input("in", key=bytes).send(b"\xff", "x", 1)
    assert (caught.value.topic, caught.value.partition, caught.value.offset) == ("in", 0, 0)
