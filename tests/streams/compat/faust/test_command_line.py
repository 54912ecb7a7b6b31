"""The command line of applications: theirs by `main()`, any by -A; what is not there is told."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from streams.compat import faust

app = faust.App("rides")


@app.agent(app.topic("taxi_rides"))
async def count(stream):
    '''Count them.'''
    async for _ in stream:
        pass


@app.command(faust.cli.argument("name"), faust.cli.option("--loud", is_flag=True))
async def greet(self, name, loud):
    '''Say hello.'''
    self.say(f"hello {name}{'!' if loud else ''}")


@app.command()
async def fail():
    raise ValueError("as it should")


if __name__ == "__main__":
    app.main()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with the program."""
    (tmp_path / "rides.py").write_text(PROGRAM)
    return tmp_path


def run(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_commands(home: Path) -> None:
    """Agents are listed by either way in, and commands of the application's own get their arguments."""
    assert run(home, "rides.py", "agents") == (0, "@rides.count  taxi_rides  Count them.\n")
    command = ("-m", "streams.compat.faust", "-A", "rides")
    assert run(home, *command, "greet", "you", "--loud") == (0, "hello you!\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rides.py", "livecheck"), "the command livecheck of Faust is not here"),
        (("rides.py", "send", "@nobody", "1"), "there is no agent @nobody; there are: rides.count"),
        (("rides.py", "fail"), "the command raised ValueError: as it should"),
        (("-m", "streams.compat.faust", "worker"), "which application? Say -A MODULE"),
        (("-m", "streams.compat.faust", "-A", "walks", "worker"), "there is no module 'walks' here"),
        (("-m", "streams.compat.faust", "-A", "rides:walks", "worker"), "has no application 'walks'"),
    ],
)
def test_mistakes(home: Path, arguments: tuple[str, ...], message: str) -> None:
    """A mistake is one clear message, and an exit code that says so."""
    code, output = run(home, *arguments)
    assert code in {1, 2}
    assert message in output
