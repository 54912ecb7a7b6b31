"""Global stores are filled by their own processors, and read by all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.stores import key_value_store, timestamped_key_value_store, window_store
from streams.errors import TopologyError
from streams.processor import Processor
from streams.record import Record
from streams.testing import TopologyTestDriver
from tests.streams.operators.cutting import topology_of


class Filling(Processor):
    """Fills its global store, and another one."""

    def process(self, record: Record) -> None:
        self.context.store("rates").put(record.key, record.value)
        self.context.store("seen").put(record.key, 1, record.timestamp)


def driver_of(use: Callable[[Any, Record], Any], *, in_table: bool = False) -> TopologyTestDriver:
    """A program with three global stores, and a processor (or transformer) that does `use(context, record)`."""

    class Using(Processor):
        def process(self, record: Record) -> None:
            self.context.forward(Record(record.key, use(self.context, record), record.timestamp))

        def transform(self, key: str, value: str) -> Any:
            return use(self.context, Record(key, value))

    def say(builder: StreamsBuilder) -> None:
        builder.global_table("zones", key=str, value=str, name="zones")
        builder.add_global_store(timestamped_key_value_store("seen", str, int), "seen", Processor, key=str, value=int)
        builder.add_global_store(
            window_store("hours", str, int, size=5, retention=5), "hours", Processor, key=str, value=int
        )
        builder.add_global_store(key_value_store("rates", str, int), "rates", Filling, key=str, value=int)
        if in_table:
            builder.table("in", key=str, value=str).transform_values(Using).to_stream().to("out")
        else:
            builder.stream("in", key=str, value=str).process(Using, key=str).to("out")

    return TopologyTestDriver(topology_of(say), start_ms=0)


@pytest.mark.parametrize("in_table", [False, True])
def test_a_processor_reads_global_stores(in_table: bool) -> None:
    """Any verb that reads is theirs; so is any store for a processor that fills one, as in Kafka."""

    def read(context: Any, record: Record) -> Any:
        rates, seen = context.store("rates"), context.store("seen")
        return [
            rates.get(record.value),
            list(rates.all()),
            seen.get(record.value),
            context.store("zones").get("z").value,
        ]

    with driver_of(read, in_table=in_table) as driver:
        driver.input("zones").send("z", "Bronx", 1)
        driver.input("rates").send("eur", 2, 1)
        driver.input("in").send("a", "eur", 5)
        assert driver.output("out").read_values() == [[2, [["eur", 2]], [1, 1], "Bronx"]]


@pytest.mark.parametrize("in_table", [False, True])
@pytest.mark.parametrize(
    ("store", "write"),
    [
        ("rates", lambda store: store.put("eur", 3)),
        ("rates", lambda store: store.put_if_absent("usd", 3)),
        ("rates", lambda store: store.delete("eur")),
        ("zones", lambda store: store.put("z", "Astoria", 5)),
        ("hours", lambda store: store.put("a", 1, 0)),
    ],
)
def test_a_processor_does_not_write_to_global_stores(store: str, write: Callable[[Any], Any], in_table: bool) -> None:
    """Workers would no longer agree, and not be told. Kafka: UnsupportedOperationException, "Global store is read only"."""
    with driver_of(lambda context, _record: write(context.store(store)), in_table=in_table) as driver:
        with pytest.raises(TopologyError, match=f"{store} is a global store, which can only be read here"):
            driver.input("in").send("a", "eur", 5)
        assert list(driver.store(store).all()) == []
