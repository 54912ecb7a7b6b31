"""`streams new`: the project that it makes is run and tested here, as its README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "STREAMS_EMBEDDED_IDLE_MS": "5000",
}


def shell(home: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, shell=True, cwd=home, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.broker
def test_the_project_runs_and_is_tested(tmp_path: Path) -> None:
    """Its tests pass, it runs over its sample, and every command that the command and the README name works."""
    made = shell(tmp_path, "streams new page-visits")
    assert made.returncode == 0, made.stderr
    assert "streams dev page_visits:app" in made.stdout
    project = tmp_path / "page-visits"
    tests = shell(project, "python -m pytest -q -p no:cacheprovider")
    assert "2 passed" in tests.stdout, tests.stdout
    readme = (project / "README.md").read_text()
    commands = re.findall(r"^\$ (streams .*)$", readme, re.MULTILINE)
    assert len(commands) == 3
    run, consume, produce = (shell(project, command) for command in commands)
    assert run.returncode == 0, run.stderr
    assert consume.stdout.count("\n") == 3
    assert '"value":{"visits":2,"failures":0}' in consume.stdout
    assert "4 records written" in produce.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["page-visits"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Page Visits", "is not a name for a project: expected lower-case letters, digits and single dashes"),
        ("json", "would hide the Python module json: choose another name"),
        ("streams", "would hide the Python module streams"),
        ("there", "there exists already: choose another name, or remove it"),
    ],
)
def test_names_that_cannot_be(tmp_path: Path, name: str, message: str) -> None:
    """A name that is none, or is taken, is said, and nothing is made."""
    (tmp_path / "there").mkdir()
    done = shell(tmp_path, f"streams new '{name}'")
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["there"]
    assert not list((tmp_path / "there").iterdir())
