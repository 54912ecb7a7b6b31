"""Medians of several runs as a table: on the terminal, and between two marks of the broker's page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.broker.scenes import SCENES
from benchmarks.broker.sides import MODES
from benchmarks.report import RESULTS

NAME = "%Y%m%dT%H%M%S"
FOLDER = RESULTS / "broker"
KEPT = RESULTS / "broker-beside-kafka.json"
PAGE = Path(__file__).parents[2] / "docs" / "broker.md"
BEGIN, END = "<!-- measured: made by make bench-broker -->\n", "<!-- end of measured -->"

Run = dict[str, Any]
"""side, mode, scene, and what was measured: name -> figure -> value."""


def save(machine: dict[str, Any], runs: Sequence[Run], folder: Path = FOLDER) -> Path:
    """Write everything to a file named by the time, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):{NAME}}.json"
    path.write_text(json.dumps({"machine": machine, "runs": list(runs)}, indent=1))
    return path


def columns(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """The brokers and modes there are figures of, in a fixed order."""
    present = {(run["side"], run["mode"]) for run in runs}
    return [key for key in MODES if key in present]


def rows(runs: Sequence[Run]) -> Iterator[list[str]]:
    """What, figure, and its median for each broker and mode; a gap where nothing was measured."""
    values: dict[tuple[str, str], dict[tuple[str, str], list[float]]] = {}
    for run in runs:
        for name, figures in run["measured"].items():
            for figure, value in figures.items():
                values.setdefault((name, figure), {}).setdefault((run["side"], run["mode"]), []).append(value)
    for (name, figure), found in values.items():
        yield [name, figure, *(_shown(found.get(key, [])) for key in columns(runs))]


def _shown(values: Sequence[float]) -> str:
    if not values:
        return ""
    middle = median(values)
    return f"{middle:,.0f}" if middle >= 100 else f"{middle:.3g}"


def markdown(stored: dict[str, Any]) -> str:
    """The table of kept results, with the day and the machine they were made on."""
    day, machine, runs = stored["day"], stored["machine"], stored["runs"]
    head = ["measured", "figure", *(f"{side}, {mode}" for side, mode in columns(runs))]
    repeats = max(
        (
            sum(run["side"] == r["side"] and run["mode"] == r["mode"] and run["scene"] == r["scene"] for r in runs)
            for run in runs
        ),
        default=0,
    )
    about = (
        f"{day}; medians of {repeats}; {machine['cores']} cores, {machine['platform']}, Python {machine['python']}, "
        f"commit {machine['commit']}.\n"
    )
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows(runs)]]
    return about + "\n" + "\n".join(lines) + "\n"


def merged(paths: Sequence[Path]) -> dict[str, Any]:
    """Several stored results as one, in the order of the scenes: machine and day are those of the last."""
    stored = [json.loads(path.read_text()) for path in paths]
    runs = sorted((run for one in stored for run in one["runs"]), key=lambda run: list(SCENES).index(run["scene"]))
    day = f"{datetime.strptime(paths[-1].stem, NAME).replace(tzinfo=UTC):%Y-%m-%d}"
    return {"day": day, "machine": stored[-1]["machine"], "runs": runs}


def keep(paths: Sequence[Path], kept: Path = KEPT) -> None:
    """Store the results at `paths` as the ones the page is made from."""
    kept.write_text(json.dumps(merged(paths), indent=1) + "\n")


def document(kept: Path = KEPT, page: Path = PAGE) -> None:
    """Put the table of the kept results into the broker's page. Raises: OSError, ValueError."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no place for the figures: {BEGIN.strip()} and {END}")
    page.write_text(before + begin + markdown(json.loads(kept.read_text())) + end + after)
