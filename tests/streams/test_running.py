"""Running an application: what is said before its first record."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from streams import App, StreamsError
from streams.errors import ProcessingError
from streams.pytest_plugin import RunningBroker
from streams.testing import TopologyTestDriver


def words(broker: str, home: Path, name: str | None) -> App:
    """Counts words."""
    app = App("words-unnamed" if name is None else "words-named", broker=broker, state_dir=str(home))
    app.topic("words", partitions=1)
    app.stream("words", key=str, value=str).group_by_key().count(name=name)
    return app


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What this module said that was meant to be seen."""
    found = [each for each in caplog.records if each.name == "streams.running" and each.levelno >= logging.WARNING]
    return [each.getMessage() for each in found]


@pytest.mark.broker
def test_generated_names_are_warned_of_once(
    streams_broker: RunningBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When the application runs, with what has them, why names matter, and what to do; a test or a picture says nothing."""
    app = words(streams_broker.url, tmp_path, None)
    app.build().describe()
    with TopologyTestDriver(app):
        pass
    assert not caplog.records
    with app.running():
        pass
    (said,) = warnings_of(caplog)
    assert said.startswith("words-unnamed has state or topics with generated names, which change when steps are added")
    assert said.endswith("give the steps that make them name= (KSTREAM-AGGREGATE-STATE-STORE-0000000001)")


@pytest.mark.broker
def test_names_of_the_programs_own_are_no_matter(
    streams_broker: RunningBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is said."""
    with words(streams_broker.url, tmp_path, "counts").running():
        pass
    assert not warnings_of(caplog)


@pytest.mark.broker
def test_a_stop_function_does_not_hide_what_a_worker_ended_with(
    streams_broker: RunningBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker's error is raised, the function's own is in the log, and those after it are called."""
    app = App("hiding", broker=streams_broker.url, state_dir=str(tmp_path))
    seen: list[str] = []

    @app.process(app.topic("hiding-words", key=str, value=str, partitions=1))
    def read(word: str) -> None:
        raise ValueError(f"{word} cannot be read")

    @app.on_stop
    def fail() -> None:
        raise KeyError("stopping goes wrong too")

    app.on_stop(lambda: seen.append("stop"))
    app.write("hiding-words", [("a", "this")])
    with pytest.raises(ProcessingError, match="this cannot be read"), app.running() as run:
        run.catch_up(timeout_s=60)
    assert seen == ["stop"]
    assert any("stopping goes wrong too" in each.exc_text for each in caplog.records if each.exc_text)
    again = words(streams_broker.url, tmp_path, "counts")
    again.on_stop(fail)
    with pytest.raises(StreamsError, match="stopping goes wrong too"), again.running():
        pass
