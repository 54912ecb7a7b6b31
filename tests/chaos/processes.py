"""The broker and the workers as processes, and what can be done to them."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

PROGRAM = Path(__file__).with_name("application.py")
SESSION_TIMEOUT_MS = 1_500
SETTINGS = {
    "session_timeout_ms": str(SESSION_TIMEOUT_MS),
    "heartbeat_interval_ms": "300",
    "commit_interval_ms": "100",
    "transaction_timeout_ms": "4000",
    "connect_timeout_ms": "60000",
    "num_standby_replicas": "1",
}


class BrokerProcess(Protocol):
    """A broker that can be killed and comes back at the same address."""

    url: str

    def start(self) -> None:
        """Returns when it serves."""
        ...

    def kill(self) -> None:
        """SIGKILL, to a part of it where it has parts."""
        ...

    def roll(self) -> None:
        """SIGTERM and a new start, one part after the other; returns when all of it serves."""
        ...

    def freeze(self) -> None:
        """SIGSTOP, to a part of it where it has parts: alive, its connections too, and it answers nobody."""
        ...

    def thaw(self) -> None:
        """SIGCONT, to what is frozen."""
        ...

    def close(self) -> None:
        """SIGKILL, to all of it, for good."""
        ...


class BundledBroker:
    """`python -m broker` over one data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"kafka://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns when it serves."""
        settings = ["--listen", f"127.0.0.1:{self._port}", "--set", "group.min.session.timeout.ms=500"]
        command = [sys.executable, "-P", "-m", "broker", "--data-dir", str(self._folder / "broker"), *settings]
        with (self._folder / "broker.log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready on "):
            raise RuntimeError(f"the broker did not start, see {self._folder / 'broker.log'}")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def roll(self) -> None:
        """SIGTERM, and a new start."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """SIGKILL."""
        self.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class WorkerProcess:
    """One worker with a state directory of its own; started again, it finds it as it was."""

    def __init__(self, broker: str, name: str, folder: Path, number: int, settings: dict[str, str]) -> None:
        self.number = number
        self.state_dir = folder / f"state-{number}"
        self._log = folder / f"worker-{number}.log"
        pairs = [f"{key}={value}" for key, value in (SETTINGS | settings).items()]
        self._command = [sys.executable, str(PROGRAM), broker, name, str(self.state_dir), *pairs]
        self._process: subprocess.Popen[bytes] | None = None
        self._said = 0
        """Bytes in the log when the process began."""
        self.stopped = False

    @property
    def exit_code(self) -> int | None:
        """How it ended by itself; None while it runs, or when it is not there."""
        return self._process.poll() if self._process is not None else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        if not self.running:
            with self._log.open("ab") as log:
                self._said = log.tell()
                self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process, self.stopped = None, False

    def pause(self) -> None:
        """SIGSTOP: alive, and unaware of time passing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self.stopped = True

    def resume(self) -> None:
        """SIGCONT."""
        if self._process is not None and self.stopped:
            self._process.send_signal(signal.SIGCONT)
            self.stopped = False

    def leave(self, timeout_s: float = 60) -> int:
        """SIGTERM, once the worker is there to hear it, and wait for the end; the answer is the exit code."""
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while self._log.stat().st_size == self._said and self._process.poll() is None:
            assert time.monotonic() < deadline, f"worker {self.number} has not begun within {timeout_s:g} s"
            time.sleep(0.02)
        self._process.terminate()
        code = self._process.wait(timeout_s)
        self._process = None
        return code

    def wipe(self) -> None:
        """Remove the state of a worker that does not run."""
        assert not self.running, "a running worker owns its state"
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
