"""`python -m examples.taxi dashboard`: both queries at once in this process, shown while trips come in."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.live import Live

from examples.taxi.arguments import per_second
from examples.taxi.debs.dashboard import Board
from examples.taxi.debs.frequent_routes import frequent_routes, routes
from examples.taxi.debs.generator import write_trips
from examples.taxi.debs.messages import Trip
from examples.taxi.debs.profitable_areas import areas, profitable_areas
from examples.taxi.debs.source import Source, open_source
from examples.taxi.debs.top_ten import trips
from streams import App, Record, Running

_LOOKS_PER_SECOND = 10
_GENERATED = 100_000


def run_dashboard(arguments: list[str], console: Console, prog: str) -> int:
    """Show both queries at work until the trips are through. Returns: the exit code. Raises: TripsError, StreamsError."""
    options = argparse.ArgumentParser(prog=f"{prog} dashboard", description=run_dashboard.__doc__)
    options.add_argument(
        "--trips", type=Path, help="the challenge's CSV, or the commission's trips (default: generated)"
    )
    options.add_argument("--rate", type=per_second, default=500.0, help="trips per second (default: 500)")
    options.add_argument("--dir", type=Path, default=Path(".streams/dashboard"), help="where all lies (%(default)s)")
    given = options.parse_args(arguments)
    trips = given.trips
    if trips is None:
        given.dir.mkdir(parents=True, exist_ok=True)
        trips = given.dir / "trips.csv"
        if not trips.is_file():
            write_trips(trips, _GENERATED, seed=1)
    watch(open_source(trips), given.rate, given.dir / "run", console)
    return 0


def watch(source: Source, rate: float, directory: Path, console: Console) -> Board:
    """Run both queries over `source` at a rate, from nothing, and show the board. Shape: the board as it was last."""
    board = Board(source.count)
    settings = {"broker": f"embedded://{directory.absolute()}"}
    apps = {"routes": frequent_routes(**settings), "areas": profitable_areas(**settings)}
    onlooker = App("debs", **settings)
    topics = (trips(onlooker), routes(onlooker), areas(onlooker))
    if directory.exists():
        onlooker.remove_data()
    try:
        with ExitStack() as stack:
            running = {name: stack.enter_context(app.running()) for name, app in apps.items()}
            connection = stack.enter_context(onlooker.connect())
            lists = stack.enter_context(connection.read(*topics[1:], follow=True))
            live = stack.enter_context(Live(board, console=console, refresh_per_second=_LOOKS_PER_SECOND))
            for some in _paced(source.trips(), rate):
                board.read += connection.write(topics[0], some, key="number")
                _look(board, lists.poll(0.0), running, directory)
            connection.flush()
            _look(board, lists.poll(0.0), running, directory)
            while any(board.lag.values()):
                time.sleep(1 / _LOOKS_PER_SECOND)
                _look(board, lists.poll(0.0), running, directory)
            _look(board, lists.catch_up(), running, directory)
            live.update(board, refresh=True)
    finally:
        onlooker.remove_data()
    return board


def _paced(trips: Iterator[Trip], rate: float) -> Iterator[list[Trip]]:
    due = time.monotonic()
    while some := list(islice(trips, max(1, round(rate / _LOOKS_PER_SECOND)))):
        yield some
        due += len(some) / rate
        time.sleep(max(0.0, due - time.monotonic()))


def _look(board: Board, results: list[Record], running: dict[str, Running], directory: Path) -> None:
    for record in results:
        take = board.take_routes if record.topic == "frequent_routes" else board.take_areas
        take(record.value, time.time_ns() // 1_000_000 - record.value.read_ms)
    lag = {name: each.lag() for name, each in running.items()}
    left = {name: board.read if trips is None else trips for name, trips in lag.items()}
    board.measure(time.monotonic(), left, _bytes(directory / "state"))


def _bytes(directory: Path) -> int:
    sizes = 0
    for path in directory.rglob("*"):
        try:
            sizes += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # RocksDB tidies up
            continue
    return sizes
