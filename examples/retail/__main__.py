"""`python -m examples.retail`: a year of a shop in a minute, its books and its report at the end.

The run has a worker inside. `worker` starts one more, in a terminal of its own.
"""

from __future__ import annotations

import argparse
import sys
from math import ceil
from pathlib import Path

from examples.retail.messages import Line
from examples.retail.rows import RowsError, catalogue, read_lines, write_rows
from examples.retail.suppliers import SUPPLIERS
from examples.retail.topology import LINES, PRODUCTS, app
from examples.retail.topology import SUPPLIERS as TERMS
from streams import ConfigError, Connection, StreamsError

BAD_INPUT = 2
PICTURES = (".png", ".svg", ".pdf")
SETTINGS = {
    "embedded_idle_ms": "3000",
    "commit_interval_ms": "10",  # an order goes round the log in five commits, one after the other
    "statestore_cache_max_bytes": "0",  # a week passes in a second: every line is looked at when it comes
    "session_timeout_ms": "6000",  # how soon a worker that was killed is given up
    "heartbeat_interval_ms": "1000",
    "transaction_timeout_ms": "5000",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the shop. Returns: the exit code: 0, 1 when the books are wrong, 2 for input that cannot be used."""
    options = _parser().parse_args(arguments)
    state = options.dir / f"state-{options.name}"
    try:
        app.configure({**SETTINGS, "broker": f"embedded://{options.dir}", "state_dir": str(state)})
        if options.part == "worker":
            app.run()
            return 0
        if options.part == "clean":
            removed = app.remove_data()
            print(f"{options.dir} removed" if removed else f"nothing is stored in {options.dir}")
            return 0
        return run(options)
    except (RowsError, StreamsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, RowsError | ConfigError) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.retail", description=__doc__)
    parser.add_argument("part", nargs="?", default="run", choices=("run", "worker", "clean"))
    parser.add_argument("--lines", type=Path, help="CSV file of invoice lines (default: generated)")
    parser.add_argument("--count", type=_above_0, default=5_000, help="lines to generate (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the generator (%(default)s)")
    parser.add_argument("--steps", type=_above_0, default=52, help="parts of the year, one by one (%(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".streams/retail"), help="where all is stored (%(default)s)")
    parser.add_argument("--name", default="1", help="of this process, each with state of its own (%(default)s)")
    parser.add_argument("--plot", type=Path, help="where to draw the report (default: report.png in --dir)")
    return parser


def _above_0(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Produce the lines, run the shop until all is done, compare the books, and tell of the year."""
    try:
        from examples.retail import books, report
    except ImportError:
        raise ConfigError("the books are computed with pandas: pip install 'headrace[pandas]'") from None
    picture = options.plot or options.dir / "report.png"
    if options.plot:
        refuse_picture(options.plot, options.lines)
    path = options.lines or generated(options)
    lines = read_lines(path)
    with app.connect() as connection:
        missing = not_stored(lines, connection)
        print(f"{len(lines):,} lines, {len(missing):,} of them to do", flush=True)
        with app.running() as running:
            write_catalogue(lines, connection)
            for part in batched(missing, ceil(len(missing) / options.steps)):
                connection.write(LINES, part, key="id")
                connection.flush()
                running.catch_up()
                print(".", end="", flush=True)
        print("\n")
        told = report.report(path, connection)
        print(report.told(told), "\n")
        try:
            report.draw(told, picture)
        except OSError as problem:
            raise RowsError(
                f"{picture} cannot be written: {problem.strerror}. Name another file with --plot."
            ) from None
        except ImportError:
            print("no picture: it is drawn with matplotlib, pip install 'headrace[plot]'")
        else:
            print(f"picture: {picture}")
        wrong = books.differences(path, connection)
    print("books, recomputed by pandas: " + ("equal" if not wrong else "; ".join(wrong)))
    return 1 if wrong else 0


def refuse_picture(picture: Path, lines: Path | None) -> None:
    """Raises: RowsError when no picture can be drawn there, or it would replace the lines."""
    if not picture.parent.is_dir():
        raise RowsError(f"{picture.parent} is no directory: name a file in one that exists with --plot.")
    if picture.suffix not in PICTURES or (picture.exists() and not picture.is_file()):
        raise RowsError(f"{picture} is no picture: name a file that ends in {', '.join(PICTURES)} with --plot.")
    if lines and picture.exists() and lines.exists() and picture.samefile(lines):
        raise RowsError(f"{picture} holds the lines, and would be replaced. Name another file with --plot.")


def generated(options: argparse.Namespace) -> Path:
    """The file of generated lines, made unless it is there. Raises: RowsError when it cannot be written."""
    path: Path = options.dir / f"lines-{options.count}-{options.seed}.csv"
    try:
        options.dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_rows(path, options.count, options.seed)
    except OSError as problem:
        raise RowsError(f"{path} cannot be written: {problem.strerror}. Name another directory with --dir.") from None
    return path


def not_stored(lines: list[Line], connection: Connection) -> list[Line]:
    """The lines that are not in the topic yet. Raises: RowsError if it holds others."""
    stored = {record.key: record.value for record in connection.read(LINES)}
    if stored.keys() - {line.id for line in lines} or any(stored.get(line.id, line) != line for line in lines):
        raise RowsError(
            "what is stored already is from other lines: start over with `python -m examples.retail clean`."
        )
    return [line for line in lines if line.id not in stored]


def write_catalogue(lines: list[Line], connection: Connection) -> None:
    """Suppliers and products, as of the first line, unless they are there."""
    began_ms = lines[0].at_ms
    for topic, wanted in ((TERMS, SUPPLIERS), (PRODUCTS, catalogue(lines))):
        known = {record.key for record in connection.read(topic)}
        rows = [(key, value) for key, value in wanted.items() if key not in known]
        connection.write(topic, rows, timestamp=began_ms)
    connection.flush()


def batched(lines: list[Line], size: int) -> list[list[Line]]:
    """The lines in parts of a size; at least one part, so that what an earlier run left is worked off."""
    return [lines[at : at + size] for at in range(0, len(lines), size or 1)] or [[]]


if __name__ == "__main__":
    sys.exit(main())
