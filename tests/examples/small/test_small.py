"""The examples of one screen each: what they print, and what they promise."""

import subprocess
import sys
from pathlib import Path

import pytest

from examples.small import fraud, late_data, reprocessing, word_count
from streams.testing import TopologyTestDriver

ROOT = Path(__file__).parents[3]


def test_words_are_counted() -> None:
    """Upper and lower case are one word, and each line adds up."""
    with TopologyTestDriver(word_count.app) as driver:
        driver.input("lines").send(None, "In and out, and in", timestamp=0)
        driver.input("lines").send(None, "out", timestamp=1)
        assert driver.output("counts").read_to_dict() == {"in": 2, "and": 2, "out": 2}


def test_late_data_by_window() -> None:
    """Grace lets late reports in; final results leave out what is not closed; a session takes in what it can reach."""
    outcomes = {name: late_data.outcome(app) for name, app in late_data.PROGRAMS.items()}
    assert outcomes["tumbling, no grace"] == ({"0-10": 2, "10-20": 1, "20-30": 1}, 2)
    assert outcomes["tumbling, grace 10 s"] == ({"0-10": 3, "10-20": 1, "20-30": 1}, 1)
    assert outcomes["tumbling, grace 1 minute"] == ({"0-10": 4, "10-20": 1, "20-30": 1}, 0)
    assert outcomes["session, gap 10 s, grace 10 s"] == ({"1-12": 5, "27-27": 1}, 0)
    assert outcomes["tumbling, suppressed until closed"][0] == outcomes["tumbling, emitted on close"][0] == {"0-10": 3}


def test_the_readme_shows_what_late_data_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """All eight kinds of windows, line by line."""
    late_data.main()
    readme = (ROOT / "examples" / "small" / "README.md").read_text()
    assert capsys.readouterr().out in readme


def test_the_test_file_runs() -> None:
    """The example of a test passes by itself, and fails when the program does."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/small/test_fraud.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "3 passed" in done.stdout, done.stdout
    assert fraud.reason(fraud.Session(4, 1.0, ["FR"])) is None


@pytest.mark.broker
def test_reprocessing_compares_two_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The new version counts refunds too; a second look reads the same topics and comes to the same."""
    for _ in range(2):
        reprocessing.main(tmp_path)
        lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
        assert lines == [
            ["lamp", "62.00", "32.00", "changed"],
            ["mug", "16.00", "16.00"],
            ["vase", "25.00", "0.00", "changed"],
        ]
    old, _new = reprocessing.versions(tmp_path)
    assert old.remove_data()
