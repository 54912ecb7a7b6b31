"""The command `python -m examples.taxi`, as a user runs it."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.taxi.generator import write_trips

ROOT = Path(__file__).parents[3]


def taxi(*arguments: object, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.taxi", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory of its own, whose broker stops by itself seconds after the last run."""
    return tmp_path / "taxi"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist. Name a CSV or Parquet file"),
        ("", "is empty: expected a line with column names"),
        ("a,b\n1,2\n", "has other columns than trips have"),
        ("pickup,dropoff,pickup_zone,payment,passengers,distance,fare,tip,tolls,total\n2019-03", "line 2: expected 10"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    """A file that cannot be used ends the command before anything is started, with exit code 2."""
    path = tmp_path / "trips.csv"
    if content is not None:
        path.write_text(content)
    done = taxi("--trips", path, "--dir", tmp_path / "taxi")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "taxi" / "broker").exists()


def test_wrong_options_are_told() -> None:
    """A count of nothing, a rate of less and an unknown part are usage errors."""
    assert "expected a number per second above 0" in taxi("--rate", -1).stderr
    assert "expected a whole number above 0" in taxi("--count", 0).stderr
    assert taxi("lunch").returncode == 2


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """A file where the directory should be is named."""
    (tmp_path / "taxi").write_text("")
    done = taxi("--count", 10, "--seed", 1, "--dir", tmp_path / "taxi" / "below")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'taxi'}")


@pytest.mark.broker
def test_a_run_and_a_second_one(tmp_path: Path, directory: Path) -> None:
    """A run comes to pandas' totals; a second one over more rows continues it and comes to theirs."""
    write_trips(tmp_path / "trips.csv", 4_000, seed=9)
    first = taxi("--trips", tmp_path / "trips.csv", "--dir", directory, "--count", 1_500)
    assert "pandas, from trips.csv: equal" in first.stdout, first
    second = taxi("--trips", tmp_path / "trips.csv", "--dir", directory)
    assert "pandas, from trips.csv: equal" in second.stdout, second
    rides_in = re.search(r"([\d,]+) rides in", second.stdout)
    assert rides_in
    assert 3_900 < int(rides_in[1].replace(",", "")) <= 4_000


@pytest.mark.broker
@pytest.mark.crash
def test_killed_in_the_middle_nothing_is_lost(tmp_path: Path, directory: Path) -> None:
    """SIGKILL while rides are produced and confirmed; the next run completes what the first began."""
    write_trips(tmp_path / "trips.csv", 3_000, seed=9)
    arguments = ["--trips", str(tmp_path / "trips.csv"), "--dir", str(directory)]
    command = [sys.executable, "-m", "examples.taxi", *arguments, "--rate", "1000"]
    log = tmp_path / "killed.log"
    with log.open("w") as output, subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as process:
        state = directory / "state" / "taxi-analytics"
        deadline = time.monotonic() + 60
        while not state.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert state.exists(), log.read_text()
        process.send_signal(signal.SIGKILL)
    done = taxi(*arguments)
    assert done.returncode == 0, done
    assert re.search(r"pandas, from trips.csv: (equal|nothing lost)", done.stdout), done


@pytest.mark.broker
def test_four_processes_share_the_embedded_broker(tmp_path: Path, directory: Path) -> None:
    """Each program as a process of its own, found by the directory; a run of all then has nothing left to do but count."""
    write_trips(tmp_path / "trips.csv", 1_000, seed=9)
    with ExitStack() as stack:
        programs = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "examples.taxi", part, "--dir", str(directory)],
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for part in ("transaction", "email", "analytics")
        ]
        produced = taxi("rides", "--trips", tmp_path / "trips.csv", "--dir", directory)
        whole = taxi("--trips", tmp_path / "trips.csv", "--dir", directory)
        for program in programs:
            program.send_signal(signal.SIGINT)
        outputs = [program.communicate(timeout=30)[0] for program in programs]
    assert re.search(r"\d+ rides produced to ride_details", produced.stdout), produced
    assert "pandas, from trips.csv: equal" in whole.stdout, (whole, outputs)
    assert [program.returncode for program in programs] == [0, 0, 0], outputs
    assert "emails sent" in outputs[1]
