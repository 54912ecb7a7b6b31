"""What signals do to a command: while it starts as well as later, and as the first process of a container."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from streams.embedded import LOCK_FILE
from streams.pytest_plugin import RunningBroker

APP = """
import time
from streams import App

app = App("signalled", commit_interval_ms=100)
words = app.topic("signalled-words", key=str, value=str, partitions=1)

@app.aggregate(words, name="lengths")
def length(total: int, word: str) -> int:
    return total + len(word)

@app.on_restore
def restoring(event) -> None:
    print("restoring", flush=True)
    time.sleep(0.5)

@app.process(words)
def shout(word: str) -> None:
    print(word, flush=True)
"""
RUN = [sys.executable, "-m", "streams.cli", "run", "signalled"]
NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]
ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1"}
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with an application in it."""
    (tmp_path / "signalled.py").write_text(APP)
    return tmp_path


@contextmanager
def begun(home: Path, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A command in the background; what still runs after the test is ended."""
    with subprocess.Popen(
        command, cwd=home, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """Send a signal. Shape: exit code, and what was said on standard error."""
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


@contextmanager
def silent() -> Iterator[socket.socket]:
    """Somebody who listens, and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(30)
        yield server


def ended_while_it_asks(server: socket.socket, home: Path, command: list[str], number: int) -> tuple[int, str]:
    """Send a signal to a command that waits for an answer of this server. Shape: as of `ended`."""
    with begun(home, command) as process:
        connection, _ = server.accept()
        with connection:
            return ended(process, number)


@SIGNALS
def test_while_it_waits_for_the_embedded_broker(home: Path, number: int) -> None:
    """Nothing runs yet that could be stopped: the run ends, and nothing went wrong."""
    directory = home / ".streams"
    directory.mkdir()
    with silent() as server, (directory / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a broker would that has just come up
        lock.write(f"ready on 127.0.0.1:{server.getsockname()[1]}\n")
        lock.flush()
        code, errors = ended_while_it_asks(server, home, RUN, number)
    assert code == 0, errors
    assert "stopped before there was anything to stop" in errors
    assert "Traceback" not in errors


@SIGNALS
def test_while_it_waits_for_a_broker_elsewhere(home: Path, number: int) -> None:
    """As long as nobody answers there: it says so, and ends."""
    with silent() as server:
        address = f"kafka://127.0.0.1:{server.getsockname()[1]}"
        code, errors = ended_while_it_asks(server, home, [*RUN, "--broker", address], number)
    assert code == 0, errors
    assert "the worker stops before it had started" in errors
    assert "Traceback" not in errors


@pytest.mark.broker
@SIGNALS
def test_while_it_restores_and_in_its_first_batch(home: Path, streams_broker: RunningBroker, number: int) -> None:
    """It stops there, and the next start goes on from it."""
    run = [*RUN, "--broker", streams_broker.url, "--set", f"state_dir={home / 'state'}"]
    produce = [sys.executable, "-m", "streams.cli", "produce", "signalled-words", "--app", "signalled"]

    def say(word: str) -> None:
        line = f'{{"key": "k", "value": "{word}"}}\n'
        subprocess.run(
            [*produce, "--broker", streams_broker.url], cwd=home, input=line, text=True, check=True, timeout=60
        )

    say("one")
    subprocess.run([*run, "--to-end"], cwd=home, check=True, timeout=60, capture_output=True)
    for directory in (home / "state" / "signalled").glob("*_*"):
        subprocess.run(["rm", "-r", str(directory)], check=True)
    for first in ("restoring", "two"):
        if first == "two":  # it stops before that, so nobody has had it
            say("two")
        with begun(home, run) as process:
            assert process.stdout is not None
            while (line := process.stdout.readline().strip()) != first:
                assert line, process.communicate()[1]
            code, errors = ended(process, number)
        assert code == 0, errors
        assert "Traceback" not in errors


def namespaces() -> bool:
    """Whether this user may have a process namespace of his own."""
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def first_process(of: subprocess.Popen[str]) -> int:
    """The process that is number 1 in its namespace."""
    children = Path(f"/proc/{of.pid}/task/{of.pid}/children")
    while not (found := children.read_text().split()):
        assert of.poll() is None
    return int(found[0])


FIRST = pytest.mark.skipif(not namespaces(), reason="needs the right to make namespaces")


@FIRST
def test_the_first_process_of_a_container_listens_to_sigterm(home: Path) -> None:
    """Any command does: the kernel keeps from it what it has no handler for, and a container would be killed at last."""
    with silent() as server:
        address = f"kafka://127.0.0.1:{server.getsockname()[1]}"
        with begun(home, [*NAMESPACE, sys.executable, "-m", "streams.cli", "topics", "-b", address]) as process:
            connection, _ = server.accept()
            os.kill(first_process(process), signal.SIGTERM)
            assert process.wait(timeout=60) == 128 + signal.SIGTERM
            connection.close()


@FIRST
def test_the_supervisor_of_a_container_leaves_no_zombies(home: Path) -> None:
    """Whose parents have gone belongs to the first process; its workers it asks for itself."""
    worker = (
        "import os, pathlib, time\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(0.3)\n"  # outlives its parent, and so has another one
        "    os._exit(0)\n"
        "os.wait()\n"
        "until = time.monotonic() + 10\n"
        "own = {1, os.getpid()}\n"
        "def others():\n"
        "    return {int(each.name) for each in pathlib.Path('/proc').glob('[0-9]*')} - own\n"
        "assert others()\n"
        "while others() and time.monotonic() < until:\n"
        "    time.sleep(0.05)\n"
        "raise SystemExit(2 if others() else 0)\n"
    )
    program = f"import sys\nfrom streams.cli.supervisor import supervise\nsys.exit(supervise([[sys.executable, '-c', {worker!r}]]))\n"
    done = subprocess.run(
        [*NAMESPACE, sys.executable, "-c", program],
        cwd=home,
        env=ENVIRONMENT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
