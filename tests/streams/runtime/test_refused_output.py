"""Output that the broker refuses when it is written: the production handler decides, and only about that record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams import App, dead_letter
from streams.dsl.options import Topic
from streams.errors import ProductionError
from streams.on_error import on_error_of
from streams.pytest_plugin import RunningBroker
from streams.record import Record
from streams.runtime.dead_letters import EXCEPTION, MESSAGE, OFFSET
from streams.runtime.error_handlers import ErrorHandlers
from streams.runtime.refused_output import RefusedOutput
from streams.testing import TopologyTestDriver

NARROW = {"max.message.bytes": "10000"}


def copying(name: str, broker: RunningBroker, home: Path, **settings: Any) -> App:
    """An application that copies a topic to one that takes batches of 10,000 bytes."""
    app = App(name, broker=broker.url, state_dir=str(home), commit_interval_ms=50, **settings)
    words = app.stream(app.topic(f"{name}-in", key=str, value=str, partitions=1))
    words.to(app.topic(f"{name}-out", key=str, value=str, partitions=1, config=NARROW))
    return app


def run(app: App, *values: str) -> list[str]:
    """Have these copied; the answer is what is in the output."""
    name = app.config.application_id
    app.write(f"{name}-in", [("k", value) for value in values])
    with app.running() as running:
        running.catch_up(timeout_s=60)
    return [record.value for record in app.read(f"{name}-out")]


SMALL = [f"{number:0120d}" for number in range(500)]


@pytest.mark.broker
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_records_that_fit_are_written(streams_broker: RunningBroker, tmp_path: Path, guarantee: str) -> None:
    """All at once they are more than the topic takes in a batch: Kafka's producer splits it, and nobody is asked."""
    app = copying(f"fit-{guarantee}", streams_broker, tmp_path, processing_guarantee=guarantee)
    assert run(app, *SMALL) == SMALL


@pytest.mark.broker
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
@pytest.mark.parametrize("policy", ["continue", dead_letter("large-letters")])
def test_a_record_that_does_not_fit_is_left_out(
    streams_broker: RunningBroker, tmp_path: Path, guarantee: str, policy: Any
) -> None:
    """The others are written; a letter has it in bytes, with what the broker said."""
    name = f"large-{guarantee}-{policy == 'continue'}"
    app = copying(name, streams_broker, tmp_path, processing_guarantee=guarantee, production_on_error=policy)
    assert run(app, *SMALL[:19], "x" * 20_000, *SMALL[19:30]) == SMALL[:30]
    if policy != "continue":
        letter = list(app.read(app.topic("large-letters", key=bytes, value=bytes)))[-1]
        found = dict(letter.headers)
        assert (letter.key, letter.value) == (b"k", b"x" * 20_000)
        assert b"MESSAGE_TOO_LARGE" in (found[EXCEPTION] or b"") and b"max.message.bytes" in (found[MESSAGE] or b"")
        assert OFFSET not in found


@pytest.mark.broker
def test_a_record_that_does_not_fit_stops_the_application(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """That is the default."""
    with pytest.raises(ProductionError, match=r"(?s)a result for stops-out cannot be written.*MESSAGE_TOO_LARGE"):
        run(copying("stops", streams_broker, tmp_path), "a", "x" * 20_000)


def refused(app: App) -> RefusedOutput:
    """What is asked about the records of an application."""
    with TopologyTestDriver(app) as driver:
        return RefusedOutput(driver.topology, ErrorHandlers.of(driver.topology, app.config))


def test_a_sink_has_its_own_policy() -> None:
    """Where its topic tells that it is the one, or all that write there agree; else the application's counts."""
    app = App("policies", broker="kafka://nowhere:1")
    words = app.stream(app.topic("in", key=str, value=str))
    words.to(app.topic("lax", on_error="continue"))
    words.to("strict")
    for policy in ("continue", "fail"):
        words.to(Topic("mixed", on_error=on_error_of(policy)))
    ask = refused(app)
    assert ask("lax", Record(b"k", b"v"), ValueError("no")) is None
    for topic in ("strict", "mixed", "elsewhere"):
        with pytest.raises(ProductionError, match=f"a result for {topic} cannot be written: no"):
            ask(topic, Record(b"k", b"v"), ValueError("no"))


def test_state_loses_nothing() -> None:
    """A changelog's record, and a message of a foreign-key join, cannot be gone without, whatever the policy."""
    app = App("needed", broker="kafka://nowhere:1", on_error="continue")
    left = app.table(app.topic("left", key=str, value=str), name="left-rows")
    right = app.table(app.topic("right", key=str, value=str))
    left.join(right, lambda one, other: one + other, on=lambda value: value).to_stream().to("out")
    ask = refused(app)
    with TopologyTestDriver(app) as driver:
        topology = driver.topology
    assert len(topology.changelog_topics) >= 2 and len(topology.repartition_topics) == 2
    for topic in (*topology.changelog_topics, *topology.repartition_topics):
        with pytest.raises(ProductionError, match="state would lose it"):
            ask(topic, Record(b"k", b"v"), ValueError("no"))
    assert ask("out", Record(b"k", b"v"), ValueError("no")) is None
