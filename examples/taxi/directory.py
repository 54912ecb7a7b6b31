"""Where everything is stored: the embedded broker's data, the programs' state, generated trips.

Rules: a run leaves a mark while it goes on. Who finds one knows that an earlier run was killed, so that rides may
have been handled twice since; the mark then stays until the directory is removed.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.taxi.layouts import TripsError
from streams.embedded import LOCK_FILE

MARK = "unfinished"
PATIENCE_SECONDS = 30.0


@contextmanager
def marked(directory: Path) -> Iterator[bool]:
    """Leaves a mark for the time of the block; yields whether an earlier run was killed here."""
    directory.mkdir(parents=True, exist_ok=True)
    mark = directory / MARK
    killed = mark.exists()
    mark.touch()
    yield killed
    if not killed:
        mark.unlink()


def remove(directory: Path) -> bool:
    """Delete the directory once its broker has stopped, which it does seconds after its last client left.

    Returns: whether there was anything. Raises: TripsError when it is in use, or is not one of ours.
    """
    if not directory.exists():
        return False
    lock = directory / LOCK_FILE
    if not lock.exists() and any(directory.iterdir()) and not (directory / MARK).exists():
        raise TripsError(f"{directory} does not look like a directory of this example, so it is left as it is.")
    if lock.exists():
        _wait_until_free(lock)
    shutil.rmtree(directory)
    return True


def _wait_until_free(lock: Path) -> None:
    """Wait for the embedded broker to end: it holds the lock as long as it lives."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with lock.open() as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TripsError(f"{lock.parent} is in use: stop the programs that run on it first.") from None
                time.sleep(0.1)
            else:
                return
