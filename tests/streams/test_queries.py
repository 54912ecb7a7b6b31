"""Stores read from any thread while the application runs, on the real broker."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from state import RecordCacheBudget, RocksDBResources, StoreKind, StoreSpec, ValueAndTimestamp, open_store
from state.filling import FILLED_RECORDS
from streams import (
    App,
    Materialized,
    Processor,
    Record,
    SessionWindows,
    StreamsError,
    TimeWindows,
    Windowed,
    key_value_store,
    session_store,
    timestamped_key_value_store,
)
from streams.background import Running
from streams.errors import ProcessingError, StoreMoved, StoreNotReady
from streams.pytest_plugin import RunningBroker
from streams.queries import PAGE, StoreView
from streams.serdes import serde_for
from streams.testing import TopologyTestDriver


def counting(name: str, **settings: Any) -> App:
    """Counts words, plainly and by the minute."""
    app = App(name, **settings)
    words = app.stream(app.topic(f"{name}-words", key=str, value=str, partitions=2)).group_by_key()
    words.count(name="total")
    words.windowed_by(TimeWindows.of("1 minute")).count(name="by-minute")
    return app


@pytest.fixture(scope="module")
def run(streams_broker: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Running]]:
    """An application that counts and commits only when it is told: by its end."""
    home = str(tmp_path_factory.mktemp("queries"))
    app = counting("asked", broker=streams_broker.url, state_dir=home, commit_interval_ms=300_000)
    app.write("asked-words", [(f"w{number % 5000:04}", "x") for number in range(10_000)], timestamp=1_000)
    with app.running() as running:
        until_processed(running, 10_000)
        yield app, running


def until_processed(run: Running, count: int) -> None:
    """Wait until so many records are processed; nothing is committed by that."""
    patience = threading.Event()
    while run.status().processed < count:
        run.check()
        patience.wait(0.01)


@pytest.mark.broker
def test_every_verb_from_another_thread(run: tuple[App, Running]) -> None:
    """This is not the thread that processes; scans are longer than a page."""
    total = run[0].store("total")
    assert total.get("w0007") == 2
    assert total.get("nobody") is None
    assert len(total) == total.count() == 5_000 > PAGE
    assert dict(total.range("w0010", "w0012")) == {"w0010": 2, "w0011": 2, "w0012": 2}
    assert sorted(key for key, _ in total.prefix_scan("w123")) == [f"w123{digit}" for digit in range(10)]
    backwards = [key for key, _ in total.all(reverse=True)]
    assert len(backwards) == 5_000
    assert sorted(backwards) == sorted(key for key, _ in total.all())
    windows = run[0].store("by-minute")
    assert list(windows.fetch("w0001", 0, 60_000)) == [(Windowed("w0001", 0, 60_000), 2)]
    assert windows.get(Windowed("w0001", 0, 60_000)) == 2


@pytest.mark.broker
def test_committed_is_what_the_last_commit_left(run: tuple[App, Running]) -> None:
    """Nothing was committed yet, so nothing is there; live values are."""
    committed = run[0].store("total", isolation="committed")
    assert (committed.get("w0007"), committed.count()) == (None, 0)
    with pytest.raises(StreamsError, match='isolation: expected "live" or "committed"'):
        run[0].store("total", isolation="dirty")


@pytest.mark.broker
def test_many_threads_at_once(run: tuple[App, Running]) -> None:
    """While records are processed, each answer is a whole number of whole records."""
    app, running = run
    before = running.status().processed
    seen: list[int] = []

    def ask() -> None:
        view = app.store("total")
        seen.extend(view.get("w0001") for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    app.write("asked-words", [("w0001", "x")] * 500, timestamp=1_000)
    for thread in threads:
        thread.join()
    until_processed(running, before + 500)
    assert len(seen) == 200
    assert set(seen) <= set(range(2, 503))
    assert app.store("total").get("w0001") == 502


@pytest.mark.broker
def test_before_and_after_a_run(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """Both are errors that say so, and a view from a run that is over does not hang."""
    app = counting("early", broker=streams_broker.url, state_dir=str(tmp_path))
    with pytest.raises(StreamsError, match="can be read while the application runs"):
        app.store("total")
    with app.running():
        view = app.store("total")
    with pytest.raises(StoreNotReady, match="it has not, or it has ended"):
        view.get("w")


@pytest.mark.broker
@pytest.mark.parametrize("kind", ["agent", "threads"])
def test_agents_and_threads_may_ask_while_they_are_waited_for(
    streams_broker: RunningBroker, tmp_path: Path, kind: str
) -> None:
    """The processing thread waits for their result, and answers meanwhile."""
    app = counting(f"asking-{kind}", broker=streams_broker.url, state_dir=str(tmp_path), commit_interval_ms=50)
    questions = app.topic(f"asking-{kind}-questions", key=str, value=str, partitions=1)
    answers = app.topic(f"asking-{kind}-answers", key=str, value=int, partitions=1)

    def answer(word: str) -> int:
        return app.store("total").get(word) or 0

    if kind == "agent":

        @app.agent(questions, to=answers)
        async def look(word: str) -> int:
            return answer(word)

    else:

        @app.process(questions, to=answers, threads=2)
        def look_up(word: str) -> int:
            return answer(word)

    app.write(f"asking-{kind}-words", [("a", "x"), ("a", "x")], timestamp=1_000)
    with app.running() as run:
        until_processed(run, 2)
        app.write(questions, [("q", "a")])
        run.catch_up(timeout_s=25)
    assert [record.value for record in app.read(answers)] == [2]


def test_values_may_come_with_their_times() -> None:
    """From every verb; a store that keeps none says so."""
    app = counting("timed", broker="kafka://nowhere:9092")
    app.stream("in", key=str, value=str).process(Processor, stores=[key_value_store("plain", str, str)])
    with TopologyTestDriver(app) as driver:
        driver.input("timed-words").send("w", "x", 7)
        total, windows = driver.store("total", timestamps=True), app.store("by-minute", timestamps=True)
        assert total.get("w") == ValueAndTimestamp(1, 7)
        assert list(total.all()) == list(total.range("a", "z")) == list(total.prefix_scan("w")) == [("w", (1, 7))]
        window = Windowed("w", 0, 60_000)
        assert windows.get(window) == (1, 7)
        assert list(windows.fetch("w")) == list(windows.all()) == [(window, (1, 7))]
        with pytest.raises(StreamsError, match="plain is a key-value store, whose values have no timestamps"):
            driver.store("plain", timestamps=True).get("w")


def test_windows_are_found_by_datetimes_and_text() -> None:
    """A span of time is said as for reads of topics, without a zone in UTC; what is no time is told."""
    app = counting("dated", broker="kafka://nowhere:9092")
    with TopologyTestDriver(app) as driver:
        for minute in range(3):
            driver.input("dated-words").send("w", "x", timestamp=minute * 60_000)
        view = driver.store("by-minute")
        second = [(Windowed("w", 60_000, 120_000), 1)]
        assert list(view.fetch("w", "1970-01-01 00:01", datetime(1970, 1, 1, 0, 1, 30, tzinfo=UTC))) == second
        assert list(view.fetch_keys("a", "z", datetime(1970, 1, 1, 0, 1), 90_000)) == second
        assert list(view.fetch_all("1970-01-01T01:01+01:00", "1970-01-01T00:01")) == second
        with pytest.raises(StreamsError, match="to_ms: expected a time such as 2026-01-31T12:00:00 .* got 'noon'"):
            view.fetch("w", 0, "noon")


def test_windows_of_many_keys_are_found() -> None:
    """By keys and by time, also backward, of windows and of sessions; stores without windows say so."""
    app = counting("many", broker="kafka://nowhere:9092")
    words = app.stream("more", key=str, value=str).group_by_key()
    words.windowed_by(SessionWindows.with_inactivity_gap("10 s")).count(name="visits")
    with TopologyTestDriver(app) as driver:
        for key, minute in (("a", 0), ("b", 0), ("c", 1)):
            driver.input("many-words").send(key, "x", minute * 60_000)
            driver.input("more").send(key, "x", minute * 60_000)
        windows, visits = driver.store("by-minute"), driver.store("visits")
        a, b, c = ((Windowed(key, at, at + 60_000), 1) for key, at in (("a", 0), ("b", 0), ("c", 60_000)))
        assert list(windows.fetch_keys("a", "b")) == list(windows.fetch_all(0, 59_999)) == [a, b]
        assert list(windows.fetch_keys("b", None, 0, 60_000, reverse=True)) == [c, b]
        assert list(windows.fetch_all(0, 60_000, reverse=True)) == list(windows.all(reverse=True)) == [c, b, a]
        ends = [(Windowed(key, at, at), 1) for key, at in (("a", 0), ("b", 0), ("c", 60_000))]
        assert list(visits.fetch_keys(None, "b")) == list(visits.fetch_all(0, 59_999)) == ends[:2]
        assert list(visits.fetch_all(0, 60_000, reverse=True)) == list(visits.all(reverse=True)) == ends[::-1]
        assert list(visits.fetch("a", reverse=True)) == ends[:1]
        with pytest.raises(
            StreamsError, match="timestamped-key-value store, which has no fetch_keys, and no fetch_all"
        ):
            list(driver.store("total").fetch_all(0, 1))


def test_values_may_come_with_their_headers() -> None:
    """With their times, from stores that keep them; else values come alone."""
    app = counting("headed", broker="kafka://nowhere:9092")
    stores = [
        timestamped_key_value_store("latest", str, str, headers=True),
        session_store("sessions", str, str, retention="1 minute", headers=True),
    ]
    app.stream("in", key=str, value=str).process(Keeping, stores=stores)
    with TopologyTestDriver(app) as driver:
        driver.input("in").send("w", "x", 7, (("h", b"1"),))
        assert driver.store("latest").get("w") == "x"
        assert list(driver.store("latest", timestamps=True).all()) == [("w", ("x", 7, (("h", b"1"),)))]
        assert list(driver.store("sessions").all()) == [(Windowed("w", 7, 7), "x")]


class Keeping(Processor):
    """Keeps records with their headers."""

    def process(self, record: Record) -> None:
        """In both stores."""
        self.context.store("latest").put(record.key, record.value, record.timestamp, record.headers)
        self.context.store("sessions").put(record.key, record.timestamp, record.timestamp, record.value, record.headers)


def test_a_versioned_store_knows_the_past() -> None:
    """The value at a time, and all of a span; other stores say that they do not."""
    app = counting("past", broker="kafka://nowhere:9092")
    app.table("prices", key=str, value=int, store=Materialized(name="prices", history="1 hour"))
    with TopologyTestDriver(app) as driver:
        for time, price in ((10, 5), (20, 6)):
            driver.input("prices").send("lamp", price, time)
        prices = driver.store("prices")
        assert [prices.get("lamp", as_of=time) for time in (9, 10, 19, 20)] == [None, 5, 5, 6]
        assert driver.store("prices", timestamps=True).get("lamp", as_of=15) == (5, 10)
        assert prices.versions("lamp") == [(5, 10, 20), (6, 20, None)]
        assert prices.get("lamp", as_of=datetime(1970, 1, 1, 0, 0, 0, 20_000)) == 6
        assert prices.versions("lamp", 0, "1970-01-01T00:00:00.019") == [(5, 10, 20)]
        assert prices.versions("lamp", 0, 19, reverse=True) == [(5, 10, 20)]
        with pytest.raises(StreamsError, match=r"timestamped-key-value store, which has no get\(key, as_of=...\)"):
            driver.store("total").get("w", as_of=1)


def test_questions_let_nothing_go() -> None:
    """Not what waits in a record cache without room for more either, which would fail whoever asks. As in Kafka."""
    store = counts_with_little_room()
    view = StoreView("counts", Here([store]))
    assert [view.get(key) for key in "abcde"] == [0, 1, 2, 3, 4]
    assert [key for key, _ in view.all()] == [key for key, _ in view.range("a", "e")] == list("abcde")
    assert [key for key, _ in view.all(reverse=True)] == list("edcba")
    assert (list(view.prefix_scan("c")), view.count()) == ([("c", 2)], 5)
    assert view.get("d") == 3
    for key in "fg":
        store.put(key, 5, 0)  # what was let go already makes room: it is there as long as if nobody had asked
    with pytest.raises(ProcessingError):
        store.put("h", 5, 0)


class Here:
    """Stores that are here, on this thread."""

    store_names = ("total",)

    def __init__(self, stores: list[Any]) -> None:
        self.stores_seen = stores

    def stores(self, _name: str, **_wanted: Any) -> list[Any]:
        """The same, whatever they are called."""
        return self.stores_seen

    def ask(self, question: Any) -> Any:
        """At once."""
        return question()


def counts_with_little_room() -> Any:
    """A store of five counts, two of which were let go for the sake of the others; whoever is told of the next fails."""
    serdes = {"key_serde": serde_for(str), "value_serde": serde_for(int)}
    spec = StoreSpec(name="counts", kind=StoreKind.TIMESTAMPED_KEY_VALUE, cached=True, **serdes)
    store = open_store(spec, directory=None, cache=RecordCacheBudget(200))

    def fail(_flushed: Any) -> None:
        raise ProcessingError("downstream")

    store.set_flush_listener(lambda _flushed: None, send_old_values=False)
    for number, key in enumerate("abcde"):
        store.put(key, number, 0)
    store.set_flush_listener(fail, send_old_values=False)
    return store


def test_a_store_that_leaves_during_a_scan_is_told() -> None:
    """What was read is half of it: the reader must begin again."""
    with TopologyTestDriver(counting("left")) as driver:
        words = driver.input("left-words")
        for number in range(PAGE + 1):
            words.send(f"w{number}", "x", 0)
        here = driver.stores()["total"]
        assert driver.store("total").approximate_count() == PAGE + 1

        source = Here([here])
        entries = iter(StoreView("total", source).all())
        next(entries)
        source.stores_seen = []
        with pytest.raises(StoreMoved, match="begin again"):
            list(entries)


def test_a_store_that_is_opened_anew_during_a_scan_is_told(tmp_path: Path) -> None:
    """As at the end of a long restore, in which a view that may be stale has begun."""
    serdes = {"key_serde": serde_for(str), "value_serde": serde_for(int)}
    spec = StoreSpec(name="counts", kind=StoreKind.KEY_VALUE, **serdes)
    store = open_store(spec, directory=tmp_path, resources=RocksDBResources())
    store.begin_restore(FILLED_RECORDS)
    keys = [f"{number:05}".encode() for number in range(PAGE + 1)]
    store.restore(keys, [serde_for(int).serialize(1)] * len(keys), [0] * len(keys), len(keys))
    entries = iter(StoreView("counts", Here([store]), stale=True).all())
    next(entries)
    store.end_restore()
    with pytest.raises(StoreMoved, match="opened anew: begin again"):
        list(entries)
    store.close()
