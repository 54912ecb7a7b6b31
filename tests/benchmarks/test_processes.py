"""Processes watched from outside."""

import sys
from pathlib import Path

import pytest

from benchmarks.processes import BenchmarkError, running

BUSY = "sum(range(60_000_000))"


def test_usage_of_a_process(tmp_path: Path) -> None:
    """CPU time and memory of a child are those that /proc shows."""
    with running("idle", [sys.executable, "-c", "import time; time.sleep(30)"], tmp_path) as watched:
        usage = watched.usage()
    assert usage.cpu_seconds < 5
    assert usage.resident_mb >= 0


def test_children_count_too(tmp_path: Path) -> None:
    """What a child of the process uses is the process's."""
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{BUSY}'])"
    with running("parent", ["sh", "-c", f'"{sys.executable}" -c "{code}"; sleep 30'], tmp_path) as watched:
        while watched.usage().cpu_seconds < 0.3:
            watched.check()
    assert watched.process.poll() is not None


def test_a_process_that_ended_is_an_error_with_its_log(tmp_path: Path) -> None:
    """A dead worker is told by its last words."""
    with running("worker", [sys.executable, "-c", "raise SystemExit('no such topic')"], tmp_path) as watched:
        watched.process.wait()
        with pytest.raises(BenchmarkError, match=r"worker ended with exit code 1:\nno such topic"):
            watched.check()
