"""Costs are those of the stored results, and what is not stored is said."""

import json
from pathlib import Path

import pytest

from benchmarks.costs import between, read

IDLE = ["partitions", "worker % of a core", "broker % of a core", "worker MB", "broker MB", "calibration ns"]
RESTORE = ["input records", "changelog records", "changelog MB", "restored/s", "calibration ns"]


def keep(folder: Path, name: str, columns: list[str], *points: list[float]) -> None:
    commits = {str(point[0]): "abc" for point in points}
    curve = {"columns": columns, "points": points, "commits": commits}
    (folder / f"curve-{name}.json").write_text(json.dumps(curve))


@pytest.mark.parametrize(("x", "y"), [(1, 10.0), (2, 15.0), (3, 20.0), (4, 40.0), (6, 80.0)])
def test_between_points_in_proportion_and_beyond_along_the_last_two(x: float, y: float) -> None:
    """A cost at a size that was not measured."""
    assert between([(1, 10.0), (3, 20.0), (4, 40.0)], x) == y


def test_one_point_is_a_constant() -> None:
    """Nothing says how the cost changes."""
    assert between([(4, 2.5)], 400) == 2.5


def test_costs_come_from_the_files(tmp_path: Path) -> None:
    """Shares, memory and the rate of a restore in bytes, from the largest that was measured."""
    keep(tmp_path, "idle", IDLE, [1, 1.0, 2.0, 50.0, 30.0, 120.0], [101, 11.0, 4.0, 150.0, 30.0, 240.0])
    keep(tmp_path, "restore", RESTORE, [5, 1_000, 1.0, 5.0, 120.0], [9, 1_000_000, 50.0, 400_000.0, 120.0])
    costs = read(tmp_path)
    assert costs.idle_share("worker", 51) == 0.06
    assert costs.worker_mb(101) == 150.0
    assert costs.restore_mb_per_second == 20.0
    assert costs.changelog_record_bytes == 50.0
    assert costs.seconds_to_restore(100.0) == 5.0
    assert costs.used()[1] == {"name": "idle", "commits": ["abc"], "calibration": [120.0, 240.0], "points": [1, 101]}


def test_what_was_not_measured_is_missing(tmp_path: Path) -> None:
    """No figure, and the command that makes it."""
    costs = read(tmp_path)
    assert costs.commit_share("broker", 100) is None
    assert costs.seconds_to_restore(1.0) is None
    assert costs.missing == [
        *(f"make bench-curves ARGS={name}" for name in ("restore", "commits", "idle")),
        "make bench-broker",
    ]
