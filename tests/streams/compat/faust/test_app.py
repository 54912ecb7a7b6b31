"""Faust applications in the TopologyTestDriver: agents, tables, repartitions, expiry, failures, and what is not here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from streams.compat import faust
from streams.errors import StoreMoved
from streams.testing import TopologyTestDriver


class Ride(faust.Record):
    vendor: str
    amount: float


@pytest.fixture
def app() -> faust.App:
    """An empty application."""
    return faust.App("app", broker="kafka://unused:9092", topic_partitions=1)


def test_a_table_counts_and_its_changelog_is_fausts(app: faust.App) -> None:
    """`table[key] += 1` inside an agent; the changelog has Faust's name, keys and values."""
    rides = app.topic("rides", value_type=Ride)
    counts = app.Table("counts", default=int)

    @app.agent(rides)
    async def count(stream: Any) -> None:
        async for ride in stream:
            counts[ride.vendor] += 1

    with TopologyTestDriver(app) as driver:
        for vendor in "121":
            driver.input("rides").send(None, Ride(vendor, 1.0))
        changes = driver.output("app-counts-changelog", key=bytes, value=bytes).read_key_values()
        assert changes == [(b'"1"', b"1"), (b'"2"', b"1"), (b'"1"', b"2")]
        assert dict(driver.store("counts")) == {"1": 2, "2": 1}


class Elsewhere:
    """The stores of a worker that has no task with any."""

    store_names = ("counts",)

    def stores(self, name: str) -> Any:
        raise StoreMoved(f"store {name} has no partition on this worker")

    def ask(self, question: Callable[[], Any]) -> Any:
        return question()


def test_a_table_whose_tasks_are_elsewhere_is_empty(app: faust.App) -> None:
    """A worker shows the part of a table that it has, as in Faust, if that is nothing."""
    counts = app.Table("counts", default=int)
    app._stores.serve(Elsewhere())
    assert (list(counts.items()), counts["1"], counts.get("1")) == ([], 0, 0)


def test_get_goes_by_the_default_of_the_table(app: faust.App) -> None:
    """What a table makes of a missing key stands before the default of the call, as in Faust; a table may make none."""
    counts, bare = app.Table("counts", default=int), app.Table("bare")
    seen: list[Any] = []

    @app.agent(app.topic("words", value_type=str))
    async def read(stream: Any) -> None:
        async for word in stream:
            seen.append((counts.get(word, -1), counts.get(word), bare.get(word, -1), bare.get(word), word in counts))
            counts[word] = bare[word] = 7

    with TopologyTestDriver(app) as driver:
        for _ in range(2):
            driver.input("words").send(None, "tide")
    assert seen == [(0, 0, -1, None, False), (7, 7, 7, 7, True)]


def test_a_table_may_have_a_changelog_of_the_applications_own(app: faust.App) -> None:
    """Its changes go to that topic, in the form of the table, and another agent may read them there."""
    stations = app.topic("stations", key_serializer="json", value_type=Ride, retention=60)
    table = app.Table("latest", changelog_topic=stations, partitions=1)
    everywhere = app.GlobalTable("everywhere", changelog_topic=app.topic("everywhere-rows"))
    seen = []

    @app.agent(app.topic("rides", value_type=Ride))
    async def keep(stream: Any) -> None:
        async for ride in stream:
            table[ride.vendor] = ride
            everywhere[ride.vendor] = 1

    @app.agent(stations)
    async def read(stream: Any) -> None:
        async for key, ride in stream.items():
            seen.append((key, ride))

    assert table.changelog_topic is stations
    with TopologyTestDriver(app) as driver:
        driver.input("rides").send(None, Ride("1", 1.0))
        assert driver.output("stations", key=bytes, value=bytes).read_key_values()[0][0] == b'"1"'
        assert driver.output("everywhere-rows", key=bytes, value=bytes).read_key_values() == [(b'"1"', b"1")]
    assert seen == [("1", Ride("1", 1.0))]
    assert table.spec().topic_config == {"cleanup.policy": "compact", "retention.ms": "60000"}


def test_a_windowed_table_has_a_changelog_of_its_own(app: faust.App) -> None:
    """Faust forgets the topic that a table was given when it becomes a windowed one."""
    table = app.Table("views", changelog_topic=app.topic("rows")).tumbling(10).table
    assert table.spec().changelog_topic == table.changelog_topic.name == "app-views-changelog"


def test_a_table_names_the_changelog_that_it_has(app: faust.App) -> None:
    """`table.changelog_topic` is a topic to send to, in the form of the table."""
    topic = app.Table("counts", default=int).changelog_topic
    assert (topic.name, topic.key_serde.serialize("é"), topic.value_serde.serialize(1)) == (
        "app-counts-changelog",
        b'"\\u00e9"',
        b"1",
    )


def test_a_table_is_copied_and_cleared(app: faust.App) -> None:
    """A copy is a dict, as in Faust; what is cleared is deleted, in the changelog too."""
    rows, everywhere, seen = app.Table("rows", default=int), app.GlobalTable("everywhere"), []

    @app.agent(app.topic("words", value_type=str))
    async def count(stream: Any) -> None:
        async for word in stream:
            if word == "clear":
                for table in (rows, everywhere):
                    seen.append(table.copy())
                    table.clear()
                    seen.append(table.copy())
            else:
                rows[word] += 1
                everywhere[word] = rows[word]

    with TopologyTestDriver(app) as driver:
        for word in ("a", "b", "a", "clear", "b"):
            driver.input("words").send(None, word)
        assert dict(driver.store("rows")) == dict(driver.store("everywhere")) == {"b": 1}
        changelog = driver.output("app-rows-changelog", key=bytes, value=bytes).read_key_values()
    assert seen == [{"a": 2, "b": 1}, {}] * 2
    assert changelog[-3:] == [(b'"a"', None), (b'"b"', None), (b'"b"', b"1")]


def test_several_records_at_once_are_events_or_have_their_times(app: faust.App) -> None:
    """`take_events` and `take_with_timestamp`: those that have arrived, each with what belongs to it."""
    words, seen = app.topic("words", value_type=str), []

    @app.agent(words, name="whole")
    async def whole(stream: Any) -> None:
        stream.add_processor(str.upper)
        async for events in stream.take_events(3, within=1):
            seen.append([(event.key, event.value, event.message.timestamp) for event in events])  # noqa: PERF401  as below

    @app.agent(app.topic("rows"), name="timed")
    async def timed(stream: Any) -> None:
        async for rows in stream.take_with_timestamp(3, 1, "at"):
            seen.append(rows)  # noqa: PERF401  the stream never ends

    with TopologyTestDriver(app) as driver:
        driver.input("words").send("k", "a", 2_000)
        driver.input("rows").send(None, {"n": 1}, 3_000)
    assert seen == [[(b"k", "A", 2.0)], [{"n": 1, "at": 3.0}]]


def test_a_stream_may_be_put_through_functions(app: faust.App) -> None:
    """`app.stream(stream, processors=[...])`, before or after a `group_by`; tables that they use are found."""
    known, seen = app.Table("known", default=int), []

    async def number(word: str) -> str:
        known[word] += 1
        return f"{word}{known[word]}"

    def read(name: str, prepare: Callable[[Any], Any]) -> None:
        @app.agent(app.topic("words", value_type=str), name=name)
        async def agent(stream: Any) -> None:
            async for word in prepare(stream):
                seen.append((name, word))  # noqa: PERF401  the stream never ends

    read("plain", lambda stream: app.stream(stream, processors=[str.upper, number]))
    read("after", lambda stream: app.stream(stream.group_by(len, name="length"), [str.title]))
    read("before", lambda stream: app.stream(stream, [str.title]).group_by(len, name="length"))
    with TopologyTestDriver(app) as driver:
        for word in ("no", "so", "no"):
            driver.input("words").send(None, word)
    words = {name: [word for each, word in seen if each == name] for name in ("plain", "after", "before")}
    assert words == {"plain": ["NO1", "SO1", "NO2"], "after": ["No", "So", "No"], "before": ["No", "So", "No"]}


def test_a_topic_that_an_agent_has_not_written_yet_is_empty(app: faust.App) -> None:
    """Agents send anywhere, so no topic is one that the program never writes to."""
    rides, refunds = app.topic("rides", value_type=Ride), app.topic("refunds", value_type=Ride)

    @app.agent(rides)
    async def refund(stream: Any) -> None:
        async for ride in stream:
            if ride.amount < 0:
                await refunds.send(value=ride)

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send(None, Ride("1", 1.0))
        assert driver.output("refunds").empty
        driver.input("rides").send(None, Ride("1", -1.0))
        assert len(driver.output("refunds", value=bytes).read()) == 1


def test_group_by_goes_through_a_topic_of_fausts_name(app: faust.App) -> None:
    """What stands before `group_by` becomes steps; records meet by their new key; processors after it run in the agent."""
    rides = app.topic("rides", value_type=Ride)
    totals = app.Table("totals", default=float)

    @app.agent(rides, name="total")
    async def total(stream: Any) -> None:
        costly = stream.filter(lambda ride: ride.amount > 2)
        async for key, ride in costly.group_by(Ride.vendor).items():
            totals[key] += ride.amount

    with TopologyTestDriver(app) as driver:
        for vendor, amount in (("1", 5.0), ("2", 1.0), ("1", 2.5)):
            driver.input("rides").send(None, Ride(vendor, amount))
        topic = driver.output("total-rides-Ride.vendor-repartition", key=str, value=bytes)
        assert [record.key for record in topic.read()] == ["1", "1"]
        assert dict(driver.store("totals")) == {"1": 7.5}


def test_a_global_table_is_written_by_one_agent_and_looked_up_by_another(app: faust.App) -> None:
    """Keys need not meet in a partition; own writes are seen at once; the changelog is Faust's; deletions count."""
    names = app.GlobalTable("names", default=str)
    tariffs = app.topic("tariffs", key_type=str, value_type=str)
    named = app.topic("named", value_type=str)

    @app.agent(tariffs)
    async def learn(stream: Any) -> None:
        async for key, name in stream.items():
            if name == "gone":
                del names[key]
            else:
                names[key] += name

    @app.agent(app.topic("rides", value_type=Ride))
    async def name_them(stream: Any) -> None:
        async for ride in stream:
            await named.send(value=f"{names[ride.vendor]}, {len(names)} of {sorted(names)}")

    with TopologyTestDriver(app) as driver:
        rides, learnt = driver.input("rides"), driver.input("tariffs")
        for vendor, name in (("1", "Yel"), ("1", "low"), ("2", "Green")):
            learnt.send(vendor, name)
        rides.send(None, Ride("1", 1.0))
        learnt.send("1", "gone")
        rides.send(None, Ride("1", 1.0))
        changes = driver.output("app-names-changelog", key=bytes, value=bytes).read_key_values()
        assert changes == [(b'"1"', b'"Yel"'), (b'"1"', b'"Yellow"'), (b'"2"', b'"Green"'), (b'"1"', None)]
        assert driver.output("named").read_values() == ["Yellow, 2 of ['1', '2']", ", 1 of ['2']"]
        assert dict(driver.store("names")) == {"2": "Green"}


def test_what_was_changed_and_not_written_is_not_in_a_global_table(app: faust.App) -> None:
    """As in a local table here: a row that an agent changed in its hands, and failed before it put it back, is as it was."""
    rows = app.GlobalTable("rows", default=dict)
    out = app.topic("out", value_type=str)

    @app.agent(app.topic("words", value_type=str))
    async def count(stream: Any) -> None:
        async for word in stream:
            row = rows["k"]
            row["n"] = row.get("n", 0) + 1
            if word == "fails":
                raise ValueError(word)
            rows["k"] = row
            row["n"] = 100
            await out.send(value=f"{rows['k']['n']} {dict(rows.items())['k']['n']}")

    with TopologyTestDriver(app) as driver:
        for word in ("first", "fails", "then", "fails", "last"):
            driver.input("words").send(None, word)
        assert driver.output("out").read_values() == ["1 1", "2 2", "3 3"]


def test_windows_expire(app: faust.App) -> None:
    """A window is deleted when it is older than `expires`, and its end is told with its value."""
    closed: list[Any] = []
    table = app.Table("minutes", default=int, on_window_close=lambda key, value: closed.append((key, value)))
    minutes = table.tumbling(60, expires=120)

    @app.agent(app.topic("rides", value_type=Ride))
    async def count(stream: Any) -> None:
        async for ride in stream:
            minutes[ride.vendor] += 1

    with TopologyTestDriver(app, start_ms=60_000) as driver:
        driver.input("rides").send(None, Ride("1", 1.0), timestamp=61_000)
        driver.advance_wall_clock("30 s")
        assert [value for _, value in driver.store("minutes")] == [1]
        driver.advance_wall_clock("5 minutes")
        assert not list(driver.store("minutes"))
    assert closed == [(("1", (60.0, 119.9)), 1)]


def test_windows_of_one_end_close_though_telling_of_one_fails(app: faust.App, caplog: pytest.LogCaptureFixture) -> None:
    """What `on_window_close` raises is logged, and each of the other windows is closed and told of."""
    told: list[str] = []

    async def tell(key: Any, _value: int) -> None:
        told.append(key[0])
        if len(told) == 1:
            raise ValueError("the first")

    minutes = app.Table("minutes", default=int, on_window_close=tell).tumbling(60, expires=120)

    @app.agent(app.topic("rides", value_type=Ride))
    async def count(stream: Any) -> None:
        async for ride in stream:
            minutes[ride.vendor] += 1

    with TopologyTestDriver(app, start_ms=60_000) as driver:
        for vendor in "123":
            driver.input("rides").send(None, Ride(vendor, 1.0), timestamp=61_000)
        driver.advance_wall_clock("5 minutes")
        assert not list(driver.store("minutes"))
    assert sorted(told) == ["1", "2", "3"]
    assert "on_window_close of the table minutes raised" in caplog.text


def test_an_agent_that_raises_goes_on_with_the_next_record(app: faust.App) -> None:
    """As in Faust: the record in hand is skipped, `on_error` is called, tables keep what was written."""
    told: list[str] = []
    sums = app.Table("sums", default=int)

    async def tell(_agent: Any, error: Exception) -> None:
        told.append(str(error))

    @app.agent(app.topic("numbers", value_type=int), on_error=tell)
    async def add(stream: faust.Stream[int]) -> None:
        async for number in stream:
            if number == 2:
                raise ValueError("not two")
            sums["all"] += number

    with TopologyTestDriver(app) as driver:
        for number in (1, 2, 3):
            driver.input("numbers").send(None, number)
        assert dict(driver.store("sums")) == {"all": 4}
    assert told == ["not two"]


def test_an_error_that_no_record_is_to_blame_for_ends_the_worker(app: faust.App) -> None:
    """A table that cannot be seen in the agent's code would fail every record: the input is not read past."""
    holder = SimpleNamespace(hidden=app.Table("hidden", default=int))

    @app.agent(app.topic("numbers", value_type=int))
    async def add(stream: faust.Stream[int]) -> None:
        async for number in stream:
            getattr(holder, "hid" + "den")["all"] += number

    with TopologyTestDriver(app) as driver, pytest.raises(faust.ImproperlyConfigured, match="uses the table hidden"):
        driver.input("numbers").send(None, 1)


def test_a_value_that_does_not_fit_a_model_is_the_records_fault(app: faust.App) -> None:
    """A ValidationError is of ours by its class, but tells of the record: the agent goes on with the next."""

    class Positive(faust.Record, validation=True):
        number: int

    out = app.topic("out", value_type=Positive)

    @app.agent(app.topic("numbers", value_type=str))
    async def check(stream: faust.Stream[str]) -> None:
        async for number in stream:
            await out.send(value=Positive(number if number == "one" else 2))

    with TopologyTestDriver(app) as driver:
        for number in ("one", "2"):
            driver.input("numbers").send(None, number)
        assert len(driver.output("out", value=bytes).read()) == 1


def test_concurrent_copies_share_records_and_results(app: faust.App) -> None:
    """Copies take turns; what they yield goes to topics, functions and other agents."""
    seen: list[int] = []
    numbers = app.topic("numbers", value_type=int)

    @app.agent(name="last", value_type=int)
    async def last(stream: Any) -> None:
        async for number in stream:
            seen.append(number)  # noqa: PERF401  the stream never ends

    @app.agent(numbers, concurrency=3, sink=[app.topic("doubled"), last])
    async def double(stream: Any) -> AsyncIterator[int]:
        async for number in stream:
            yield number * 2

    with TopologyTestDriver(app) as driver:
        for number in range(4):
            driver.input("numbers").send(None, number)
        assert driver.output("doubled", value=bytes).read_values() == [b"0", b"2", b"4", b"6"]
    assert seen == [0, 2, 4, 6]


def test_tables_are_found_through_functions_and_attributes(app: faust.App) -> None:
    """A table that an agent uses by way of a function, an object or a list is one of its stores."""
    first, second, third = (app.Table(name, default=int) for name in ("first", "second", "third"))

    class Kept:
        table = second

    holder = {"third": third}

    def note(key: str) -> None:
        first[key] += 1
        Kept.table[key] += 1
        holder["third"][key] += 1

    @app.agent(app.topic("words", value_type=str))
    async def count(stream: Any) -> None:
        async for word in stream:
            note(word)

    assert {table.name for table in count.tables()} == {"first", "second", "third"}


def test_agents_and_sinks_may_be_bound(app: faust.App) -> None:
    """What functools.partial was given before counts as what the function names: tables are found in it."""
    words, counts = app.topic("words", value_type=str), app.Table("counts", default=int)

    async def count(table: faust.Table, stream: Any) -> AsyncIterator[str]:
        """Count the words."""
        async for word in stream:
            table[word] += 1
            yield word

    class Total:
        table = app.Table("totals", default=int)

        def add(self, by: int, word: str) -> None:
            self.table[word] += by

    made = app.agent(words, name="bound", sink=[partial(Total().add, 2)])(partial(count, counts))
    assert made.help == "Count the words."
    app.timer(60)(partial(count, counts))
    with TopologyTestDriver(app) as driver:
        for word in "aba":
            driver.input("words").send(None, word)
        assert dict(driver.store("counts")) == {"a": 2, "b": 1}
        assert dict(driver.store("totals")) == {"a": 4, "b": 2}


def test_a_table_is_written_in_agents_only(app: faust.App) -> None:
    """As in Faust; the message says where to do it."""
    with pytest.raises(TypeError, match="cannot modify the table t from outside of stream iteration"):
        app.Table("t")["a"] = 1


def test_options_of_tables_without_effect_are_taken(app: faust.App) -> None:
    """How much Faust reads at once when it restores; what would be missed is told."""
    for make in (app.Table, app.GlobalTable):
        assert make(f"t-{make.__name__}", recovery_buffer_size=1, standby_buffer_size=2, partitions=1).partitions == 1
    with pytest.raises(faust.NotHere, match=r"app\.Table\.on_changelog_event"):
        app.Table("t", on_changelog_event=print)


NOT_HERE: list[tuple[Callable[[faust.App], Any], str]] = [
    (lambda app: app.web, "app.web of Faust is not in"),
    (lambda app: app.page("/"), "there is no web server"),
    (lambda _app: faust.livecheck, "TopologyTestDriver"),
    (lambda app: app.GlobalTable("t").tumbling(10), "GlobalTable.windows of Faust"),
    (lambda app: app.SetTable("t"), "app.Table"),
    (lambda app: app.stream("t"), "write an @app.agent"),
    (lambda app: app.topic("t").stream(), "write an @app.agent"),
    (lambda app: app.topic(pattern="a.*"), "app.topic.pattern"),
    (
        lambda app: app.agent(isolated_partitions=True),
        "isolated_partitions .* keep what belongs to a partition in a table",
    ),
    (lambda app: app.topic_route(topic=None), "no router between workers"),
    (lambda app: app.start_client(), "needs no client to start"),
    (lambda app: asyncio.run(app.topic("t").send(callback=print)), "await what `send` gives"),
    (lambda _app: faust.GSSAPICredentials, "no login by Kerberos"),
    (
        lambda app: type("Own", (type(app),), {"on_started": None}),
        "app.on_started of .* nobody calls it: write an @app.task",
    ),
    (lambda app: app.config_from_object("settings"), r"faust\.App\(id, \*\*settings\)"),
    (lambda app: app.Table("t").on_key_set, "table.on_key_set of Faust is not in"),
]


@pytest.mark.parametrize(("use", "message"), NOT_HERE)
def test_what_is_not_here_says_so(app: faust.App, use: Callable[[faust.App], Any], message: str) -> None:
    """A feature outside of the subset is named at once, with what to do instead."""
    with pytest.raises(faust.NotHere, match=message):
        use(app)


def test_settings_are_checked() -> None:
    """An unknown setting, guarantee, store or broker is an error that says what was expected."""
    for settings, message in [
        ({"brokr": "kafka://a"}, "no setting 'brokr'"),
        ({"processing_guarantee": "twice"}, "expected one of at_least_once, exactly_once"),
        ({"broker": "amqp://a"}, "expected kafka://host:port"),
    ]:
        with pytest.raises(faust.ImproperlyConfigured, match=message):
            faust.App("app", **settings)
    with pytest.raises(faust.ImproperlyConfigured, match="memory:// or rocksdb://"):
        faust.App("app", store="aerospike://").Table("t")


def test_settings_mean_what_they_mean_in_faust() -> None:
    """Version, guarantee, commit interval and brokers arrive in the runtime's own settings."""
    app = faust.App("app", version=2, broker="kafka://a;b:9093", processing_guarantee="exactly_once", web_port=6066)
    config = app.config
    assert (config.application_id, config.broker) == ("app-v2", "kafka://a:9092,b:9093")
    for address in ("kafka://", "aiokafka://", "kafka://:9092", ":9092"):
        assert faust.App("app", broker=address).config.broker == "kafka://127.0.0.1:9092"
    assert (config.exactly_once, config.commit_interval_ms) == (True, 2800)
