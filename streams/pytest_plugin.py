"""Fixtures for tests of applications, installed with the package.

`streams_broker` is the real broker as a process of its own on a free port, with an empty data directory, one per test
session; `streams_driver` makes a TopologyTestDriver that is closed when the test ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """Where a broker serves: `address` is host:port, `url` what `App(broker=...)` takes."""

    address: str
    data_dir: Path

    @property
    def url(self) -> str:
        """The address as the App wants it."""
        return f"kafka://{self.address}"


@pytest.fixture(scope="session")
def streams_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    """The bundled broker on a free port of this machine, stopped at the end of the session."""
    data_dir = tmp_path_factory.mktemp("streams-broker")
    command = [sys.executable, "-P", "-m", "broker", "--data-dir", str(data_dir), "--listen", "127.0.0.1:0"]
    with (
        (data_dir.parent / f"{data_dir.name}.log").open("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,  # noqa: S603  our own
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready on "):
            log.seek(0)
            pytest.fail(f"the broker did not start:\n{log.read()[-2000:]}")
        try:
            yield RunningBroker(line.removeprefix("ready on ").strip(), data_dir)
        finally:
            process.terminate()


@pytest.fixture
def streams_driver() -> Iterator[Callable[..., Any]]:
    """A function that takes an App or Topology (and the driver's own arguments) and gives an open driver."""
    from streams.testing import TopologyTestDriver

    with ExitStack() as stack:
        yield lambda *arguments, **settings: stack.enter_context(TopologyTestDriver(*arguments, **settings))
