"""What settings change about a topology as it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.errors import TopologyError
from streams.graph.windows import TimeWindows
from streams.processor import Processor
from streams.record import Record
from streams.testing import TopologyTestDriver
from streams.topology.topology import Topology

Build = Callable[..., Topology]


def count(builder: StreamsBuilder, **options: Any) -> Any:
    return builder.stream("in", key=str, value=str).group_by_key().count(**options)


def test_generated_names_can_be_forbidden(builder: StreamsBuilder, build: Build) -> None:
    """ensure_explicit_internal_resource_naming lists what has no name of its own."""
    count(builder)
    stream = builder.stream("in", key=str, value=str)
    stream.group_by(lambda key, value: value).windowed_by(TimeWindows.of(5)).count(name="named")
    build()
    with pytest.raises(TopologyError, match=r"KSTREAM-AGGREGATE-STATE-STORE-0000000001.*name="):
        build(ensure_explicit_internal_resource_naming=True)


def test_a_program_that_names_everything_is_accepted(builder: StreamsBuilder, build: Build) -> None:
    """Stores by name=, and the repartition topic of a grouping."""
    count(builder, name="counts")
    stream = builder.stream("in", key=str, value=str)
    stream.group_by(lambda key, value: value, name="by-value").count(name="named")
    topology = build(ensure_explicit_internal_resource_naming=True)
    assert list(topology.repartition_topics) == ["app-by-value-repartition"]


@pytest.mark.parametrize("name", ["priced", None])
def test_the_buffer_of_a_join_that_waits_is_named_with_it(
    builder: StreamsBuilder, build: Build, name: str | None
) -> None:
    """As in Kafka Streams 4.3.1, where name= of the join names its buffer too, and nothing else does."""
    rows = builder.table("rows", key=str, value=str, store=Materialized(name="rows", history="1 day"))
    builder.stream("in", key=str, value=str).join(rows, lambda one, other: one + other, grace="1 hour", name=name)
    if name is None:
        with pytest.raises(TopologyError, match="KSTREAM-JOIN-[0-9]+-Buffer"):
            build(ensure_explicit_internal_resource_naming=True)
    else:
        assert "priced-Buffer" in build(ensure_explicit_internal_resource_naming=True).stores


def test_stores_may_be_in_memory_by_default(builder: StreamsBuilder, build: Build) -> None:
    """default_dsl_store decides for stores that do not say it."""
    count(builder, name="counts")
    count(builder, store=Materialized(name="kept", persistent=True))
    stores = build(default_dsl_store="in_memory").stores
    assert (stores["counts"].persistent, stores["kept"].persistent) == (False, True)
    assert build().stores["counts"].persistent


class Transforming:
    """Keeps rows as they are."""

    def transform(self, _key: str, value: str) -> str:
        return value


@pytest.mark.parametrize(
    ("made", "say"),
    [
        (Processor(), lambda builder, one: builder.stream("in", key=str, value=str).process(one, name="mine")),
        (Processor(), lambda builder, one: builder.topology.add_source("s", "in").add_processor("mine", one, "s")),
        (Transforming(), lambda builder, one: builder.table("in", key=str).transform_values(one, name="mine")),
    ],
)
def test_a_supplier_that_gives_one_object_to_all_tasks_is_refused(
    builder: StreamsBuilder, build: Build, made: Any, say: Callable[..., Any]
) -> None:
    """The second task's init would put its context and stores in the place of the first's. Kafka: ApiUtils.checkSupplier."""
    say(builder, lambda: made)
    with pytest.raises(TopologyError, match=r"^mine: its supplier must make a new processor each time"):
        build()


def test_a_supplier_may_name_what_comes_later(builder: StreamsBuilder, build: Build) -> None:
    """It is asked when the topology is built, not when the verb is called."""
    later: list[type[Processor]] = []
    builder.stream("in", key=str, value=str).process(lambda: later[0](), name="mine")
    later.append(Processor)
    build()


def test_a_wrapper_goes_around_every_processor(builder: StreamsBuilder, build: Build) -> None:
    """It is given the node's name and the supplier, and gives the supplier to use."""

    class Passing(Processor):
        def process(self, record: Record) -> None:
            self.context.forward(record)

    seen: list[str] = []

    def wrapper(name: str, supplier: Callable[[], Processor]) -> Callable[[], Processor]:
        class Wrapped(Processor):
            def init(self, context: Any) -> None:
                self.inner = supplier()
                self.inner.init(context)

            def process(self, record: Record) -> None:
                seen.append(f"{name} {record.value}")
                self.inner.process(record)

        return Wrapped

    builder.stream("in", key=str, value=str).process(Passing, name="pass").to("out", key=str, value=str)
    with TopologyTestDriver(build(processor_wrapper=wrapper)) as driver:
        driver.input("in").send("a", "x", 1)
        assert driver.output("out").read_values() == ["x"]
    assert seen == ["pass x"]


@pytest.mark.parametrize("verb", ["join", "left_join"])
def test_a_global_join_may_take_both_keys(builder: StreamsBuilder, build: Build, verb: str) -> None:
    """joiner(key, mapped key, left, right): Kafka's ValueJoinerWithStreamAndMappedKey."""
    table = builder.global_table("table", key=str, value=str)
    stream = builder.stream("in", key=str, value=str)

    def join(key: str, mapped: str, left: str, right: str) -> str:
        return f"{key} {mapped} {left} {right}"

    getattr(stream, verb)(table, join, on=lambda key, value: f"{key}-{value}").to("out")
    with TopologyTestDriver(build()) as driver:
        driver.input("table").send("a-x", "row", 0)
        driver.input("in").send("a", "x", 1)
        driver.input("in").send("a", "y", 2)
        missing = ["a a-y y None"] if verb == "left_join" else []
        assert driver.output("out").read_values() == ["a a-x x row", *missing]
