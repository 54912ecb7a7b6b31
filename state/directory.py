"""Where stores lie on disk, and who owns them.

    <state_dir>/<application_id>/<task>/.lock
    <state_dir>/<application_id>/<task>/rocksdb/<store>
    <state_dir>/<application_id>/<task>/positions      how complete the stores were when last noted

Rules: a task's directory has one owner at a time, a process, held by a lock on `.lock` that the kernel releases when
the process dies; its owner's name stands in the file. Nothing is removed unless the caller holds the lock. Noted
positions are a hint for others, possibly an old one; what counts is the position in the store itself.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote

from state.errors import StateDiskFull, StateError, StoreLocked

_LOCK = ".lock"
_STORES = "rocksdb"
_POSITIONS = "positions"
_SAFE = "._- "
_TRIES = 100
"""How often a directory may go while it is being made, before something else must be the matter."""


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
        self._lock = -1
        try:
            self._lock = _locked(path)
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{owner} (pid {os.getpid()})\n".encode(), 0)
        except OSError as error:
            self.close()  # or nobody could have it before this process ends
            raise _unusable(path, error) from error

    def stores(self) -> list[str]:
        """Names of the stores on disk, those set aside included."""
        folder = self.path / _STORES
        return sorted(unquote(path.name) for path in folder.iterdir()) if folder.is_dir() else []

    def note_positions(self, positions: Mapping[str, int]) -> None:
        """Write down how complete the stores are, for whoever looks without opening them."""
        fresh = self.path / f"{_POSITIONS}.new"
        fresh.write_text("".join(f"{position} {store}\n" for store, position in positions.items()))
        fresh.replace(self.path / _POSITIONS)

    def wipe(self) -> None:
        """Remove all stores; the directory stays owned."""
        shutil.rmtree(self.path / _STORES, ignore_errors=True)

    def close(self) -> None:
        """Let others have it; `idle_s` counts from now."""
        if self._lock >= 0:
            with suppress(OSError):
                os.utime(self._lock)
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

    def noted_positions(self, task_id: str) -> dict[str, int]:
        """By store, the position that was noted last; owned or not. None, where nothing is noted that can be read."""
        try:
            lines = (self.path / task_id / _POSITIONS).read_text().splitlines()
            return {store: int(position) for position, store in (line.split(" ", 1) for line in lines)}
        except (OSError, ValueError):  # a power cut may leave the name of a file without what was written to it
            return {}

    def idle_s(self, task_id: str) -> float:
        """For how long nobody has written in a task's directory, or owned it and let it go, in seconds."""
        return time.time() - max(_written_s(self.path / task_id), default=0.0)

    def open_task(self, task_id: str, *, owner: str) -> TaskDirectory:
        """Own a task's directory, which is made if it is missing.

        Raises: StoreLocked, naming the owner.
        """
        return TaskDirectory(self.path / task_id, owner)

    def remove(self, task_id: str) -> None:
        """Remove a task's directory, its lock last: who waits for it finds all of it, or nothing.

        Raises: StoreLocked, naming the owner.
        """
        path = self.path / task_id
        if not path.exists():
            return
        with TaskDirectory(path, "removal"):
            for each in path.iterdir():
                if each.name == _LOCK:
                    continue
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each)
                else:
                    each.unlink()
            (path / _LOCK).unlink()
            with suppress(OSError):  # whoever waited has made a lock of its own there already
                path.rmdir()


def _written_s(folder: Path) -> Iterator[float]:
    """When files of a task's directory were written, which others may be removing, in seconds since 1970."""
    for pattern in (_LOCK, f"{_STORES}/*", f"{_STORES}/*/*"):
        with suppress(FileNotFoundError):  # the folder
            for path in folder.glob(pattern):
                with suppress(FileNotFoundError):
                    yield path.lstat().st_mtime


def _locked(path: Path) -> int:
    """The descriptor that holds the lock of a directory, which is made if it is missing. Raises: StoreLocked."""
    tries = 0
    while True:
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except (FileNotFoundError, FileExistsError):
            tries += 1
            if tries < _TRIES:
                continue  # removed in between, perhaps while it was looked at
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(lock, 4096).decode(errors="replace").strip() or "an unknown process"
            os.close(lock)
            raise StoreLocked(
                f"state of task {path.name} in {path.parent} belongs to {holder}: stop it, or use another state_dir"
            ) from None
        if _is_file(lock, path / _LOCK):
            return lock
        os.close(lock)  # a file that was removed while this one waited for it locks nothing


def _is_file(descriptor: int, path: Path) -> bool:
    """Whether a descriptor is of the file that has this name now."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
