"""`python -m benchmarks`: measure workloads and stages on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from benchmarks import machine, report
from benchmarks.measure import Result, run
from benchmarks.micro import STAGES, Stage, measure_stage
from benchmarks.processes import BenchmarkError
from benchmarks.workloads import WORKLOADS


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for. Returns the exit code: 0, or 1 when a run failed or wrote wrong results."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.keep and (options.stage or not (options.stages or options.stages_only)):
        parser.error("--keep keeps all stages: give it with --stages or --stages-only, and without --stage")
    console = Console(width=None if sys.stdout.isatty() else 160)
    about = machine.describe()
    console.print(f"{about['platform']}, {about['cores']} cores, Python {about['python']}, commit {about['commit']}")
    stages = _stages(console, options, about)
    results, failed = _runs(console, options)
    if results:
        report.show(console, results)
    console.print(f"Saved to {report.save(about, results, stages)}")
    if options.keep:
        console.print(f"Kept as {report.save(about, [], stages, name=report.KEPT_STAGES)}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000, help="input of each workload (default 2,000,000)")
    parser.add_argument("--workload", action="append", choices=[*WORKLOADS, "all"], help="default: taxi")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the worker")
    parser.add_argument("--workers", type=int, default=1, help="worker processes; their CPU is added up (default 1)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each workload")
    parser.add_argument("--idle-seconds", type=float, default=5.0, help="how long idle CPU is watched (0: not)")
    parser.add_argument("--stages", action="store_true", help="also the stages of the path, one by one")
    parser.add_argument("--stages-only", action="store_true", help="only those")
    parser.add_argument("--stage", action="append", choices=[step.name for step in STAGES], help="default: all")
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="a run to compare stages with (default: this machine's newest)"
    )
    parser.add_argument("--keep", action="store_true", help=f"the stages also as {report.KEPT_STAGES}, for the page")
    return parser


def _stages(console: Console, options: argparse.Namespace, about: dict[str, Any]) -> list[Stage]:
    if not (options.stages or options.stages_only):
        return []
    before = report.stored_stages(about, options.against)
    stages = [measure_stage(step) for step in STAGES if step.name in (options.stage or [step.name])]
    report.show_stages(console, stages, before, about)
    return stages


def _runs(console: Console, options: argparse.Namespace) -> tuple[list[Result], bool]:
    """Every run that was asked for. Shape: results, and whether any failed."""
    wanted = options.workload or ["taxi"]
    names = list(WORKLOADS) if "all" in wanted else wanted
    results: list[Result] = []
    failed = False
    for name in [] if options.stages_only else names:
        for _ in range(options.repeat):
            try:
                with console.status(f"{name}, {options.records:,} records"):
                    results.append(
                        run(WORKLOADS[name], options.records, options.set, options.idle_seconds, options.workers)
                    )
            except BenchmarkError as error:
                failed = True
                console.print(f"[red]{name} failed:[/] {escape(str(error))}", markup=True)
    return results, failed


if __name__ == "__main__":
    sys.exit(main())
