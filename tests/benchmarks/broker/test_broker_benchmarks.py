"""The broker's benchmark at its smallest, on the bundled broker: every scene yields its figures."""

from pathlib import Path

import pytest

from benchmarks.broker import report
from benchmarks.broker.scenes import SCENES, Size
from benchmarks.broker.sides import OURS, RELAXED

TINY = Size(
    small_records=2_000,
    large_records=500,
    single_records=40,
    latency_seconds=0.1,
    many_partitions=20,
    partitions=10,
    connections=5,
    gigabytes=2,
)
EXPECTED = {
    "batches": {"start", "produce 1 KB", "consume 100 B"},
    "single": {"one record per batch"},
    "latency": {"end to end", "end to end beside compaction"},
    "loaded": {"loaded"},
    "partitions": {"produce 100 B, 10 partitions", "consume 1 KB, 20 partitions"},
    "log": {"start, 2 GB", "produce 1 KB, 1 GB", "end to end, 2 GB"},
}


@pytest.mark.broker
@pytest.mark.parametrize("scene", SCENES)
def test_scene(tmp_path: Path, scene: str) -> None:
    """Everything the scene promises is measured, and everything sent was acknowledged and read."""
    measured = SCENES[scene](OURS, RELAXED, tmp_path / "data", TINY)
    assert EXPECTED[scene] <= measured.keys()
    assert all(value >= 0 for figures in measured.values() for value in figures.values())


def test_medians_go_into_the_page(tmp_path: Path) -> None:
    """A stored result becomes a table of medians between two marks; the rest of the page stays."""
    runs = [
        {"side": side, "mode": "durable", "scene": "latency", "measured": {"end to end": {"p99 ms": value}}}
        for side, values in (("kafka", (9.0,)), ("headrace", (1.0, 7.0, 2.0)))
        for value in values
    ]
    machine = {"cores": 2, "platform": "Linux", "python": "3.11", "commit": "abc"}
    page = tmp_path / "broker.md"
    page.write_text(f"before\n{report.BEGIN}old\n{report.END}\nafter\n")
    report.keep([report.save(machine, runs, tmp_path)], tmp_path / "kept.json")
    report.document(tmp_path / "kept.json", page)
    text = page.read_text()
    assert "| end to end | p99 ms | 2 | 9 |" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
