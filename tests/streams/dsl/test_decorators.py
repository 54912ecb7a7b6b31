"""Decorators under the TopologyTestDriver: what they do, and what they say when they cannot."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from streams import App, Record, SessionWindows, TimeWindows, TopologyError, Windowed
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
        rides_in, out = driver.input(source), driver.output(topic)
        for second, ride in enumerate(rides):
            rides_in.send(key="k", value=ride, timestamp=second * 1000)
        return out.read_values()


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


def takes_receipt(receipt: Receipt) -> None: ...
def gives_receipt(ride: Ride) -> Receipt: ...
def gives_nothing(ride: Ride) -> None: ...
def takes_three(a: int, b: int, c: int) -> None: ...
def adds_to(total: Ride, ride: Ride) -> Ride: ...
def adds(total, ride): ...
async def waits(ride: Ride) -> None: ...


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
        (lambda app: app.process(RIDES, to="out")(gives_nothing), rf"gives_nothing {HERE} is annotated to return None"),
        (
            lambda app: app.process(RIDES, to=RIDES)(gives_receipt),
            rf"gives_receipt {HERE} gives a Receipt, but topic rides",
        ),
        (lambda app: app.process(RIDES)(takes_three), rf"takes_three {HERE}: @app.process calls it with \(value\) or"),
        (lambda app: app.process(5)(gives_nothing), rf"gives_nothing {HERE}: @app.process reads a topic, .* got 5"),
        (lambda app: app.agent(RIDES)(gives_nothing), rf"gives_nothing {HERE} is not async"),
        (lambda app: app.agent(RIDES, concurrency=0)(waits), "expected a concurrency of at least 1, got 0"),
        (
            lambda app: app.aggregate(RIDES)(adds_to),
            rf"adds_to {HERE}: the first total cannot be made: .* say initial=",
        ),
        (lambda app: app.aggregate(RIDES)(adds), rf"adds {HERE}: the first total is not known"),
        (lambda app: app.aggregate(RIDES, merge=max)(adds_to), "merge= is for window=SessionWindows"),
        (lambda app: app.timer("5 parsecs"), "@app.timer: duration: expected a number and a unit"),
        (lambda app: app.timer(0), "expected an interval of at least 1 ms"),
        (lambda app: app.crontab("* *"), "@app.crontab.*: expected five fields"),
        (lambda app: app.timer("1 s")(gives_nothing), rf"gives_nothing {HERE}: @app.timer calls it without arguments"),
    ],
)
def test_errors_come_at_decoration_time(app: App, decorate: Any, message: str) -> None:
    """What cannot work is refused where it is written, with the function's place and the cure."""
    with pytest.raises(TopologyError, match=message):
        decorate(app)
