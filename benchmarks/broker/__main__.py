"""`python -m benchmarks.broker`: the broker by itself or beside Apache Kafka, in turns on the same machine."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.broker import report
from benchmarks.broker.scenes import SCENES, Size
from benchmarks.broker.sides import DURABLE, KAFKA, OURS, RELAXED
from benchmarks.processes import BenchmarkError
from tests.apache_kafka.libraries import KafkaMissingError, libraries


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for. Returns the exit code: 0, or 1 when a run failed."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    if options.document:
        report.keep(options.document)
        report.document()
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the brokers would go on alone
    sides = [OURS, *([KAFKA] if options.against else [])]
    if options.against:
        try:
            libraries()
        except KafkaMissingError as error:
            console.print(f"[red]Apache Kafka cannot be run:[/] {error}")
            return 1
    runs, failed = _runs(console, options, sides)
    table = Table(title="Brokers side by side, medians", title_justify="left")
    for number, name in enumerate(["measured", "figure", *(f"{side}, {mode}" for side, mode in report.columns(runs))]):
        table.add_column(name, justify="left" if number < 2 else "right")
    for row in report.rows(runs):
        table.add_row(*row)
    console.print(table)
    console.print(f"Saved to {report.save(machine.describe(), runs)}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.broker", description=__doc__)
    parser.add_argument("--against", choices=[KAFKA], help="also Apache Kafka: jars from KAFKA_LIBS, or by Maven")
    parser.add_argument("--scene", action="append", choices=[*SCENES], help="default: all of them")
    parser.add_argument("--mode", action="append", choices=[DURABLE, RELAXED], help="default: both")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="how much is sent (below 0.1, a quick look, fewer partitions too)"
    )
    parser.add_argument(
        "--seconds", type=float, default=2400, help="begin no run after so many seconds (default 2,400)"
    )
    parser.add_argument(
        "--document",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="keep stored results, and put their table into docs/broker.md, no more",
    )
    return parser


def _runs(console: Console, options: argparse.Namespace, sides: list[str]) -> tuple[list[report.Run], bool]:
    """Every run, the brokers in turns. Shape: results, and whether any failed."""
    runs: list[report.Run] = []
    failed, begun = False, time.monotonic()
    size = Size().times(options.scale)
    turns = [
        (scene, mode, side)
        for _ in range(options.repeat)
        for scene in options.scene or SCENES
        for mode in options.mode or (DURABLE, RELAXED)
        for side in sides
    ]
    for scene, mode, side in turns:
        if time.monotonic() - begun > options.seconds:
            console.print(f"[yellow]{options.seconds:,.0f} s are over; what follows was not measured[/]")
            return runs, True
        console.print(f"{time.monotonic() - begun:6.0f} s  {scene}, {side}, {mode}")
        try:
            with tempfile.TemporaryDirectory(prefix="headrace-bench-") as scratch:
                measured = SCENES[scene](side, mode, Path(scratch) / "data", size)
            runs.append({"scene": scene, "side": side, "mode": mode, "measured": measured})
        except (BenchmarkError, RuntimeError) as error:
            failed = True
            console.print(f"[red]{scene}, {side}, {mode} failed:[/] {error}")
    return runs, failed


if __name__ == "__main__":
    sys.exit(main())
