"""The broker is away: at the start, in the middle and at the end. What is waited for is told, and nothing is lost."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams import App
from streams.clients.kafka import KafkaClients
from streams.runtime.worker import Worker
from streams.runtime.worker_states import WorkerState

pytestmark = [pytest.mark.broker, pytest.mark.crash]

_spec = importlib.util.spec_from_file_location("runtime_conftest", Path(__file__).with_name("conftest.py"))
_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_conftest)


class Heard(logging.Handler):
    """Calls somebody when a log line says something."""

    def __init__(self, words: str, then: Callable[[], None]) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._words = words
        self._then = then

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if self._words in self.lines[-1] and self._then is not None:
            then, self._then = self._then, None
            threading.Thread(target=then).start()


@pytest.fixture
def hear() -> Iterator[Callable[[str, Callable[[], None]], Heard]]:
    """Listens to the log of `streams`."""
    made: list[Heard] = []
    logger = logging.getLogger("streams")

    def listen(words: str, then: Callable[[], None]) -> Heard:
        made.append(Heard(words, then))
        logger.addHandler(made[-1])
        return made[-1]

    yield listen
    for each in made:
        logger.removeHandler(each)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Any]:
    """A broker of the test's own, to be killed."""
    made = _conftest.QuickBroker(tmp_path / "broker")
    yield made
    made.kill()


def doubling(broker: Any, home: Path, **settings: Any) -> App:
    """Writes twice each number."""
    quick = {"session_timeout_ms": 1_000, "heartbeat_interval_ms": 200, "commit_interval_ms": 50}
    given = {**quick, "state_dir": str(home / "state"), "connect_timeout_ms": 60_000, **settings}
    app = App("doubling", broker=broker.url, **given)
    numbers = app.topic("numbers", key=str, value=int, partitions=1)
    app.stream(numbers).map_values(lambda number: 2 * number).to(app.topic("doubled", key=str, value=int, partitions=1))
    return app


def numbers(app: App) -> list[int]:
    """The results."""
    return [record.value for record in app.read("doubled")]


def test_a_broker_that_comes_later_is_waited_for(broker: Any, tmp_path: Path, hear: Any) -> None:
    """The log says what for, and the application runs when it is there."""
    app = doubling(broker, tmp_path)
    app.write("numbers", [("a", 1)])
    broker.kill()
    heard = hear("waiting for a broker at 127.0.0.1", broker.start)
    with app.running() as run:
        run.catch_up(timeout_s=60)
    assert numbers(app) == [2]
    assert any(line.startswith("waiting for a broker at 127.0.0.1") for line in heard.lines)


def test_a_broker_that_leaves_during_the_start(broker: Any, tmp_path: Path, hear: Any) -> None:
    """After the first connection, before the second: the worker starts again."""
    app = doubling(broker, tmp_path)
    app.write("numbers", [("a", 1)])
    kills = iter([broker.kill])
    hear("waiting for a broker", broker.start)
    application = app.application()
    clients = KafkaClients(app.config)
    worker = Worker(application.topology, app.config, clients, prepare=lambda: next(kills, lambda: None)())
    thread = threading.Thread(target=worker.run)
    thread.start()
    until(lambda: worker.processed == 1)
    worker.stop()
    thread.join()
    clients.close()
    assert worker.state is WorkerState.NOT_RUNNING
    assert numbers(app) == [2]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_an_outage_longer_than_writes_are_retried(broker: Any, tmp_path: Path, hear: Any, guarantee: str) -> None:
    """All is taken up anew from what is committed; under exactly-once each number is doubled once."""
    lingers = {"linger_ms": 2_000, "commit_interval_ms": 8_000}  # so that nothing is written before the broker is gone
    app = doubling(broker, tmp_path, delivery_timeout_ms=1_000, processing_guarantee=guarantee, **lingers)
    heard = hear(" anew ", broker.start)  # by the task manager or the worker: whoever is told first
    with app.running() as run:
        app.write("numbers", [("a", 1)])
        run.catch_up(timeout_s=60)
    with app.running() as run:  # another one: the last commit that `catch_up` asks for may be of what comes next
        app.write("numbers", [("a", number) for number in range(2, 1_000)])
        until(lambda: run.status().processed > 0)
        broker.kill()
        until(lambda: any(" anew " in line for line in heard.lines))
        run.catch_up(timeout_s=60)
    found = numbers(app)
    assert sorted(set(found)) == [2 * number for number in range(1, 1_000)]
    if guarantee == "exactly_once_v2":
        assert len(found) == 999


def test_stopping_while_the_broker_is_away(broker: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It ends without the broker; what was not committed is done at the next start."""
    app = doubling(broker, tmp_path, commit_interval_ms=300_000, close_timeout_ms=200)
    app.write("numbers", [("a", 1)])
    with app.running() as run:
        until(lambda: run.status().processed == 1)
        broker.kill()
    assert "what was not committed is done again at the next start" in caplog.text
    broker.start()
    with doubling(broker, tmp_path).running() as run:
        run.catch_up(timeout_s=60)
    assert set(numbers(app)) == {2}


def test_stopping_while_it_waits_for_its_first_broker(tmp_path: Path) -> None:
    """It does not wait for the rest of its patience."""
    app = App("nowhere", broker="kafka://127.0.0.1:1", connect_timeout_ms=300_000, state_dir=str(tmp_path))
    app.stream("numbers").to("others")
    worker = Worker(app.application().topology, app.config, clients := KafkaClients(app.config))
    thread = threading.Thread(target=worker.run)
    thread.start()
    worker.stop()
    thread.join(60)
    clients.close()
    assert worker.state is WorkerState.NOT_RUNNING


def until(holds: Callable[[], bool]) -> None:
    """Wait for something."""
    patience = threading.Event()
    for _ in range(6_000):
        if holds():
            return
        patience.wait(0.01)
    pytest.fail("it did not happen")
