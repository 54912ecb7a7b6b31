"""`streams dev` and `--trace`, as processes of their own, on their real output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

APP = """
import msgspec
from streams import App

class Ride(msgspec.Struct):
    zone: int
    fare: float

app = App("taxi")
rides = app.topic("rides", key=str, value=Ride, partitions=1)

@app.process(rides, to="fares")
def fare(ride: Ride) -> float | None:
    return ride.fare or None

@app.aggregate(rides, by=lambda ride: ride.zone, name="totals", to="totals")
def total(total: float, ride: Ride) -> float:
    return total + ride.fare

@app.process("fares")
def shout(fare: float) -> None:
    print("fare", fare, flush=True)
"""
RIDES = """\
{"key": "a", "value": {"zone": 7, "fare": 2.5}, "timestamp": 1000}
{"key": "b", "value": {"zone": 7, "fare": 1.0}, "timestamp": 2000}
{"key": "a", "value": {"zone": 7, "fare": 0.0}, "timestamp": 3000}
"""
ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "120", "STREAMS_EMBEDDED_IDLE_MS": "5000"}


def streams(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        cwd=home,
        env=ENVIRONMENT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


TRACE = """\
trace rides[0]@0 at 1000 from KSTREAM-SOURCE-0000000000
  (a, {"zone":7,"fare":2.5})
    fare: (a, {"zone":7,"fare":2.5}) -> (a, 2.5)
      KSTREAM-FILTER-0000000002: (a, 2.5) -> (a, 2.5)
        KSTREAM-SINK-0000000003: (a, 2.5) => fares
"""
FURTHER = """\
    KSTREAM-AGGREGATE-0000000006: (7, {"zone":7,"fare":2.5}) -> (7, 2.5)
      KTABLE-TOSTREAM-0000000010: (7, 2.5) -> (7, 2.5)
        KSTREAM-SINK-0000000011: (7, 2.5) => totals
"""
REFUSED = """\
    fare: (a, {"zone":7,"fare":0.0}) -> (a, null)
      KSTREAM-FILTER-0000000002: (a, null) -> nothing
"""


@pytest.mark.broker
def test_a_record_is_followed(tmp_path: Path) -> None:
    """`--trace` shows each node with the values before and after, also behind a repartition topic; others run unseen."""
    (tmp_path / "taxi.py").write_text(APP)
    (tmp_path / "rides.jsonl").write_text(RIDES)
    done = streams(tmp_path, "run", "taxi", "--input", "rides=rides.jsonl", "--trace", "a", "--counts")
    assert done.returncode == 0, done.stderr
    assert TRACE in done.stderr
    assert REFUSED in done.stderr
    assert FURTHER in done.stderr
    assert "(b, " not in done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stderr.splitlines() if len(line.split()) == 3}
    assert rows["node"] == ["in", "out"]
    assert (rows["KSTREAM-SOURCE-0000000000"], rows["fare"], rows["totals-repartition-sink"]) == (
        ["0", "3"],
        ["3", "3"],
        ["3", "0"],
    )
    assert (rows["KSTREAM-FILTER-0000000002"], rows["shout"]) == (["3", "2"], ["2", "0"])


@pytest.mark.broker
def test_a_saved_file_reloads_the_application(tmp_path: Path) -> None:
    """State and broker stay over a reload; what does not import is told of and waited for; a signal ends with 0."""
    module = tmp_path / "taxi.py"
    module.write_text(APP)
    ride = '{"key": "a", "value": {"zone": 7, "fare": 2.5}}\n'
    assert streams(tmp_path, "produce", "rides", stdin=ride).returncode == 0
    with subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "dev", "taxi:app"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:

            def wait_for(wanted: str) -> list[str]:
                seen = []
                for line in process.stdout or ():
                    seen.append(line.strip())
                    if wanted in line:
                        return seen
                raise AssertionError(f"ended without {wanted!r}: {seen}")

            wait_for("fare 2.5")
            module.write_text("this is no Python")
            wait_for("reloading: taxi.py changed")
            wait_for("waiting for a change")
            module.write_text(APP.replace('print("fare",', 'print("reloaded", total_so_far(),') + TOTAL)
            wait_for("reloading: taxi.py changed")
            assert streams(tmp_path, "produce", "rides", stdin=ride).returncode == 0
            assert wait_for("reloaded")[-1] == "reloaded True 2.5"
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
            assert process.wait(timeout=20) == 0, rest
            assert "fare" in rest
        finally:
            process.kill()


TOTAL = """

def total_so_far() -> bool:
    return app.store("totals").get(7) in (2.5, 5.0)
"""
