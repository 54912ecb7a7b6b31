"""Stored runs: found again, and compared fairly."""

from dataclasses import replace
from pathlib import Path

from benchmarks import report
from benchmarks.micro import Stage

STAGE = Stage("decode", "bytes to columns", 200.0, "186", 120.0)


def test_a_stage_is_compared_with_the_machines_speed_at_both_moments() -> None:
    """Twice the time on a machine that is half as fast is no change."""
    assert replace(STAGE, ns=400.0, calibration_ns=240.0).ratio(STAGE) == 1.0
    assert replace(STAGE, ns=100.0).ratio(STAGE) == 0.5


def test_the_newest_run_with_stages_is_found(tmp_path: Path) -> None:
    """What `save` writes is read back; a run without stages is passed over."""
    saved = report.save({"cores": 2}, [], [STAGE], tmp_path)
    saved.rename(tmp_path / "20200101T000000.json")
    report.save({"cores": 2}, [], [], tmp_path)
    assert report.stored_stages(directory=tmp_path) == {"decode": STAGE}
    assert report.stored_stages(directory=tmp_path / "nowhere") == {}
