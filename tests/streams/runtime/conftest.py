"""A broker whose groups may have short sessions, so that the death of a member shows soon, and that can be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


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
