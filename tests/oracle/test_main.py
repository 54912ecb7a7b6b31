"""The command answers every line: whatever a case says, it gets outputs or an error, and the next case its turn."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.differential.cases import case_of
from tests.oracle.cases import answered

ROOT = Path(__file__).parents[2]
WRONG = (None, -1, 0, 1.5, "", "nothing", "concat", [], {}, [None, None], True, 2**70)


def small() -> dict[str, Any]:
    topology = [{"op": "stream", "id": "s", "topic": "in"}, {"op": "to", "from": "s", "topic": "out"}]
    return {"id": "small", "config": {}, "topology": topology, "steps": [{"in": ["in", "a", "v", 1]}]}


def test_every_line_gets_one() -> None:
    """No line, however broken, keeps the ones after it from being answered."""
    lines = [json.dumps(small()), "{", "[]", "7", "", "{}", '{"topology": 3}', json.dumps(small())]
    command = [sys.executable, "-m", "tests.oracle"]
    done = subprocess.run(command, input="\n".join(lines), cwd=ROOT, capture_output=True, text=True, check=True)
    first, *broken, last = map(json.loads, done.stdout.splitlines())
    assert first == last
    assert first["steps"] == [{"in": ["in", "a", "v", 1], "out": [["out", "a", "v", 1]]}]
    assert len(broken) == 5
    assert all(each["error"] for each in broken)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key or index) in a case."""
    entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    found = [(value, key) for key, _ in entries]
    return found + [place for _, each in entries if isinstance(each, dict | list) for place in places(each)]


def damaged(seed: int) -> dict[str, Any]:
    """A random case with one to three of its fields left out or replaced."""
    random = Random(seed)
    case = copy.deepcopy(case_of(seed))
    for _ in range(random.choice((1, 1, 2, 3))):
        if where := places(case):
            container, key = random.choice(where)
            if random.random() < 0.4:
                del container[key]
            else:
                container[key] = copy.deepcopy(random.choice(WRONG))
    return case


@pytest.mark.parametrize("seed", range(40))
def test_damaged_cases_are_answered(seed: int) -> None:
    """With outputs where the damage does not matter, else with an error; and what is answered can be written as JSON."""
    case = damaged(seed)
    answer = answered(case)
    assert isinstance(answer.get("error"), str) or "describe" in answer
    assert json.loads(json.dumps(answer)) is not None
