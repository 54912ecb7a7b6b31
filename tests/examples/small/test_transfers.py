"""Transfers: money is neither made nor lost, by the book and under kill -9."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.small import transfers
from examples.small.transfers import OPENING, Transfer
from streams import Connection
from streams.testing import TopologyTestDriver

ROOT = Path(__file__).parents[3]
QUICK = ("heartbeat_interval_ms=500",)
ACCOUNTS = [f"account {number}" for number in range(8)]


def test_a_transfer_and_one_too_many() -> None:
    """Money moves once; what an account does not have is refused and changes nothing."""
    with TopologyTestDriver(transfers.app) as driver:
        driver.input("transfers").send("1", Transfer("ann", "bob", 700))
        driver.input("transfers").send("2", Transfer("ann", "bob", 400))
        assert driver.output("balances").read_to_dict() == {"ann": 300, "bob": 1_700}
        assert driver.output("refused").read_key_values() == [("ann", Transfer("ann", "bob", 400))]


def random_transfers(count: int) -> list[tuple[str, Transfer]]:
    chance = random.Random(4)
    pairs = [chance.sample(ACCOUNTS, 2) for _ in range(count)]
    return [
        (str(number), Transfer(sender, receiver, chance.randrange(1, 400)))
        for number, (sender, receiver) in enumerate(pairs)
    ]


def behind(connection: Connection) -> int:
    """How many transfers no worker has committed yet."""
    return sum((connection.lag("transfers", ["transfers"]) or {}).values())


@pytest.mark.broker
@pytest.mark.crash
def test_killed_again_and_again(tmp_path: Path) -> None:
    """The worker dies twice in the middle; in the end each transfer was made or refused, exactly once."""
    given = random_transfers(2_000)
    url = f"embedded://{tmp_path / 'bank'}"
    command = [sys.executable, "-m", "examples.small.transfers", "run", "--broker", url]
    settings = [*QUICK, f"state_dir={tmp_path / 'state'}", "embedded_idle_ms=1000"]
    options = [part for setting in settings for part in ("--set", setting)]
    transfers.app.configure({"broker": url, "embedded_idle_ms": "1000"})
    try:
        with transfers.app.connect() as connection:
            for first in range(0, len(given), 1_000):
                connection.write("transfers", given[first : first + 1_000])
                connection.flush()
                with subprocess.Popen([*command, *options], cwd=ROOT, stderr=subprocess.DEVNULL) as worker:
                    deadline = time.monotonic() + 60
                    while behind(connection) >= 1_000 and time.monotonic() < deadline:
                        time.sleep(0.02)
                    worker.send_signal(signal.SIGKILL)
            subprocess.run([*command, *options, "--to-end"], cwd=ROOT, timeout=90, check=True)
            balances = {record.key: record.value for record in connection.read("balances")}
            refused = [record.value for record in connection.read("refused")]
            made = [record.value.transfer for record in connection.read("deposits")]
    finally:
        transfers.app.remove_data()
    assert sum(balances.values()) == OPENING * len(balances)
    assert sorted(map(repr, [*made, *refused])) == sorted(repr(transfer) for _, transfer in given)
    for account in ACCOUNTS:
        received = sum(one.cents for one in made if one.receiver == account)
        sent = sum(one.cents for one in made if one.sender == account)
        assert balances[account] == OPENING + received - sent >= 0
