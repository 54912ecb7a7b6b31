"""Curves on real processes with tiny inputs: for correctness, not for figures; and what their files promise."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import curves
from benchmarks.curve_scenes import CURVES, Asked
from benchmarks.processes import BenchmarkError

ABOUT: dict[str, Any] = {"commit": "abc"}
FEW = Asked(2_000, 0.5, ())


def asked(into: Path, *points: float, records: int | None = None, anew: bool = False) -> argparse.Namespace:
    return argparse.Namespace(into=into, points=list(points), records=records, seconds=None, set=[], anew=anew)


def varied_of(path: Path) -> list[float]:
    return [point[0] for point in json.loads(path.read_text())["points"]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A curve that measures nothing, and what it was asked for; the last point fails."""
    seen: list[float] = []

    def measure(varied: float, _asked: Asked) -> list[float]:
        seen.append(varied)
        if varied > 100:
            raise BenchmarkError("too many")
        return [varied * 2]

    curve = replace(CURVES["partitions"], columns=("partitions", "twice"), measure=measure)
    monkeypatch.setitem(curves.CURVES, "partitions", curve)
    return seen


def test_a_point_is_measured_once(tmp_path: Path, measured: list[float]) -> None:
    """A curve that was cut goes on where it was; a point that fails costs only itself and is tried again."""
    path = tmp_path / "curve-partitions.json"
    assert curves.measure("partitions", asked(tmp_path, 4, 1_000), Console(quiet=True), ABOUT) == 1
    assert curves.measure("partitions", asked(tmp_path, 1, 4, 1_000), Console(quiet=True), ABOUT) == 1
    assert measured == [4, 1_000, 1, 1_000]
    assert varied_of(path) == [1, 4]
    kept = json.loads(path.read_text())
    assert kept["points"] == [[1, 2], [4, 8]]
    assert kept["commits"] == {"4": "abc", "1": "abc"}


def test_what_another_commit_measured_is_made_anew_when_asked(tmp_path: Path, measured: list[float]) -> None:
    """Point by point, so that this can be cut and resumed too; the machine is that of the points that are there."""
    curves.measure("partitions", asked(tmp_path, 1, 4), Console(quiet=True), ABOUT)
    curves.measure("partitions", asked(tmp_path, 4, anew=True), Console(quiet=True), {"commit": "def"})
    curves.measure("partitions", asked(tmp_path, 4, anew=True), Console(quiet=True), {"commit": "def"})
    assert measured == [1, 4, 4]
    assert json.loads((tmp_path / "curve-partitions.json").read_text())["about"] == {"commit": "def"}


def test_points_that_do_not_compare_are_refused(tmp_path: Path, measured: list[float]) -> None:
    """Other inputs ask for another file; nothing is measured first."""
    curves.measure("partitions", asked(tmp_path, 1), Console(quiet=True), ABOUT)
    with pytest.raises(BenchmarkError, match="'records': 5"):
        curves.measure("partitions", asked(tmp_path, 4, records=5), Console(quiet=True), ABOUT)
    with pytest.raises(BenchmarkError, match="'records': 5"):
        curves.measure("partitions", asked(tmp_path, 4, records=5, anew=True), Console(quiet=True), ABOUT)
    assert measured == [1]


def test_a_curve_that_is_made_anew_whole_may_have_other_inputs(tmp_path: Path, measured: list[float]) -> None:
    """Nothing is left that its points would not compare with."""
    curves.measure("partitions", asked(tmp_path, 1, 4), Console(quiet=True), ABOUT)
    curves.measure("partitions", asked(tmp_path, 4, records=5, anew=True), Console(quiet=True), {"commit": "def"})
    kept = json.loads((tmp_path / "curve-partitions.json").read_text())
    assert (kept["points"], kept["commits"], kept["made_with"]["records"]) == ([[4, 8]], {"4": "def"}, 5)


@pytest.mark.broker
@pytest.mark.parametrize(
    ("name", "varied"),
    [("workers", 2), ("keys", 500), ("late", 600)],
)
def test_a_point_is_measured_and_its_output_right(name: str, varied: float) -> None:
    """Every record is committed, the answer is the right one, and each column has its figure."""
    curve = CURVES[name]
    row = dict(zip(curve.columns[1:], curve.measure(varied, FEW), strict=True))
    assert row["records"] == (2_500 if name == "keys" else 2_000)
    assert row["records/s"] > 0
    assert row["worker MB"] > 10


@pytest.mark.broker
@pytest.mark.parametrize(("name", "varied"), [("commits", 3), ("restart", 2), ("latency-exactly-once", 200)])
def test_what_is_no_run_is_measured_too(name: str, varied: float) -> None:
    """Idling, commits, restarts and latencies give a figure for each of their columns, none of them negative."""
    curve = CURVES[name]
    row = curve.measure(varied, FEW._replace(settings=curve.settings))
    assert len(row) == len(curve.columns) - 1
    assert all(figure >= 0 for figure in row)
