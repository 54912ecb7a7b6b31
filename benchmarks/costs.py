"""What one worker and the broker cost, from the results that are stored; the simulation rests on nothing else.

Rules: a cost that is in no file is None, and `missing` says with what command it is measured. Between two measured
points of a curve it is taken in proportion, beyond the last one along the last two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.report import RESULTS

CONSUMED, SIDE, MODE = "consume 1 KB", "headrace", "durable"
BROKER = "broker-beside-kafka.json"
CURVES = ("restore", "commits", "idle")


class Costs(NamedTuple):
    """The files that costs come from: curves by name, and the medians of the broker's own benchmark."""

    curves: dict[str, dict[str, Any]]
    broker_mb_per_second: float | None

    @property
    def missing(self) -> list[str]:
        """The commands that measure what is not there."""
        absent = [f"make bench-curves ARGS={name}" for name in CURVES if name not in self.curves]
        return [*absent, *(["make bench-broker"] if self.broker_mb_per_second is None else [])]

    @property
    def restore_mb_per_second(self) -> float | None:
        """Of changelog, one worker, from the largest state that was restored."""
        if not (last := self._last("restore")):
            return None
        return last["restored/s"] * last["changelog MB"] / last["changelog records"]

    @property
    def changelog_record_bytes(self) -> float | None:
        """Of the records that were restored."""
        last = self._last("restore")
        return last["changelog MB"] * 1e6 / last["changelog records"] if last else None

    def seconds_to_restore(self, size_mb: float) -> float | None:
        """State of a size, on one worker that has nothing else to do."""
        rate = self.restore_mb_per_second
        return size_mb / rate if rate else None

    def commit_share(self, side: str, partitions: float) -> float | None:
        """The share of a core that `worker` or `broker` takes for ten commits a second of so many partitions."""
        return self._share("commits", side, partitions)

    def idle_share(self, side: str, partitions: float) -> float | None:
        """The share of a core that `worker` or `broker` takes when nothing comes."""
        return self._share("idle", side, partitions)

    def worker_mb(self, partitions: float) -> float | None:
        """Resident memory of a worker with so many tasks with state, idle."""
        return self._at("idle", "worker MB", partitions)

    def used(self) -> list[dict[str, Any]]:
        """Where the costs come from. Shape of each: name, commit, calibration in ns, its range of points."""
        return [
            {
                "name": name,
                "commits": sorted(set(curve["commits"].values())),
                "calibration": [min(speeds := _column(curve, "calibration ns")), max(speeds)],
                "points": [curve["points"][0][0], curve["points"][-1][0]],
            }
            for name, curve in self.curves.items()
        ]

    def _share(self, name: str, side: str, partitions: float) -> float | None:
        found = self._at(name, f"{side} % of a core", partitions)
        return None if found is None else found / 100

    def _at(self, name: str, column: str, varied: float) -> float | None:
        curve = self.curves.get(name)
        if curve is None:
            return None
        points = list(zip(_column(curve, curve["columns"][0]), _column(curve, column), strict=True))
        return between(points, varied)

    def _last(self, name: str) -> dict[str, float] | None:
        curve = self.curves.get(name)
        return dict(zip(curve["columns"], curve["points"][-1], strict=True)) if curve else None


def between(points: Sequence[tuple[float, float]], x: float) -> float:
    """The value at `x` on the lines through points by ascending x; one point is a constant."""
    if len(points) == 1:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if x <= right or (right, high) == points[-1]:
            return low + (high - low) * (x - left) / (right - left)
    raise AssertionError("the last pair returns")


def read(results: Path = RESULTS) -> Costs:
    """What is there of it."""
    curves = {}
    for name in CURVES:
        path = results / f"curve-{name}.json"
        if path.exists() and (curve := json.loads(path.read_text()))["points"]:
            curves[name] = curve
    return Costs(curves, _broker(results / BROKER))


def _broker(path: Path) -> float | None:
    if not path.exists():
        return None
    rates = [
        run["measured"][CONSUMED]["MB/s"]
        for run in json.loads(path.read_text())["runs"]
        if (run["side"], run["mode"]) == (SIDE, MODE) and CONSUMED in run["measured"]
    ]
    return median(rates) if rates else None


def _column(curve: dict[str, Any], name: str) -> list[float]:
    index = curve["columns"].index(name)
    return [point[index] for point in curve["points"]]
