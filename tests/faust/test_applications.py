"""Applications written for Faust: unmodified on our broker, and with another import line on our runtime."""

import json
from collections import Counter

import pytest

from tests.faust.world import Row, World, last_of

pytestmark = pytest.mark.broker

IN_TWO_PARTITIONS = ["lines", "words", "yellow_taxi_ride.json", "payments", "zone-names", "trips"]
IN_ONE_PARTITION = ["word-counts", "views", "page-totals", "numbers", "even", "found", "batches", "forwarded"]
IN_ONE_PARTITION += ["balances", "customers", "orders", "large-bills", "small-bills", "answers", "logged", "ticks"]
IN_ONE_PARTITION += ["calls", "others", "answered", "passed", "named-trips"]
IN_ONE_PARTITION += ["yellow_taxi_rides.high_amount", "yellow_taxi_rides.low_amount"]
"""All topics are there before a worker starts: aiokafka forgets where a topic is that it learnt of among all, as soon as
it asks for one that is not there yet, and then waits for ever (as it does on Apache Kafka)."""

LINES = [b"the quick brown fox", b"jumps over the lazy dog", b"the end"]
COUNTS = Counter(b" ".join(LINES).decode().split())

MINUTE = 60
VIEWS = [("home", 10), ("shop", 15), ("home", 50), ("home", 70), ("shop", 130), ("home", 75)]

RIDES = [("1", 12.5), ("2", 40.0), ("1", 99.0), ("2", 3.0), ("1", 41.0), ("1", 8.0)]


@pytest.fixture(scope="module")
def running(world: World) -> World:
    """All applications at work, each on topics of its own."""
    world.topics(dict.fromkeys(IN_ONE_PARTITION, 1) | dict.fromkeys(IN_TWO_PARTITIONS, 2))
    world.write("lines", [Row(None, line) for line in LINES])
    world.write("views", [Row(None, {"page": page, "user": "u", "at": float(at)}) for page, at in VIEWS])
    world.write("numbers", [Row(b"n", {"value": number}["value"]) for number in range(1, 9)])
    world.write("yellow_taxi_ride.json", [Row(None, ride(*each)) for each in RIDES])
    world.write("customers", [Row(b"ann", {"name": "Ann", "city": "Ulm"})])
    world.write("payments", [Row(b"a", {"account": "a", "amount": amount}) for amount in (5, 7, -2)])
    for name in (
        "word_count",
        "page_views",
        "orders",
        "calculator",
        "clock",
        "taxi",
        "steps",
        "accounts",
        "waiting",
        "zones",
    ):
        world.start(name)
    return world


def ride(vendor: str, amount: float) -> dict[str, object]:
    """A taxi ride as JSON."""
    return {
        "vendorId": vendor,
        "passenger_count": 1,
        "trip_distance": 2.5,
        "payment_type": 1,
        "total_amount": amount,
    }


def test_word_count(running: World) -> None:
    """Two agents and a table: the last count of each word is right, and lies in the changelog too."""
    rows = running.read("word-counts", lambda rows: len(rows) == COUNTS.total(), "word_count")
    assert {key.decode(): int(value) for key, value in last_of(rows).items() if key} == COUNTS
    changes = running.read("word-count-counts-changelog", lambda rows: len(last_of(rows)) == len(COUNTS), "word_count")
    assert {json.loads(key): json.loads(value) for key, value in last_of(changes).items() if key} == COUNTS


def test_windowed_page_views(running: World) -> None:
    """A repartition by a field, then a tumbling and a hopping window by the events' own time."""
    rows = running.read("page-totals", lambda rows: len(rows) == len(VIEWS), "page_views")
    told = {(row.json["page"], index): row.json for index, row in enumerate(rows)}
    home = [each for (page, _), each in sorted(told.items(), key=lambda item: item[0][1]) if page == "home"]
    assert [(each["minute"], each["before"], each["hopping"]) for each in home] == [
        (1, 0, 1),
        (2, 0, 1),
        (1, 2, 1),
        (2, 2, 2),
    ]


def test_models_and_lookups(running: World) -> None:
    """Nested, coerced models; a table looked up from another stream; parts by amount; headers in and out."""
    running.read("orders-customers-changelog", lambda rows: bool(rows), "orders")
    order = {"id": 1, "customer": "ann", "ordered": "2026-01-02T03:04:05", "note": None}
    items = [{"article": "pen", "price": "1.50", "count": 2}, {"article": "ink", "price": "40"}]
    running.write("orders", [Row(b"1", {**order, "items": items}, (("source", b"web"),))])
    running.write("orders", [Row(b"2", {**order, "id": 2, "customer": "bob", "items": items[:1]})])
    (large,) = running.read("large-bills", lambda rows: bool(rows), "orders")
    bill = large.json
    assert (bill["order"], bill["total"], bill["year"]) == (1, 43.0, 2026)
    assert (bill["customer"]["name"], bill["customer"]["city"]) == ("Ann", "Ulm")
    assert (large.key, dict(large.headers)) == (b"1", {"source": b"web", "count": b"2"})
    (small,) = running.read("small-bills", lambda rows: bool(rows), "orders")
    assert (small.json["order"], small.json["customer"], small.json["total"]) == (2, None, 3.0)
    assert small.json["__faust"]["ns"].endswith(".Bill")


def test_requests_and_replies(running: World) -> None:
    """`ask`, `map`, `join` and `cast`, a function and a topic as sinks, and a command that sends."""
    rows = running.read("answers", lambda rows: sum(row.key is not None for row in rows) == 3, "calculator")
    assert {row.key: row.json for row in rows if row.key} == {b"ask": 5, b"map": 14, b"join": 25}
    assert sorted(row.json for row in rows if row.key is None) == [1, 4, 9, 16, 25]
    assert "sent 40 + 2" in running.run("calculator", "plus", "40", "2")
    logged = running.read("logged", lambda rows: len(rows) == 3, "calculator")
    assert sorted(row.json for row in logged) == [5, 23, 42]


def test_clock(running: World) -> None:
    """Timers, a crontab, a task and a channel in memory all come to the topic; a timer reads a table."""
    wanted = {b"doubled": 2, b"task": 1, b"table": 1, b"crontab": 1}
    rows = running.read(
        "ticks",
        lambda rows: all((key, str(value).encode()) in {row[:2] for row in rows} for key, value in wanted.items()),
        "clock",
    )
    doubled = [row.json for row in rows if row.key == b"doubled"]
    assert doubled == list(range(2, 2 * len(doubled) + 2, 2))


def test_taxi_course(running: World) -> None:
    """Counted per vendor, parted by amount, and in windows, as the course's examples do it."""
    changes = running.read(
        "taxi-course-vendor_rides-changelog",
        lambda rows: last_of(rows) == {b'"1"': b"4", b'"2"': b"2"},
        "taxi",
    )
    assert len(changes) >= 2
    high = running.read("yellow_taxi_rides.high_amount", lambda rows: len(rows) == 3, "taxi")
    low = running.read("yellow_taxi_rides.low_amount", lambda rows: len(rows) == 3, "taxi")
    assert sorted(row.json["total_amount"] for row in high) == [40.0, 41.0, 99.0]
    assert sorted(row.json["total_amount"] for row in low) == [3.0, 8.0, 12.5]
    minutes = running.read(
        "taxi-course-vendor_minutes-changelog",
        lambda rows: sum(json.loads(value) for value in last_of(rows).values()) == len(RIDES),
        "taxi",
    )
    assert {json.loads(row.key)[0] for row in minutes} == {"1", "2"}


def test_steps(running: World) -> None:
    """Processors, filter, through, take, enumerate, forward, and an agent that fails on one record and goes on."""
    rows = running.read("found", lambda rows: len(rows) == 6, "steps")
    found = {key: [row.json for row in rows if row.key == key] for key in (b"even", b"index", b"last")}
    assert found == {b"even": [2, 4, 6, 8], b"index": [12], b"last": [3]}
    taken = running.read("batches", lambda rows: sum(len(row.json) for row in rows) == 8, "steps")
    assert sorted(value for row in taken for value in row.json) == list(range(101, 109))
    assert all(len(row.json) <= 4 for row in taken)
    forwarded = running.read("forwarded", lambda rows: len(rows) == 2, "steps")
    assert [(row.key, row.json) for row in forwarded] == [(b"n", 5), (b"n", 6)]


def test_an_agent_that_waits_holds_up_no_other(running: World) -> None:
    """While one agent waits in the middle of changing a table, another's records are done and committed; then it counts."""
    running.write("calls", [Row(None, b'"a"'), Row(None, b'"b"')])
    for name in (b'"c"', b'"d"'):
        running.write("others", [Row(None, name)])
        running.read("passed", lambda rows, name=name: bool(rows) and rows[-1].value == name, "waiting")
    (running.home / "answer").touch()
    rows = running.read("answered", lambda rows: len(rows) == 2, "waiting")
    assert [row.json for row in rows] == ["a 1, 1 of all, ['a', 'all']", "b 1, 2 of all, ['a', 'all', 'b']"]
    running.read("waiting-asked-changelog", lambda rows: last_of(rows).get(b'"all"') == b"2", "waiting")


def test_a_global_table(running: World) -> None:
    """Rows learnt in either partition are found for trips of either, also by a worker that is started again."""
    names = {b"1": "Astoria", b"2": "Harlem", b"3": "Soho", b"4": "Chelsea"}
    running.write("zone-names", [Row(zone, json.dumps(name).encode()) for zone, name in names.items()])
    running.read("zones-zones-changelog", lambda rows: len(last_of(rows)) == len(names), "zones")
    trips = [Row(str(number).encode(), json.dumps(zone.decode()).encode()) for number, zone in enumerate(names)]
    wanted = {f"{number} in {name}" for number, name in enumerate(names.values())}
    running.write("trips", trips)
    rows = running.read("named-trips", lambda rows: len(rows) >= len(trips), "zones")
    assert {row.json for row in rows} <= wanted | {f"{number} in ?" for number in range(len(trips))}
    running.stop("zones")
    running.start("zones")
    running.ready("zones")
    running.write("trips", trips)
    again = running.read("named-trips", lambda rows: len(rows) >= 2 * len(trips), "zones")
    assert {row.json for row in again[len(trips) :]} == wanted


def test_exactly_once(running: World) -> None:
    """Under exactly_once each payment counts once, also for who reads after the worker was stopped and started."""
    running.read("balances", lambda rows: [row.json for row in rows] == [5, 12, 10], "accounts")
    # A Faust worker leaves the transaction open in which it is stopped, so it is stopped between two.
    running.read("accounts-balances-changelog", lambda rows: last_of(rows) == {b'"a"': b"10"}, "accounts")
    running.stop("accounts")
    running.start("accounts")
    running.ready("accounts")
    running.write("payments", [Row(b"a", {"account": "a", "amount": 1})])
    rows = running.read("balances", lambda rows: len(rows) == 4, "accounts")
    assert [row.json for row in rows] == [5, 12, 10, 11]
