"""`python -m benchmarks.curves NAME ...`: one quantity varied, all else as it is; each curve a file that the page shows.

Rules: the measured worker is `streams run` as in every benchmark here; outputs are checked. A curve is a table: the
first column is what was varied, the last how fast the machine was at that moment. The file is written point by point,
and a point that is in it is not measured again, so a run that is cut goes on where it was. Shape of a file: {title,
command, about, said, columns, plotted, across, made_with, points, commits}.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from benchmarks import machine
from benchmarks.curve_scenes import CURVES, Asked, Curve
from benchmarks.processes import BenchmarkError
from benchmarks.report import RESULTS


class Points:
    """The file of a curve; `anew` drops what another commit measured of it."""

    def __init__(self, path: Path, curve: Curve, asked: Asked, about: dict[str, Any], *, anew: bool = False) -> None:
        self._path = path
        self._commit: str = about["commit"]
        self._whole: dict[str, Any] = {
            "title": curve.title,
            "said": curve.said,
            "columns": list(curve.columns),
            "plotted": list(curve.plotted),
            "across": curve.across,
            "made_with": {name: _plain(getattr(asked, name)) for name in curve.depends_on},
            "about": about,
            "points": [],
            "commits": {},
        }
        if path.exists():
            kept = json.loads(path.read_text())
            if anew:
                kept["points"] = [point for point in kept["points"] if kept["commits"][str(point[0])] == self._commit]
            if kept["points"] or not anew:
                self._resume(kept)

    def _resume(self, kept: dict[str, Any]) -> None:
        for name in ("columns", "made_with"):
            if kept.get(name) != self._whole[name]:
                raise BenchmarkError(
                    f"{self._path} has {name} {kept.get(name)}, asked for is {self._whole[name]}: go on with the same, "
                    "remove the file, or write --into another folder"
                )
        self._whole |= {name: kept[name] for name in ("about", "points", "commits")}

    def wants(self, varied: float) -> bool:
        """Whether the point is still to be measured."""
        return all(point[0] != varied for point in self._whole["points"])

    def add(self, point: Sequence[float], command: str) -> None:
        """Keep a point, at once and whole: the old file stays until the new one is written."""
        others = [each for each in self._whole["points"] if each[0] != point[0]]
        self._whole["points"] = sorted([*others, list(point)])
        self._whole["commits"][str(point[0])] = self._commit
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".part")
        fresh.write_text(json.dumps({**self._whole, "command": command}, indent=1))
        fresh.replace(self._path)


def _plain(given: Any) -> Any:
    """As it comes back from JSON."""
    return list(given) if isinstance(given, tuple) else given


def measure(name: str, options: argparse.Namespace, console: Console, about: dict[str, Any]) -> int:
    """Measure what is missing of a curve. Returns how many points failed."""
    curve = CURVES[name]
    asked = Asked(options.records or curve.records, options.seconds or curve.seconds, (*curve.settings, *options.set))
    points = Points(options.into / f"curve-{name}.json", curve, asked, about, anew=options.anew)
    failed = 0
    console.print(f"{curve.title}: {', '.join(curve.columns)}")
    for varied in options.points or curve.points:
        if points.wants(varied):
            try:
                point = [varied, *curve.measure(varied, asked)]
            except BenchmarkError as error:
                failed += 1
                console.print(f"[red]{varied:,} failed:[/] {escape(str(error))}", markup=True)
                continue
            console.print("  ".join(f"{figure:,.2f}" for figure in point))
            points.add(point, f"make bench-curves ARGS='{name}'")
    return failed


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)


def main(arguments: list[str] | None = None) -> int:
    """Measure curves and keep them. Returns the exit code: 1 when a point failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("curves", nargs="+", choices=[*CURVES, "all"])
    parser.add_argument("--records", type=int, help="input of each point (default: the curve's)")
    parser.add_argument("--seconds", type=float, help="how long a rate is kept up, or idling watched (the curve's)")
    parser.add_argument(
        "--points", type=_number, action="append", help="a point of the curve (default: the usual ones)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the worker")
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the files (default: benchmarks/results)")
    parser.add_argument("--anew", action="store_true", help="measure points again that another commit measured")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that broker and worker are stopped too
    console = Console(width=None if sys.stdout.isatty() else 160)
    about = machine.describe()
    failed = 0
    try:
        for name in CURVES if "all" in options.curves else options.curves:
            failed += measure(name, options, console, about)
    except BenchmarkError as error:
        console.print(f"[red]stopped:[/] {escape(str(error))}")
        return 1
    console.print(f"Kept in {options.into}; the page is made by: make performance")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
