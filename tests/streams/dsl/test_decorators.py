"""Decorators under the TopologyTestDriver: what they do, and what they say when they cannot."""

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from streams import App, JoinWindows, Record, SessionWindows, TimeWindows, TopologyError, Windowed
from streams.errors import ProcessingError
from streams.testing import TopologyTestDriver


class Ride(msgspec.Struct):
    zone: int
    fare: float


class Receipt(msgspec.Struct):
    fare: float


class Takings(msgspec.Struct):
    rides: int = 0
    fares: float = 0.0


@pytest.fixture
def app() -> App:
    return App("taxi")


def results(app: App, *rides: Ride, topic: str = "out", source: str = "rides") -> list[Any]:
    """Values written to a topic when these rides come in, a second apart, with key "k"."""
    with TopologyTestDriver(app) as driver:
        for second, ride in enumerate(rides):
            driver.input(source).send(key="k", value=ride, timestamp=second * 1000)
        return driver.output(topic).read_values() if driver.topology.sink_topics else []


def test_process_maps_and_none_drops(app: App) -> None:
    """What the function returns is written; None drops the record; the function itself is unchanged."""

    @app.process(app.topic("rides", key=str, value=Ride), to="out")
    def receipt(ride: Ride) -> Receipt | None:
        return Receipt(ride.fare) if ride.fare > 0 else None

    assert results(app, Ride(1, 5.0), Ride(1, 0.0), Ride(1, 7.0)) == [Receipt(5.0), Receipt(7.0)]
    assert receipt(Ride(1, 1.0)) == Receipt(1.0)


def test_process_is_the_verbs(app: App) -> None:
    """A decorator appends exactly what the verbs would, named after the function."""
    verbs = App("taxi")

    def receipt(ride: Ride) -> Receipt:
        return Receipt(ride.fare)

    for each in (app, verbs):
        each.topic("rides", key=str, value=Ride)
    app.process(app.topic("rides"), to="out")(receipt)
    verbs.stream("rides").map_values(receipt, name="receipt").filter(lambda key, value: value is not None).to("out")
    assert app.build().describe() == verbs.build().describe()


def test_process_emits_many(app: App) -> None:
    """A generator emits any number of results."""

    @app.process(app.topic("rides", key=str, value=Ride), to="out")
    def halves(ride: Ride) -> Iterator[Receipt]:
        for _ in range(ride.zone):
            yield Receipt(ride.fare / ride.zone)

    assert results(app, Ride(2, 6.0), Ride(0, 1.0)) == [Receipt(3.0), Receipt(3.0)]


def test_process_takes_types_from_annotations(app: App) -> None:
    """With bare topic names, the annotations are the types on the wire."""

    @app.process("rides", to="out")
    def receipt(key: object, ride: Ride) -> Receipt:
        return Receipt(ride.fare)

    assert app.topic("rides").value_serde.type is Ride
    assert results(app, Ride(1, 2.0)) == [Receipt(2.0)]


def test_process_as_a_sink(app: App) -> None:
    """Without `to`, the function is the end of the stream; with two parameters it gets the key."""
    seen: list[tuple[str, float]] = []

    @app.process(app.topic("rides", key=str, value=Ride))
    def note(key: str, ride: Ride) -> None:
        seen.append((key, ride.fare))

    results(app, Ride(1, 2.0), Ride(1, 3.0))
    assert seen == [("k", 2.0), ("k", 3.0)]


def test_one_function_on_two_topics(app: App) -> None:
    """A function may be decorated twice; its steps are told apart by number."""
    seen: list[Ride] = []

    @app.process(app.topic("rides", key=str, value=Ride))
    @app.process(app.topic("more", key=str, value=Ride))
    def note(ride: Ride) -> None:
        seen.append(ride)

    results(app, Ride(1, 1.0))
    results(app, Ride(2, 2.0), source="more")
    assert [ride.zone for ride in seen] == [1, 2]
    assert {"note", "note-2"} <= set(app.build().nodes)


def test_aggregate_by_a_field_and_window(app: App) -> None:
    """The first total comes from the annotation's class, the key's type from the field that `by` reads."""

    @app.aggregate(
        app.topic("rides", key=str, value=Ride),
        by=lambda ride: ride.zone,
        window=TimeWindows.of("1 minute"),
        name="takings",
        to="out",
    )
    def takings(total: Takings, ride: Ride) -> Takings:
        return Takings(total.rides + 1, total.fares + ride.fare)

    with TopologyTestDriver(app) as driver:
        rides = driver.input("rides")
        rides.send("a", Ride(7, 1.0), 1_000)
        rides.send("b", Ride(7, 2.0), 2_000)
        assert driver.output("out").read()[-1] == Record(Windowed(7, 0, 60_000), Takings(2, 3.0), 2_000)
        assert app.store("takings").get(Windowed(7, 0, 60_000)) == Takings(2, 3.0)


def test_aggregate_by_the_records_own_key(app: App) -> None:
    """Without `by` the record's key counts, without `name` the store has the function's; three parameters take the key."""

    @app.aggregate(app.topic("rides", key=str, value=Ride), initial=lambda: 0.0, to="out")
    def fares(key: str, total: float, ride: Ride) -> float:
        assert key == "k"
        return total + ride.fare

    assert results(app, Ride(1, 1.0), Ride(1, 2.0)) == [1.0, 3.0]
    assert "fares" in app.build().stores


def test_aggregate_sessions_with_merge(app: App) -> None:
    """Sessions that meet are merged by `merge`."""

    @app.aggregate(
        app.topic("rides", key=str, value=Ride),
        window=SessionWindows.with_inactivity_gap("10 s"),
        merge=lambda key, one, other: one + other,
        to="out",
    )
    def count(total: int, _ride: Ride) -> int:
        return total + 1

    assert results(app, Ride(1, 1.0), Ride(1, 1.0))[-1] == 2


def test_agent_per_record(app: App) -> None:
    """An async function runs per record; its results are written in order, and None is dropped."""

    @app.agent(app.topic("rides", key=str, value=Ride), concurrency=5, to="out")
    async def receipt(ride: Ride) -> Receipt | None:
        return Receipt(ride.fare) if ride.fare else None

    assert results(app, Ride(1, 1.0), Ride(1, 0.0), Ride(1, 2.0)) == [Receipt(1.0), Receipt(2.0)]


def test_agent_in_fausts_form_with_sinks(app: App) -> None:
    """What a stream agent yields goes to all its sinks: topics and functions."""
    seen: list[Receipt] = []

    @app.agent(app.topic("rides", key=str, value=Ride), sink=[app.topic("out", value=Receipt), seen.append])
    async def receipts(stream):
        async for ride in stream:
            yield Receipt(ride.fare)

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send("k", Ride(1, 4.0), 0)
        assert driver.output("out").read_values() == [Receipt(4.0)]
    assert seen == [Receipt(4.0)]


def test_an_async_process_is_an_agent(app: App) -> None:
    """`process` takes async functions as well."""

    @app.process(app.topic("rides", key=str, value=Ride), to="out")
    async def receipt(ride: Ride) -> Receipt:
        return Receipt(ride.fare)

    assert results(app, Ride(1, 4.0)) == [Receipt(4.0)]


def test_timers_start_and_stop(app: App) -> None:
    """Timers follow the wall clock; start functions come first, stop functions last."""
    app.topic("rides", key=str, value=Ride)
    app.stream("rides").to("out")
    events: list[str] = []
    app.on_start(lambda: events.append("start"))
    app.on_stop(lambda: events.append("stop"))
    app.timer("5 s")(lambda: events.append("timer"))
    app.crontab("* * * * *")(lambda: events.append("crontab"))
    with TopologyTestDriver(app, start_ms=0) as driver:
        driver.advance_wall_clock("4 s")
        driver.advance_wall_clock("1 s")
        driver.advance_wall_clock("55 s")
    assert events == ["start", "timer", "timer", "crontab", "stop"]


def test_process_in_threads(app: App) -> None:
    """A blocking function runs in threads of its own; results come in the order of records, many or none."""
    names: set[str] = set()

    @app.process(app.topic("rides", key=str, value=Ride), to="out", threads=3)
    def receipts(ride: Ride) -> Iterator[Receipt]:
        names.add(threading.current_thread().name)
        yield from [Receipt(ride.fare)] * ride.zone

    assert results(app, Ride(2, 1.0), Ride(0, 2.0), Ride(1, 3.0)) == [Receipt(1.0), Receipt(1.0), Receipt(3.0)]
    assert all(name.startswith("receipts") for name in names)


def test_join_with_a_table(app: App) -> None:
    """A topic on the right is read as a table, once for all joins; None drops; `how` and the key are Kafka's."""
    app.topic("rides", key=str, value=Ride)

    @app.join("rides", "receipts", to="out")
    def fares(key: str, ride: Ride, receipt: Receipt) -> float | None:
        assert key == "k"
        return ride.fare + receipt.fare if ride.zone else None

    @app.join("rides", "receipts", how="left", to="left")
    def known(ride: Ride, receipt: Receipt) -> bool:
        return receipt is not None

    with TopologyTestDriver(app) as driver:
        rides = driver.input("rides")
        rides.send("k", Ride(1, 1.0), 0)
        driver.input("receipts").send("k", Receipt(5.0), 1)
        rides.send("k", Ride(1, 2.0), 2)
        rides.send("k", Ride(0, 3.0), 3)
        assert driver.output("out").read_values() == [7.0]
        assert driver.output("left").read_values() == [False, True, True]


def test_join_of_two_streams(app: App) -> None:
    """With `within`, the right side is a stream; without `to`, the function is the end."""
    seen: list[tuple[float, float | None]] = []

    @app.join(
        app.topic("rides", key=str, value=Ride),
        app.topic("receipts", key=str, value=Receipt),
        within=JoinWindows.of("10 s"),
    )
    def pair(ride: Ride, receipt: Receipt) -> None:
        seen.append((ride.fare, receipt.fare))

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send("k", Ride(1, 1.0), 0)
        driver.input("receipts").send("k", Receipt(5.0), 9_000)
        driver.input("receipts").send("k", Receipt(6.0), 19_000)
    assert seen == [(1.0, 5.0)]


def test_join_with_a_global_table(app: App) -> None:
    """`on` makes the key, from the value or from key and value."""
    zones = app.global_table("zones", key=int, value=str)

    @app.join(app.topic("rides", key=str, value=Ride), zones, on=lambda ride: ride.zone, to="out")
    def name(ride: Ride, zone: str) -> str:
        return zone

    with TopologyTestDriver(app) as driver:
        driver.input("zones").send(7, "Astoria", 0)
        driver.input("rides").send("k", Ride(7, 1.0), 1)
        assert driver.output("out").read_values() == ["Astoria"]


def test_aggregate_of_a_tables_rows(app: App) -> None:
    """A changed row is taken out by `retract` and added again, also where it moves to another key."""
    rides = app.table(app.topic("rides", key=str, value=Ride))

    @app.aggregate(
        rides, by=lambda ride: ride.zone, retract=lambda total, ride: total - ride.fare, key=int, name="now", to="out"
    )
    def total(total: float, ride: Ride) -> float:
        return total + ride.fare

    with TopologyTestDriver(app) as driver:
        rides_in = driver.input("rides")
        rides_in.send("a", Ride(1, 5.0), 0)
        rides_in.send("b", Ride(1, 2.0), 1)
        rides_in.send("a", Ride(2, 4.0), 2)
        assert dict(driver.store("now")) == {1: 2.0, 2: 4.0}


counts = App("tables").table("counts", key=str, value=int, default=int)


def test_a_table_in_an_agent(app: App) -> None:
    """A table is found by its name in the code; what is written is in the store, and logged."""
    fares = app.table("fares", key=str, default=float)

    @app.agent(app.topic("rides", key=str, value=Ride), to="out")
    async def add(stream) -> AsyncIterator[float]:
        async for key, ride in stream.items():
            counts[key] += 1
            fares[key] += ride.fare
            yield fares[key]

    with TopologyTestDriver(app) as driver:
        rides = driver.input("rides")
        for fare in (1.0, 2.0):
            rides.send("k", Ride(1, fare), 5)
        assert driver.output("out").read_values() == [1.0, 3.0]
        assert (driver.store("counts").get("k"), driver.store("fares").get("k")) == (2, 3.0)
        assert {"taxi-counts-changelog", "taxi-fares-changelog"} <= set(driver.produced_topics())


def test_a_table_in_a_plain_function_and_per_record(app: App) -> None:
    """`process` and agents per record use tables as well, several functions the same one."""

    @app.process(app.topic("rides", key=str, value=Ride), to="out")
    def count(key: str, ride: Ride) -> int:
        counts[key] += 1
        return counts[key]

    @app.agent(app.topic("more", key=str, value=Ride), concurrency=3)
    async def count_more(key: str, ride: Ride) -> None:
        counts[key] += 10

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send("k", Ride(1, 1.0), 0)
        driver.input("more").send("k", Ride(1, 1.0), 1)
        driver.input("rides").send("k", Ride(1, 1.0), 2)
        assert driver.output("out").read_values() == [1, 12]


def takes_receipt(receipt: Receipt) -> None: ...
def gives_receipt(ride: Ride) -> Receipt: ...
def gives_nothing(ride: Ride) -> None: ...
def takes_three(a: int, b: int, c: int) -> None: ...
def adds_to(total: Ride, ride: Ride) -> Ride: ...
def adds(total, ride): ...
def sums(total: int, ride: Ride) -> int: ...
def pairs(ride: Ride, other: int) -> int: ...
def unreadable(ride: "Rid") -> None: ...  # noqa: F821  the mistake
async def waits(ride: Ride) -> None: ...


def counts_on(key: str, ride: Ride) -> None:
    counts[key] += 1


async def loops(stream) -> None:
    async for _ in stream:
        pass


def twice(app: App) -> None:
    for function in (lambda total, ride: total, lambda total, ride: ride):
        app.aggregate(RIDES, name="n", initial=int)(function)


def two_of_one_name(app: App) -> None:
    """As a module does in which a function was copied: both stand at its top level."""
    for _ in range(2):
        names: dict[str, Any] = {"__name__": "rides"}
        exec(compile("def score(ride): ...", "rides.py", "exec"), names)
        app.process(RIDES)(names["score"])


RIDES = App("other").topic("rides", key=str, value=Ride)
HERE = r"\(.*test_decorators\.py:\d+\)"


@pytest.mark.parametrize(
    ("decorate", "message"),
    [
        (
            lambda app: app.process(RIDES)(takes_receipt),
            rf"takes_receipt {HERE} takes a Receipt, but topic rides carries",
        ),
        (
            lambda app: app.process(RIDES)(gives_receipt),
            rf"gives_receipt {HERE} gives Receipt, but @app.process has no to=",
        ),
        (
            lambda app: app.join(RIDES, "x", to=RIDES)(pairs),
            rf"pairs {HERE} gives an int, but topic rides carries Ride",
        ),
        (lambda app: app.process(RIDES, to="out")(gives_nothing), rf"gives_nothing {HERE} is annotated to return None"),
        (
            lambda app: app.process(RIDES, to=RIDES)(gives_receipt),
            rf"gives_receipt {HERE} gives a Receipt, but topic rides",
        ),
        (lambda app: app.process(RIDES)(takes_three), rf"takes_three {HERE}: @app.process calls it with \(value\) or"),
        (lambda app: app.process(5)(gives_nothing), rf"gives_nothing {HERE}: @app.process reads a topic, .* got 5"),
        (lambda app: app.agent(RIDES)(gives_nothing), rf"gives_nothing {HERE} is not async"),
        (lambda app: app.agent(RIDES, concurrency=0)(waits), "concurrency: .* at least 1, got 0"),
        (lambda app: app.agent(RIDES, concurrency="5")(waits), "@app.agent: concurrency: .* got '5'; write it without"),
        (
            lambda app: app.aggregate(RIDES)(adds_to),
            rf"adds_to {HERE}: the first total cannot be made: .* say initial=",
        ),
        (lambda app: app.aggregate(RIDES)(adds), rf"adds {HERE}: the first total is not known"),
        (lambda app: app.aggregate(RIDES, merge=max)(adds_to), "merge= is for window=SessionWindows"),
        (lambda app: app.timer("5 parsecs"), "@app.timer: duration: expected a number and a unit"),
        (lambda app: app.timer(0), "expected an interval of at least 1 ms"),
        (lambda app: app.crontab("* *"), "@app.crontab.*: expected five fields"),
        (
            lambda app: app.process(RIDES, threads=0)(gives_nothing),
            rf"gives_nothing {HERE}: threads: expected a whole number of at least 1, got 0",
        ),
        (
            lambda app: app.process(RIDES, threads=2)(waits),
            rf"waits {HERE} is async, and threads= is for functions that",
        ),
        (lambda app: app.process(RIDES, threads=2)(counts_on), rf"counts_on {HERE} uses the table 'counts' in several"),
        (
            lambda app: app.agent(RIDES, timeout="soon")(waits),
            "@app.agent.timeout=....: duration: expected a number and a",
        ),
        (lambda app: app.agent(RIDES, timeout=5)(loops), rf"loops {HERE} loops over its stream, so it decides itself"),
        (lambda app: app.agent(RIDES, tables=[5])(waits), rf"waits {HERE}: tables= takes tables made by app.table"),
        (
            lambda app: app.process(RIDES, to="a b")(gives_receipt),
            rf"gives_receipt {HERE}: @app.process: the name of a",
        ),
        (
            lambda app: app.process("in")(unreadable),
            rf"unreadable {HERE}: @app.process cannot read its annotations: name",
        ),
        (lambda app: app.aggregate(RIDES, window=10)(sums), rf"sums {HERE}: @app.aggregate: windowed_by: .*10"),
        (lambda app: twice(app), rf"lambda> {HERE}: the store 'n' is that of .*lambda> {HERE} already; give one"),
        (
            lambda app: app.aggregate(RIDES, retract=max)(sums),
            rf"sums {HERE}: @app.aggregate: retract= is for the rows",
        ),
        (
            lambda app: app.aggregate(app.table(RIDES))(sums),
            rf"sums {HERE}: the rows of a table change, so say retract=",
        ),
        (
            lambda app: app.join(RIDES, "x", how="inn")(pairs),
            "how is one of inner, left, outer, got 'inn'; did you mean",
        ),
        (lambda app: app.join(RIDES, "x")(pairs), rf"pairs {HERE} gives int, but @app.join has no to="),
        (lambda app: app.join(RIDES, "x")(waits), rf"waits {HERE}: @app.join calls it with \(left, right\) or"),
        (lambda app: app.join(RIDES, 5, to="out")(pairs), rf"pairs {HERE}: @app.join: .*expected a stream, a table or"),
        (
            lambda app: app.join(app.topic("r", value=Receipt), "x", to="out")(pairs),
            rf"pairs {HERE} takes a Ride, but topic r carries Receipt",
        ),
        (lambda app: app.table(RIDES, default=int), "a table with default= is not read from a topic"),
        (
            lambda app: app.table("t", default=0),
            "default= is a class or a function that makes a value, such as int, got 0",
        ),
        (lambda app: app.table("t", default=int).tumbling("long"), "a window of the table 't': expected a number and"),
        (
            lambda app: app.table("t", default=int).hopping(5, 6),
            "the table 't': expected a step of at least 1 ms and at",
        ),
        (lambda app: app.timer("1 s")(gives_nothing), rf"gives_nothing {HERE}: @app.timer calls it without arguments"),
        (two_of_one_name, r"score \(rides.py:1\): @app.process is given a second function .* the first is score \(rid"),
        (lambda app: app.process(gives_nothing), rf"gives_nothing {HERE}: @app.process wants to know what it reads"),
        (lambda app: app.agent(waits), rf"waits {HERE}: @app.agent wants to know what it reads: @app.agent\(topic\)"),
        (lambda app: app.aggregate(sums), rf"sums {HERE}: @app.aggregate wants to know what it reads"),
        (lambda app: app.crontab(gives_nothing), "@app.crontab.*: expected text such as"),
        (lambda app: app.process(RIDES, to=5)(gives_receipt), rf"gives_receipt {HERE}: .*expected a topic or its name"),
        (
            lambda app: app.agent(RIDES, sink=[5])(waits),
            rf"waits {HERE}: sink= takes topics, their names, and functions",
        ),
        (
            lambda app: app.process(RIDES, batch="pandas")(gives_nothing),
            rf"gives_nothing {HERE} takes a Ride, but with batch= it is given a pandas.DataFrame",
        ),
    ],
)
def test_errors_come_at_decoration_time(app: App, decorate: Any, message: str) -> None:
    """What cannot work is refused where it is written, with the function's place and the cure."""
    with pytest.raises(TopologyError, match=message):
        decorate(app)


def test_a_result_of_another_type_names_the_function(app: App) -> None:
    """What no annotation told is found out at the first record: function, value, topic and its type."""

    @app.agent(app.topic("rides", key=str, value=Ride), to=app.topic("out", key=str, value=Receipt))
    async def receipt(ride):
        return ride.fare

    with pytest.raises(ProcessingError, match=rf"receipt {HERE} gave 4.0, but topic out carries Receipt") as caught:
        results(app, Ride(1, 4.0))
    assert (caught.value.topic, caught.value.offset) == ("rides", 0)
