"""The TopologyTestDriver: what users write in their tests, on the App that runs in production."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams import App, Processor, StreamsBuilder, StreamsError, TimeWindows
from streams.dsl.agents import AGENT_LOOP
from streams.errors import ConfigError, DeserializationError, TopologyError
from streams.processor import ProcessorContext
from streams.record import Record
from streams.testing import TopologyTestDriver


class Ride(msgspec.Struct):
    zone: str
    fare: float


def taxi(**settings: Any) -> App:
    """Fares per zone and minute, and a table of zones."""
    app = App("taxi", broker="kafka://nowhere:9092", **settings)
    rides = app.stream("rides", key=str, value=Ride)
    zones = app.table("zones", key=str, value=str, name="zones")
    by_zone = rides.select_key(lambda key, ride: ride.zone, key=str)
    by_zone.join(zones, lambda ride, name: f"{name} {ride.fare}", value=str).to("named")
    grouped = by_zone.group_by_key(name="by-zone", value=Ride).windowed_by(TimeWindows.of("1 minute"))
    grouped.count(name="takings").to_stream().to("counts")
    return app


def test_records_go_in_and_come_out() -> None:
    """Through repartition topics, with the program's own serdes."""
    with TopologyTestDriver(taxi()) as driver:
        driver.input("zones").send("z", "Zoo", 0)
        driver.input("rides").send(key="1", value=Ride("z", 5.0), timestamp=1_000)
        assert driver.output("named").read() == [Record("z", "Zoo 5.0", 1_000)]
        assert driver.output("counts").read_values() == [1]


def test_output_is_read_once() -> None:
    """Readers of a topic share what is left of it; an empty topic is said to be so."""
    with TopologyTestDriver(taxi()) as driver:
        rides, counts = driver.input("rides"), driver.output("counts")
        for timestamp in (1_000, 2_000):
            rides.send("1", Ride("z", 5.0), timestamp)
        assert counts.read_record().value == 1
        assert not counts.empty
        assert counts.read_values() == [2]
        assert counts.empty
        assert driver.output("counts").read_to_dict() == {}
        with pytest.raises(LookupError, match="counts has no more records: 2 were read"):
            counts.read_record()


def test_headers_go_in_and_come_out() -> None:
    """Those of the record that a result came of, through a repartition topic too."""
    with TopologyTestDriver(taxi()) as driver:
        driver.input("zones").send("z", "Zoo", 0, [("table", b"no")])
        driver.input("rides").send("1", Ride("z", 5.0), 1_000, [("trace", b"7"), ("empty", None)])
        for topic in ("named", "counts"):
            assert driver.output(topic).read_record().headers == (("trace", b"7"), ("empty", None))


def test_without_a_timestamp_a_record_has_the_driver_clocks() -> None:
    """The wall clock stands still until it is advanced."""
    with TopologyTestDriver(taxi(), start_ms=70_000) as driver:
        driver.input("rides").send("1", Ride("z", 5.0))
        driver.advance_wall_clock("5 s")
        driver.input("rides").send("1", Ride("z", 5.0))
        assert [record.timestamp for record in driver.output("counts").read()] == [70_000, 75_000]


def test_stores_can_be_looked_into() -> None:
    """By the name that name= gave; values come without their timestamps, the stores themselves with them."""
    with TopologyTestDriver(taxi()) as driver:
        driver.input("zones").send("z", "Zoo", 7)
        assert driver.store("zones").get("z") == "Zoo"
        assert list(driver.store("zones").all()) == [("z", "Zoo")]
        raw: Any = driver.stores()["zones"]
        assert raw.get("z").timestamp == 7
        with pytest.raises(
            TopologyError,
            match=r"taxi has no store 'nothing' \(stores: takings, zones\): they have the name that name=",
        ):
            driver.store("nothing")


def test_a_topic_that_nobody_reads_is_refused() -> None:
    """The message names those that are read."""
    with TopologyTestDriver(taxi()) as driver, pytest.raises(TopologyError, match="reads topic 'ride'.*rides"):
        driver.input("ride")


def test_a_topic_that_nobody_writes_is_refused_when_it_is_read() -> None:
    """A typing error would find nothing for ever; the message names what is written, and what was probably meant."""
    with TopologyTestDriver(taxi()) as driver:
        says = "writes to topic 'count' .it writes to: .*counts.*named.*did you mean 'counts'"
        output = driver.output("count")
        for read in (output.read, output.read_record, output.read_values, lambda: output.empty):
            with pytest.raises(TopologyError, match=says):
                read()
        assert driver.output("counts").empty
        assert driver.output("taxi-takings-changelog").empty
        with pytest.raises(TopologyError, match="writes to topic 'rides'"):
            driver.output("rides").read()
        driver.input("rides").send("1", Ride("z", 5.0), 0)
        assert driver.output("rides").read() == []


def test_topics_that_are_chosen_as_it_runs_may_stay_empty() -> None:
    """By the function of a sink, or a handler of errors; dead letters of a policy are known by name."""
    app = App("taxi", broker="kafka://nowhere:9092", on_error="dead_letter:letters")
    rides = app.stream("rides", key=str, value=str)
    rides.to("out")
    with TopologyTestDriver(app) as driver:
        assert driver.output("letters").empty
        with pytest.raises(TopologyError, match="it writes to: letters, out"):
            assert driver.output("other").empty
    with TopologyTestDriver(app, on_error=lambda error, record: "fail") as driver:
        assert driver.output("other").empty
    rides.to(lambda key, value, record: value)
    with TopologyTestDriver(app) as driver:
        assert driver.output("other").empty


def test_headers_may_be_a_mapping() -> None:
    """What is neither that nor pairs of name and bytes is refused before anything is written."""
    with TopologyTestDriver(taxi()) as driver:
        rides = driver.input("rides")
        rides.send("1", Ride("z", 5.0), 1_000, {"ab": b"trace"})
        assert driver.output("counts").read_record().headers == (("ab", b"trace"),)
        wrong: Any
        for wrong in (["ab"], {"ab": "trace"}, 5, b"ab", [("a", b"1", 2)]):
            with pytest.raises(
                ConfigError, match="headers: expected a mapping or pairs of a name and bytes or None, got"
            ):
                rides.send("1", Ride("z", 5.0), 1_000, wrong)


def test_a_timestamp_is_a_moment() -> None:
    """Ms since 1970, a datetime or ISO 8601 text; a duration is told to be none."""
    with TopologyTestDriver(taxi()) as driver:
        rides = driver.input("rides")
        for timestamp in (1_000, datetime(1970, 1, 1, 0, 0, 1), "1970-01-01T00:00:01Z"):
            rides.send("1", Ride("z", 5.0), timestamp)
        assert [record.timestamp for record in driver.output("counts").read()] == [1_000] * 3
        with pytest.raises(ConfigError, match="timestamp: expected a time such as .* got '10 s'"):
            rides.send("1", Ride("z", 5.0), "10 s")


@pytest.mark.parametrize("program", [5, None, StreamsBuilder()])
def test_what_is_no_program_is_refused(program: Any) -> None:
    """The message says what a driver runs."""
    with pytest.raises(TopologyError, match=r"TopologyTestDriver: expected an App or a Topology, got"):
        TopologyTestDriver(program)


def test_internal_topics_are_readable() -> None:
    """Changelogs and repartition topics, under their full names."""
    with TopologyTestDriver(taxi()) as driver:
        driver.input("rides").send("1", Ride("z", 5.0), 1_000)
        assert "taxi-takings-changelog" in driver.produced_topics()
        assert driver.output("taxi-by-zone-repartition").read() == [Record("z", Ride("z", 5.0), 1_000)]


def test_settings_change_what_is_built_and_run() -> None:
    """Here records that cannot be read are skipped."""
    with TopologyTestDriver(taxi(), deserialization_on_error="continue") as driver:
        driver.pipe("rides", b"1", b"{", 1_000)
        driver.input("rides").send("1", Ride("z", 5.0), 2_000)
        assert driver.output("counts").read_values() == [1]
    with TopologyTestDriver(taxi()) as driver, pytest.raises(DeserializationError, match="Ride"):
        driver.pipe("rides", b"1", b"{", 1_000)


def test_rocksdb_gives_the_same(tmp_path: Path) -> None:
    """The driver's stores are in memory unless it is given a directory."""
    found = []
    for directory in (None, tmp_path):
        with TopologyTestDriver(taxi(), directory=directory) as driver:
            for timestamp in (1_000, 59_000, 61_000):
                driver.input("rides").send("1", Ride("z", 5.0), timestamp)
            found.append(driver.output("counts").read())
    assert found[0] == found[1]
    assert any(tmp_path.rglob("*.sst")) or any(tmp_path.rglob("CURRENT"))


def test_global_tables_are_filled_from_their_topic() -> None:
    """At once, and without setting anything off."""
    app = App("globe", broker="kafka://nowhere:9092")
    zones = app.global_table("zones", key=str, value=str, name="zones")
    rides = app.stream("rides", key=str, value=Ride)
    rides.join(zones, lambda ride, name: name, on=lambda key, ride: ride.zone, value=str).to("named")
    with TopologyTestDriver(app) as driver:
        driver.input("zones").send("z", "Zoo", 9)
        driver.input("rides").send("1", Ride("z", 5.0), 1)
        assert driver.output("named").read() == [Record("1", "Zoo", 1)]
        assert driver.store("zones").get("z") == "Zoo"


def test_timers_and_start_functions_of_an_app_are_called() -> None:
    """They may look into the app's stores, as in production."""
    app, seen = taxi(), []
    app.on_start(lambda: seen.append("start"))
    app.on_stop(lambda: seen.append("stop"))
    app.timer("5 s")(lambda: seen.append(app.store("zones").get("z")))
    with TopologyTestDriver(app) as driver:
        driver.input("zones").send("z", "Zoo", 0)
        driver.advance_wall_clock("5 s")
    assert seen == ["start", "Zoo", "stop"]


def test_a_stop_function_that_raises_stops_no_other() -> None:
    """Everything is closed all the same, and nothing is called twice."""
    app, seen, closed = taxi(), [], []

    @app.on_stop
    def fail() -> None:
        seen.append("fail")
        raise ValueError("no")

    app.on_stop(lambda: seen.append("next"))

    class Last(Processor):
        def process(self, record: Record) -> None:
            pass

        def close(self) -> None:
            closed.append("processor")

    app.stream("others", key=str, value=str).process(Last)
    driver = TopologyTestDriver(app)
    with pytest.raises(StreamsError, match="fail of the application raised ValueError: no"):
        driver.close()
    driver.close()
    assert (seen, closed) == (["fail", "next"], ["processor"])
    with pytest.raises(StreamsError, match="taxi does not"):
        app.store("zones")


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_drivers_of_one_app_may_overlap(first_ends_first: bool) -> None:
    """The App's stores are those of the newest that still runs, in whatever order they end."""
    app = taxi()
    first, second = TopologyTestDriver(app), TopologyTestDriver(app)
    for driver, name in ((first, "Zoo"), (second, "Zeppelin")):
        driver.input("zones").send("z", name, 0)
    assert app.store("zones").get("z") == "Zeppelin"
    (first if first_ends_first else second).close()
    assert app.store("zones").get("z") == ("Zeppelin" if first_ends_first else "Zoo")
    (second if first_ends_first else first).close()
    with pytest.raises(StreamsError, match="taxi does not"):
        app.store("zones")


def test_a_driver_in_asynchronous_code() -> None:
    """In a notebook or an asynchronous test, timers and start functions may be asynchronous too."""
    app, seen = taxi(), []

    @app.on_start
    async def start() -> None:
        seen.append("start")

    @app.timer("5 s")
    async def tick() -> None:
        seen.append(app.store("zones").get("z"))

    async def cell() -> None:
        with TopologyTestDriver(app) as driver:
            driver.input("zones").send("z", "Zoo", 0)
            driver.advance_wall_clock("5 s")

    asyncio.run(cell())
    assert seen == ["start", "Zoo"]


def test_rocksdbs_options_may_be_set(tmp_path: Path) -> None:
    """Store by store, before it is opened; what was set is what RocksDB then runs with."""
    told = []

    def setter(store: str, options: Any) -> None:
        told.append(store)
        options.set_max_open_files(77)

    with TopologyTestDriver(taxi(rocksdb_config_setter=setter), directory=tmp_path) as driver:
        driver.input("zones").send("z", "Zoo", 0)
    assert sorted(told) == ["takings", "zones"]
    written = next(tmp_path.rglob("zones/OPTIONS-*")).read_text()
    assert "max_open_files=77" in written


class Closing:
    """A processor that notes when it is closed, and does not init or close where it is told to."""

    def __init__(self, name: str, raises: str, closed: list[str]) -> None:
        self.name, self.raises, self.closed = name, raises, closed

    def init(self, _context: ProcessorContext) -> None:
        if self.raises == "init":
            raise OSError("no such device")

    def process(self, record: Record) -> None: ...

    def close(self) -> None:
        self.closed.append(self.name)
        if self.raises == "close":
            raise OSError("cannot close")


def closing_app(closed: list[str], raises: str) -> App:
    """Two agents, and between them three processors of which the second raises."""
    app = App("closing", broker="kafka://nowhere:9092")
    rides = app.topic("rides", key=str, value=str)

    async def ride(value: str) -> None: ...

    app.agent(rides)(ride)
    stream = app.stream(rides)
    for name in "abc":
        stream.process(partial(Closing, name, raises if name == "b" else "", closed))
    app.agent(rides)(ride)
    return app


def test_a_driver_that_cannot_be_made_leaves_nothing_open() -> None:
    """What was inited is closed, what was not is not: the agents' loop has no user left over, and none too few."""
    closed: list[str] = []
    with pytest.raises(OSError, match="no such device"):
        TopologyTestDriver(closing_app(closed, "init"))
    assert closed == ["a"]
    assert (AGENT_LOOP._users, AGENT_LOOP._thread) == (0, None)


def test_a_processor_that_cannot_close_keeps_no_other_open() -> None:
    """Kafka's StreamTask.closeTopology: all are closed, then the error is raised."""
    closed: list[str] = []
    driver = TopologyTestDriver(closing_app(closed, "close"))
    with pytest.raises(OSError, match="cannot close"):
        driver.close()
    assert closed == ["a", "b", "c"]
    assert (AGENT_LOOP._users, AGENT_LOOP._thread) == (0, None)


def test_a_start_function_that_raises_leaves_nothing_open(tmp_path: Path) -> None:
    """The stores can be opened by the next driver, which a lock would prevent."""
    app, fails = taxi(), [True]

    def start() -> None:
        if fails.pop():
            raise OSError("not yet")

    app.on_start(start)
    with pytest.raises(StreamsError, match="not yet"):
        TopologyTestDriver(app, directory=tmp_path)
    fails.append(False)
    with TopologyTestDriver(app, directory=tmp_path) as driver:
        assert list(driver.store("zones")) == []


def test_records_wait_for_an_empty_topic_as_long_as_the_task_idles() -> None:
    """Kafka's TopologyTestDriverTest, shouldRespectTaskIdling; and what its driver does next: it waits anew."""
    app = App("idling", broker="kafka://nowhere:1", max_task_idle_ms=1_000)
    left, right = (app.stream(topic, key=str, value=str) for topic in ("input1", "input2"))
    left.merge(right).to("out")
    with TopologyTestDriver(app, start_ms=0) as driver:
        out = driver.output("out")
        driver.input("input1").send("A", "alpha")
        driver.advance_wall_clock(1)
        assert out.read_values() == []
        driver.input("input2").send("B", "beta")
        assert out.read_values() == ["alpha"]
        driver.advance_wall_clock("1 s")
        assert out.read_values() == ["beta"]
        driver.advance_wall_clock("1 min")
        driver.input("input1").send("C", "gamma")
        assert out.read_values() == []
        driver.advance_wall_clock("1 s")
        assert out.read_values() == ["gamma"]


def test_equal_times_come_in_kafkas_order_after_idling_too() -> None:
    """The topic that had a record first is the first, however the program names them."""
    app = App("idling", broker="kafka://nowhere:1", max_task_idle_ms=100)
    for topic in ("topic-1", "topic-3"):
        app.stream(topic, key=str, value=str).to("out")
    with TopologyTestDriver(app, start_ms=0) as driver:
        driver.input("topic-3").send("k", "three", 7)
        driver.input("topic-1").send("k", "one", 7)
        assert driver.output("out").read_values() == ["three"]
