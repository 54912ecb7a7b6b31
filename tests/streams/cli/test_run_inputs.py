"""`streams run --input`: the application over files to their end, on the real broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

APP = """
import msgspec
from streams import App

class Ride(msgspec.Struct):
    zone: str
    fare: float
    at: int

app = App("taxi", processing_guarantee=%r)
rides = app.topic("rides", key=str, value=Ride, timestamp=lambda ride: ride.at, partitions=2)

@app.aggregate(rides, by=lambda ride: ride.zone, name="takings", to="takings")
def takings(total: float, ride: Ride) -> float:
    return total + ride.fare

if __name__ == "__main__":
    app.main()
"""


def streams(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STREAMS_EMBEDDED_IDLE_MS": "5000"}
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def takings(home: Path) -> dict[str, float]:
    lines = map(json.loads, streams(home, "consume", "takings", "--app", "taxi:app").stdout.splitlines())
    return {line["key"]: line["value"] for line in lines}


@pytest.mark.broker
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_batch_and_stream_are_one_program(tmp_path: Path, guarantee: str) -> None:
    """A file runs through to its end and the command stops; a second file goes on where the first ended."""
    (tmp_path / "taxi.py").write_text(APP % guarantee)
    columns = {"zone": ["a", "b"] * 500, "fare": [1.0, 2.0] * 500, "at": list(range(1000))}
    parquet.write_table(pa.table(columns), tmp_path / "rides.parquet")
    done = streams(tmp_path, "run", "taxi:app", "--input", "rides=rides.parquet", "--input-key", "rides=zone")
    assert done.returncode == 0, done.stderr
    assert "rides: 1,000 rows of rides.parquet" in done.stderr
    assert takings(tmp_path) == {"a": 500.0, "b": 1000.0}
    (tmp_path / "more.csv").write_text("zone,fare,at\na,0.5,2000\n")
    assert streams(tmp_path, "run", "taxi:app", "--input", "rides=more.csv").returncode == 0
    assert takings(tmp_path) == {"a": 500.5, "b": 1000.0}


JOINED = """
import msgspec
from streams import App

class Zone(msgspec.Struct):
    name: str
    fee: float

app = App("taxi")
zones = app.global_table(app.topic("zones", key=int, value=Zone))
fares = app.stream(app.topic("fares", key=int, value=float))
fares.join(zones, lambda fare, zone: f"{zone.name} {fare + zone.fee}", on=lambda zone, _fare: zone).to("charged")
"""


@pytest.mark.broker
def test_a_global_table_is_filled_by_a_file(tmp_path: Path) -> None:
    """It is read to its end before the other files are: every row finds its zone."""
    (tmp_path / "taxi.py").write_text(JOINED)
    (tmp_path / "zones.csv").write_text("key,name,fee\n1,Astoria,0.5\n2,JFK,5\n")
    (tmp_path / "fares.csv").write_text("key,value\n1,9.5\n2,50\n")
    done = streams(tmp_path, "run", "taxi:app", "--input", "fares=fares.csv", "--input", "zones=zones.csv")
    assert done.returncode == 0, done.stderr
    lines = streams(tmp_path, "consume", "charged").stdout.splitlines()
    assert sorted(json.loads(line)["value"] for line in lines) == ["Astoria 10.0", "JFK 55.0"]


@pytest.mark.broker
def test_nothing_is_written_unless_every_row_fits(tmp_path: Path) -> None:
    """One wrong row at the end of one of two files: exit code 2, one sentence, and not even a broker was started."""
    (tmp_path / "taxi.py").write_text(APP % "at_least_once")
    (tmp_path / "cut.csv").write_text("zone,fare,at\n" + "a,1,1\n" * 20_000 + "a,1")
    done = streams(tmp_path, "run", "taxi:app", "--input", "rides=cut.csv")
    assert done.returncode == 2
    assert "cut.csv, line 20002: it has 2 cells where the header names 3 columns" in done.stderr
    assert "Traceback" not in done.stderr
    done = streams(tmp_path, "run", "taxi:app", "--input", "ride=cut.csv")
    assert (done.returncode, "does not read that topic; it reads rides; did you mean 'rides'?" in done.stderr) == (
        2,
        True,
    )
    assert not (tmp_path / ".streams").exists()


MATCHING = """
import re
from streams import App

app = App("sums", processing_guarantee="exactly_once_v2")
shops = app.stream(re.compile("shop-.*"), key=str, value=float)
shops.group_by(lambda _key, _value: "all", key=str).reduce(lambda a, b: a + b, name="sums").to_stream().to("sums")
"""


@pytest.mark.broker
def test_topics_that_match_a_pattern_are_filled_by_files(tmp_path: Path) -> None:
    """They are made as those with a name are, with the types of the pattern; another name is refused with the pattern."""
    (tmp_path / "sums.py").write_text(MATCHING)
    (tmp_path / "a.csv").write_text("key,value\nx,1.5\ny,2\n")
    (tmp_path / "b.csv").write_text("key,value\nx,4\n")
    refused = streams(tmp_path, "run", "sums:app", "--input", "ship-a=a.csv")
    assert (refused.returncode, "what matches 'shop-.*'" in refused.stderr) == (2, True)
    done = streams(tmp_path, "run", "sums:app", "--input", "shop-a=a.csv", "--input", "shop-b=b.csv")
    assert done.returncode == 0, done.stderr
    lines = streams(tmp_path, "consume", "sums", "--app", "sums:app").stdout.splitlines()
    assert json.loads(lines[-1])["value"] == 7.5
