"""A broker whose groups may have short sessions, so that the death of a member shows soon, and that can be killed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.streams.runtime.processes import Process, Topics


class QuickBroker:
    """The bundled broker as a process of its own; `url` stays the same over restarts."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._listen = "127.0.0.1:0"
        self.start()

    @property
    def url(self) -> str:
        return f"kafka://{self._listen}"

    def start(self) -> None:
        """Returns when it serves."""
        settings = ["--listen", self._listen, "--set", "group.min.session.timeout.ms=500"]
        command = [sys.executable, "-P", "-m", "broker", "--data-dir", str(self._data_dir), *settings]
        with (self._data_dir.parent / "broker.log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self._process.stdout.readline()
        assert line.startswith("ready on "), f"the broker did not start: {line!r}"
        self._listen = line.removeprefix("ready on ").strip()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def quick_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuickBroker]:
    """One broker for the tests of a module."""
    broker = QuickBroker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.kill()


@pytest.fixture
def broker_url(quick_broker: QuickBroker) -> str:
    """The address of the broker."""
    return quick_broker.url


@pytest.fixture
def topics(broker_url: str, request: pytest.FixtureRequest) -> Iterator[Topics]:
    made = Topics(broker_url, re.sub(r"\W+", "-", request.node.name))
    yield made
    made.producer.close()
    made.clients.close()


@pytest.fixture
def start(broker_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Process]]:
    """Starts a worker with a state directory of that name; all are killed at the end."""
    made: list[Process] = []

    def starting(state: str, *settings: str) -> Process:
        made.append(Process(broker_url, re.sub(r"\W+", "-", request.node.name), tmp_path / state, settings))
        return made[-1]

    yield starting
    for process in made:
        process.kill()
