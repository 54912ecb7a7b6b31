"""Functions of users that change values in place: it is theirs, and no store, table or later record sees it.

As in Kafka Streams, whose stores keep bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams import App, JoinWindows, Processor, Record, TimeWindows, key_value_store
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker
from streams.serdes import serde_for
from streams.testing import TopologyTestDriver

CACHES = pytest.mark.parametrize("cache_bytes", [0, 1 << 20], ids=["no cache", "cached"])

Sent = list[tuple[str, int, Any]]


def marked(value: dict[str, Any]) -> dict[str, Any]:
    """The value itself, with how often it was here."""
    value["seen"] = value.get("seen", 0) + 1
    value.setdefault("inner", {})["seen"] = True
    return value


def written(app: App, sent: Sent) -> list[Any]:
    """What a program writes to `out`."""
    with TopologyTestDriver(app) as driver:
        for time, (topic, key, value) in enumerate(sent):
            driver.input(topic).send(key, value, timestamp=time)
        return driver.output("out").read_values()


def seen_once(value: dict[str, Any]) -> dict[str, Any]:
    """What `marked` makes of a value that it sees for the first time."""
    return marked({**value})


def stream_with_table(app: App) -> None:
    """A row that every record gets."""
    rows = app.table("rows", key=int, value=dict, name="rows")
    app.stream("facts", key=int, value=dict).join(rows, lambda _, row: row).map_values(marked).to("out", value=dict)


def stream_with_global_table(app: App) -> None:
    """The same of a global table."""
    rows = app.global_table("rows", key=int, value=dict, name="rows")
    facts = app.stream("facts", key=int, value=dict)
    facts.join(rows, lambda _, row: row, on=lambda key, _: key).map_values(marked).to("out", value=dict)


def stream_with_mapped_table(app: App) -> None:
    """A row that a function of the table itself has changed, at each look."""
    rows = app.table("rows", key=int, value=dict, name="rows").map_values(marked)
    app.stream("facts", key=int, value=dict).join(rows, lambda _, row: row).to("out", value=dict)


def stream_with_stream(app: App) -> None:
    """A record that others meet."""
    rows, facts = (app.stream(topic, key=int, value=dict) for topic in ("rows", "facts"))
    within = JoinWindows.of("1 s")
    facts.join(rows, lambda _, row: row, within=within).map_values(marked).to("out", value=dict)


def table_with_table(app: App) -> None:
    """A row that meets every update of another table."""
    rows, facts = (app.table(topic, key=int, value=dict, name=topic) for topic in ("rows", "facts"))
    rows.join(facts, lambda row, _: row).to_stream().map_values(marked).to("out", value=dict)


@CACHES
@pytest.mark.parametrize("row", [{"n": 1}, {"n": [1, 2]}], ids=["flat", "nested"])
@pytest.mark.parametrize(
    "program",
    [stream_with_table, stream_with_global_table, stream_with_mapped_table, stream_with_stream, table_with_table],
)
def test_what_is_joined(program: Callable[[App], None], row: dict[str, Any], cache_bytes: int) -> None:
    """Each result begins with the row as it was written."""
    app = App("joins", statestore_cache_max_bytes=cache_bytes)
    program(app)
    sent: Sent = [("rows", 1, row), *[("facts", 1, {"fact": number}) for number in range(3)]]
    assert written(app, sent) == [seen_once(row)] * 3


@CACHES
@pytest.mark.parametrize("windowed", [False, True], ids=["by key", "in windows"])
def test_aggregates(cache_bytes: int, windowed: bool) -> None:
    """An aggregate goes on from what it was, not from what became of it behind the table."""

    def add(_key: int, value: dict[str, Any], total: dict[str, Any]) -> dict[str, Any]:
        total["n"] = total.get("n", 0) + value["n"]
        return total

    app = App("sums", statestore_cache_max_bytes=cache_bytes)
    grouped: Any = app.stream("facts", key=int, value=dict).group_by_key()
    if windowed:
        grouped = grouped.windowed_by(TimeWindows.of("1 minute"))
    sums = grouped.aggregate(dict, add, name="sums", value=dict)
    sums.to_stream().map_values(marked).map(lambda key, value: (1, value), key=int).to("out", value=dict)
    assert written(app, [("facts", 1, {"n": 2})] * 3) == [seen_once({"n": 2 * times}) for times in (1, 2, 3)]


@CACHES
def test_a_table_keeps_what_was_read(cache_bytes: int) -> None:
    """Whatever is done to it behind the table, or to the same record beside it."""
    app = App("kept", statestore_cache_max_bytes=cache_bytes)
    facts = app.stream("facts", key=int, value=dict)
    table = facts.to_table(name="facts")
    table.to_stream().map_values(marked).to("out", value=dict)
    facts.map_values(marked).to("beside", value=dict)
    with TopologyTestDriver(app) as driver:
        driver.input("facts").send(1, {"n": [1]})
        assert driver.store("facts").get(1) == {"n": [1]}


@CACHES
def test_a_processor_and_its_store(cache_bytes: int) -> None:
    """What it read and changed is put when it says so, and what it put is as it was then."""

    class Keeper(Processor):
        kept = key_value_store("kept", int, dict)

        def process(self, record: Record) -> None:
            row = self.kept.get(record.key) or {"n": 0, "all": []}
            row["n"] += 1
            row["all"].append(record.value)
            if record.value == "keep":
                self.kept.put(record.key, row)
                row["n"] = -1
            self.context.forward(Record(record.key, row, record.timestamp))

    app = App("keeper", statestore_cache_max_bytes=cache_bytes)
    app.stream("facts", key=int, value=str).process(Keeper).map_values(marked).to("out", key=int, value=dict)
    with TopologyTestDriver(app) as driver:
        for value in ("keep", "look", "keep", "look"):
            driver.input("facts").send(1, value)
        assert driver.store("kept").get(1) == {"n": 2, "all": ["keep", "keep"]}
        assert [value["n"] for value in driver.output("out").read_values()] == [-1, 2, -1, 3]


@pytest.mark.parametrize("program", [stream_with_table, stream_with_stream, table_with_table])
def test_records_of_one_batch(program: Callable[[App], None], tmp_path: Path) -> None:
    """A worker takes many records at once, and each result is its own all the same."""
    broker, row, times = MemoryBroker(), {"n": [1]}, 20
    for topic in ("rows", "facts", "out"):
        broker.create(NewTopic(topic, 1))
    key, value = serde_for(int), serde_for(dict)
    producer = MemoryClients(broker).producer()
    producer.send("rows", 0, [key.serialize(1)], [value.serialize(row)], [0])
    facts = [value.serialize({"fact": number}) for number in range(times)]
    producer.send("facts", 0, [key.serialize(1)] * times, facts, [*range(1, times + 1)])
    app = App("batch", broker="kafka://memory:1", state_dir=str(tmp_path), statestore_cache_max_bytes=0)
    program(app)
    worker = Worker(app.application().topology, app.config, MemoryClients(broker), restore_progress=SilentListener())
    thread = threading.Thread(target=worker.run)
    thread.start()
    with broker.changed:
        broker.changed.wait_for(lambda: len(broker.records("out")) >= times, timeout=30)
    worker.stop()
    thread.join()
    assert [value.deserialize(record.value or b"") for record in broker.records("out")] == [seen_once(row)] * times
