"""`python -m benchmarks.sampled`: where the CPU time of a worker goes in whole runs, sampled from outside by py-spy.

Rules: the stacks of all threads are looked at 250 times a second. A sample counts for the step of the innermost function
that has one, so that what a library does counts where it was called; threads that wait do not count, nor does what happens
before and after the work. Shares become ns by the CPU time that the same run took per record. RocksDB's own threads have
no Python in them and are not seen: a hundredth or so. A figure is as exact as a share of some thousand samples is.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks import machine
from benchmarks.measure import Result, run
from benchmarks.peers.environments import PythonEnvironment, UnavailableError
from benchmarks.processes import BenchmarkError, Watched
from benchmarks.report import KEPT_SAMPLES, RESULTS
from benchmarks.workloads import WORKLOADS

PY_SPY = PythonEnvironment("py-spy", ("py-spy==0.4.1",))
PER_SECOND = 250
START_SECONDS = 1.0
"""What py-spy looks at has to have an interpreter by then."""
OVER_SECONDS = 10.0
SEVEN = tuple(name for name in WORKLOADS if name != "taxi")


class Step(NamedTuple):
    """What a record goes through; functions of these files, whose names have one of the `words`, if there are any."""

    name: str
    files: tuple[str, ...]
    words: tuple[str, ...] = ("",)


STEPS = (
    Step("user functions", ("benchmarks/programs.py",)),
    Step("records out of batches", ("streams/clients/kafka/record_batches.py",)),
    Step("objects from bytes", ("streams/serdes/",), ("deserialize",)),
    Step("objects to bytes", ("streams/serdes/",), ("serialize",)),
    Step("batches to be sent", ("streams/clients/kafka/open_batch.py",)),
    Step("network", ("streams/clients/kafka/", "asyncio/", "aiokafka/")),
    Step("partitions, sink", ("streams/clients/partitioner.py", "streams/runtime/collector.py", "operators/sink.py")),
    Step("RocksDB", ("state/rocksdb.py",)),
    Step("stores above it", ("state/",)),
    Step("operators", ("streams/operators/",)),
    Step("input queues", ("streams/runtime/partition_group.py",)),
    Step("tasks, turns, commits", ("streams/",)),
)
"""The first that fits, of a function, counts."""
SHOWN = (
    "records out of batches",
    "objects from bytes",
    "input queues",
    "operators",
    "user functions",
    "stores above it",
    "RocksDB",
    "objects to bytes",
    "partitions, sink",
    "batches to be sent",
    "network",
    "tasks, turns, commits",
)
"""In the order in which a record meets them."""

_WORKS = ("_turn (streams/runtime/worker.py", "(streams/clients/kafka/network_loop.py")
_WAITS = ("(threading.py", "(selectors.py", "(concurrent/futures/")


def counted(stacks: Iterable[str]) -> Counter[str]:
    """Samples by step. `stacks` are lines as py-spy writes them: functions, outermost first, and how often it was seen."""
    found: Counter[str] = Counter()
    for line in stacks:
        stack, _, times = line.rpartition(" ")
        if any(works in stack for works in _WORKS):
            functions = stack.split(";")
            if not any(waits in functions[-1] for waits in _WAITS):
                found[_step(functions)] += int(times)
    return found


def _step(functions: list[str]) -> str:
    for function in reversed(functions):
        name, _, file = function.partition(" (")
        for step in STEPS:
            if any(part in file for part in step.files) and any(word in name for word in step.words):
                return step.name
    raise AssertionError(f"a worker's function lies in one of the packages: {functions}")


@contextmanager
def sampling(worker: Watched, stacks: Path) -> Iterator[None]:
    """Have the stacks of the worker written to a file, from when it has started to the end of the block.

    Raises: BenchmarkError when py-spy may not look at the process, or says that it failed.
    """
    py_spy = PY_SPY.python.with_name("py-spy")
    command = [str(py_spy), "record", "--pid", str(worker.process.pid), "--rate", str(PER_SECOND), "--format", "raw"]
    time.sleep(START_SECONDS)
    sampler = subprocess.Popen(
        [*command, "--output", str(stacks)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield
    finally:
        sampler.send_signal(signal.SIGINT)
        try:
            said, _ = sampler.communicate(timeout=OVER_SECONDS)
        except subprocess.TimeoutExpired:
            sampler.kill()
            said, _ = sampler.communicate()
    if not stacks.exists():
        raise BenchmarkError(f"py-spy saw nothing (it may need root, or kernel.yama.ptrace_scope=0):\n{said[-2000:]}")


def measured(workload: str, records: int) -> dict[str, Any]:
    """One run, sampled. Shape: {workload, records, ns, calibration_ns, samples, shares: {step: share}}."""
    with tempfile.TemporaryDirectory(prefix="headrace-sampled-") as folder:
        stacks = Path(folder) / "stacks.txt"
        result: Result = run(
            WORKLOADS[workload], records, [], idle_seconds=0, beside=lambda worker: sampling(worker, stacks)
        )
        found = counted(stacks.read_text().splitlines())
    samples = found.total()
    if not samples:
        raise BenchmarkError(f"{workload}: over before anything was sampled; take more records")
    return {
        "workload": workload,
        "records": result.records,
        "ns": result.worker_cpu_per_million * 1000,
        "calibration_ns": result.calibration_ns,
        "samples": samples,
        "shares": {name: found[name] / samples for name in SHOWN},
    }


def main(arguments: list[str] | None = None) -> int:
    """Sample what was asked for. Returns the exit code: 0, or 1 when a run failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampled", description=__doc__)
    parser.add_argument("--records", type=int, default=4_000_000, help="input of each workload (default 4,000,000)")
    parser.add_argument("--workload", action="append", choices=SEVEN, help="default: all seven")
    parser.add_argument("--keep", action="store_true", help=f"as {KEPT_SAMPLES}, for the page")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    rows = []
    try:
        PY_SPY.prepare()
        for name in options.workload or SEVEN:
            with console.status(f"{name}, {options.records:,} records"):
                rows.append(measured(name, options.records))
    except (BenchmarkError, UnavailableError) as error:
        console.print(f"[red]stopped:[/] {escape(str(error))}")
        return 1
    _show(console, rows)
    if options.keep:
        path = RESULTS / KEPT_SAMPLES
        path.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=1))
        console.print(f"Kept as {path}")
    return 0


def _show(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table(title="CPU of the worker, ns per record", title_justify="left")
    table.add_column("step")
    for row in rows:
        table.add_column(row["workload"], justify="right")
    for name in SHOWN:
        table.add_row(name, *(f"{row['shares'][name] * row['ns']:,.0f}" for row in rows))
    table.add_row("all", *(f"{row['ns']:,.0f}" for row in rows))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
