"""Runs of the command `debs` with kills in the middle, their output beside the naive recomputation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

from tests.examples.taxi.debs.recomputation import written

ROOT = Path(__file__).parents[4]
MARKS = {"worker": "examples.taxi.debs.workers", "broker": "-m broker", "command": "examples.taxi debs --query"}
RETRIES = 5


@dataclass
class Run:
    """One query over one file, killed at times."""

    trips: Path
    output: Path
    directory: Path
    query: int
    workers: int
    victims: list[str] = field(default_factory=list)
    random: Random = field(default_factory=Random)
    pause_s: tuple[float, float] = (1.0, 4.0)
    rate: float | None = None
    killed: list[str] = field(default_factory=list)

    def go(self, timeout_s: float) -> str:
        """Run to the end, killing each of the victims on the way; gives what the command printed last.

        Raises: AssertionError when it ended before all of them were killed, or did not end.
        """
        deadline, victims, attempts = time.monotonic() + timeout_s, list(self.victims), 0
        process = self._start()
        while True:
            pause = self.random.uniform(*self.pause_s) if victims else max(1.0, deadline - time.monotonic())
            try:
                said, failed = process.communicate(timeout=pause)
            except subprocess.TimeoutExpired:
                assert time.monotonic() < deadline, "the run did not end in time"
                if self._kill(victims[0]):
                    self.killed.append(victims.pop(0))
                continue
            if process.returncode == 0:
                assert not victims, f"the run ended before these were killed: {victims}"
                return said.strip()
            attempts += 1
            assert attempts <= RETRIES + len(self.victims), failed
            process = self._start()  # killed, or ended by a kill of its broker: the same command continues

    def _start(self) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "examples.taxi",
            "debs",
            "--query",
            str(self.query),
            "--trips",
            str(self.trips),
        ]
        command += ["--output", str(self.output), "--dir", str(self.directory), "--workers", str(self.workers)]
        command += ["--rate", str(self.rate)] if self.rate else []
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _kill(self, kind: str) -> bool:
        """SIGKILL one process of a kind that works in this directory, once a worker has a task."""
        if not any(self.directory.glob("debs-*/state/*/0_0")):
            return False
        listed = subprocess.run(["ps", "-eww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
        found = [line for line in listed.splitlines() if MARKS[kind] in line and str(self.directory) in line]
        if not found:
            return False
        os.kill(int(self.random.choice(found).split()[0]), signal.SIGKILL)
        return True


def difference(output: Path, answers: Iterator[Any]) -> tuple[int, str]:
    """How many lists are equal to the recomputed ones before the first that is not, and that one ("" if none)."""
    for equal, (expected, found) in enumerate(zip_longest(answers, written(output))):
        if expected != found:
            return equal, f"list {equal + 1}:\nexpected {expected}\nfound    {found}"
    return sum(1 for _ in written(output)), ""
