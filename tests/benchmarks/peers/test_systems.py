"""The other systems for real, where they are set up: equal answers from all of them."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.peers.campaign import Ledger, Plan, carry_out
from benchmarks.peers.environments import BUILD
from benchmarks.peers.systems import BY_HAND, BYTEWAX, FAUST, QUIX, peers
from benchmarks.processes import broker
from benchmarks.systems import AT_LEAST_ONCE
from benchmarks.workloads import WORKLOADS

RECORDS = 5_000
pytestmark = [pytest.mark.broker, pytest.mark.clients, pytest.mark.slow]


def set_up() -> list[str]:
    """Systems whose environment is there: tests install nothing."""
    python = {each.name for each in (QUIX, BYTEWAX, FAUST, BY_HAND) if (BUILD / each.name / "packages.txt").exists()}
    java = {"kafka-streams"} if shutil.which("javac") and any(BUILD.glob("libs/kafka-streams-*.jar")) else set()
    return sorted(python | java)


@pytest.mark.skipif(not set_up(), reason="no other system is set up: make bench-peers")
@pytest.mark.timeout(400)
def test_all_that_are_set_up_count_alike(tmp_path: Path) -> None:
    """Each system's counts are the right ones, and every run has its figures."""
    known = peers()
    for name in set_up():
        prepare = known[name].prepare
        assert prepare is not None
        prepare()
    chosen = [known[name].system for name in set_up()]
    about = {"broker": "ours", "machine": {"commit": "", "python": ""}, "versions": {}, "caveats": {}}
    path = tmp_path / "kept.json"
    plan = Plan(chosen, [WORKLOADS["count"]], [AT_LEAST_ONCE], RECORDS, timeout_seconds=90)
    told: list[str] = []
    failed = carry_out(plan, Ledger(path, about), broker, lambda key, outcome: told.append(f"{key}: {outcome}"))
    assert not failed, told
    assert {run["system"] for run in json.loads(path.read_text())["runs"]} == set(set_up())
