"""The command line of applications: theirs by `main()`, any by -A; what is not there is told."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from streams import App
from streams.pytest_plugin import RunningBroker

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


FAUSTS = """
from streams.compat import faust


class Point(faust.Record):
    x: int


app = faust.App("points", topic_partitions=1)
points = app.Table("points", help="All of them.")


@app.agent()
async def mul(stream):
    '''Foo agent help.'''
    async for event in stream:
        yield event


@app.agent(app.channel())
async def add(stream):
    async for event in stream:
        yield event
"""


def test_what_the_command_line_says_as_json_is_fausts(tmp_path: Path) -> None:
    """Agents by name, those in memory only with --local; tables; from another directory as well."""
    (tmp_path / "program.py").write_text(FAUSTS)
    command = ("-m", "streams.compat.faust", "-A", "program", "--json")
    theirs = [
        {"name": "@program.add", "topic": "<LOCAL>", "help": "<N/A>"},
        {"name": "@program.mul", "topic": "points-program.mul", "help": "Foo agent help."},
    ]
    assert json.loads(run(tmp_path, *command, "agents", "--local")[1]) == theirs
    assert json.loads(run(tmp_path, *command, "agents")[1]) == theirs[1:]
    assert json.loads(run(tmp_path, *command, "tables")[1]) == [{"name": "points", "help": "All of them."}]
    assert json.loads(run(tmp_path.parent, *command, "-W", str(tmp_path), "agents")[1]) == theirs[1:]
    assert run(tmp_path, *command[:-1], "agents", "--no-local")[1].count("\n") == 1
    assert run(tmp_path, *command[:-1], "agents")[1].count("\n") == 2


@pytest.mark.broker
def test_records_are_sent_by_their_type(tmp_path: Path, streams_broker: RunningBroker) -> None:
    """`send -V` checks that the value is one, and writes it as the program would, as often as it is told."""
    topic = f"{tmp_path.name}-points"
    (tmp_path / "program.py").write_text(
        FAUSTS.replace('"points", topic', f'"points", broker="{streams_broker.url}", topic')
    )
    command = ("-m", "streams.compat.faust", "-A", "program", "send", topic, "-V", "program.Point", "-r", "2")
    assert run(tmp_path, *command, '{"y": 1}')[0] == 2
    code, output = run(tmp_path, *command, "--max-latency", "0.01", '{"x": 1}')
    assert (code, [json.loads(line)["topic"] for line in output.splitlines()]) == (0, [topic, topic])
    reader = App("reader", broker=streams_broker.url)
    rows = [record.value for record in reader.read(reader.topic(topic, key=bytes, value=bytes))]
    assert rows == [b'{"x":1,"__faust":{"ns":"program.Point"}}'] * 2


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


def test_levels_and_files_of_logs(home: Path, streams_broker: RunningBroker) -> None:
    """Faust's names for levels, before the command or behind it, and the file that the log goes to."""
    ending = (
        "import os, signal\n\n@app.task\nasync def end():\n    os.kill(os.getpid(), signal.SIGINT)\n\n\nif __name__"
    )
    app = f'faust.App("logged", broker="{streams_broker.url}", topic_partitions=1)'
    program = PROGRAM.replace('faust.App("rides")', app).replace("if __name__", ending)
    (home / "rides.py").write_text(program)
    for options in (("worker", "-l", "info", "-f", "w.log"), ("-l", "INFO", "--logfile", "w.log", "worker")):
        code, said = run(home, "rides.py", *options)
        assert (code, said) == (0, "")
        assert " INFO streams" in (home / "w.log").read_text()
        (home / "w.log").unlink()
    for level in ("warn", "crit"):
        assert run(home, "rides.py", "worker", "-l", level) == (0, "")
    code, said = run(home, "rides.py", "worker", "-f", "none/w.log")
    assert code == 2
    assert "--logfile: none/w.log cannot be written: No such file or directory" in said
