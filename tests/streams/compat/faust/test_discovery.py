"""Autodiscovery: what lies in packages is there before the application runs, for its commands too."""

import subprocess
import sys
from pathlib import Path

import pytest

APP = """
from streams.compat import faust

app = faust.App("rides", {settings})
"""

AGENT = """
from proj.app import app


@app.agent(app.topic("{topic}"), name="{name}")
async def read(stream):
    async for _ in stream:
        pass
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A package with agents in it, deeper ones, a test, and a module that cannot be imported."""
    for package in ("proj", "proj/deep", "other"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "proj" / "near.py").write_text(AGENT.format(topic="a", name="near"))
    (tmp_path / "proj" / "deep" / "far.py").write_text(AGENT.format(topic="b", name="far"))
    (tmp_path / "proj" / "test_near.py").write_text(AGENT.format(topic="c", name="test"))
    (tmp_path / "proj" / "__main__.py").write_text("raise SystemExit('run')")
    (tmp_path / "proj" / "broken.py").write_text("import nothing_of_this_name")
    (tmp_path / "other" / "agents.py").write_text(AGENT.format(topic="d", name="other"))
    return tmp_path


def agents(home: Path, settings: str) -> tuple[set[str], str]:
    """The agents that the command line knows, and what it says on stderr."""
    (home / "proj" / "app.py").write_text(APP.format(settings=settings))
    command = [sys.executable, "-m", "streams.compat.faust", "-A", "proj.app", "agents"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60, check=False)
    return {line.split()[0] for line in done.stdout.splitlines()}, done.stderr


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("autodiscover=True, origin='proj'", {"@near", "@far"}),
        ("autodiscover=['proj']", {"@near", "@far"}),
        ("autodiscover=lambda: ['proj.deep', 'other']", {"@far", "@other"}),
        ("autodiscover=['other'], origin='proj'", {"@near", "@far", "@other"}),
        ("autodiscover=['other.agents']", {"@other"}),
        ("origin='proj'", set()),
    ],
)
def test_packages_bring_all_that_is_in_them(home: Path, settings: str, found: set[str]) -> None:
    """As in Faust: named by a list or a function, with `origin`; neither tests nor `__main__`, and what fails is told."""
    named, told = agents(home, settings)
    assert named == found
    assert ("proj.broken cannot be imported" in told) == ("@near" in found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("autodiscover=True", "say which package, as in App(..., origin='proj')"),
        ("autodiscover=['nowhere']", "there is no module 'nowhere'"),
        ("autodiscover='proj'", "expected True or a list of modules, got 'proj'"),
    ],
)
def test_what_cannot_be_found_is_told(home: Path, settings: str, message: str) -> None:
    """Before anything runs."""
    assert message in agents(home, settings)[1]


def test_what_is_not_here_is_not_passed_over(home: Path) -> None:
    """A module that asks for a feature that is not here would leave its agents out without a word."""
    (home / "proj" / "broken.py").write_text("from proj.app import app\napp.page('/')")
    assert "there is no web server" in agents(home, "autodiscover=['proj']")[1]
