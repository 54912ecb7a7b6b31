"""`python -m benchmarks.curves NAME`: one quantity varied, all else as it is; each curve a file that the page shows.

Rules: the measured worker is `streams run` as in every benchmark here; outputs are checked. A curve is a table: the
first column is what was varied. Shape of a file: {title, command, about, columns, plotted, points}. It is written point by
point, so that what was measured stays when the rest is not waited for.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import machine
from benchmarks.latency import latencies, percentile
from benchmarks.load import Input, padded
from benchmarks.measure import Result, connect, load, measure
from benchmarks.processes import broker
from benchmarks.report import RESULTS
from benchmarks.restoring import restore as restored
from benchmarks.systems import Job, headrace
from benchmarks.workloads import WORKLOADS

PARTITIONS = (1, 4, 16, 64, 250, 1_000)
VALUE_BYTES = (130, 1_000, 10_000, 100_000)
STATES = (500_000, 1_000_000, 2_000_000, 4_000_000)
RATES = (1_000, 10_000, 50_000)
INPUT_BYTES = 500_000_000
Curve = dict[str, Any]


def partitions(options: argparse.Namespace) -> Iterator[Curve]:
    """Count per key with one worker, over ever more partitions."""
    points = []
    for number in options.points or PARTITIONS:
        result = _measured("count", options.records, lambda source, many=number: replace(source, partitions=many))
        points.append(_point(number, result))
        yield _curve("One worker over many partitions: count per key", "partitions", points)


def value_bytes(options: argparse.Namespace) -> Iterator[Curve]:
    """The stateless program over values of a size, in which a field that nobody reads makes up the rest."""
    points = []
    for size in options.points or VALUE_BYTES:
        records = min(options.records, INPUT_BYTES // size)
        result = _measured("stateless", records, lambda source, many=size: padded(source, many))
        points.append(_point(size, result))
        yield _curve("Values of 130 bytes to 100 KB: the stateless program", "bytes of a value", points)


def restore(options: argparse.Namespace) -> Iterator[Curve]:
    """Counts over a million keys, lost and read back from the changelog, which grows along the curve."""
    columns = ["input records", "changelog records", "restored/s", "per CPU s", "restart s", "restart without state s"]
    points = []
    for records in options.points or STATES:
        found = restored(records)
        seconds = [found.with_state_seconds, found.without_state_seconds]
        points.append([records, found.records, found.per_second, found.per_cpu_second, *seconds, found.mb])
        yield {
            "title": "State lost and restored from the changelog: counts of up to a million keys",
            "columns": [*columns, "worker MB"],
            "plotted": ["restored/s", "per CPU s"],
            "points": points,
        }


def latency(options: argparse.Namespace) -> Iterator[Curve]:
    """From the time a record was meant to be sent to the time its result was read."""
    columns = ["records/s", "p50 ms", "p99 ms", "p99.9 ms", "highest ms"]
    said = f" ({', '.join(options.set)})" if options.set else ""
    points = []
    for rate in options.points or RATES:
        found = latencies(rate, options.seconds, options.set)
        points.append([rate, *(percentile(found, share) for share in (0.5, 0.99, 0.999, 1.0))])
        yield {
            "title": f"End-to-end latency of the stateless program, {options.seconds:.0f} s at each rate{said}",
            "columns": columns,
            "plotted": ["p50 ms", "p99 ms"],
            "points": points,
        }


def _measured(name: str, records: int, changed: Callable[[Input], Input]) -> Result:
    workload = WORKLOADS[name]
    with tempfile.TemporaryDirectory(prefix="headrace-curve-") as scratch, broker(Path(scratch)) as (process, address):
        clients = connect(address)
        try:
            inputs = [changed(source) for source in workload.inputs(records)]
            load(clients, inputs)
            job = Job(workload, inputs, address, Path(scratch))
            return measure(headrace(), job, clients, process, idle_seconds=2.0)
        finally:
            clients.close()


def _point(varied: float, result: Result) -> list[float]:
    return [
        varied,
        result.records,
        result.records_per_second,
        result.records_per_cpu_second,
        result.worker_mb,
        result.broker_mb,
        result.idle_cpu * 100,
        result.first_commit_seconds,
    ]


def _curve(title: str, varied: str, points: list[list[float]]) -> Curve:
    columns = [varied, "records", "records/s", "per CPU s", "worker MB", "broker MB", "idle % of a core"]
    return {
        "title": title,
        "columns": [*columns, "first commit s"],
        "plotted": ["records/s", "per CPU s"],
        "points": points,
    }


CURVES = {"partitions": partitions, "value-bytes": value_bytes, "latency": latency, "restore": restore}


def main(arguments: list[str] | None = None) -> int:
    """Measure a curve and keep it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("curve", choices=list(CURVES))
    parser.add_argument("--records", type=int, default=2_000_000, help="input of each point (default 2,000,000)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each rate is kept up (latency)")
    parser.add_argument("--points", type=int, action="append", help="a point of the curve (default: the usual ones)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of the worker (latency)")
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the file (default: benchmarks/results)")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that broker and worker are stopped too
    console = Console(width=None if sys.stdout.isatty() else 160)
    about = machine.describe()
    path = options.into / f"curve-{options.curve}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    command = f"python -m benchmarks.curves {options.curve}"
    for curve in CURVES[options.curve](options):
        console.print("  ".join(f"{figure:,.2f}" for figure in curve["points"][-1]))
        path.write_text(json.dumps({**curve, "command": command, "about": about}, indent=1))
    console.print(f"Kept in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
