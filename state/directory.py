"""Where stores lie on disk, and who owns them.

    <state_dir>/<application_id>/<task>/.lock
    <state_dir>/<application_id>/<task>/rocksdb/<store>

Rules: a task's directory has one owner at a time, a process, held by a lock on `.lock` that the kernel releases when
the process dies; its owner's name stands in the file. Nothing is removed unless the caller holds the lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote

from state.errors import StateDiskFull, StateError, StoreLocked

_LOCK = ".lock"
_STORES = "rocksdb"
_SAFE = "._- "


def store_path(task_directory: Path, store: str) -> Path:
    """The directory of one store."""
    return task_directory / _STORES / quote(store, safe=_SAFE)


def set_aside(task_directory: Path, store: str) -> Path | None:
    """Give a store that cannot be trusted another name, so that a new one can take its place.

    Shape: the new path, or None if there was nothing. The store must be closed.
    """
    path = store_path(task_directory, store)
    if not path.exists():
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    return path.rename(aside)


class TaskDirectory:
    """A task's directory, owned until `close`; also a context manager."""

    def __init__(self, path: Path, owner: str) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._lock, 4096).decode(errors="replace").strip() or "an unknown process"
            os.close(self._lock)
            raise StoreLocked(
                f"state of task {path.name} in {path.parent} belongs to {holder}: stop it, or use another state_dir"
            ) from None
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{owner} (pid {os.getpid()})\n".encode(), 0)
        except OSError as error:
            os.close(self._lock)
            raise _unusable(path, error) from error

    def stores(self) -> list[str]:
        """Names of the stores on disk, those set aside included."""
        folder = self.path / _STORES
        return sorted(unquote(path.name) for path in folder.iterdir()) if folder.is_dir() else []

    def wipe(self) -> None:
        """Remove all stores; the directory stays owned."""
        shutil.rmtree(self.path / _STORES, ignore_errors=True)

    def close(self) -> None:
        """Let others have it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _unusable(path: Path, error: OSError) -> StateError:
    """Why a directory cannot be had."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StateDiskFull(path, error.strerror)
    return StateError(f"the state directory {path} cannot be used ({error.strerror}): set state_dir to one that can")


class StateDirectory:
    """All tasks of one application on this machine."""

    def __init__(self, state_dir: Path, application_id: str) -> None:
        self.path = state_dir / application_id

    def tasks(self) -> list[str]:
        """Tasks that have a directory, owned or not, in order."""
        if not self.path.is_dir():
            return []
        return sorted(path.name for path in self.path.iterdir() if (path / _LOCK).exists())

    def holds(self, store: str) -> bool:
        """Whether some task's directory has a store of that name."""
        return any(store_path(self.path / task, store).is_dir() for task in self.tasks())

    def open_task(self, task_id: str, *, owner: str) -> TaskDirectory:
        """Own a task's directory, which is made if it is missing.

        Raises: StoreLocked, naming the owner.
        """
        return TaskDirectory(self.path / task_id, owner)

    def remove(self, task_id: str) -> None:
        """Remove a task's directory.

        Raises: StoreLocked, naming the owner.
        """
        path = self.path / task_id
        if path.exists():
            with TaskDirectory(path, "removal"):
                shutil.rmtree(path)
