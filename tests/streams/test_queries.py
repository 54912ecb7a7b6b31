"""Stores read from any thread while the application runs, on the real broker."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams import App, StreamsError, TimeWindows, Windowed
from streams.background import Running
from streams.errors import StoreMoved, StoreNotReady
from streams.pytest_plugin import RunningBroker
from streams.queries import PAGE, StoreView
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


def test_a_store_that_leaves_during_a_scan_is_told() -> None:
    """What was read is half of it: the reader must begin again."""
    with TopologyTestDriver(counting("left")) as driver:
        words = driver.input("left-words")
        for number in range(PAGE + 1):
            words.send(f"w{number}", "x", 0)
        here = driver.stores()["total"]
        assert driver.store("total").approximate_count() == PAGE + 1

        class Leaving:
            store_names = ("total",)

            def __init__(self) -> None:
                self.stores_seen: list[Any] = [here]

            def stores(self, _name: str) -> list[Any]:
                return self.stores_seen

            def ask(self, question: Any) -> Any:
                return question()

        source = Leaving()
        entries = iter(StoreView("total", source).all())
        next(entries)
        source.stores_seen = []
        with pytest.raises(StoreMoved, match="begin again"):
            list(entries)
