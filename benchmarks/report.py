"""Results for people: a table on the terminal, and a file to compare with later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.measure import Result
from benchmarks.micro import Stage

RESULTS = Path(__file__).parent / "results"
KEPT_STAGES, KEPT_SAMPLES = "stages.json", "sampled.json"
SLOWER = 1.25
"""Best of five on a machine with other work: what is below is noise as often as not."""


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


class StoredStages(NamedTuple):
    """The stages of a stored run by name, with the machine and the file."""

    stages: Mapping[str, Stage]
    machine: Mapping[str, Any]
    path: Path


def show_stages(
    console: Console, stages: Sequence[Stage], before: StoredStages | None, about: Mapping[str, Any]
) -> None:
    """One row per stage of the path, compared with a run before; a sentence says which, and whether it is of this machine."""
    table = Table(title="The path, stage by stage (CPU)", title_justify="left")
    for name in ("stage", "what"):
        table.add_column(name)
    for name in ("ns per record", "design spike", "calibration", "against before"):
        table.add_column(name, justify="right")
    known = before.stages if before else {}
    for stage in stages:
        ratio = _ratio(stage.ratio(known[stage.name])) if stage.name in known else ""
        table.add_row(stage.name, stage.what, f"{stage.ns:,.0f}", stage.spike, f"{stage.calibration_ns:.0f} ns", ratio)
    console.print(table)
    console.print(compared_with(before, about), highlight=False)


def compared_with(before: StoredStages | None, about: Mapping[str, Any]) -> str:
    """What the ratios are against, and what they are worth."""
    if before is None:
        return "No stored run to compare with: the next one is compared with this."
    said = f"Against {before.path.name}, commit {before.machine['commit']}, both divided by the fixed loop beside them"
    if differs := machine.difference(about, before.machine):
        return (
            f"{said}. That is ANOTHER MACHINE ({differs}): the loop allows for its speed, not for its caches, disk or "
            "kernel. Ratios say little; run once more, and the next is compared with a run of this machine."
        )
    return f"{said}: a ratio above {SLOWER} is marked, and asks for a second run before it is believed."


def _ratio(ratio: float) -> str:
    return f"x {ratio:.2f}{' slower' if ratio > SLOWER else ''}"


def stored_stages(about: Mapping[str, Any], path: Path | None = None, directory: Path = RESULTS) -> StoredStages | None:
    """The stages of the file at `path`; else the newest of this machine in `directory`; else those kept in the repository.

    Raises: OSError or ValueError when `path` is no such file.
    """
    if path:
        found = _stages_of(path)
        if found is None:
            raise ValueError(f"{path} has no stages: name a file that `python -m benchmarks --stages` wrote")
        return found
    every = [found for each in sorted(directory.glob("2*.json"), reverse=True) if (found := _stages_of(each))]
    kept = directory / KEPT_STAGES
    every += [found] if kept.exists() and (found := _stages_of(kept)) else []
    here = [found for found in every if not machine.difference(about, found.machine)]
    return next(iter([*here, *every[::-1]]), None)


def _stages_of(path: Path) -> StoredStages | None:
    whole = json.loads(path.read_text())
    stages = {row["name"]: Stage(**row) for row in whole.get("stages", []) if "calibration_ns" in row}
    return StoredStages(stages, whole["machine"], path) if stages else None


def save(
    about: Mapping[str, Any],
    results: Sequence[Result],
    stages: Sequence[Stage],
    directory: Path = RESULTS,
    name: str | None = None,
) -> Path:
    """Write everything to a file, by default one named by the time, and say where. `about` is the machine."""
    directory.mkdir(exist_ok=True)
    path = directory / (name or f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json")
    whole = {
        "machine": about,
        "results": [asdict(result) for result in results],
        "stages": [asdict(stage) for stage in stages],
    }
    path.write_text(json.dumps(whole, indent=1))
    return path
