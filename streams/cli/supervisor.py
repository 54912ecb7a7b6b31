"""`streams run --workers N`: one process per worker, watched by this one.

Rules: a worker that dies is started again after a pause that doubles up to half a minute, and the log says how and
why it died; one that rejects its settings (exit code 2), says that all are to stop (3) or keeps dying right after its
start ends the whole. What workers write to stderr is passed on. So is a signal, and the supervisor ends when all
workers have.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import TextIO

import msgspec

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
HEALTHY_S = 30.0
"""A worker that ran this long starts with a short pause again."""
PATIENCE = 5
"""Deaths in a row, none after a healthy while, that end the supervisor."""
RELAY_S = 1.0
ERROR = "error: "
JSON_ERROR = '{"event":"error",'
REJECTED = 2
STOP_ALL = 3
"""Exit code of a worker whose policy is `stop_application`."""


class Supervised:
    """One worker process: starts, dies, is started again."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        self._command = list(command)
        self._deaths = 0
        self._started = 0.0
        self._due = 0.0
        self._reason = ""
        self._relay: threading.Thread | None = None
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process."""
        self._started = time.monotonic()
        self._reason = ""
        self.process = subprocess.Popen(  # noqa: S603  our own command
            self._command, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        self._relay = threading.Thread(target=self._pass_on, args=(self.process.stderr,), daemon=True)
        self._relay.start()
        log.info("worker %d runs as process %d", self.number, self.process.pid)

    def _pass_on(self, lines: TextIO) -> None:
        """Pass on what the process says, and remember what it said was wrong."""
        with lines:
            for line in lines:
                sys.stderr.write(line)
                self._reason = _reason(line) or self._reason

    def look(self) -> int | None:
        """Start again what died and has paused long enough. Shape: an exit code that must end everything, or None."""
        if self.process is None:
            if time.monotonic() >= self._due:
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        return self._died(code)

    def _died(self, code: int) -> int | None:
        if code == 0:
            log.info("worker %d has come to its end; the others end with it", self.number)
            return 0
        if time.monotonic() - self._started > HEALTHY_S:
            self._deaths = 0
        self._deaths += 1
        if self._relay is not None:
            self._relay.join(RELAY_S)
        cause = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        cause += f" ({self._reason})" if self._reason else ""
        if code in {REJECTED, STOP_ALL} or self._deaths >= PATIENCE:
            log.error("worker %d %s; stopping the others", self.number, cause)
            return code if code > 0 else 1
        pause = min(FIRST_PAUSE_S * 2 ** (self._deaths - 1), LONGEST_PAUSE_S)
        log.warning("worker %d %s; starting it again in %g s", self.number, cause, pause)
        self._due = time.monotonic() + pause
        return None

    def stop(self) -> None:
        """Ask the process to stop."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self) -> int:
        """Wait for its end after `stop`. Shape: the exit code; 0 also for one that had not begun to listen to signals."""
        code = self.process.wait() if self.process is not None else 0
        if self._relay is not None:
            self._relay.join(RELAY_S)
        return 0 if code == -signal.SIGTERM else abs(code)


def _reason(line: str) -> str | None:
    """What a worker says is wrong, in either of its forms; None for anything else that it says."""
    if line.startswith(ERROR):
        return line.removeprefix(ERROR).strip()
    if line.startswith(JSON_ERROR):
        try:
            return str(msgspec.json.decode(line)["message"])
        except (msgspec.DecodeError, KeyError):
            return None
    return None


def supervise(commands: Sequence[Sequence[str]]) -> int:
    """Run a process of each command until a signal comes. Shape: the exit code for this process."""
    crew = [Supervised(number, command) for number, command in enumerate(commands)]
    stopping = threading.Event()
    _stop_on_signals(stopping)
    for worker in crew:
        worker.start()
    verdict = None
    while verdict is None and not stopping.wait(0.2):
        if os.getpid() == 1:
            _reap_orphans({worker.process.pid for worker in crew if worker.process is not None})
        verdict = next((code for worker in crew if (code := worker.look()) is not None), None)
    for worker in crew:
        worker.stop()
    codes = [worker.wait() for worker in crew]
    return verdict if verdict is not None else max(codes, default=0)


def _reap_orphans(own: set[int]) -> None:
    """As the first process of a container, take leave of those whose parents have gone: the broker of a worker that died."""
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in own:
            os.waitpid(ended.si_pid, 0)


def _stop_on_signals(stopping: threading.Event) -> None:
    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and stopping.is_set():
            os._exit(128 + number)  # the workers share the terminal, so they had the second Ctrl-C too
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def this_program(arguments: Sequence[str]) -> list[str]:
    """A command that runs this program again with other arguments, however it was started."""
    main = sys.modules["__main__"]
    module = getattr(main, "__spec__", None)
    if module is not None and module.name != "__main__":
        return [sys.executable, "-m", module.name.removesuffix(".__main__"), *arguments]
    return [sys.executable, sys.argv[0], *arguments]
