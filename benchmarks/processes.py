"""Processes watched from outside: started with a command, measured through /proc, stopped with their children.

Rules: nothing inside a measured process knows that it is measured. Linux only, for /proc.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_READY = "ready on "


class BenchmarkError(Exception):
    """A run that cannot be measured; says why."""


@dataclass(frozen=True)
class Usage:
    """What a process and its children have used so far."""

    cpu_seconds: float
    resident_mb: float


@dataclass(frozen=True)
class Watched:
    """A running process with its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def usage(self) -> Usage:
        """CPU seconds and resident memory of the process and its living children."""
        family = list(_family(self.process.pid))
        return Usage(sum(map(_cpu_seconds, family)), sum(map(_resident_mb, family)))

    def check(self) -> None:
        """Raises: BenchmarkError with the end of the log when the process has ended."""
        if (code := self.process.poll()) is not None:
            raise BenchmarkError(f"{self.log.stem} ended with exit code {code}{self.last_words()}")

    def last_words(self) -> str:
        """The end of the log, to follow a complaint."""
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
        return f":\n{tail}" if tail else ""


@contextmanager
def running(name: str, command: Sequence[str], directory: Path) -> Iterator[Watched]:
    """A process for the time of the block; its output goes to `directory`/`name`.log."""
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield Watched(process, log)
    finally:
        _stop(process)


@contextmanager
def broker(directory: Path, settings: Mapping[str, str] | None = None) -> Iterator[tuple[Watched, str]]:
    """The bundled broker on a free port, and its address. `settings` are by Kafka's names."""
    command = [sys.executable, "-m", "broker", "--data-dir", str(directory / "broker"), "--listen", "127.0.0.1:0"]
    command += [f"--set={name}={value}" for name, value in (settings or {}).items()]
    with running("broker", command, directory) as watched:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            watched.check()
            for line in watched.log.read_text(errors="replace").splitlines():
                if line.startswith(_READY):
                    yield watched, line.removeprefix(_READY).strip()
                    return
            time.sleep(0.02)
        raise BenchmarkError(f"the broker was not ready within 20 s; see {watched.log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            continue


def _family(process_id: int) -> Iterator[int]:
    yield process_id
    try:
        children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    except OSError:
        return
    for child in children.split():
        yield from _family(int(child))


def _cpu_seconds(process_id: int) -> float:
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS


def _resident_mb(process_id: int) -> float:
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)
