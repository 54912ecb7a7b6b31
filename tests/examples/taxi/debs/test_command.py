"""The command `python -m examples.taxi debs`, as a user runs it: on the real broker, with kills, on bad input."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from examples.taxi.debs.generator import write_trips
from examples.taxi.debs.trip_file import COLUMNS
from examples.taxi.zones import NUMBERS
from tests.examples.taxi.debs.campaign import ROOT, Run, difference
from tests.examples.taxi.debs.recomputation import answers, answers_to, written, zone_trips


def taxi(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.taxi", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)


@pytest.mark.broker
@pytest.mark.crash
@pytest.mark.parametrize(("query", "victims"), [(1, ["worker"]), (2, ["broker"])])
def test_two_workers_and_a_kill_in_the_middle(tmp_path: Path, query: int, victims: list[str]) -> None:
    """Every list but its delay is as recomputed, and nothing is left behind but the output."""
    write_trips(tmp_path / "trips.csv", 1_500, seed=query, taxis=20)
    run = Run(tmp_path / "trips.csv", tmp_path / "out.csv", tmp_path / "run", query, workers=2, victims=victims)
    run.pause_s, run.rate = (0.1, 0.3), 200
    assert "1,500 trips in" in run.go(timeout_s=110)
    equal, problem = difference(tmp_path / "out.csv", answers(tmp_path / "trips.csv", query))
    assert not problem
    assert equal > 300
    assert {path.name for path in tmp_path.iterdir()} == {"trips.csv", "out.csv"}


@pytest.mark.broker
def test_a_worker_whose_command_was_killed_before_it_began_ends(tmp_path: Path) -> None:
    """It would hold the broker of the run for ever, and whoever runs the command again could never tidy up."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    broker = f"embedded://{tmp_path / 'run'}"
    command = [sys.executable, "-m", "examples.taxi.debs.workers", gone.stdout.strip(), "frequent-routes"]
    worker = subprocess.run([*command, "--broker", broker], cwd=ROOT, capture_output=True, timeout=90)
    assert worker.returncode in {0, -15}


@pytest.mark.broker
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_commissions_trips_with_zones(tmp_path: Path, kind: str) -> None:
    """Trips that know zones and no taxis, in either kind of file, give the recomputed lists of zones, also by a link."""
    zones, trips = list(NUMBERS.items()), tmp_path / f"trips.{kind}"
    frame = pd.DataFrame(
        {
            "tpep_pickup_datetime": pd.Timestamp("2024-03-01 08:00")
            + pd.to_timedelta([40 * n % 1_000 for n in range(300)], "s"),
            "tpep_dropoff_datetime": pd.Timestamp("2024-03-01 08:30")
            + pd.to_timedelta([n % 150 * 20 for n in range(300)], "s"),
            "PULocationID": [zones[n * 7 % 5][1] for n in range(300)],
            "DOLocationID": [zones[n % 4][1] for n in range(300)],
            "payment_type": 1,
            "passenger_count": 1.0,
            "trip_distance": 2.5,
            "fare_amount": [8 + n % 9 / 2 for n in range(300)],
            "tip_amount": 1.1,
            "tolls_amount": 0.0,
            "total_amount": 9.9,
        }
    )
    frame.to_csv(tmp_path / "trips.csv", index=False)
    if kind == "parquet":
        frame.to_parquet(trips)
    (tmp_path / "out.csv").symlink_to(tmp_path / "lists.csv")
    done = taxi("debs", "--query", 2, "--trips", trips, "--output", tmp_path / "out.csv", "--dir", tmp_path / "run")
    assert done.returncode == 0, done
    assert (tmp_path / "out.csv").is_symlink()
    expected = list(answers_to(zone_trips(tmp_path / "trips.csv", NUMBERS), query=2))
    assert list(written(tmp_path / "out.csv")) == expected
    assert len(expected) > 100


@pytest.mark.parametrize("cut", [True, False])
def test_parquet_files_that_cannot_be_used(tmp_path: Path, cut: bool) -> None:
    """One with other columns, and one that is cut, are one sentence and code 2."""
    trips = tmp_path / "trips.parquet"
    pd.DataFrame({"a": [1], "b": [2]}).to_parquet(trips)
    if cut:
        trips.write_bytes(trips.read_bytes()[:-100])
    done = taxi("debs", "--query", 1, "--trips", trips, "--output", tmp_path / "out.csv", "--dir", tmp_path / "run")
    assert done.returncode == 2
    assert ("cannot be read as Parquet" if cut else "has other columns than trips have") in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"trips.parquet"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist. Name a file"),
        ("", "is empty: expected a trip a line"),
        ("1,2,3\n", "expected the 17 columns of the DEBS 2015 challenge, found 3"),
        ("tpep_pickup_datetime,tpep_dropoff_datetime\n2024,2025\n", "has other columns than trips have"),
        (",".join(COLUMNS) + "\n", "a header, which the challenge's files do not have. Delete the line."),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    """A file that cannot be used ends the command with code 2 before anything is started; an old output stays."""
    if content is not None:
        (tmp_path / "trips.csv").write_text(content)
    (tmp_path / "out.csv").write_text("old")
    options = ("--trips", tmp_path / "trips.csv", "--output", tmp_path / "out.csv", "--dir", tmp_path / "run")
    done = taxi("debs", "--query", 1, *options)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "out.csv").read_text() == "old"
    assert not (tmp_path / "run").exists()


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    """A directory that is not there is told before anything is read; a pipe is not replaced by a file."""
    os.mkfifo(tmp_path / "pipe")
    for output, sentence in ((tmp_path / "nowhere" / "out.csv", "there is no directory"), (tmp_path / "pipe", "is no")):
        done = taxi("debs", "--query", 2, "--trips", tmp_path / "t.csv", "--output", output)
        assert done.returncode == 2
        assert sentence in done.stderr


def test_the_trips_are_not_replaced(tmp_path: Path) -> None:
    """An output over the input is refused."""
    write_trips(tmp_path / "trips.csv", 5, seed=1)
    done = taxi("debs", "--query", 1, "--trips", tmp_path / "trips.csv", "--output", tmp_path / "trips.csv")
    assert done.returncode == 2
    assert "holds the trips, and would be replaced" in done.stderr


def test_trips_are_made_by_a_command(tmp_path: Path) -> None:
    """As many as asked for, in 17 columns."""
    assert taxi("debs-trips", "--count", 50, "--output", tmp_path / "trips.csv").returncode == 0
    assert [line.count(",") for line in (tmp_path / "trips.csv").read_text().splitlines()] == [16] * 50
