"""A worker of a Faust application on our runtime, killed."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.process import BrokerProcess
from tests.faust.world import Row, World

pytestmark = [pytest.mark.broker, pytest.mark.crash]

COUNT = 400


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[World]:
    """A world on our runtime."""
    broker = BrokerProcess(tmp_path / "broker").start()
    made = World("compat", broker.address, tmp_path)
    yield made
    made.stop_all()
    broker.stop()


def test_exactly_once_survives_sigkill(killed: World) -> None:
    """Killed in the middle, and started again: each payment counts once, in the table and in what was told."""
    killed.topics({"payments": 2, "balances": 1})
    killed.write("payments", [Row(b"a", {"account": "a", "amount": 1})] * COUNT)
    killed.start("accounts", STREAMS_SESSION_TIMEOUT_MS="6000")
    killed.read("balances", lambda rows: len(rows) > 0, "accounts")
    killed.write("payments", [Row(b"a", {"account": "a", "amount": 1})] * COUNT)
    killed.stop("accounts", signal.SIGKILL)
    killed.start("accounts", STREAMS_SESSION_TIMEOUT_MS="6000")
    rows = killed.read("balances", lambda rows: len(rows) >= 2 * COUNT, "accounts")
    assert [row.json for row in rows] == list(range(1, 2 * COUNT + 1))
