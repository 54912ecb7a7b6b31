"""The simulation: real rebalances, costs from files, and sentences only where something bends."""

import json
from pathlib import Path
from random import Random

from benchmarks.costs import read
from benchmarks.large_installations_page import page
from benchmarks.simulation import NAME, Installation, bends, main, rebalances
from tests.benchmarks.test_costs import IDLE, RESTORE, keep

SMALL = Installation(workers=8, tasks=64, state_gb=6.4)


def stored(folder: Path, *, broker_share: float = 1.0) -> None:
    keep(folder, "restore", RESTORE, [9, 1_000_000, 50.0, 400_000.0, 120.0])
    keep(folder, "idle", IDLE, [1, 1.0, 1.0, 50.0, 30.0, 120.0], [101, 11.0, 4.0, 150.0, 30.0, 120.0])
    keep(folder, "commits", IDLE, [1, 2.0, broker_share, 50.0, 30.0, 120.0])


def test_a_change_costs_what_the_assignor_moves(tmp_path: Path) -> None:
    """100 MB a task at 20 MB/s: five seconds for each that the busiest worker has to fetch."""
    stored(tmp_path)
    rows = {row["what"]: row for row in rebalances(SMALL, read(tmp_path), 1, Random(1))}
    cold = rows["1 workers die, no standbys"]
    assert (cold["moved"], cold["stalled"], cold["looks"]) == (8, 8, 1)
    assert cold["stalled_s"] == 10.0
    warm = rows["1 workers die, one standby each"]
    assert (warm["moved"], warm["stalled"]) == (8, 0)
    joins = rows["1 worker joins"]
    assert (joins["moved"], joins["looks"], joins["stalled"]) == (7, 5, 0)
    assert joins["settled_s"] == 7 * 5.0 + 5 * 3.0


def test_a_change_that_takes_many_looks_goes_on_at_its_pace(tmp_path: Path) -> None:
    """Two warm-ups at a time: 72 tasks need 37 looks, of which ten are computed."""
    stored(tmp_path)
    size = Installation(workers=10, tasks=800, state_gb=80.0)
    rows = {row["what"]: row for row in rebalances(size, read(tmp_path), 1, Random(1))}
    joins = rows["1 worker joins"]
    assert not joins["computed"]
    assert (joins["looks"], joins["moved"], joins["fetched_gb"]) == (37, 72, 7.4)


def test_only_what_bends_is_said(tmp_path: Path) -> None:
    """A broker with room for all commits is no matter; one without is, with what to do."""
    for share, said in ((1.0, False), (50.0, True)):
        stored(tmp_path, broker_share=share)
        costs = read(tmp_path)
        rows = [{"name": "commits-broker", "value": costs.commit_share("broker", 8) * SMALL.workers}]
        assert bool(list(bends(rows, [], SMALL))) == said


def test_the_whole_is_kept(tmp_path: Path) -> None:
    """With the costs it rests on; without any, what is missing is said and the rest computed."""
    assert main(["--workers", "8", "--partitions", "64", "--churn", "1", "--results", str(tmp_path)]) == 0
    found = json.loads((tmp_path / NAME).read_text())
    assert len(found["missing"]) == 4
    assert {row["settled_s"] for row in found["rebalances"]} == {None}
    stored(tmp_path)
    main(["--workers", "8", "--partitions", "64", "--churn", "1", "--results", str(tmp_path)])
    found = json.loads((tmp_path / NAME).read_text())
    assert found["missing"] == ["make bench-broker"]
    said = page(found)
    assert "restores 20.0 MB of changelog a second, in records of 50 bytes" in said
    assert "8 tasks stand still for up to" in said
    assert {row["name"] for row in found["figures"]} >= {"restore", "commits-broker", "idle-worker", "memory", "group"}
