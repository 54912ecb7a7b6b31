"""Stored runs: found again, and compared fairly."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.micro import Stage

HERE = {"cores": 2, "cpu": "one", "memory_gb": 8, "platform": "Linux", "python": "3.11", "commit": "abc"}
STAGE = Stage("decode", "bytes to columns", 200.0, "186", 120.0)


def test_a_stage_is_compared_with_the_machines_speed_at_both_moments() -> None:
    """Twice the time on a machine that is half as fast is no change."""
    assert replace(STAGE, ns=400.0, calibration_ns=240.0).ratio(STAGE) == 1.0
    assert replace(STAGE, ns=100.0).ratio(STAGE) == 0.5


def test_the_newest_run_of_this_machine_is_found(tmp_path: Path) -> None:
    """What `save` writes is read back; runs without stages, of other machines, and other results are passed over."""
    (tmp_path / "peers-ours.json").write_text('{"about": {}, "runs": []}')
    assert report.stored_stages(HERE, directory=tmp_path) is None
    report.save(HERE, [], [STAGE], tmp_path, name="20200101T000000.json")
    report.save({**HERE, "cores": 64}, [], [replace(STAGE, ns=1.0)], tmp_path, name="20210101T000000.json")
    report.save(HERE, [], [], tmp_path)
    found = report.stored_stages(HERE, directory=tmp_path)
    assert found is not None
    assert found.stages == {"decode": STAGE}
    assert "Against 20200101T000000.json, commit abc" in report.compared_with(found, HERE)


def test_a_run_of_another_machine_is_better_than_none_and_said(tmp_path: Path) -> None:
    """The run that is kept in the repository comes first then; the sentence says in what the machines differ."""
    report.save({**HERE, "cores": 64}, [], [STAGE], tmp_path, name="20210101T000000.json")
    report.save({**HERE, "cpu": "another"}, [], [STAGE], tmp_path, name=report.KEPT_STAGES)
    found = report.stored_stages(HERE, directory=tmp_path)
    assert found is not None
    assert found.path.name == report.KEPT_STAGES
    said = report.compared_with(found, HERE)
    assert "ANOTHER MACHINE (cpu one instead of another)" in said
    assert "No stored run" in report.compared_with(None, HERE)


def test_a_named_run_without_stages_is_refused(tmp_path: Path) -> None:
    """It says which file is wanted."""
    path = report.save(HERE, [], [], tmp_path)
    with pytest.raises(ValueError, match="name a file that `python -m benchmarks --stages` wrote"):
        report.stored_stages(HERE, path)


def test_a_stage_that_became_slower_is_marked(tmp_path: Path) -> None:
    """By its ratio to the stored run, on the terminal."""
    before = report.StoredStages({"decode": STAGE}, HERE, tmp_path)
    console = Console(record=True, width=200, file=io.StringIO())
    report.show_stages(console, [replace(STAGE, ns=300.0), replace(STAGE, name="new")], before, HERE)
    shown = console.export_text()
    assert "x 1.50 slower" in shown
    assert shown.count("slower") == 1
