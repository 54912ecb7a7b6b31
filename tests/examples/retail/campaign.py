"""Years of the shop with kills in the middle: the command, one more worker, and the broker, by SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[3]
MARKS = {"command": "examples.retail run", "worker": "examples.retail worker", "broker": "-m broker"}
RETRIES = 5


@dataclass
class Run:
    """One year, killed at times; `said` is what the command printed when it came to its end."""

    lines: Path
    directory: Path
    steps: int
    victims: list[str] = field(default_factory=list)
    random: Random = field(default_factory=Random)
    pause_s: tuple[float, float] = (1.0, 4.0)
    killed: list[str] = field(default_factory=list)

    def go(self, timeout_s: float) -> str:
        """Run to the end, killing each of the victims on the way. Shape: what the command printed."""
        deadline, victims, attempts = time.monotonic() + timeout_s, list(self.victims), 0
        worker = self._start("worker", "2")
        try:
            command = self._start("run", "1")
            while True:
                if worker.poll() is not None:
                    worker = self._start("worker", "2")
                pause = self.random.uniform(*self.pause_s) if victims else 2.0
                try:
                    said, _ = command.communicate(timeout=pause)
                except subprocess.TimeoutExpired:
                    assert time.monotonic() < deadline, f"the year did not end in time: {self._complaints()}"
                    if victims and self._kill(victims[0]):
                        self.killed.append(victims.pop(0))
                    continue
                if command.returncode == 0:
                    return said
                attempts += 1
                assert "books" not in said, said
                assert attempts <= RETRIES + len(self.victims), self._complaints()
                command = self._start("run", "1")
        finally:
            for process in (worker, command):
                process.kill()
                process.communicate()

    def _start(self, part: str, name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "examples.retail", part, "--lines", str(self.lines), "--name", name]
        command += ["--dir", str(self.directory), "--steps", str(self.steps)]
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        said = subprocess.PIPE if part == "run" else subprocess.DEVNULL
        with self._log.open("a") as log:
            return subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=log, text=True)

    @property
    def _log(self) -> Path:
        return self.directory.parent / "errors.log"

    def _complaints(self) -> str:
        return self._log.read_text()[-4_000:]

    def _kill(self, kind: str) -> bool:
        """SIGKILL one process of a kind that works in this directory, once orders were made."""
        if not any(self.directory.glob("state-*/*/3_*")) or not any(self.directory.glob("broker/retail_shipments-*")):
            return False
        listed = subprocess.run(["ps", "-eww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
        found = [line for line in listed.splitlines() if MARKS[kind] in line and str(self.directory) in line]
        if not found:
            return False
        os.kill(int(self.random.choice(found).split()[0]), signal.SIGKILL)
        return True
