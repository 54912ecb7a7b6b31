"""Rounds of load and SIGKILL on one data directory, each followed by a check of every promise.

Half of the kills come from outside at a random instant; half from inside, at a chosen call to the file system, which puts
them into writes, rolls, compactions and checkpoints. Segments are tiny and housekeeping is restless. Topics are fresh
every few rounds, so that a check stays quick, while the directory grows old. With power failures what was not synced is
lost at every death, and at every clean stop too, and the data directory is verified offline after each round.
"""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from confluent_kafka.admin import AdminClient, NewTopic

from tests.broker.crash.readers import Follower, Group
from tests.broker.crash.writers import (
    PARTITIONS,
    IdempotentWriter,
    KeyedWriter,
    PlainWriter,
    TransactionalWriter,
    Writer,
)
from tests.broker.power import PoweredBroker
from tests.broker.process import BrokerProcess

RENEW_ROUNDS = 8
SETTINGS = (
    "--set=log.cleaner.backoff.ms=30",
    "--set=log.retention.check.interval.ms=200",
    "--set=offsets.topic.segment.bytes=6000",
    "--set=log.flush.offset.checkpoint.interval.ms=150",
)
CALLS = {
    "pwritev": 1500,
    "sync_whole": 700,
    "fdatasync": 300,
    "fsync": 200,
    "replace": 120,
    "unlink": 80,
    "pwrite": 100,
    "ftruncate": 100,
}
"""Deadly calls, and up to which use they may wait."""


class Party(Protocol):
    """Somebody who uses the broker while it is killed."""

    def run(self, address: str, stop: threading.Event) -> None: ...

    def check(self, address: str) -> int: ...


class Campaign:
    """All rounds of one seed."""

    def __init__(self, folder: Path, seed: int, *, power: bool = False) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.broker = (
            PoweredBroker(folder / "data", *SETTINGS, seed=seed) if power else BrokerProcess(folder / "data", *SETTINGS)
        )
        self.parties: list[Party] = []
        self.usual = self.broker.command

    def run(self, rounds: int) -> Iterator[str]:
        """A line about each round. Raises: AssertionError for a promise that was not kept."""
        self.broker.start()
        for number in range(1, rounds + 1):
            if number % RENEW_ROUNDS == 1:
                self.renew(number)
            death = self.round()
            records = sum(party.check(self.broker.address) for party in self.parties)
            if isinstance(self.broker, PoweredBroker):
                self.verify()
            yield f"round {number}: killed {death}; {records} records as promised"
        self.broker.stop()

    def verify(self) -> None:
        """Stopped, nothing in the data directory is damaged: the broker has mended what the power failure left."""
        self.broker.stop()
        command = [sys.executable, "-m", "broker", "check", str(self.broker.data_dir)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        self.broker.start()

    def renew(self, number: int) -> None:
        """Fresh topics with those who use them."""
        kinds = (PlainWriter, IdempotentWriter, KeyedWriter, TransactionalWriter)
        writers: list[Writer] = [
            kind(f"{kind.__name__.removesuffix('Writer').lower()}-{number}", self.random.randrange(1 << 30))
            for kind in kinds
        ]
        admin = AdminClient({"bootstrap.servers": self.broker.address})
        topics = [NewTopic(writer.topic, PARTITIONS, 1, config=writer.settings) for writer in writers]
        for created in admin.create_topics(topics).values():
            created.result(20)
        self.parties = [*writers, Group(writers[1].topic), Follower(writers[3].topic)]

    def round(self) -> str:
        """Load, death, restart, a little more load; how the broker died."""
        self.broker.stop()
        call, number = self.arm()
        self.broker.start()
        self.broker.command = self.usual
        with load(self.parties, self.broker.address):
            seconds = self.random.uniform(0.1, 1.2)
            death = f"after {seconds:.2f} s"
            if call and died_within(self.broker, 3):
                death = f"in {call} {number}"
            else:
                time.sleep(seconds)  # the random instant itself
            self.broker.kill()
            self.broker.start()
            time.sleep(0.2)  # a load that goes on, of no particular length
        return death

    def arm(self) -> tuple[str, int]:
        """Choose between a kill from outside and a deadly call."""
        if self.random.random() < 0.5:
            return "", 0
        call = self.random.choice(list(CALLS))
        number = self.random.randrange(20, CALLS[call])
        if isinstance(self.broker, PoweredBroker):
            self.broker.plug_in(call, number)
        else:
            self.broker.command = (sys.executable, "-m", "tests.broker.faults", call, str(number))
        return call, number


def died_within(broker: BrokerProcess, seconds: float) -> bool:
    assert broker.process is not None
    deadline = time.monotonic() + seconds
    while broker.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return broker.process.poll() is not None


@contextmanager
def load(parties: list[Party], address: str) -> Iterator[None]:
    """Everybody at work; what went wrong in a thread is raised here, once all have settled."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def work(party: Party) -> None:
        try:
            party.run(address, stop)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(party,), daemon=True) for party in parties]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(90)
    stuck = [type(party).__name__ for party, thread in zip(parties, threads, strict=True) if thread.is_alive()]
    assert not stuck, f"never settled: {stuck}"
    if failures:
        raise failures[0]
