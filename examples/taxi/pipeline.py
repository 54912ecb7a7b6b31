"""All four programs in one process: a thread each for transaction, email and analytics, rides in the main one.

Rules: the broker is found or started through the directory, unless another is named. The end is where every group has
committed all that was there to read, looked at from upstream down, so that nothing can come after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from examples.taxi import rides, topology
from examples.taxi.board import Board
from examples.taxi.email import Mailer
from examples.taxi.ledger import Ledger
from examples.taxi.parts import Part, Progress
from streams import App
from streams.clients.base import Clients
from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.embedded import lease

SECONDS_BETWEEN_LOOKS = 0.1
BROKER_IDLE_SECONDS = 3


class Connection(NamedTuple):
    """Clients of the broker, and the settings that lead the programs to it and to their state."""

    clients: Clients
    settings: dict[str, str]


@contextmanager
def connected(directory: Path, broker: str | None) -> Iterator[Connection]:
    """A connection to the embedded broker of the directory, unless another broker is named."""
    with ExitStack() as stack:
        url = broker or f"kafka://{stack.enter_context(lease(directory, idle_seconds=BROKER_IDLE_SECONDS)).address}"
        clients = KafkaClients(StreamsConfig.of("taxi", {"broker": url}))
        stack.callback(clients.close)
        yield Connection(clients, {"broker": url, "state_dir": str(directory / "state")})


class Pipeline:
    """Transaction, email and analytics as threads of this process."""

    def __init__(self, apps: Sequence[App]) -> None:
        self._parts = [Part(app) for app in apps]
        self._progress: list[Progress] = []

    def check(self) -> None:
        """Raises: what stopped one of them."""
        for part in self._parts:
            part.check()

    def done(self, clients: Clients) -> bool:
        """Whether each has committed all that is there, looked at from upstream down."""
        if not self._progress:
            self._progress = [Progress(part, clients) for part in self._parts]
        return all(progress.done() for progress in self._progress)

    def stop(self) -> None:
        """Have all commit and leave."""
        for part in self._parts:
            part.stop()
        for part in self._parts:
            part.join()
        for progress in self._progress:
            progress.close()


def run(work: rides.Work, connection: Connection, rate: float | None, console: Console) -> Ledger:
    """Run everything until the trips are through; what then lies in the topics.

    Raises: StreamsError when a program stops.
    """
    clients, settings = connection
    producer = clients.producer()
    rides.produce_zones(producer)
    ledger = Ledger(clients.consumer(group=None), {topic.name: topic.partitions for topic in rides.TOPICS})
    mailer = Mailer(console)
    programs = Pipeline(
        [topology.transaction(**settings), topology.email(mailer.send, **settings), topology.analytics(**settings)]
    )
    try:
        with Board(console, ledger, work.trips.expected) as board:
            for _ in rides.produce(work, producer, rate):
                look(programs, ledger, board, mailer, 0.0)
            while not programs.done(clients):
                look(programs, ledger, board, mailer, SECONDS_BETWEEN_LOOKS)
    finally:
        programs.stop()
    programs.check()
    ledger.catch_up()
    return ledger


def look(programs: Pipeline, ledger: Ledger, board: Board, mailer: Mailer, seconds: float) -> None:
    """Take in what arrived within some seconds, and show it."""
    programs.check()
    ledger.update(seconds)
    board.show(mailer.sent)
