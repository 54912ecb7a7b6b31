"""All four programs in one process: a thread each for transaction, email and analytics, rides in the main one.

Rules: the broker is found or started through the directory, unless another is named. The end is where every group has
committed all that was there to read, looked at from upstream down, so that nothing can come after.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from examples.taxi import rides, topology
from examples.taxi.board import Board
from examples.taxi.email import Mailer
from examples.taxi.ledger import Ledger
from streams import Connection, Running

SECONDS_BETWEEN_LOOKS = 0.1


def settings_for(directory: Path, broker: str | None) -> dict[str, Any]:
    """What leads a program to the broker and to its state."""
    return {"broker": broker or f"embedded://{directory}", "state_dir": str(directory / "state")}


def run(
    work: rides.Work, connection: Connection, rate: float | None, console: Console, settings: dict[str, Any]
) -> Ledger:
    """Run everything until the trips are through; what then lies in the topics.

    Raises: StreamsError when a program stops.
    """
    rides.produce_zones(connection)
    ledger, mailer = Ledger(connection), Mailer(console)
    apps = [topology.transaction(**settings), topology.email(mailer.send, **settings), topology.analytics(**settings)]
    with ExitStack() as stack:
        programs = [stack.enter_context(app.running()) for app in apps]
        board = stack.enter_context(Board(console, ledger, work.trips.expected))
        for _ in rides.produce(work, connection, rate):
            look(programs, ledger, board, mailer, 0.0)
        while any(program.lag() != 0 for program in programs):
            look(programs, ledger, board, mailer, SECONDS_BETWEEN_LOOKS)
        ledger.catch_up()
    return ledger


def look(programs: Sequence[Running], ledger: Ledger, board: Board, mailer: Mailer, seconds: float) -> None:
    """Take in what arrived within some seconds, and show it."""
    for program in programs:
        program.check()
    ledger.update(seconds)
    board.show(mailer.sent)
