"""The cut never matters: batches of one, two, seven and all give the same outputs, stores and changelogs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.dsl.builder import StreamsBuilder
from streams.dsl.kstream import KStream
from streams.dsl.options import Materialized
from streams.dsl.stores import key_value_store
from streams.dsl.suppressed import until_time_limit, until_window_closes
from streams.graph.windows import EmitStrategy, JoinWindows, SessionWindows, SlidingWindows, TimeWindows
from streams.processor import Processor, PunctuationType
from streams.record import Record
from tests.streams.operators.cutting import Input, cut_matters, topology_of

Say = Callable[[StreamsBuilder], Any]

UNCACHED = Materialized(cached=False)
LETTERS = st.sampled_from(["a", "b", "c"])


def left(builder: StreamsBuilder) -> KStream:
    return builder.stream("left", key=str, value=str)


def right(builder: StreamsBuilder) -> KStream:
    return builder.stream("right", key=str, value=str)


def concat(one: Any, other: Any) -> str:
    return f"{one}+{other}"


def append(key: str, value: str | None, total: str) -> str:
    return f"{total}{value}"[-12:]


def stateless(builder: StreamsBuilder) -> None:
    stream = left(builder).filter(lambda key, value: value != "b").map_values(lambda value: f"{value}!")
    stream.flat_map_values(lambda value: [value] * len(value or ""), value=str).to("out")


def diamond(builder: StreamsBuilder) -> None:
    stream = left(builder)
    stream.map_values(lambda value: f"{value}1").merge(stream.map_values(lambda value: f"{value}2")).to("out")


def one_topic_two_sinks(builder: StreamsBuilder) -> None:
    stream = left(builder)
    stream.filter(lambda key, value: value == "a").to("out")
    stream.filter(lambda key, value: value != "a").to("out")


def joined_with_itself(builder: StreamsBuilder) -> None:
    stream = left(builder)
    table = stream.to_table(name="latest")
    stream.join(table, concat).to("out")


def table_of_own_updates(builder: StreamsBuilder) -> None:
    doubled = left(builder).flat_map_values(lambda value: [f"{value}1", f"{value}2"], value=str)
    table = doubled.to_table(store=UNCACHED)
    table.join(table.map_values(lambda value: f"{value}'"), concat).to_stream().to("out")


def counted(store: Materialized | None) -> Say:
    def say(builder: StreamsBuilder) -> None:
        left(builder).group_by(lambda key, value: value).count(store=store).to_stream().to("out")

    return say


def counted_twice(builder: StreamsBuilder) -> None:
    stream = left(builder)
    stream.group_by_key().count(name="one").to_stream().to("ones")
    stream.group_by_key().reduce(concat, name="two").to_stream().to("twos")


def appended_in_place(builder: StreamsBuilder) -> None:
    def add(key: str, value: str, total: list[str]) -> list[str]:
        total.append(value)
        return total

    left(builder).group_by_key().aggregate(list, add, value=list, store=UNCACHED).to_stream().to("out")


def counted_by_number(windows: Any = None) -> Say:
    """Counts by numbers, which JSON makes text: each record finds what the one before has left in the store."""

    def add(key: str, value: str | None, counts: dict[Any, Any]) -> dict[Any, Any]:
        counts[0] = counts.get(0, 0) + 1
        counts.setdefault("all", []).append((value, len(counts)))
        return counts

    def say(builder: StreamsBuilder) -> None:
        grouped = left(builder).group_by_key()
        grouped = grouped if windows is None else grouped.windowed_by(windows)
        grouped.aggregate(dict, add, value=dict).to_stream().to("out")

    return say


def windowed(windows: Any, store: Materialized | None = UNCACHED, emit: EmitStrategy | None = None) -> Say:
    def say(builder: StreamsBuilder) -> None:
        grouped = left(builder).group_by_key().windowed_by(windows)
        grouped = grouped if emit is None else grouped.emit_strategy(emit)
        merge = {"merge": lambda key, one, other: one + other} if isinstance(windows, SessionWindows) else {}
        grouped.aggregate(str, append, value=str, store=store, **merge).to_stream().to("out")

    return say


def deleted(windows: Any = None, store: Materialized | None = None) -> Say:
    """An aggregate that is None after every third record."""

    def add(key: str, value: str | None, total: str) -> str | None:
        return f"{total}{value}" if len(total) < 2 else None

    def say(builder: StreamsBuilder) -> None:
        grouped = left(builder).filter(lambda key, value: value is not None).group_by_key()
        grouped = grouped if windows is None else grouped.windowed_by(windows)
        grouped.aggregate(str, add, value=str, store=store).to_stream().to("out")

    return say


def suppressed(builder: StreamsBuilder) -> None:
    counts = left(builder).group_by_key().windowed_by(TimeWindows.of(10, grace=5)).count(store=UNCACHED)
    counts.suppress(until_window_closes()).to_stream().to("out")
    builder.table("right", key=str, value=str).suppress(until_time_limit(5, max_records=2)).to_stream().to("late")


def streams_joined(verb: str) -> Say:
    def say(builder: StreamsBuilder) -> None:
        joined = getattr(left(builder), verb)(right(builder), concat, within=JoinWindows.of(10, grace=3))
        joined.to("out")

    return say


def stream_with_table(builder: StreamsBuilder) -> None:
    left(builder).left_join(builder.table("right", key=str, value=str), concat).to("out")


def stream_waits_for_table(builder: StreamsBuilder) -> None:
    table = builder.table("right", key=str, value=str, store=Materialized(name="versions", history=1_000))
    left(builder).join(table, concat, grace=5).to("out")


def tables_joined(verb: str) -> Say:
    def say(builder: StreamsBuilder) -> None:
        one, other = (builder.table(topic, key=str, value=str) for topic in ("left", "right"))
        getattr(one.filter(lambda key, value: value != "b"), verb)(other, concat).to_stream().to("out")

    return say


def table_regrouped(builder: StreamsBuilder) -> None:
    table = builder.table("left", key=str, value=str)
    table.group_by(lambda key, value: (value, key)).reduce(concat, lambda one, other: f"{one}-{other}").to_stream().to(
        "out"
    )


def tables_in_a_row(builder: StreamsBuilder) -> None:
    """Each with a record cache: what the first lets go sets off evictions of the second."""
    first = left(builder).to_table(name="first")
    first.map_values(lambda value: f"{value}!", store=Materialized(name="second")).to_stream().to("out")


def cogrouped(builder: StreamsBuilder) -> None:
    both = left(builder).group_by_key().cogroup(append).cogroup(right(builder).group_by_key(), append)
    both.aggregate(str, value=str).to_stream().to("out")


def foreign_keys(builder: StreamsBuilder) -> None:
    one, other = (builder.table(topic, key=str, value=str) for topic in ("left", "right"))
    one.left_join(other, concat, on=lambda value: value).to_stream().to("out")


class Tally(Processor):
    """Counts in a store, and tells the count every ten milliseconds of stream time."""

    def init(self, context: Any) -> None:
        super().init(context)
        self.counts = context.store("tally")
        context.schedule(10, PunctuationType.STREAM_TIME, self.tell)

    def process(self, record: Record) -> None:
        self.counts.put("all", (self.counts.get("all") or 0) + 1)
        self.context.forward(Record(record.key, f"{record.value}@{self.context.stream_time_ms()}", record.timestamp))

    def tell(self, time_ms: int) -> None:
        self.context.forward(Record("all", str(self.counts.get("all")), time_ms))


def processed(builder: StreamsBuilder) -> None:
    builder.add_state_store(key_value_store("tally", key=str, value=int))
    left(builder).process(Tally, stores=["tally"], key=str, value=str).to("out")


CLOSE = EmitStrategy.ON_WINDOW_CLOSE
PROGRAMS: dict[str, Say] = {
    "stateless": stateless,
    "diamond": diamond,
    "one topic, two sinks": one_topic_two_sinks,
    "a stream joined with itself as table": joined_with_itself,
    "a table joined with its own map": table_of_own_updates,
    "count, cached": counted(None),
    "count, uncached": counted(UNCACHED),
    "two caches on two branches": counted_twice,
    "an aggregate changed in place": appended_in_place,
    "counts by numbers": counted_by_number(),
    "counts by numbers, tumbling": counted_by_number(TimeWindows.of(10, grace=5)),
    "tumbling": windowed(TimeWindows.of(10, grace=5)),
    "tumbling, cached": windowed(TimeWindows.of(10, grace=5), None),
    "hopping": windowed(TimeWindows.of(10, advance=4, grace=5)),
    "hopping, on close": windowed(TimeWindows.of(10, advance=4), Materialized(retention=1_000), CLOSE),
    "hopping, cached": windowed(TimeWindows.of(10, advance=4, grace=5), None),
    "sliding, cached": windowed(SlidingWindows.of(8, grace=5), None),
    "sliding": windowed(SlidingWindows.of(8, grace=5)),
    "sessions": windowed(SessionWindows.with_inactivity_gap(5, grace=5)),
    "sessions, cached": windowed(SessionWindows.with_inactivity_gap(5, grace=5), None),
    "sessions, on close": windowed(SessionWindows.with_inactivity_gap(5), None, CLOSE),
    "deletions": deleted(store=UNCACHED),
    "deletions, cached": deleted(),
    "deletions, tumbling": deleted(TimeWindows.of(10, grace=5), UNCACHED),
    "deletions, tumbling, cached": deleted(TimeWindows.of(10, grace=5)),
    "deletions, sliding": deleted(SlidingWindows.of(8, grace=5), UNCACHED),
    "suppress": suppressed,
    "inner join of streams": streams_joined("join"),
    "left join of streams": streams_joined("left_join"),
    "outer join of streams": streams_joined("outer_join"),
    "stream and table": stream_with_table,
    "stream and versioned table": stream_waits_for_table,
    "inner join of tables": tables_joined("join"),
    "outer join of tables": tables_joined("outer_join"),
    "a table grouped anew": table_regrouped,
    "tables in a row": tables_in_a_row,
    "groups together": cogrouped,
    "foreign keys": foreign_keys,
    "a processor": processed,
}


@st.composite
def inputs(draw: st.DrawFn) -> list[list[Input]]:
    """Records of both topics, a little out of order, in two or three commits."""
    chunks = []
    time = 0
    for _ in range(draw(st.integers(1, 3))):
        chunk: list[Input] = []
        for _ in range(draw(st.integers(1, 9))):
            time = max(0, time + draw(st.integers(-6, 9)))
            topic = draw(st.sampled_from(["left", "left", "right"]))
            value = draw(st.one_of(LETTERS, LETTERS, st.none()))
            chunk.append((topic, draw(LETTERS).encode(), None if value is None else value.encode(), time))
        chunks.append(chunk)
    return chunks


@pytest.mark.parametrize("caches", [[0], [50, 300], [1 << 20]], ids=["no cache", "tiny cache", "cache"])
@pytest.mark.parametrize("name", PROGRAMS)
@settings(max_examples=8, deadline=None)
@given(chunks=inputs(), data=st.data())
def test_batches_of_any_size_come_to_the_same(
    name: str, caches: list[int], chunks: list[list[Input]], data: st.DataObject
) -> None:
    """Kafka takes one record at a time; that is what every other cut is compared with."""
    cache_bytes = data.draw(st.sampled_from(caches))
    topology = topology_of(PROGRAMS[name], statestore_cache_max_bytes=cache_bytes)
    assert cut_matters(topology, chunks, cache_bytes) is None
