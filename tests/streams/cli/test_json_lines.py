"""`--json` of `run` and `dev`, and errors of any command with it: every line on standard error is an object."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.cli.json_lines import JsonHandler

APP = """
from streams import App

app = App("taxi")
fares = app.topic("fares", key=str, value=float, partitions=1)

@app.aggregate(fares, name="totals", to="totals")
def total(total: float, fare: float) -> float:
    return total + 100 / fare

@app.process("totals")
def shout(total: float) -> None:
    print("total", total, flush=True)
"""
FARES = '{"key":"a","value":50.0,"timestamp":1000}\n{"key":"b","value":25.0,"timestamp":2000}\n'
FREE = '{"key":"a","value":0.0,"timestamp":3000}\n'
ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1", "STREAMS_EMBEDDED_IDLE_MS": "5000"}
COMMAND = [sys.executable, "-m", "streams.cli"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with an application, and two files for its topic."""
    (tmp_path / "taxi.py").write_text(APP)
    (tmp_path / "fares.jsonl").write_text(FARES)
    (tmp_path / "free.jsonl").write_text(FREE)
    return tmp_path


def streams(home: Path, *arguments: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Run a command. Shape: exit code, output, and the lines of standard error, decoded."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--json"],
        cwd=home,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, [json.loads(line) for line in done.stderr.splitlines()]


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The events of a kind."""
    return [event for event in events if event["event"] == kind]


@pytest.mark.broker
def test_a_run_tells_its_states_numbers_and_traces(home: Path) -> None:
    """Output stays the application's own; an error names its record, and has the traceback of the user's code."""
    code, out, events = streams(home, "run", "taxi", "--input", "fares=fares.jsonl", "--trace", "b", "--counts")
    assert (code, out) == (0, "total 2.0\ntotal 4.0\n")
    assert {*events[0]} >= {"event", "time", "process"}
    (start,) = of(events, "start")
    assert (start["application"], start["subtopologies"][0]["sources"]) == ("taxi", ["fares"])
    states = [event["state"] for event in of(events, "state")]
    assert states.index("running") < states.index("pending_shutdown") < states.index("not_running")
    assert of(events, "status")[0]["state"]
    trace = next(trace for trace in of(events, "trace") if trace["topic"] == "fares")
    assert (trace["key"], trace["value"], trace["offset"]) == ("b", 25.0, 1)
    assert trace["steps"][0]["out"] == [{"key": "b", "value": 4.0}]
    assert trace["steps"][-1]["to"] == "totals"
    assert {"node": "shout", "in": 2, "out": 0} in of(events, "counts")[-1]["nodes"]
    code, _, events = streams(home, "run", "taxi", "--input", "fares=free.jsonl")
    (error,) = of(events, "error")
    assert (code, error["exit_code"], error["error"]) == (1, 1, "ProcessingError")
    assert (error["topic"], error["partition"], error["offset"]) == (
        "fares",
        0,
        3,
    )  # the first file ends with its transaction
    assert "ZeroDivisionError" in error["traceback"]


def test_any_error_is_an_object(home: Path) -> None:
    """Also of a command that never came to run."""
    for arguments in (
        ("run", "taxi:ap"),
        ("topology", "nowhere:app"),
        ("run", "taxi", "--set", "linger=1"),
        ("run",),
        ("topics", "--nothing"),
    ):
        code, out, (error,) = streams(home, *arguments)
        assert (code, out, error["event"], error["error"]) == (2, "", "error", "ConfigError")


@pytest.mark.broker
def test_a_run_tells_of_variables_once(home: Path) -> None:
    """Of those that are no setting, as it tells everything: not before its log is there, also as a program of its own."""
    (home / "program.py").write_text(f"{APP}\nif __name__ == '__main__':\n    app.main()\n")
    environment = ENVIRONMENT | {"STREAMS_NUM_STREAM_THREADS": "3"}
    for command in ([*COMMAND, "run", "taxi"], [sys.executable, "program.py", "run"]):
        done = subprocess.run(
            [*command, "--to-end", "--json"], cwd=home, env=environment, capture_output=True, timeout=60, check=False
        )
        events = [json.loads(line) for line in done.stderr.splitlines()]
        (told,) = (each["message"] for each in of(events, "log") if "STREAMS_NUM_STREAM_THREADS" in each["message"])
        assert "is no setting: workers are processes: `--workers N`" in told
        assert done.returncode == 0


def test_what_cannot_be_logged_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """A message that does not fit its values, and text that is no UTF-8, are told all the same."""
    log = logging.getLogger("test of what cannot be logged")
    log.propagate = False
    log.addHandler(JsonHandler())
    log.warning("%d zones", "seven")
    log.warning("the file %s", b"caf\xe9".decode(errors="surrogateescape"))
    lines = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert lines[0].startswith("%d zones ('seven',) (TypeError: ")
    assert lines[1] == "the file caf\udce9"


def test_events_are_json_whatever_the_locale() -> None:
    """A standard error that speaks no UTF-8 gets ASCII."""
    program = "from streams.cli.json_lines import write; write('log', message='ключ 🌊')"
    plain = ENVIRONMENT | {"PYTHONIOENCODING": "ascii:backslashreplace"}
    done = subprocess.run([sys.executable, "-c", program], env=plain, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stderr)["message"] == "ключ 🌊"


@pytest.mark.broker
def test_dev_tells_its_reloads(home: Path) -> None:
    """A saved file is an event between two runs; a signal ends with 0."""
    with subprocess.Popen(
        [*COMMAND, "dev", "taxi", "--json"], cwd=home, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None

        def wait_for(**wanted: str) -> dict[str, Any]:
            for line in process.stderr or ():
                event: dict[str, Any] = json.loads(line)
                if event.items() >= wanted.items():
                    return event
            raise AssertionError(f"ended without {wanted}")

        try:
            first = wait_for(event="state", state="running")
            (home / "taxi.py").write_text(APP.replace("100 /", "10 /"))
            assert "taxi.py" in wait_for(event="reload")["message"]
            assert wait_for(event="state", state="running")["process"] != first["process"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
