"""The real broker as a process of its own, that can be killed and started again on the same port."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

START_SECONDS = 60


class BrokerProcess:
    """A broker on one data directory. `command` is what runs it, in the place of `python -m broker`.

    Starts and ends wait for each other: who hears that it is gone may start it before its killer has seen the end of it.
    """

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.data_dir = data_dir
        self.arguments = arguments
        self.command: Sequence[str] = (sys.executable, "-m", "broker")
        self.process: subprocess.Popen[str] | None = None
        self.port = 0
        self.protocol = ""
        """How it is talked to, if not in the clear."""
        self._turn = threading.RLock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the broker wrote on stderr, over all its starts."""
        return (self.data_dir.parent / "broker.log").read_text()

    def start(self) -> "BrokerProcess":
        """Returns when the broker serves. Raises: RuntimeError if it does not."""
        with self._turn:
            listener = f"{self.protocol}://{self.address}" if self.protocol else self.address
            command = [*self.command, "--data-dir", str(self.data_dir), *self.arguments, "--listen", listener]
            with (self.data_dir.parent / "broker.log").open("a") as log:
                self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
            self.port = int(self._ready_line().rpartition(":")[2])
            return self

    def _ready_line(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        deadline = time.monotonic() + START_SECONDS
        readable, _, _ = select.select([self.process.stdout], [], [], deadline - time.monotonic())
        line = self.process.stdout.readline() if readable else ""
        if not line.startswith("ready on "):
            self.kill()
            raise RuntimeError(f"the broker did not start: {self.log}")
        return line.strip()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        with self._turn:
            assert self.process is not None
            self.process.kill()
            self._gone()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        with self._turn:
            assert self.process is not None
            if self.process.poll() is None:
                os.kill(self.process.pid, signal.SIGTERM)
            return self._gone()

    def _gone(self) -> int:
        assert self.process is not None
        code = self.process.wait(START_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code
