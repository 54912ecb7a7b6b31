"""The page says what the results say, and what falls short of the goals."""

import json
from pathlib import Path
from typing import Any

from benchmarks.micro import Stage
from benchmarks.performance_page import DOCS, write
from benchmarks.report import KEPT_SAMPLES, KEPT_STAGES, RESULTS, save
from benchmarks.simulation import main


def run(
    system: str,
    per_cpu_second: float,
    *,
    workload: str = "count",
    guarantee: str = "at_least_once",
    turn: int = 0,
    commits: int = 20,
):
    result = {
        "records": 1_000,
        "records_per_second": per_cpu_second * 0.9,
        "records_per_cpu_second": per_cpu_second,
        "worker_mb": 100.0,
        "broker_cpu_per_million": 0.5,
        "calibration_ns": 120.0,
        "commits": commits,
    }
    return {"system": system, "workload": workload, "guarantee": guarantee, "turn": turn, "result": result}


def page_of(folder: Path, *runs: dict[str, Any]) -> str:
    machine = {"platform": "Linux", "cores": 2, "python": "3.11", "commit": "abc"}
    caveats = {"headrace": "ours", "kafka-streams": "theirs", "quix": "another"}
    about = {"machine": machine, "versions": {}, "caveats": caveats, "broker": "ours"}
    (folder / "peers-ours.json").write_text(json.dumps({"about": about, "runs": runs}))
    write(folder, folder)
    return (folder / "performance.md").read_text()


def test_a_row_that_meets_the_goal(tmp_path: Path) -> None:
    """Six times Kafka Streams is said, and is no shortfall; systems without a figure have no column."""
    page = page_of(tmp_path, run("headrace", 600_000), run("kafka-streams", 100_000))
    assert "| count | 600k | 100k | **6.0 x** |" in page
    assert "- count, at-least-once" not in page
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


def test_a_figure_of_few_commits_is_said(tmp_path: Path) -> None:
    """Where hardly a commit lies between, what was done and what was committed are of different records."""
    page = page_of(tmp_path, run("headrace", 600_000, commits=3), run("kafka-streams", 100_000))
    assert "count, at-least-once: only 3 commits of ours lie in the time that is measured: take more records." in page


def test_several_turns_become_their_median(tmp_path: Path) -> None:
    """One run that the machine disturbed does not make the figure."""
    turns = [run("headrace", figure, turn=turn) for turn, figure in enumerate((500_000, 20_000, 510_000))]
    assert "| count | 500k | - |" in page_of(tmp_path, *turns)


def test_turns_are_compared_with_themselves(tmp_path: Path) -> None:
    """Where the machine is half as fast for a turn, both are: the ratio is each turn's, with how far turns lie apart."""
    ours = [run("headrace", figure, turn=turn) for turn, figure in enumerate((600_000, 330_000, 640_000))]
    theirs = [run("kafka-streams", figure, turn=turn) for turn, figure in enumerate((100_000, 60_000, 80_000))]
    alone = run("headrace", 100_000, turn=3)
    page = page_of(tmp_path, *ours, *theirs, alone)
    assert "| count | 465k | 80k | **6.0 x** (5.5-8.0) |" in page
    assert "- count, at-least-once" not in page


def test_failed_runs_are_named(tmp_path: Path) -> None:
    """A system without a figure says why."""
    failed = {"system": "quix", "workload": "count", "guarantee": "at_least_once", "turn": 0, "error": "it ended\nmore"}
    assert "- quix, count, at-least-once: it ended\n" in page_of(tmp_path, run("headrace", 500_000), failed)


def test_systems_measured_apart_are_told_apart(tmp_path: Path) -> None:
    """Each with its commits, Python, records and the machine's speed; what was kept without is of the file's."""
    later = {**run("kafka-streams", 100_000), "commit": "def", "python": "3.13"}
    page = page_of(tmp_path, run("headrace", 600_000), later)
    assert "Python 3.11, commits abc, def; calibration 120" in page
    assert "| kafka-streams |  | def | 3.13 | 1,000 | 120-120 | theirs |" in page


def test_what_another_processor_has_measured_is_told(tmp_path: Path) -> None:
    """The heading names the processor of most runs; those of another compare with each other only."""
    ours, theirs = run("headrace", 600_000), run("kafka-streams", 100_000)
    twice = [{**theirs, "workload": name, "cpu": "one"} for name in ("window", "count")]
    page = page_of(tmp_path, *twice, {**ours, "cpu": "other"}, {**ours, "guarantee": "exactly_once_v2", "cpu": "one"})
    assert "Linux, one, 2 cores, Python 3.11" in page
    assert "On another processor, other: count of headrace. They compare with each other, not with the rest." in page


def test_rows_against_apache_kafka_are_told_apart(tmp_path: Path) -> None:
    """Shortfalls of both brokers stand in one list."""
    page_of(tmp_path, run("headrace", 300_000), run("kafka-streams", 100_000))
    kept = json.loads((tmp_path / "peers-ours.json").read_text())
    kept["about"]["broker"] = "kafka"
    (tmp_path / "peers-kafka.json").write_text(json.dumps(kept))
    write(tmp_path, tmp_path)
    page = (tmp_path / "performance.md").read_text()
    assert "- count, at-least-once: 3.0 times" in page
    assert "- count, at-least-once, against Apache Kafka: 3.0 times" in page


def test_stages_stand_beside_the_spike(tmp_path: Path) -> None:
    """As measured, and as they would be where the fixed loop takes 120 ns."""
    about = {"platform": "Linux", "cpu": "one", "cores": 2, "python": "3.11", "commit": "abc"}
    save(about, [], [Stage("decode", "bytes to columns", 400.0, "186", 240.0)], tmp_path, name=KEPT_STAGES)
    page = page_of(tmp_path)
    assert "| decode | bytes to columns | 400 | 200 | 186 | 240 |" in page


def test_steps_stand_beside_each_other(tmp_path: Path) -> None:
    """Shares of a run's CPU per record, as ns."""
    rows = [
        {
            "workload": workload,
            "records": 1_000,
            "ns": ns,
            "calibration_ns": 180.0,
            "samples": 2_000,
            "shares": {"network": 0.25, "operators": 0.75},
        }
        for workload, ns in (("count", 1_200.0), ("window", 2_000.0))
    ]
    about = {"platform": "Linux", "cpu": "one", "cores": 2, "python": "3.11", "commit": "abc"}
    (tmp_path / KEPT_SAMPLES).write_text(json.dumps({"machine": about, "rows": rows}))
    page = page_of(tmp_path)
    assert "| step | count | window |" in page
    assert "| network | 300 | 500 |" in page
    assert "| **all** | 1,200 | 2,000 |" in page


def test_curves_are_shown_and_held_against_the_goals(tmp_path: Path) -> None:
    """A table, a plot, what was not measured, and the restore that is too slow."""
    curve = {
        "title": "State lost",
        "said": "What to look for.",
        "columns": ["input records", "restored/s"],
        "plotted": ["restored/s"],
        "across": "records",
        "made_with": {"settings": ["a=1"]},
        "about": {"platform": "Linux", "cpu": "one", "cores": 2, "python": "3.11"},
        "points": [[1_000, 400_000.0]],
        "commits": {"1000": "def"},
        "command": "make bench-curves ARGS='restore'",
    }
    (tmp_path / "curve-restore.json").write_text(json.dumps(curve))
    page = page_of(tmp_path)
    assert "| 1,000 | 400k |" in page
    assert "commit def; settings a=1; again: `make bench-curves ARGS='restore'`" in page
    assert "Not measured: partitions, workers, keys" in page
    assert "- restore: 400k records/s at best, not a million." in page
    assert (tmp_path / "plots" / "performance-curve-restore.svg").exists()


def test_the_simulation_has_a_page(tmp_path: Path) -> None:
    """What was computed, and without costs what is missing for the rest."""
    main(["--workers", "8", "--partitions", "64", "--churn", "1", "--results", str(tmp_path)])
    page_of(tmp_path)
    page = (tmp_path / "large-installations.md").read_text()
    assert "holds 8 workers, 64 partitions and 1 TB of state" in page
    assert "| 1 workers die, no standbys | 1 |" in page
    assert "measure it with `make bench-curves ARGS=restore`" in page


def test_the_pages_in_the_repository_are_those_of_its_results(tmp_path: Path) -> None:
    """Nobody changed a figure by hand, and nobody forgot `make performance`."""
    write(RESULTS, tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert Path("performance.md") in made
    assert Path("large-installations.md") in made
    assert [(DOCS / path).read_text() for path in made] == [(tmp_path / path).read_text() for path in made]
