"""`python -m examples.retail`: a year of a shop in seconds, and its books at the end."""

from __future__ import annotations

import argparse
import sys
from math import ceil
from pathlib import Path
from typing import Any

from examples.retail import rules, topology
from examples.retail.messages import Line
from examples.retail.rows import RowsError, read_lines, write_rows
from streams import ConfigError, Connection, Running, StreamsError

BAD_INPUT = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the shop. Returns: the exit code: 0, 1 when the books are wrong, 2 for input that cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        if options.part == "clean":
            removed = topology.shop(**settings_of(options.dir)).remove_data()
            print(f"{options.dir} removed" if removed else f"nothing is stored in {options.dir}")
            return 0
        return run(options)
    except (RowsError, StreamsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, RowsError | ConfigError) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.retail", description=__doc__)
    parser.add_argument("part", nargs="?", default="run", choices=("run", "clean"))
    parser.add_argument("--lines", type=Path, help="CSV file of invoice lines (default: generated)")
    parser.add_argument("--count", type=int, default=5_000, help="lines to generate (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the generator (%(default)s)")
    parser.add_argument("--steps", type=int, default=12, help="parts of the year, one after the other (%(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".streams/retail"), help="where all is stored (%(default)s)")
    return parser


def settings_of(directory: Path) -> dict[str, Any]:
    """What leads both programs to the broker."""
    return {"broker": f"embedded://{directory}"}


def run(options: argparse.Namespace) -> int:
    """Produce the lines, run shop and supplier until all is done, and compare the books."""
    try:
        from examples.retail import books
    except ImportError:
        raise ConfigError("the books are computed with pandas: pip install 'headrace[pandas]'") from None
    settings = settings_of(options.dir)
    path = options.lines
    if path is None:
        options.dir.mkdir(parents=True, exist_ok=True)
        path = options.dir / f"lines-{options.seed}.csv"
        write_rows(path, options.count, options.seed)
    lines = read_lines(path)
    shop, supplier = topology.shop(**settings), topology.supplier(**settings)
    _, topics = topology.program("retail", **settings)
    with shop.connect() as connection:
        missing = not_stored(lines, connection)
        with shop.running() as first, supplier.running() as second:
            for part in batched(missing, ceil(len(missing) / options.steps)):
                connection.write(topics.lines, part, key="product")
                connection.flush()
                work_off([first, second])
        print(f"{len(missing):,} lines of {len(lines):,} produced\n")
        print(books.report(path, connection, topics), "\n", sep="")
        wrong = books.differences(path, connection, topics, rules.OPENING)
    print("books, recomputed by pandas: " + ("equal" if not wrong else "; ".join(wrong)))
    return 1 if wrong else 0


def not_stored(lines: list[Line], connection: Connection) -> list[Line]:
    """The lines that are not in the topic yet. Raises: RowsError if it holds others."""
    stored = {record.value.row: record.value for record in connection.read("retail_lines")}
    if stored.keys() - {line.row for line in lines} or any(stored.get(line.row, line) != line for line in lines):
        raise RowsError(
            "what is stored already is from other lines: start over with `python -m examples.retail clean`."
        )
    return [line for line in lines if line.row not in stored]


def batched(lines: list[Line], size: int) -> list[list[Line]]:
    """The lines in parts of a size; at least one part, so that what an earlier run left is worked off."""
    return [lines[at : at + size] for at in range(0, len(lines), size or 1)] or [[]]


def work_off(programs: list[Running]) -> None:
    """Wait until none has anything left to do, looked at twice: they feed each other."""
    before = None
    while (now := _done(programs)) is None or now != before:
        before = now


def _done(programs: list[Running]) -> list[int] | None:
    """How much each has processed, when none has anything left to read; else None."""
    idle = all(program.lag() == 0 for program in programs)
    return [program.status().processed for program in programs] if idle else None


if __name__ == "__main__":
    sys.exit(main())
