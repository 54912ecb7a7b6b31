"""`python -m examples.taxi debs` and `debs-trips`: a query over a file, and a file for those who have none."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from examples.taxi.arguments import per_second, positive
from examples.taxi.debs import computation
from examples.taxi.debs.generator import write_trips
from examples.taxi.debs.source import open_source
from examples.taxi.debs.watching import run_dashboard
from streams import StreamsError


def parser(prog: str) -> argparse.ArgumentParser:
    """The options of `debs`."""
    options = argparse.ArgumentParser(prog=f"{prog} debs", description="A query of the DEBS 2015 Grand Challenge.")
    options.add_argument("--query", type=int, choices=(1, 2), required=True, help="1 routes, 2 areas")
    options.add_argument("--trips", type=Path, required=True, help="the challenge's CSV, or the commission's trips")
    options.add_argument("--output", type=Path, required=True, help="where the lists go, a line each")
    options.add_argument("--workers", type=positive, default=1, help="processes to run (default: 1)")
    options.add_argument("--rate", type=per_second, help="trips per second (default: as fast as it goes)")
    options.add_argument(
        "--dir", type=Path, default=Path(".streams"), help="where topics and state lie meanwhile (default: %(default)s)"
    )
    return options


def run_debs(arguments: list[str], console: Console, prog: str) -> int:
    """A query over a file, start to end. Returns: the exit code. Raises: TripsError, StreamsError, OSError."""
    options = parser(prog).parse_args(arguments)
    computation.refuse_output(options.output, options.trips)
    source = open_source(options.trips)
    query = computation.QUERIES[options.query]
    directory = options.dir / f"debs-{options.query}-{_fingerprint(options.trips)}"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: workers stop, and a later run continues
    with _alone(directory), _bar(console, source.count) as show:
        began = time.monotonic()
        progress = computation.compute(
            query, source, options.output, directory, workers=options.workers, rate=options.rate, show=show
        )
        seconds = time.monotonic() - began
    computation.forget(query, directory)
    directory.with_suffix(".lock").unlink(missing_ok=True)
    with suppress(OSError):  # others may still use it
        directory.parent.rmdir()
    console.print(summary(progress, seconds, options.output), highlight=False, soft_wrap=True)
    return 0


def summary(progress: computation.Progress, seconds: float, output: Path) -> str:
    """What a run came to, in a line."""
    delays = sorted(progress.delays)
    p99 = f", 99 % of them within {delays[(len(delays) - 1) * 99 // 100]:,} ms" if delays else ""
    rate = progress.total / seconds
    return f"{progress.total:,} trips in {seconds:,.1f} s ({rate:,.0f}/s), {len(delays):,} lists{p99}: {output}"


def run_debs_trips(arguments: list[str], console: Console, prog: str) -> int:
    """Generated trips in the challenge's format. Returns: the exit code. Raises: OSError."""
    options = argparse.ArgumentParser(prog=f"{prog} debs-trips", description=write_trips.__doc__)
    options.add_argument("--count", type=positive, required=True, help="how many")
    options.add_argument("--output", type=Path, required=True, help="the file")
    options.add_argument("--seed", type=int, default=1, help="the same seed, the same trips (default: 1)")
    options.add_argument("--taxis", type=positive, default=1_500, help="size of the fleet (default: 1500)")
    given = options.parse_args(arguments)
    computation.refuse_output(given.output)
    write_trips(given.output, given.count, given.seed, given.taxis)
    console.print(f"{given.count:,} trips written to {given.output}", highlight=False, soft_wrap=True)
    return 0


def _fingerprint(path: Path) -> str:
    """A name for a file as it is now, so that a run is continued only over the same trips."""
    stat = path.stat()
    text = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """For one run at a time. Raises: StreamsError when another is at it."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StreamsError(
                f"the same query runs over the same file already, in {directory}: wait for it, or name another --dir"
            ) from None
        yield


@contextmanager
def _bar(console: Console, total: int) -> Iterator[computation.Show]:
    """A bar on a terminal; nothing elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} of {task.total:,} trips"), BarColumn(),
               TextColumn("{task.fields[lists]:,} lists"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, lists=0)
        yield lambda progress: bar.update(task, completed=progress.done, lists=len(progress.delays))


COMMANDS = {"debs": run_debs, "debs-trips": run_debs_trips, "dashboard": run_dashboard}
