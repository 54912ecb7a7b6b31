"""Where batches may stay whole, and where records run one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.kstream import KStream
from streams.dsl.stores import key_value_store
from streams.errors import DeserializationError
from streams.processor import Processor
from streams.record import Batch
from tests.streams.operators.cutting import Cutter, texts, topology_of


def left(builder: StreamsBuilder) -> KStream:
    return builder.stream("in", key=str, value=str)


def straight(builder: StreamsBuilder) -> None:
    left(builder).filter(lambda key, value: True).group_by_key().count().to_stream().to("out")


def fork(builder: StreamsBuilder) -> None:
    stream = left(builder)
    stream.to("one")
    stream.map_values(str.upper, value=str).to("two")


def meeting_in_a_node(builder: StreamsBuilder) -> None:
    stream = left(builder)
    stream.merge(stream.map_values(str.upper, value=str)).to("out")


def meeting_in_a_store(builder: StreamsBuilder) -> None:
    stream = left(builder)
    stream.join(stream.to_table(), lambda one, other: one).to("out")


def meeting_in_a_topic(builder: StreamsBuilder) -> None:
    stream = left(builder)
    stream.to("out")
    stream.map_values(str.upper, value=str).to("out")


def competing_caches(builder: StreamsBuilder) -> None:
    stream = left(builder)
    stream.group_by_key().count(name="one")
    stream.group_by_key().reduce(max, name="two")


class Plain(Processor):
    """One record at a time."""

    def process(self, record: Any) -> None:
        self.context.forward(record)


class Whole:
    """Takes batches."""

    def init(self, context: Any) -> None: ...

    def process_batch(self, batch: Any) -> Any:
        return batch

    def close(self) -> None: ...


def with_processor(kind: type) -> Callable[[StreamsBuilder], None]:
    return lambda builder: left(builder).process(kind).to("out", key=str, value=str)


@pytest.mark.parametrize(
    ("say", "one_by_one"),
    [
        (straight, False),
        (fork, False),
        (with_processor(Whole), False),
        (meeting_in_a_node, True),
        (meeting_in_a_store, True),
        (meeting_in_a_topic, True),
        (competing_caches, True),
        (with_processor(Plain), True),
    ],
)
def test_records_run_one_by_one_where_that_could_be_seen(say: Any, one_by_one: bool) -> None:
    """Branches that meet, stores with two users, caches on two branches, and processors."""
    sources = Cutter(topology_of(say)).task._program.sources
    assert [source.one_by_one for source in sources if source.topics == ("in",)] == [one_by_one]


def test_one_by_one_is_depth_first() -> None:
    """Each record runs through all branches, in the order they were attached, before the next, as in Kafka."""
    cutter = Cutter(topology_of(meeting_in_a_node))
    cutter.feed(texts("in", ("1", "a", 1), ("2", "b", 2)))
    assert [value for _, value, _ in cutter.written("out")] == [b"A", b"a", b"B", b"b"]


def test_sources_with_a_pattern_read_the_topics_that_match() -> None:
    """Among those that exist."""
    import re

    from streams.testing import TopologyTestDriver

    topology = topology_of(lambda builder: builder.stream(re.compile("in-.*"), key=str, value=str).to("out"))
    with TopologyTestDriver(topology, topics=["in-a", "in-b", "other"]) as driver:
        driver.input("in-b").send("k", "v", 1)
        assert driver.output("out").read_key_values() == [("k", "v")]


def regrouped(builder: StreamsBuilder, *, then: str) -> None:
    grouped = left(builder).group_by(lambda key, value: value, key=str)
    if then == "count":
        grouped.count(name="kept").to_stream().to("out")
    else:
        grouped.reduce(lambda one, other: one + other, name="kept").to_stream().to("out")


@pytest.mark.parametrize(("then", "values"), [("count", [b"v"]), ("reduce", ["v"])])
def test_values_that_are_only_counted_are_not_read_again(then: str, values: list[Any]) -> None:
    """Behind a repartition topic a count takes the values as bytes; what looks at them gets them read."""
    topology = topology_of(partial(regrouped, then=then))
    cutter = Cutter(topology)
    (source,) = [source for source in cutter.task._program.sources if source.topics != ("in",)]
    raw = Batch([b"v"], [b"v"], [1], offsets=[0], topic=source.topics[0], partition=0)
    assert source.deserialize(raw, -1).values == values


SPACED = b'{"at": 1}'


@pytest.mark.parametrize(
    ("say", "written"),
    [
        (lambda stream: stream.filter(lambda _, value: value["at"]).group_by(of_the_time, key=str).count(), [SPACED]),
        (lambda stream: stream.group_by(of_the_time, key=str).reduce(max), [b'{"at":1}']),
        (lambda stream: stream.map_values(dict, value=dict).group_by(of_the_time, key=str).count(), [b'{"at":1}']),
    ],
)
def test_values_that_are_only_counted_are_not_written_anew(say: Any, written: list[bytes]) -> None:
    """What nobody reads goes on as it came; what somebody reads, or a function has made, is written by its serde."""
    cutter = Cutter(topology_of(lambda builder: say(builder.stream("in", key=str, value=dict))))
    cutter.feed([("in", b"key", SPACED, 1)])
    (topic,) = [topic for topic in cutter.topics if topic != "in"]
    assert [value for _, value, _ in cutter.written(topic)] == written


def test_a_value_that_reads_as_nothing_is_not_counted() -> None:
    """JSON's null is None to a stream, and so a record without a value behind the repartition topic too."""
    cutter = Cutter(topology_of(lambda builder: recounted(builder).count(name="counts")))
    cutter.feed([("in", b"key", b"null", 1), ("in", b"key", b"7", 1)])
    assert [(key, counted.value) for key, counted in cutter.task.stores["counts"].all()] == [("all", 1)]


def recounted(builder: StreamsBuilder) -> Any:
    return builder.stream("in", key=str).group_by(lambda _key, _value: "all", key=str)


def of_the_time(_key: str, value: Any) -> str:
    return str(value["at"])


def test_a_users_topic_is_read_though_it_is_only_counted() -> None:
    """What is no text is found where it comes in."""
    cutter = Cutter(topology_of(straight))
    with pytest.raises(DeserializationError):
        cutter.feed([("in", b"key", b"\xff", 1)])


class Ahead(Whole):
    """May run records before their turn."""

    def begin(self, batch: Any, beside: Any) -> Any: ...


def agents(builder: StreamsBuilder, *second: str) -> None:
    """An agent with a store right behind its source, and another that is there too, or elsewhere."""
    builder.add_state_store(key_value_store("own", str, str))
    left(builder).process_values(Ahead, stores=["own"], name="first")
    if second:
        other = builder.stream("other", key=str, value=str)
        stream = other.map_values(str.upper, value=str) if "behind a verb" in second else other
        stream.process_values(Whole if "in its place" in second else Ahead, stores=["own"], name="second")


@pytest.mark.parametrize(
    ("second", "ahead"),
    [((), True), (("ahead",), True), (("in its place",), True), (("behind a verb",), False)],
)
def test_agents_run_ahead_where_nobody_else_may_write_to_their_stores(second: tuple[str, ...], ahead: bool) -> None:
    """Who is right behind a source runs with the task; who is behind a verb may be run by a flush."""
    sources = Cutter(topology_of(lambda builder: agents(builder, *second))).task._program.sources
    (source,) = [source for source in sources if source.topics == ("in",)]
    assert (len(source.ahead), source.ahead_stores) == ((1, ("own",)) if ahead else (0, ()))
