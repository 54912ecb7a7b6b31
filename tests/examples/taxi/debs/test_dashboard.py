"""What a person sees of both queries, at the widths of two terminals, and at work."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from examples.taxi.debs.dashboard import Board
from examples.taxi.debs.generator import write_trips
from examples.taxi.debs.messages import Change, Route
from examples.taxi.debs.source import open_source
from examples.taxi.debs.watching import watch

NOON_MS = 1_357_041_600_000  # 2013-01-01 12:00
FIRST: list[Route] = [("155.160", "157.177"), ("132", "161")]
SECOND: list[Route] = [("132", "161"), ("155.160", "157.177"), ("1.1", "300.300")]


def shown(board: Board, width: int) -> list[str]:
    output = StringIO()
    Console(file=output, width=width).print(board)
    return output.getvalue().splitlines()


@pytest.fixture
def board() -> Board:
    """A board in the middle of a run."""
    board = Board(total=10_000)
    board.take_routes(Change(0, NOON_MS, 0, FIRST), delay_ms=90)
    board.take_routes(Change(0, NOON_MS, 0, SECOND), delay_ms=95)
    board.take_areas(Change(0, NOON_MS, 0, [("132", 3, 52.5, 17.5), ("309.322", 1, 12.25, 12.25)]), delay_ms=110)
    board.read = 1_000
    board.measure(1.0, {"routes": 0, "areas": 0}, 5 * 1024**2)
    board.read = 3_000
    board.measure(2.0, {"routes": 120, "areas": 400}, 5 * 1024**2)
    return board


@pytest.mark.parametrize("width", [80, 160])
def test_the_board_fits_its_terminal(board: Board, width: int) -> None:
    """No line is longer than the terminal is wide, and all ten places of both lists are there."""
    lines = shown(board, width)
    assert max(map(len, lines)) <= width
    assert sum(line.strip().startswith("10 ") for line in lines) == 1
    text = "\n".join(lines)
    for fact in ("Tue 01 Jan 2013", "12:00:00", "trips 3,000", "per second 1,600", "lists 3", "delay 110 ms",
                 "lag routes 120  areas 400", "state 5.0 MiB", "JFK Airport", "155.160", "17.50"):  # fmt: skip
        assert fact in text, fact


def test_long_names_keep_their_ends() -> None:
    """Neighbours differ by the last word: what does not fit lacks its middle, and large sums lack their cents."""
    board = Board(total=10)
    board.take_routes(Change(0, NOON_MS, 0, [("237", "236")]), delay_ms=90)
    board.take_areas(Change(0, NOON_MS, 0, [("237", 2, 23_050.0, 11_525.0)]), delay_ms=90)
    (row,) = (line for line in shown(board, 80) if line.strip().startswith("1 "))
    assert row.split() == ["1", "Upper…South", "Upper…North", "new", "1", "Upper…South", "2", "23,050", "11,525"]


def test_routes_tell_how_they_moved(board: Board) -> None:
    """Up, down or new, against the list before."""
    rows = [line for line in shown(board, 160) if line.strip().startswith(("1 ", "2 ", "3 "))]
    assert [mark for row, mark in zip(rows, ("▲1", "▼1", "new"), strict=True) if mark in row] == ["▲1", "▼1", "new"]


@pytest.mark.broker
def test_both_queries_at_work(tmp_path: Path) -> None:
    """At the end nothing lags, both lists are full, and nothing is left on disk."""
    write_trips(tmp_path / "trips.csv", 400, seed=1, taxis=50)
    console = Console(file=StringIO(), force_terminal=True, width=80)
    board = watch(open_source(tmp_path / "trips.csv"), 2_000, tmp_path / "run", console)
    assert board.read == board.total == 400
    assert board.lag == {"routes": 0, "areas": 0}
    assert (len(board.routes), board.lists > 100) == (10, True)
    assert not (tmp_path / "run").exists()
