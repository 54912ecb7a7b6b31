"""The `streams` command, as processes of their own, on their real output."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.pytest_plugin import RunningBroker

APP = """
import msgspec
from streams import App

class Ride(msgspec.Struct):
    zone: int
    fare: float

app = App("taxi", commit_interval_ms=100)
rides = app.topic("rides", key=str, value=Ride, partitions=2)

@app.process(rides, to="fares")
def fare(ride: Ride) -> float | None:
    return ride.fare or None

@app.process("fares")
def shout(fare: float) -> None:
    print("fare", fare, flush=True)

@app.on_stop
def bye() -> None:
    print("bye", flush=True)

if __name__ == "__main__":
    app.main()
"""
RUN = ("-m", "streams.cli", "run")
RIDES = "".join(json.dumps({"key": str(n), "value": {"zone": n, "fare": n * 1.5}}) + "\n" for n in range(3))
BROKEN = "raise RuntimeError('the module is broken')\n"
ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with an application in it."""
    (tmp_path / "taxi.py").write_text(APP)
    (tmp_path / "broken.py").write_text(BROKEN)
    return tmp_path


def streams(home: Path, *arguments: str, stdin: str = "", python: tuple[str, ...] = ("-m", "streams.cli")):
    """Run a command to its end."""
    command = [sys.executable, *python, *arguments]
    return subprocess.run(
        command, cwd=home, input=stdin, capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT
    )


class Running:
    """A command in the background, its standard output line by line."""

    def __init__(self, home: Path, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self, number: int) -> tuple[int, str, str]:
        """Send a signal. Shape: exit code, the rest of its output, its errors."""
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=20)
        return self.process.returncode, out, errors


Start = Callable[..., Running]


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """A function that starts a command in the background; what still runs after the test is ended."""
    started: list[Running] = []

    def begin(*command: str) -> Running:
        started.append(Running(home, *command))
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.communicate()


def test_topology_is_kafkas_text(home: Path) -> None:
    """`streams topology` prints what Kafka's describe prints, and nothing is started for it."""
    done = streams(home, "topology", "taxi:app")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "Topologies:\n   Sub-topology: 0\n    Source: KSTREAM-SOURCE-0000000000 (topics: [rides])"
    )
    assert not (home / ".streams").exists()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("mermaid", ["flowchart TD", 'subgraph sub0["Sub-topology 0"]', '[("rides")]']),
        ("svg", ["<svg xmlns=", ">Sub-topology 0</text>", ">rides</text>", "</svg>"]),
        ("dot", ["digraph topology {", '"topic rides" -> "KSTREAM-SOURCE-0000000000";', "shape=cylinder"]),
    ],
)
def test_topology_as_a_picture(home: Path, form: str, expected: list[str]) -> None:
    """The same as Mermaid or Graphviz text, topics included."""
    done = streams(home, "topology", "taxi:app", "--format", form)
    assert all(part in done.stdout for part in expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nowhere:app"), "there is no module 'nowhere' to be imported"),
        (("run", "taxi:apps"), "taxi has no 'apps'; did you mean 'app'?"),
        (("run", "taxi:Ride"), "taxi:Ride is not an App but a StructMeta"),
        (("run", "./missing.py"), "there is no file ./missing.py"),
        (("run", "taxi:app", "--set", "comit_interval_ms=5"), "did you mean 'commit_interval_ms'?"),
        (("run", "taxi:app", "--set", "linger_ms"), "expected name=value"),
        (("run", "taxi:app", "--log-level", "verbose"), "--log-level: expected one of debug, info, warning, error"),
        (("run", "taxi:app", "--broker", "localhost"), "expected kafka://host:port or embedded://DIR"),
        (("topology", "taxi:app", "--format", "pdf"), "--format: expected one of text, svg, mermaid, dot"),
        (("run",), "Missing argument 'MODULE:APP'"),
        (("runn", "taxi:app"), "No such command 'runn'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(home: Path, arguments: tuple[str, ...], message: str) -> None:
    """What was asked wrongly is said, without a traceback, and the exit code is 2."""
    done = streams(home, *arguments)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_an_error_in_the_module_keeps_its_traceback(home: Path) -> None:
    """A module that fails to import shows its own error, with file and line, and nothing of what imported it."""
    done = streams(home, "topology", "broken:app")
    assert done.returncode == 1
    first, place, *_, last = done.stderr.splitlines()
    assert (first, last) == (
        "Traceback (most recent call last):",
        "error: broken cannot be imported: RuntimeError: the module is broken",
    )
    assert place.endswith('broken.py", line 1, in <module>')


def test_the_help_of_a_program_knows_its_app(home: Path) -> None:
    """Where `app.main()` says which App is meant, MODULE:APP is not asked for."""
    done = streams(home, "run", "--help", python=("taxi.py",))
    assert (done.returncode, "Usage: taxi.py run [OPTIONS]" in done.stdout) == (0, True)
    assert "MODULE:APP" not in done.stdout.partition("Examples")[0]


def test_an_unreachable_broker(home: Path) -> None:
    """A broker that does not answer is an error after a bounded wait, exit code 1."""
    done = streams(home, "run", "taxi:app", "--broker", "kafka://127.0.0.1:1", "--set", "connect_timeout_ms=200")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.broker
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_until_a_signal(home: Path, broker_url: str, start: Start, number: int) -> None:
    """A run tells its broker and parts, works, and on a signal commits, calls the stop functions and leaves with 0."""
    assert streams(home, "produce", "rides", "--broker", broker_url, stdin=RIDES).returncode == 0
    run = start(*RUN, "taxi:app", "--broker", broker_url)
    assert {run.line(), run.line()} == {"fare 1.5", "fare 3.0"}
    code, out, errors = run.end(number)
    assert code == 0, errors
    assert out.endswith("bye\n")
    assert "sub-topology 0: rides -> fares" in errors


@pytest.mark.broker
def test_a_second_interrupt_leaves_at_once(home: Path, streams_broker: RunningBroker, start: Start) -> None:
    """A run that cannot finish because user code hangs is left by a second Ctrl-C."""
    (home / "hanging.py").write_text(
        "import time\nfrom streams import App\napp = App('hanging')\n"
        "@app.process(app.topic('hang', key=str, value=str, partitions=1))\n"
        "def hang(value: str) -> None:\n    print('hanging', flush=True)\n    time.sleep(60)\n"
    )
    streams(home, "produce", "hang", "--value", "str", "--broker", streams_broker.url, stdin="x\n")
    running = start(*RUN, "hanging", "--broker", streams_broker.url)
    assert running.line() == "hanging"
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # two signals at the same moment would be one
    assert running.end(signal.SIGINT)[0] == 130


@pytest.mark.broker
def test_json_is_utf8_whatever_the_locale(home: Path, streams_broker: RunningBroker) -> None:
    """In and out, as in a container without a locale; what is not UTF-8 is named by its line, from a file too."""
    plain = ENVIRONMENT | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    plain["STREAMS_BROKER"] = streams_broker.url

    def bytewise(*arguments: str, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
        command = [sys.executable, "-m", "streams.cli", *arguments]
        done = subprocess.run(command, cwd=home, input=stdin, capture_output=True, timeout=60, check=False, env=plain)
        return done.returncode, done.stdout, done.stderr

    line = '{"key": "ключ", "value": "tide 🌊"}\n'.encode()
    assert bytewise("produce", "words-of-utf8", stdin=line)[0] == 0
    code, out, _ = bytewise("consume", "words-of-utf8")
    assert (code, json.loads(out)["key"], json.loads(out)["value"]) == (0, "ключ", "tide 🌊")
    (home / "latin.jsonl").write_bytes(b'"x"\n"caf\xe9"\n')
    for options in (("words-of-utf8",), ("words-of-utf8", "latin.jsonl")):
        code, _, errors = bytewise("produce", *options, stdin=b'"x"\n"caf\xe9"\n')
        assert (code, errors.splitlines()[-1][:45]) == (2, b"error: line 2: its character 5 is not UTF-8: ")


@pytest.mark.broker
def test_topics_produce_and_consume(home: Path, streams_broker: RunningBroker) -> None:
    """JSON lines go in, the same come out with their place, and the topic is listed."""
    broker = ("--broker", streams_broker.url)
    lines = '{"key": "a", "value": {"x": 1}, "timestamp": 5}\n"plain"\n'
    done = streams(home, "produce", "lines", *broker, stdin=lines)
    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (0, "2 records written; lines is a new topic")
    read = [json.loads(line) for line in streams(home, "consume", "lines", *broker).stdout.splitlines()]
    assert [(each["key"], each["value"], each["offset"]) for each in read] == [("a", {"x": 1}, 0), (None, "plain", 1)]
    assert read[0]["timestamp"] == 5
    assert streams(home, "consume", "lines", "-n", "1", *broker).stdout.count("\n") == 1
    listed = {line.split()[0]: line.split()[1:] for line in streams(home, "topics", *broker).stdout.splitlines()}
    assert listed["lines"] == ["1", "2"]


@pytest.mark.broker
@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("consume", "nothing"), "", "there is no topic 'nothing' on this broker"),
        (("produce", "numbers", "--value", "int"), "1\nx\n", "line 2: expected an int of 64 bits, got 'x'"),
        (("produce", "numbers", "--key", "floot"), "1\n", "no type is called 'floot'"),
    ],
)
def test_wrong_lines(
    home: Path, streams_broker: RunningBroker, arguments: tuple[str, ...], stdin: str, message: str
) -> None:
    """A missing topic, and a line of another type, are one sentence each."""
    done = streams(home, *arguments, "--broker", streams_broker.url, stdin=stdin)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.broker
@pytest.mark.parametrize("settings", [(), ("--set", "group_instance_id=here")])
def test_two_workers_share_the_work(home: Path, broker_url: str, start: Start, settings: tuple[str, ...]) -> None:
    """`--workers 2` runs two processes in one group, and a signal ends both; a static name is not that of both."""
    running = start(*RUN, "taxi:app", "--workers", "2", "--broker", broker_url, *settings)
    assert running.process.stderr is not None
    ready = 0
    while ready < 2:
        line = running.process.stderr.readline()
        assert line, "the supervisor ended"
        ready += "worker is running" in line
    listed = [
        json.loads(line) for line in streams(home, "groups", "--broker", broker_url, "--json").stdout.splitlines()
    ]
    assert [group["members"] for group in listed if group["group"] == "taxi"] == [2]
    code, out, _ = running.end(signal.SIGTERM)
    assert (code, out.count("bye")) == (0, 2)


@pytest.mark.broker
def test_the_program_itself_is_a_command_line(home: Path, broker_url: str, start: Start) -> None:
    """`python taxi.py` runs the App, `python taxi.py topology` prints it."""
    assert "Sub-topology: 0" in streams(home, "topology", python=("taxi.py",)).stdout
    streams(home, "produce", "rides", "--broker", broker_url, stdin=RIDES)
    running = start("taxi.py", "--broker", broker_url)
    assert running.line().startswith("fare")
    assert running.end(signal.SIGINT)[0] == 0


@pytest.mark.broker
def test_broker_is_the_broker(start: Start) -> None:
    """`streams broker` becomes the broker: its ready line, its signals, its exit code."""
    running = start("-m", "streams.cli", "broker", "--data-dir", "data", "--listen", "127.0.0.1:0")
    assert running.line().startswith("ready on 127.0.0.1:")
    assert running.end(signal.SIGTERM)[0] == 0


@pytest.mark.broker
def test_embedded_by_default(home: Path, start: Start) -> None:
    """Without an address, the bundled broker is started in .streams of the current directory."""
    assert streams(home, "produce", "rides", stdin='{"key": "1", "value": {"zone": 1, "fare": 2}}\n').returncode == 0
    running = start(*RUN, "taxi:app")
    assert running.line() == "fare 2.0"
    assert running.end(signal.SIGINT)[0] == 0
    assert (home / ".streams" / "broker.lock").read_text().startswith("ready on 127.0.0.1:")


@pytest.mark.broker
@pytest.mark.crash
def test_a_run_outlives_its_embedded_broker(home: Path, start: Start) -> None:
    """A broker that is killed is brought back by those who use it, and the run goes on where it was."""
    ride = '{"key": "1", "value": {"zone": 1, "fare": %d}}\n'
    streams(home, "produce", "rides", stdin=ride % 2)
    running = start(*RUN, "taxi:app")
    assert running.line() == "fare 2.0"
    lock = (home / ".streams" / "broker.lock").stat().st_ino
    (broker,) = (int(pid.name) for pid in Path("/proc").glob("[0-9]*") if writes_to(pid, lock))
    os.kill(broker, signal.SIGKILL)
    streams(home, "produce", "rides", stdin=ride % 3)
    assert running.line() == "fare 3.0"
    assert running.end(signal.SIGINT)[0] == 0


@pytest.mark.broker
@pytest.mark.crash
def test_who_prints_a_topic_outlives_its_broker(home: Path, start: Start) -> None:
    """A connection that breaks is no reader of ours that has left: the next records are printed."""
    line = '{"key": "1", "value": %d}\n'
    streams(home, "produce", "numbers", stdin=line % 2)
    running = start("-m", "streams.cli", "consume", "numbers", "--follow")
    assert json.loads(running.line())["value"] == 2
    lock = (home / ".streams" / "broker.lock").stat().st_ino
    for number in (3, 4):
        (broker,) = (int(pid.name) for pid in Path("/proc").glob("[0-9]*") if writes_to(pid, lock))
        os.kill(broker, signal.SIGKILL)
        streams(home, "produce", "numbers", stdin=line % number)
        assert json.loads(running.line())["value"] == number


def test_a_reader_that_has_left_is_no_error(home: Path) -> None:
    """As of `streams consume numbers | head -0`: nothing is said, whenever it is found out."""
    streams(home, "produce", "numbers", stdin='{"key": "1", "value": 2}\n')
    command = [sys.executable, "-m", "streams.cli", "consume", "numbers"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, cwd=home, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def writes_to(process: Path, inode: int) -> bool:
    """Whether a process has this file as its standard output."""
    try:
        return (process / "fd" / "1").stat().st_ino == inode
    except OSError:
        return False
