"""The broker as a command: what it prints, how it stops, and one clear sentence for everything that is wrong."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.broker


def run(*arguments: str, timeout: float = 20) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "broker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def sentence(result: "subprocess.CompletedProcess[str]") -> str:
    """The one line on stderr that is not a log line; the exit code must be 2."""
    assert result.returncode == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("broker: ")]
    return line


def test_unknown_setting_suggests_the_nearest(tmp_path: Path) -> None:
    """A misspelt name is an error that says what was probably meant."""
    result = run("--data-dir", str(tmp_path), "--set", "num.partition=3")
    assert sentence(result) == "broker: unknown broker setting 'num.partition'; did you mean 'num.partitions'?"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("num.partitions=many", "must be a number, not 'many'"),
        ("num.partitions=0", "must lie between 1 and"),
        ("log.flush=never", "must be one of group-commit, interval, os"),
        ("auto.create.topics.enable=perhaps", "must be true or false"),
        ("num.partitions", "NAME=VALUE"),
    ],
)
def test_bad_value(tmp_path: Path, setting: str, said: str) -> None:
    """A value out of range or of the wrong kind is an error that says what was expected."""
    assert said in sentence(run("--data-dir", str(tmp_path), "--set", setting))


def test_bad_arguments(tmp_path: Path) -> None:
    """A command line without a data directory, or with an unknown option, is explained."""
    assert "--data-dir" in sentence(run())
    assert "--bogus" in sentence(run("--bogus"))
    assert "HOST:PORT" in sentence(run("--data-dir", str(tmp_path), "--listen", "nonsense"))


def test_port_in_use(tmp_path: Path) -> None:
    """A taken port is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("--data-dir", str(tmp_path / "data"), "--listen", f"127.0.0.1:{port}")
    assert f"cannot listen on 127.0.0.1:{port}" in sentence(result)


def test_data_directory_in_use(shared_broker) -> None:
    """A second broker on the directory is refused and told who has it."""
    result = run("--data-dir", str(shared_broker.data_dir), "--listen", "127.0.0.1:0")
    assert f"is in use by process {shared_broker.process.pid}" in sentence(result)


def test_properties_file(tmp_path: Path) -> None:
    """A server.properties is read, what has no meaning is named, and --set wins over it."""
    properties = tmp_path / "server.properties"
    properties.write_text(
        f"# a comment\nlog.dirs={tmp_path / 'data'}\nzookeeper.connect=x\nnum.partitions=1\nlisteners=nonsense\n"
    )
    result = run("--properties", str(properties), "--set", "num.partitions=2")
    assert "settings without meaning here are ignored: zookeeper.connect" in result.stderr
    assert "a listener must be HOST:PORT" in sentence(result)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_cleanly(broker, number: signal.Signals) -> None:
    """A signal ends the broker with code 0 and leaves the mark of a clean stop."""
    os.kill(broker.process.pid, number)
    assert broker.process.wait(10) == 0
    assert (broker.data_dir / ".kafka_cleanshutdown").exists()


def test_exit_when_idle(tmp_path: Path) -> None:
    """Without clients it ends by itself."""
    result = run("--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--exit-when-idle", "0.2")
    assert result.returncode == 0
    assert result.stdout.startswith("ready on 127.0.0.1:")


def test_localhost_is_all_its_addresses(tmp_path: Path) -> None:
    """On `localhost` with a free port every address of the name listens, on the same port."""
    command = [sys.executable, "-m", "broker", "--data-dir", str(tmp_path / "data"), "--listen", "localhost:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        try:
            for family, _, _, _, address in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM):
                with socket.socket(family) as client:
                    client.settimeout(5)
                    client.connect(address)
        finally:
            process.terminate()
