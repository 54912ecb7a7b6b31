"""An application moves over: the same topics, tables and offsets, before on Faust and after on Headrace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.process import BrokerProcess
from tests.faust.world import APPS, Row, World, last_of

pytestmark = pytest.mark.broker


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[World]:
    """A world that begins on Faust."""
    pytest.importorskip("faust")
    broker = BrokerProcess(tmp_path / "broker").start()
    made = World("faust", broker.address, tmp_path)
    yield made
    made.stop_all()
    broker.stop()


def payment(amount: int) -> Row:
    """A payment to one account."""
    return Row(b"a", {"account": "a", "amount": amount})


def settled(world: World) -> None:
    """Wait until the balance is committed: a Faust worker leaves the transaction open in which it is stopped."""
    world.read("accounts-balances-changelog", lambda rows: last_of(rows) == {b'"a"': b"10"}, "accounts")


def test_tables_and_offsets_go_on(moving: World) -> None:
    """Stop Faust, change the import, start: no record is read again, and the table has what Faust left in it."""
    moving.topics({"payments": 2, "balances": 1})
    moving.write("payments", map(payment, (5, 7, -2)))
    moving.start("accounts")
    settled(moving)
    assert moving.stop("accounts") == 0
    moving.runtime = "compat"
    moving.place("accounts", (APPS / "accounts.py").read_text())
    moving.write("payments", [payment(1)])
    moving.start("accounts")
    rows = moving.read("balances", lambda rows: len(rows) >= 4, "accounts")
    assert [row.json for row in rows] == [5, 12, 10, 11]
