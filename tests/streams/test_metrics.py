"""Tests for streams.metrics: an application's own counters, gauges and timings, and where they are shown."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import pytest

from streams import App, Record
from streams.cli.terminal import Rate
from streams.errors import TopologyError
from streams.metrics import Metrics, TimingValue
from streams.processor import Processor
from streams.pytest_plugin import RunningBroker
from streams.runtime.worker_states import WorkerState, WorkerStatus
from streams.testing import MockProcessorContext, TopologyTestDriver


class Late(Processor):
    """Counts what comes too late, measures what it does, and tells how much it has seen."""

    def process(self, record: Record) -> None:
        metrics = self.context.metrics
        metrics.gauge("newest").set(max(record.timestamp, metrics.gauge("newest").value))
        with metrics.timing("forwarding").measure():
            self.context.forward(record)
        if record.timestamp < metrics.gauge("newest").value:
            metrics.counter("late").add()


def counting(app: App) -> App:
    """An application whose processor and function count."""
    shouted = app.metrics.counter("shouted")

    def shout(text: str) -> str:
        shouted.add(len(text))
        return text.upper()

    stream = app.stream(app.topic("words", key=str, value=str, partitions=1))
    stream.process(Late, key=str, value=str).map_values(shout).to(app.topic("loud", key=str, value=str, partitions=1))
    return app


def test_processors_and_functions_count_into_the_same_numbers() -> None:
    """A driver shows them, and begins at nothing however often the App was driven."""
    app = counting(App("counting"))
    for _ in range(2):
        with TopologyTestDriver(app) as driver:
            for text, time in (("ab", 5), ("c", 3), ("d", 7)):
                driver.input("words").send("k", text, time)
            values = dict(driver.metrics.values())
            timing = values.pop("forwarding")
            assert values == {"late": 1, "newest": 7, "shouted": 4}
            assert isinstance(timing, TimingValue)
            assert timing.count == 3
            assert 0 < timing.max_ms <= timing.total_ms
    assert app.metrics is driver.metrics


def test_a_mock_context_has_numbers_of_its_own() -> None:
    """A processor alone counts into them."""
    context = MockProcessorContext()
    processor = Late()
    processor.init(context)
    for time in (2, 1):
        processor.process(Record("k", "v", time))
    assert context.metrics.counter("late").value == 1


def test_nothing_is_lost_between_threads() -> None:
    """Agents and tasks count on several."""
    metrics = Metrics()

    def count(_: int) -> None:
        for _ in range(2_000):
            metrics.counter("all").add()
            metrics.gauge("sum").add(-1)
            metrics.timing("time").record(0.5)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    assert metrics.values() == {"all": 8_000, "sum": -8_000, "time": TimingValue(8_000, 4_000.0, 0.5)}


def test_what_raises_is_timed_too() -> None:
    """And raises."""
    metrics = Metrics()
    with pytest.raises(LookupError), metrics.timing("lookups").measure():
        raise LookupError
    assert metrics.timing("lookups").value.count == 1


def test_mistakes_are_told() -> None:
    """A name is one number, and a counter never goes down."""
    metrics = Metrics()
    metrics.counter("rides")
    with pytest.raises(TopologyError, match="the metric 'rides' is a Counter, not a Gauge: use another name"):
        metrics.gauge("rides")
    with pytest.raises(ValueError, match="a counter never goes down, so expected 0 or more, got -1: take a gauge"):
        metrics.counter("rides").add(-1)


def test_the_line_of_a_run_ends_with_them() -> None:
    """Numbers as they are, timings by what they take."""
    metrics = Metrics()
    metrics.counter("rides").add(1_234)
    metrics.gauge("load").set(0.25)
    for duration_ms in (1, 3):
        metrics.timing("lookups").record(duration_ms)
    status = WorkerStatus(WorkerState.RUNNING, ("0_0",), False, 5, 0, 0, 0, metrics=metrics.values())
    assert Rate().line(status).endswith("5 records, 1 task, load 0.25, lookups 2.0 ms (at most 3.0), rides 1,234")


@pytest.mark.broker
def test_a_worker_shows_them(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """In its status, while it runs."""
    app = counting(App("metrics-shown", broker=streams_broker.url, state_dir=str(tmp_path)))
    app.write("words", [Record("k", "ab", 5), Record("k", "c", 3)])
    with app.running() as run:
        run.catch_up(timeout_s=30)
        values = run.status().metrics
    assert {name: values[name] for name in ("late", "newest", "shouted")} == {"late": 1, "newest": 5, "shouted": 3}


PROGRAM = """
from streams import App

app = App("metrics-told")
seen = app.metrics.counter("seen")
lengths = app.metrics.timing("lengths")


@app.process(app.topic("told-words", key=str, value=str, partitions=1))
def see(word: str) -> None:
    seen.add()
    lengths.record(len(word))
"""


@pytest.mark.broker
def test_json_lines_have_them(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """In the status events of `streams run --json`."""
    (tmp_path / "told.py").write_text(PROGRAM)
    writer = App("writer", broker=streams_broker.url)
    writer.write(writer.topic("told-words", key=str, value=str), [Record("k", "ab", 5), Record("k", "c", 3)])
    expected = {"lengths": {"count": 2, "total_ms": 3.0, "max_ms": 2.0}, "seen": 2}
    command = [sys.executable, "-m", "streams.cli", "run", "told:app", "--json", "--broker", streams_broker.url]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        giving_up = Timer(60, process.kill)
        giving_up.start()
        for line in process.stderr:
            event = json.loads(line)
            if event["event"] == "status" and event["metrics"] == expected:
                break
        giving_up.cancel()
        process.terminate()
    assert event["metrics"] == expected
