"""A campaign on real processes: one broker for a row, kept run by run, resumed where it stopped."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.campaign import Key, Ledger, Plan, carry_out
from benchmarks.peers.environments import UnavailableError, prepare_java
from benchmarks.peers.systems import PROGRAMS, peers
from benchmarks.processes import BenchmarkError, broker
from benchmarks.systems import AT_LEAST_ONCE, EXACTLY_ONCE, Job, System, headrace
from benchmarks.workloads import WORKLOADS

ABOUT: dict[str, Any] = {
    "broker": "ours",
    "machine": {"commit": "abc", "python": "3.11.2"},
    "versions": {"headrace": "this commit"},
    "caveats": {"headrace": "ours"},
}


def plan(*systems: System, **rest: Any) -> Plan:
    return Plan(systems, [WORKLOADS["count"]], [AT_LEAST_ONCE], 2_000, **rest)


def test_a_row_has_the_systems_that_can_do_it() -> None:
    """No exactly-once without a guarantee, no workload that a system lacks; the whole of it once per turn."""
    weak = System("weak", lambda _job: [], without=("count",))
    rows = list(
        Plan(
            [headrace(), weak],
            [WORKLOADS["count"], WORKLOADS["window"]],
            [AT_LEAST_ONCE, EXACTLY_ONCE],
            10,
            repeat=2,
        ).rows()
    )
    names = [(workload.name, guarantee, turn, [each.name for each in able]) for workload, guarantee, turn, able in rows]
    assert names[:4] == [
        ("count", AT_LEAST_ONCE, 0, ["headrace"]),
        ("count", EXACTLY_ONCE, 0, ["headrace"]),
        ("window", AT_LEAST_ONCE, 0, ["headrace", "weak"]),
        ("window", EXACTLY_ONCE, 0, ["headrace"]),
    ]
    assert len(names) == 8


def test_a_ledger_keeps_what_was_made(tmp_path: Path) -> None:
    """A run is made once; one that failed again when asked for; another broker needs another file."""
    path = tmp_path / "kept.json"
    good, bad = Key("a", "count", AT_LEAST_ONCE, 0), Key("b", "count", AT_LEAST_ONCE, 0)
    ledger = Ledger(path, ABOUT)
    ledger.add(good, {"result": {}})
    ledger.add(bad, {"error": "it ended"})
    again = Ledger(path, ABOUT)
    assert not again.wants(good, retry=True)
    assert not again.wants(bad, retry=False)
    assert again.wants(bad, retry=True)
    with pytest.raises(BenchmarkError, match="made with broker ours, asked for kafka"):
        Ledger(path, {**ABOUT, "broker": "kafka"})


def test_systems_are_added_to_a_ledger_and_made_anew_by_another_commit(tmp_path: Path) -> None:
    """What others are told of stays; only runs of the plan are forgotten, and those of this commit never.

    A run that did not tell its processor was made on that of the file.
    """
    path = tmp_path / "kept.json"
    ours, theirs = Key("headrace", "count", AT_LEAST_ONCE, 0), Key("quix", "count", AT_LEAST_ONCE, 0)
    first = Ledger(path, ABOUT)
    first.add(ours, {"result": {}})
    first.add(theirs, {"result": {}})
    before = json.loads(path.read_text())
    before["about"]["machine"]["cpu"] = "one"
    path.write_text(json.dumps(before))
    later = {
        **ABOUT,
        "machine": {"commit": "def", "python": "3.13.5", "cpu": "other"},
        "versions": {"quix": "3"},
        "caveats": {"quix": "another"},
    }
    again = Ledger(path, later)
    again.forget(plan(headrace()))
    assert again.wants(ours, retry=False)
    assert not again.wants(theirs, retry=False)
    again.add(ours, {"result": {}})
    again.forget(plan(headrace()))
    assert not again.wants(ours, retry=False)
    kept = json.loads(path.read_text())
    assert kept["about"]["caveats"] == {"headrace": "ours", "quix": "another"}
    assert kept["about"]["machine"] == later["machine"]
    made = {run["system"]: (run["commit"], run["cpu"]) for run in kept["runs"]}
    assert made == {"quix": ("abc", "one"), "headrace": ("def", "other")}


@pytest.mark.broker
def test_a_row_is_measured_and_a_failure_costs_only_itself(tmp_path: Path) -> None:
    """Two runs of ours and one of a program that ends: each by itself, on clean topics, and not made again."""
    ended = System("ended", lambda _job: [sys.executable, "-c", "raise SystemExit('no such thing')"], lambda _job: "g")
    half = System("half", lambda job: headrace().command(job), lambda job: job.workload.group, share=1.0)
    path = tmp_path / "kept.json"
    told: list[Key] = []
    failed = carry_out(plan(ended, half), Ledger(path, ABOUT), broker, lambda key, _outcome: told.append(key))
    runs = {run["system"]: run for run in json.loads(path.read_text())["runs"]}
    assert failed == 1
    assert "no such thing" in runs["ended"]["error"]
    assert runs["half"]["result"]["records"] == 2_000
    assert carry_out(plan(ended, half), Ledger(path, ABOUT), broker, lambda key, _outcome: told.append(key)) == 0
    assert [key.system for key in told] == ["ended", "half"]


@pytest.mark.broker
def test_time_is_bounded(tmp_path: Path) -> None:
    """A system that does nothing is stopped when its time is up."""
    idle = System("idle", lambda _job: [sys.executable, "-c", "import time; time.sleep(60)"], lambda _job: "idle")
    path = tmp_path / "kept.json"
    assert carry_out(plan(idle, timeout_seconds=0.5), Ledger(path, ABOUT), broker, lambda _key, _outcome: None) == 1
    assert "0% done when 0 s were over" in json.loads(path.read_text())["runs"][0]["error"]


def test_groups_are_of_one_run_alone(tmp_path: Path) -> None:
    """Two systems of one workload share no offsets."""
    known = peers()
    job = Job(WORKLOADS["count"], WORKLOADS["count"].inputs(10), "127.0.0.1:1", tmp_path / "kafka-streams-x1")
    other = Job(WORKLOADS["count"], WORKLOADS["count"].inputs(10), "127.0.0.1:1", tmp_path / "quix-x2")
    groups = [known[name].system.group for name in ("kafka-streams", "quix")]
    assert groups[0] is not None
    assert groups[1] is not None
    assert groups[0](job) != groups[1](other)


def test_programs_are_there_and_compile() -> None:
    """Every peer's command names a file of this repository that is Python, or Java's class."""
    job = Job(WORKLOADS["count"], WORKLOADS["count"].inputs(10), "127.0.0.1:1", Path("scratch"))
    for name, peer in peers().items():
        command = peer.system.command(job)
        for part in command:
            if part.startswith(str(PROGRAMS)):
                compile(Path(part).read_text(), part, "exec")
        assert name == "headrace" or "counted" in command


def test_a_system_that_cannot_be_had_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Java compiler the others are measured without Kafka Streams."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="put javac"):
        prepare_java()
