"""What follows when a worker ends with an error: another one, the end of it, or of all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams import App, ConfigError, TopologyError
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.errors import ProcessingError, StopApplication
from streams.runner import Runner, Uncaught, uncaught_of
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker
from streams.serdes import serde_for


@pytest.fixture
def broker() -> MemoryBroker:
    """Three numbers, and room for results."""
    broker = MemoryBroker()
    for name in ("numbers", "halves"):
        broker.create(NewTopic(name, 1))
    MemoryClients(broker).producer().send(
        "numbers", 0, [None] * 3, list(map(serde_for(float).serialize, (2.0, 0.0, 4.0))), [0, 0, 0]
    )
    return broker


def halving(home: Path, fails: Callable[[int], bool], **settings: Any) -> App:
    """Halves numbers; `fails(number)` says whether it raises."""
    app = App("halving", broker="kafka://memory:1", state_dir=str(home), commit_interval_ms=10, **settings)

    def half(number: int) -> str:
        if fails(number):
            raise ValueError(f"{number} is not halved")
        return str(number / 2)

    numbers = app.stream("numbers", value=float).map_values(lambda number: half(int(number)), value=str)
    numbers.to("halves")
    return app


def runner(app: App, broker: MemoryBroker, made: Callable[[], None] = lambda: None, **options: Any) -> Runner:
    """As an App's run has one, over clients in memory; `made` is called whenever these are made."""
    application = app.application()

    def worker(clients: Any, stops_all: Any) -> Worker:
        return Worker(application.topology, app.config, clients, restore_progress=SilentListener(), stops_all=stops_all)

    def clients() -> MemoryClients:
        made()
        return MemoryClients(broker)

    return Runner(worker, clients, on_uncaught=app.uncaught_functions, **options)


def test_a_worker_is_replaced(broker: MemoryBroker, tmp_path: Path) -> None:
    """The next one begins at what is committed, and the record that failed once is processed."""
    failures = iter([True])
    app = halving(tmp_path, lambda number: number == 0 and next(failures, False))
    run = runner(app, broker, uncaught=Uncaught.REPLACE_WORKER, pause_s=0.0)
    thread = threading.Thread(target=run.run)
    thread.start()
    with broker.changed:
        broker.changed.wait_for(lambda: len({record.value for record in broker.records("halves")}) == 3, timeout=30)
    run.stop()
    thread.join()
    assert {record.value for record in broker.records("halves")} == {b"1.0", b"0.0", b"2.0"}


def test_a_worker_stops_with_its_error(broker: MemoryBroker, tmp_path: Path) -> None:
    """By default."""
    with pytest.raises(ProcessingError, match="0 is not halved"):
        runner(halving(tmp_path, lambda number: number == 0), broker).run()


def test_all_stop(broker: MemoryBroker, tmp_path: Path) -> None:
    """The supervisor is told by an error, and exit code, of its own."""
    run = runner(halving(tmp_path, lambda number: number == 0), broker, uncaught=Uncaught.STOP_APPLICATION)
    with pytest.raises(StopApplication, match="0 is not halved") as caught:
        run.run()
    assert isinstance(caught.value.__cause__, ProcessingError)


def test_a_function_decides_first(broker: MemoryBroker, tmp_path: Path) -> None:
    """It sees the error; what it leaves open, the setting decides."""
    app = halving(tmp_path, lambda number: number == 0)
    seen: list[BaseException] = []

    @app.on_uncaught
    def look(error: BaseException) -> None:
        seen.append(error)

    @app.on_uncaught
    def decide(error: BaseException) -> str:
        return "stop_application" if isinstance(error.__cause__, ValueError) else "stop_worker"

    with pytest.raises(StopApplication):
        runner(app, broker, uncaught=Uncaught.REPLACE_WORKER).run()
    assert isinstance(seen[0], ProcessingError)


def test_a_stop_during_the_pause_is_heard(broker: MemoryBroker, tmp_path: Path) -> None:
    """Nobody waits for a worker that would be stopped at once."""
    app = halving(tmp_path, lambda number: number == 0)
    run = runner(app, broker, uncaught=Uncaught.REPLACE_WORKER, pause_s=3_600.0)
    app.on_uncaught(lambda _error: threading.Timer(0.1, run.stop).start())
    run.run()


def test_a_stop_while_the_next_worker_is_made_is_heard(broker: MemoryBroker, tmp_path: Path) -> None:
    """It comes to the worker that has ended; its successor does not begin, and nothing is raised."""
    stopping: list[Callable[[], None]] = []
    app = halving(tmp_path, lambda number: number == 0)
    run = runner(app, broker, lambda: [stop() for stop in stopping], uncaught=Uncaught.REPLACE_WORKER, pause_s=0.0)
    stopping.append(run.stop)
    ends: list[BaseException] = []
    app.on_uncaught(ends.append)
    thread = threading.Thread(target=run.run, daemon=True)
    thread.start()
    thread.join(20)
    assert (thread.is_alive(), len(ends)) == (False, 1)


def test_policies_have_names() -> None:
    """A wrong one is told with the nearest; a function of the wrong shape when it is given."""
    assert uncaught_of("replace_worker") is Uncaught.REPLACE_WORKER
    with pytest.raises(ConfigError, match="did you mean 'replace_worker'"):
        uncaught_of("replace_workers")
    with pytest.raises(ConfigError, match="uncaught: expected one of"):
        App("app", uncaught="replace")
    with pytest.raises(TopologyError, match="on_uncaught"):
        App("app").on_uncaught(lambda: None)
