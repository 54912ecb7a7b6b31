"""Which worker this is, over restarts: the base of its transactional id, and its name in the group.

    <state_dir>/<application_id>/process-id       a random id of this state directory
    <state_dir>/<application_id>/worker-<n>.lock  held by a running worker

Rules: a worker has the first number that no living worker holds, and the kernel frees it however the worker ends. So a
worker that was killed comes back under the same id: the broker undoes its open transaction at once instead of when its
time is over, and the group gives it its place back instead of waiting for its session to end. One that is merely
stopped keeps its number, and another takes the next.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

from streams.errors import ConfigError

_PROCESS_ID = "process-id"


class ProcessId:
    """The id of a state directory and the number of a worker in it, held until `close`."""

    def __init__(self, state_dir: Path, application_id: str) -> None:
        """Raises: ConfigError for a directory that cannot be used."""
        folder = state_dir / application_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.uuid = _directory_id(folder)
            self.number, self._lock = _first_free(folder)
        except OSError as problem:
            raise ConfigError(
                f"state_dir: {state_dir} has to be a directory that can be written: {problem.strerror}; name another one "
                "with state_dir=DIR, --set state_dir=DIR or STREAMS_STATE_DIR"
            ) from problem

    def transactional_id(self, application_id: str) -> str:
        """`<application.id>-<uuid>-<n>`, as Kafka Streams names them."""
        return f"{application_id}-{self.name}"

    @property
    def name(self) -> str:
        """What the worker is called in its group: no other living worker is, and it is again after a crash."""
        return f"{self.uuid}-{self.number}"

    def close(self) -> None:
        """Let the number go."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _directory_id(folder: Path) -> UUID:
    """The id in the file, which is made whole or not at all; a new one takes the place of what is none, after a power cut.

    Source: Kafka's StateDirectory.initializeProcessId.
    """
    path = folder / _PROCESS_ID
    while True:
        try:
            return UUID(path.read_text().strip())
        except FileNotFoundError:
            place: Callable[[Path, Path], None] = os.link  # if another worker is faster, its id counts
        except ValueError:
            place = os.replace
        fresh = folder / f"{_PROCESS_ID}.{uuid4()}"
        try:
            fresh.write_text(f"{uuid4()}\n")
            with suppress(FileExistsError):
                place(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)


def _first_free(folder: Path) -> tuple[int, int]:
    """The first number nobody holds, and the descriptor that holds it now."""
    for number in count(1):
        lock = os.open(folder / f"worker-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return number, lock
    raise AssertionError("there is always another number")
