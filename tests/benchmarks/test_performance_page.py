"""The page says what the results say, and what falls short of the goals."""

import json
from pathlib import Path
from typing import Any

from benchmarks.performance_page import DOCS, write
from benchmarks.report import RESULTS


def run(
    system: str, per_cpu_second: float, *, workload: str = "count", guarantee: str = "at_least_once", turn: int = 0
):
    result = {
        "records": 1_000,
        "records_per_second": per_cpu_second * 0.9,
        "records_per_cpu_second": per_cpu_second,
        "worker_mb": 100.0,
        "broker_cpu_per_million": 0.5,
        "calibration_ns": 120.0,
    }
    return {"system": system, "workload": workload, "guarantee": guarantee, "turn": turn, "result": result}


def page_of(folder: Path, *runs: dict[str, Any]) -> str:
    machine = {"platform": "Linux", "cores": 2, "python": "3.11", "commit": "abc"}
    caveats = {"headrace": "ours", "kafka-streams": "theirs", "quix": "another"}
    about = {"machine": machine, "versions": {}, "caveats": caveats, "records": 1_000, "broker": "ours"}
    (folder / "peers-ours.json").write_text(json.dumps({"about": about, "runs": runs}))
    write(folder, folder)
    return (folder / "performance.md").read_text()


def test_a_row_that_meets_the_goal(tmp_path: Path) -> None:
    """Six times Kafka Streams is said, and is no shortfall; systems without a figure have no column."""
    page = page_of(tmp_path, run("headrace", 600_000), run("kafka-streams", 100_000))
    assert "| count | 600k | 100k | **6.0 x** |" in page
    assert "Nothing of what was measured here." in page
    assert (tmp_path / "plots" / "performance-ours-at-least-once.svg").exists()


def test_a_row_that_misses_it_is_said(tmp_path: Path) -> None:
    """Too slow against Kafka Streams, and exactly-once too far below at-least-once."""
    page = page_of(
        tmp_path,
        run("headrace", 300_000),
        run("kafka-streams", 100_000),
        run("headrace", 200_000, guarantee="exactly_once_v2"),
    )
    assert "count, at-least-once: 3.0 times Kafka Streams per CPU-second, not 5." in page
    assert "count, exactly-once: no figure of Kafka Streams to compare with." in page
    assert "count, exactly-once: 33% below at-least-once per CPU-second, not within 10 %." in page


def test_several_turns_become_their_median(tmp_path: Path) -> None:
    """One run that the machine disturbed does not make the figure."""
    turns = [run("headrace", figure, turn=turn) for turn, figure in enumerate((500_000, 20_000, 510_000))]
    assert "| count | 500k | - |" in page_of(tmp_path, *turns)


def test_failed_runs_are_named(tmp_path: Path) -> None:
    """A system without a figure says why."""
    failed = {"system": "quix", "workload": "count", "guarantee": "at_least_once", "turn": 0, "error": "it ended\nmore"}
    assert "- quix, count, at-least-once: it ended\n" in page_of(tmp_path, run("headrace", 500_000), failed)


def test_the_page_in_the_repository_is_that_of_its_results(tmp_path: Path) -> None:
    """Nobody changed a figure by hand, and nobody forgot `make performance`."""
    write(RESULTS, tmp_path)
    assert (DOCS / "performance.md").read_text() == (tmp_path / "performance.md").read_text()
