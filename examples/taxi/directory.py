"""Where everything is stored: the embedded broker's data, the programs' state, generated trips.

Rules: a run leaves a mark while it goes on. Who finds one knows that an earlier run was killed, so that rides may
have been handled twice since; the mark then stays until the directory is removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.taxi.topics import program

MARK = "unfinished"
BROKERS = ("broker", "broker.lock")
"""What the embedded broker leaves in a directory."""


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

    Returns: whether there was anything.
    Raises: StreamsError when it is in use, or is not one of ours.
    """
    if (directory / MARK).exists() and not any((directory / name).exists() for name in BROKERS):
        shutil.rmtree(directory)  # a run that ended before it had a broker
        return True
    return program("taxi", broker=f"embedded://{directory}").remove_data()
