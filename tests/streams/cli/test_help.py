"""The help of every command: read aloud, and its examples typed."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.cli import main
from streams.cli.examples import EXAMPLES, FIRST_STEPS

APP = """
import msgspec
from streams import App

class Ride(msgspec.Struct):
    zone: int
    fare: float

app = App("taxi")

@app.aggregate(app.topic("rides", key=str, value=Ride), by=lambda ride: ride.zone, to="totals")
def totals(total: float, ride: Ride) -> float:
    return total + ride.fare
"""
ENDLESS = ("streams dev", "--follow")
Command = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Types a command line in a directory with an application. Shape: exit code, output, errors."""
    (tmp_path / "taxi.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")

    def run(line: str, stdin: str = "") -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(shlex.split(line)[1:])
        output = capfd.readouterr()
        return int(end.value.code or 0), output.out, output.err

    yield run
    sys.modules.pop("taxi", None)


@pytest.mark.parametrize("name", ["", *EXAMPLES])
def test_help_teaches(command: Command, name: str) -> None:
    """What it is, what it takes, and examples as they are typed, without colours where there is no terminal."""
    code, out, errors = command(f"streams {name} --help")
    assert (code, errors) == (0, "")
    assert "\x1b" not in out
    told = " ".join(out.split())
    for line in (EXAMPLES[name] if name else FIRST_STEPS).strip().splitlines():
        assert line in told
    assert "Usage: streams" in told
    assert all(command in told for command in EXAMPLES) or name


@pytest.mark.broker
def test_every_example_works(
    command: Command, broker_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those that end by themselves are run, in the order of the help, with what they name in its place."""
    monkeypatch.setenv("STREAMS_BROKER", broker_url)
    monkeypatch.setenv("STREAMS_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "rides.jsonl").write_text('{"key": "k1", "value": {"zone": 1, "fare": 2.5}}\n')
    lines = {name: text.strip().splitlines() for name, text in EXAMPLES.items()}
    produce_first = ["produce", *(name for name in lines if name not in {"produce", "run", "new", "reset", "health"})]
    assert command("streams produce rides rides.jsonl")[0] == 0
    assert command("streams run taxi:app --to-end")[0] == 0
    (tmp_path / "counts.jsonl").write_text("")
    command("streams produce counts rides.jsonl")
    for name in produce_first[1:]:
        for line in lines[name]:
            if not any(part in line for part in ENDLESS):
                code, _, errors = command(line)
                assert code == 0, f"{line}: {errors}"


def test_every_exit_code_is_told(command: Command) -> None:
    """Those of the module that gives them."""
    told = " ".join(command("streams --help")[1].split())
    for code in (
        "0 done",
        "1 failed",
        "2 wrong usage",
        "3 failed such that all workers are to stop",
        "130 interrupted",
    ):
        assert code in told


def test_completion_is_there(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell asks for is answered with the commands."""
    monkeypatch.setenv("_STREAMS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "streams to")
    monkeypatch.setenv("COMP_CWORD", "1")
    code, out, _ = command("streams")
    assert (code, out.split()) == (0, ["topology", "topics"])


def test_a_topology_for_programs(command: Command) -> None:
    """`--json` gives nodes with kind, topics, stores and children."""
    (part, _) = json.loads(command("streams topology taxi:app --json")[1])["subtopologies"]
    assert part["nodes"][0] == {
        "name": "KSTREAM-SOURCE-0000000000",
        "kind": "source",
        "topics": ["rides"],
        "children": ["KSTREAM-KEY-SELECT-0000000001"],
    }
