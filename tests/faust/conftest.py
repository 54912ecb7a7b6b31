"""One broker per runtime, and the applications running on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.process import BrokerProcess
from tests.faust.world import World


@pytest.fixture(scope="module", params=["faust", "compat"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A broker of its own for a runtime; workers that a test leaves are ended."""
    if request.param == "faust":
        pytest.importorskip("faust")
    home: Path = tmp_path_factory.mktemp("world")
    broker = BrokerProcess(home / "broker").start()
    made = World(request.param, broker.address, home)
    yield made
    made.stop_all()
    broker.stop()
