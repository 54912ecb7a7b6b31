"""Results for people: a table on the terminal, and a file to compare with later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Result
from benchmarks.micro import Stage

RESULTS = Path(__file__).parent / "results"


def show(console: Console, results: Sequence[Result]) -> None:
    """One row per run."""
    table = Table(title="Topic to committed results", title_justify="left")
    for name in ("workload", "guarantee"):
        table.add_column(name)
    for name in (
        "workers",
        "records",
        "records/s",
        "per CPU s",
        "worker CPU s/M",
        "broker CPU s/M",
        "worker MB",
        "broker MB",
    ):
        table.add_column(name, justify="right")
    table.add_column("idle", justify="right")
    table.add_column("calibration", justify="right")
    for result in results:
        table.add_row(
            result.workload,
            result.guarantee,
            str(result.workers),
            f"{result.records:,}",
            f"{result.records_per_second:,.0f}",
            f"{result.records_per_cpu_second:,.0f}",
            f"{result.worker_cpu_per_million:.2f}",
            f"{result.broker_cpu_per_million:.2f}",
            f"{result.worker_mb:.0f}",
            f"{result.broker_mb:.0f}",
            f"{result.idle_cpu:.1%}",
            f"{result.calibration_ns:.0f} ns",
        )
    console.print(table)


def show_stages(console: Console, stages: Sequence[Stage], before: Mapping[str, Stage]) -> None:
    """One row per stage of the path; `before` are those of an earlier run, by name."""
    table = Table(title="The path, stage by stage (CPU)", title_justify="left")
    for name in ("stage", "what"):
        table.add_column(name)
    for name in ("ns per record", "design spike", "calibration", "against before"):
        table.add_column(name, justify="right")
    for stage in stages:
        ratio = f"x {stage.ratio(before[stage.name]):.2f}" if stage.name in before else ""
        table.add_row(stage.name, stage.what, f"{stage.ns:,.0f}", stage.spike, f"{stage.calibration_ns:.0f} ns", ratio)
    console.print(table)


def stored_stages(path: Path | None = None, directory: Path = RESULTS) -> dict[str, Stage]:
    """The stages of a stored run by name: of the file at `path`, else of the newest in `directory` that has any.

    Raises: OSError or ValueError when `path` is no such file.
    """
    for each in [path] if path else sorted(directory.glob("*.json"), reverse=True):
        rows = json.loads(each.read_text())["stages"]
        if rows or path:
            return {row["name"]: Stage(**row) for row in rows if "calibration_ns" in row}
    return {}


def save(
    machine: dict[str, Any], results: Sequence[Result], stages: Sequence[Stage], directory: Path = RESULTS
) -> Path:
    """Write everything to a file named by the time, and say where."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    whole = {
        "machine": machine,
        "results": [asdict(result) for result in results],
        "stages": [asdict(stage) for stage in stages],
    }
    path.write_text(json.dumps(whole, indent=1))
    return path
