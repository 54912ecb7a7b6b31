"""An application on a thread of this process, on the real broker."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streams import App, ConfigError, RestoreEvent, StreamsError, TopologyError
from streams.background import ToEnd
from streams.cli.health import group_health
from streams.pytest_plugin import RunningBroker
from streams.running import Application, Listener, run
from streams.runtime.worker_states import WorkerState
from tests.broker.process import BrokerProcess


def doubling(name: str, broker: RunningBroker, home: Path) -> App:
    """Writes twice each number, and stops at a thirteen."""
    app = App(name, broker=broker.url, state_dir=str(home), commit_interval_ms=50)
    numbers = app.topic(f"{name}-numbers", key=str, value=int, partitions=2)

    @app.process(numbers, to=app.topic(f"{name}-doubled", key=str, value=int, partitions=2))
    def double(number: int) -> int:
        if number == 13:
            raise ValueError("thirteen is not doubled")
        return 2 * number

    return app


@pytest.mark.broker
def test_a_program_beside_its_application(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """Write, wait until all is committed, and read the results, all in one program."""
    app = doubling("beside", streams_broker, tmp_path)
    with app.running() as run:
        assert app.write("beside-numbers", [(str(number), number) for number in range(10)]) == 10
        run.catch_up()
        assert (run.lag(), run.status().processed) == (0, 10)
    assert sorted(record.value for record in app.read("beside-doubled")) == list(range(0, 20, 2))


@pytest.mark.broker
def test_topics_that_match_a_pattern_are_read_to_their_end(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """A run to the end, a program beside it and a look at its health wait for them as for those that are named."""
    app = App("matching", broker=streams_broker.url, state_dir=str(tmp_path), commit_interval_ms=50)
    gate, seen = threading.Event(), []
    gate.set()

    def see(_key: str, number: int) -> None:
        gate.wait(60)
        seen.append(number)

    app.stream(re.compile("matching-in-.*"), key=str, value=int).for_each(see)
    inputs = [app.topic(f"matching-in-{name}", key=str, value=int, partitions=1) for name in "ab"]
    for number, topic in enumerate(inputs):
        app.write(topic, [("x", number)])
    run(app.application(), ToEnd(Listener()))
    assert sorted(seen) == [0, 1]
    gate.clear()
    app.write(inputs[0], [("x", 2)])
    with app.running() as running, app.connect() as connection:
        assert running.lag() == 1
        health = group_health(connection, app.build(), within_s=0.5)
        assert (health.lag, health.healthy) == (1, False)
        gate.set()
        running.catch_up(timeout_s=60)
    assert seen[2:] == [2]


@pytest.mark.broker
def test_what_stops_it_is_raised(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """An error of the application comes to whoever looks next, and to the end of the block."""
    app = doubling("failing", streams_broker, tmp_path)
    app.write("failing-numbers", [("x", 13)])

    with pytest.raises(StreamsError, match="thirteen is not doubled"), app.running() as run:
        run.catch_up()


@pytest.mark.broker
def test_a_pause_ends_with_resume(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """Meanwhile nothing is processed, and nothing is wrong with that; then everything is."""
    app = doubling("pausing", streams_broker, tmp_path)
    with app.running() as run:
        run.pause()
        app.write("pausing-numbers", [(str(number), number) for number in range(10)])
        with pytest.raises(StreamsError, match="pausing did not catch up in 1 s: 10 records are left"):
            run.catch_up(timeout_s=1)
        assert (run.status().processed, run.health().healthy) == (0, True)
        run.resume()
        run.catch_up(timeout_s=30)
        assert run.status().processed == 10


@pytest.mark.broker
def test_patience_has_an_end(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """What is not committed within the time is told."""
    app = doubling("patient", streams_broker, tmp_path)
    app.configure({"commit_interval_ms": "60000"})
    app.write("patient-numbers", [("x", 1)])
    with pytest.raises(StreamsError, match=r"patient did not catch up in 0 s"), app.running() as run:
        run.catch_up(timeout_s=0)


@pytest.mark.broker
def test_catching_up_does_not_wait_for_the_commit_interval(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """With an interval of an hour, all is committed as soon as it is done, on both sides of a repartition topic."""
    app = App("hourly", broker=streams_broker.url, state_dir=str(tmp_path), commit_interval_ms=3_600_000)
    words = app.stream("hourly-words", key=str, value=str).group_by(lambda _, word: word, key=str)
    words.count(name="counts").to_stream().to("hourly-counts")
    app.write("hourly-words", [(None, word) for word in ("in", "out", "in")])
    with app.running() as run:
        run.catch_up()
        assert {record.key: record.value for record in app.read("hourly-counts")} == {"in": 2, "out": 1}


@pytest.mark.broker
def test_catching_up_goes_round_a_loop(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """What an application writes to its own input, transaction by transaction, is caught up with as well."""
    app = App("rounds", broker=streams_broker.url, state_dir=str(tmp_path), processing_guarantee="exactly_once_v2")
    left = app.topic("rounds-left", key=str, value=int, partitions=2)
    app.stream(left).filter(lambda _, rounds: rounds > 0).map(lambda _, rounds: (f"{rounds}", rounds - 1)).to(left)
    with app.running() as run:
        app.write(left, [("begin", 20)])
        run.catch_up(timeout_s=60)
        assert sorted(record.value for record in app.read(left)) == list(range(21))


@pytest.mark.broker
def test_catching_up_passes_what_was_aborted(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """Records of a transaction that was aborted, behind all others, are waited for until that is decided, no longer."""
    app = doubling("aborted", streams_broker, tmp_path)
    app.configure({"processing_guarantee": "exactly_once_v2"})
    with app.connect() as connection, app.running() as run:
        connection.write("aborted-numbers", [("x", 1)])
        connection.flush()
        producer = connection.clients.producer(transactional_id="undecided")
        producer.begin()
        for partition in (0, 1):
            producer.send("aborted-numbers", partition, [b"y"], [bytes(8)], [0], None)
        producer.flush()
        with pytest.raises(StreamsError, match="did not catch up"):
            run.catch_up(timeout_s=1)
        producer.abort_transaction()
        run.catch_up(timeout_s=60)
    assert [record.value for record in app.read("aborted-doubled")] == [2]


def test_a_start_that_fails_is_raised(tmp_path: Path) -> None:
    """Without a broker, entering the block is an error, and nothing hangs."""
    app = App("nowhere", broker="kafka://127.0.0.1:1", connect_timeout_ms=200, state_dir=str(tmp_path))
    app.stream("numbers").to("others")
    with pytest.raises(StreamsError, match=r"127\.0\.0\.1:1"), app.running():
        pass
    with pytest.raises(StreamsError, match="does not run yet"):
        app.running().status()


class Misled(ToEnd):
    """Looks for the end at a broker that cannot be started, once the worker runs."""

    worker: Any = None

    def starting(self, application: Application) -> None:
        nowhere = application.config.changed({"broker": f"embedded://{__file__}/data"})
        super().starting(replace(application, config=nowhere))

    def running(self, worker: Any) -> None:
        self.worker = worker

    def look(self, new: WorkerState, _old: WorkerState) -> None:
        if new is WorkerState.RUNNING:
            super().running(self.worker)


@pytest.mark.broker
def test_an_end_that_cannot_be_seen_is_no_end(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """Whatever else than an outage hides it, stops the run and is raised by it."""
    app = doubling("misled", streams_broker, tmp_path)
    app.write("misled-numbers", [("x", 1)])
    misled = Misled(Listener())
    with pytest.raises((StreamsError, OSError), match="test_background"):
        run(replace(app.application(), state_functions=(misled.look,)), misled)


class Stopping(Listener):
    """Stops the worker before it has begun, as a signal would."""

    def running(self, worker: Any) -> None:
        worker.stop()


@pytest.mark.broker
def test_a_run_that_is_stopped_before_the_end_says_so(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """It goes on from there when it is run again; one that is stopped where nothing is left to do has come to its end."""
    app = doubling("stopped", streams_broker, tmp_path)
    app.write("stopped-numbers", [("x", 1)])
    with pytest.raises(StreamsError, match="stopped before the end: run it again"):
        run(app.application(), ToEnd(Stopping()))
    run(app.application(), ToEnd(Listener()))
    run(app.application(), ToEnd(Stopping()))
    assert [record.value for record in app.read("stopped-doubled")] == [2]


class Impatient(ToEnd):
    """Waits for the broker less than the worker does, and has it die before both have met it."""

    def __init__(self, broker: BrokerProcess) -> None:
        super().__init__(Listener())
        self._broker = broker

    def starting(self, application: Application) -> None:
        config = application.config.changed({"connect_timeout_ms": "100"})
        super().starting(replace(application, config=config))

    def running(self, worker: Any) -> None:
        self._broker.kill()
        super().running(worker)


@pytest.mark.broker
def test_the_end_is_looked_for_after_an_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As long as the worker waits for a broker that is away, so does the look for the end."""
    broker = BrokerProcess(tmp_path / "data").start()
    app = App("outage", broker=f"kafka://{broker.address}", state_dir=str(tmp_path / "state"), commit_interval_ms=50)
    app.configure({"connect_timeout_ms": "60000"})
    numbers = app.topic("numbers", key=str, value=int, partitions=1)
    seen: list[int] = []
    app.process(numbers)(seen.append)
    app.write(numbers, [("a", 1)])
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run, app.application(), Impatient(broker))
        until = time.monotonic() + 30
        while "since the broker is away" not in caplog.text and not done.done() and time.monotonic() < until:
            time.sleep(0.05)
        broker.start()
        done.result(60)
    broker.stop()
    assert seen == [1]
    assert "looking for the end once more, since the broker is away: no broker answers" in caplog.text


class Kept(Listener):
    """Keeps the runner for whoever wants to look into it."""

    def running(self, worker: Any) -> None:
        self.worker = worker


@pytest.mark.broker
def test_a_global_table_is_whole_at_the_end(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """An application that reads nothing else comes to its end when that is read."""
    app = App("whole", broker=streams_broker.url, state_dir=str(tmp_path))
    zones = app.topic("whole-zones", key=int, value=str, partitions=1)
    app.global_table(zones, name="zones")
    app.write(zones, [(1, "Astoria"), (2, "JFK")])
    app.on_start(lambda: time.sleep(1))  # the look for the end begins before
    kept, held = Kept(), []

    def look(new: WorkerState, _old: WorkerState) -> None:
        if new is WorkerState.PENDING_SHUTDOWN:
            held.extend(len(list(store.all())) for store in kept.worker.stores("zones"))

    run(replace(app.application(), state_functions=(look,)), ToEnd(kept))
    assert held == [2]


@pytest.mark.broker
def test_an_embedded_brokers_data_can_be_removed(tmp_path: Path) -> None:
    """Once its broker has left, the directory goes with all that is in it; other directories stay."""
    app = App("gone", broker=f"embedded://{tmp_path}/data", embedded_idle_ms=500)
    app.write(app.topic("words", key=str, value=str), [("a", "b")])
    assert app.remove_data()
    assert not (tmp_path / "data").exists()
    assert not app.remove_data()
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigError, match="is not the directory of an embedded broker"):
        app.remove_data()
    with pytest.raises(ConfigError, match="are not ours to delete"):
        App("elsewhere", broker="kafka://host:1").remove_data()


@pytest.mark.broker
def test_an_application_knows_where_its_keys_are(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """By the address that the worker gave itself; while it does not run, the question is refused."""
    app = App("placed", broker=streams_broker.url, state_dir=str(tmp_path), application_server="here.example:7001")
    app.topic("placed-numbers", key=str, value=int, partitions=2)
    app.stream("placed-numbers").group_by_key().count(name="placed-counts")
    with pytest.raises(StreamsError, match="placed does not"):
        app.metadata_for_key("placed-counts", "a")
    with app.running() as run:
        app.write("placed-numbers", [("a", 1), ("b", 2)])
        run.catch_up()
        assert app.metadata_for_key("placed-counts", "a").active == "here.example:7001"
        elsewhere = [
            app.metadata_for_key("placed-counts", "a", partitioner=lambda *_, n=n: n).partition for n in (0, 1)
        ]
        assert elsewhere == [0, 1]
        (here,) = app.metadata_for_store("placed-counts")
        assert (here.partitions, here.standby_partitions) == ((0, 1), ())


@pytest.mark.broker
def test_an_application_is_told_of_its_restores(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """On another disk its store is restored: a function hears of the start, and of the end with all records."""
    events: list[RestoreEvent] = []
    for home in ("first", "second"):
        app = App("told", broker=streams_broker.url, state_dir=str(tmp_path / home), commit_interval_ms=50)
        placed = app.topic("told-placed", key=str, value=int, partitions=1)
        app.stream(placed).group_by_key().count(name="told-counts")
        app.on_standby(lambda event: pytest.fail(f"there is no standby: {event}"))
        if home == "second":
            assert app.on_restore(events.append) == events.append
        app.write(placed, [("a", 1), ("b", 1), (home, 1)])
        with app.running() as run:
            run.catch_up()
    assert [events[0].stage, *{event.stage for event in events[1:-1]}, events[-1].stage] == ["start", "batch", "end"]
    assert {(event.store, event.partition.topic, event.end) for event in events} == {
        ("told-counts", "told-told-counts-changelog", events[-1].offset)
    }
    assert events[-1].records == sum(event.records for event in events[1:-1]) == 3
    with pytest.raises(TopologyError, match="on_restore"):
        App("told").on_restore(lambda: None)
