"""The workers of a query: processes that run its application, and the entry they run it by.

Rules: a worker that is killed is started again, and goes on where it was committed; one that ends by itself, or dies
again and again, ends the run. Workers end with the process that started them, however that ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from examples.taxi.debs.frequent_routes import frequent_routes
from examples.taxi.debs.profitable_areas import profitable_areas
from streams import StreamsError

_PATIENCE = 10
_ROOT = Path(__file__).parents[3]
_SECONDS_BETWEEN_LOOKS = 0.5
APPS = {app.name: app for app in (frequent_routes(), profitable_areas())}


class Workers:
    """Processes that run an application; a context manager that stops them."""

    def __init__(self, app: str, count: int, directory: Path) -> None:
        broker = f"embedded://{directory.absolute()}"
        options = ["--broker", broker, "--log-level", "warning"]
        self._command = [sys.executable, "-m", __name__, str(os.getpid()), app, *options]
        self._count = count
        self._log = directory / "workers.log"
        self._deaths = 0
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._processes = [self._started() for _ in range(self._count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()

    def check(self) -> None:
        """Start again what was killed. Raises: StreamsError for what ended by itself."""
        for number, process in enumerate(self._processes):
            code = process.poll()
            if code is None:
                continue
            self._deaths += 1
            if code >= 0 or self._deaths > _PATIENCE:
                ends = self._log.read_text(errors="replace").strip().splitlines()[-5:]
                raise StreamsError("\n".join(["a worker of the query stopped:", *ends]))
            self._processes[number] = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  our own command
                self._command, cwd=_ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )


def _follow(parent: int) -> None:
    """Stop this process when the one that started it is gone, which may be before this one has begun."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_follow, args=(int(sys.argv[1]),), daemon=True).start()
    APPS[sys.argv[2]].main(["run", *sys.argv[3:]])
