"""The file system that a data directory lies on, which can be synced as a whole: one call for all files of a round.

A journaling file system writes its journal for every file that is synced, has the disk flush its cache, and wakes who
waits. `syncfs` does that once for all: nine files of some kilobytes take half the time and a third of the processor's.

It also writes what other programs have not had written yet, and waits for that. So it is used only where

- there are several files to sync, all on this file system;
- little is waiting to be written on the whole machine;
- the file system is ext4, which flushes the disk's cache at the end of it in any case, on Linux 5.8 or later, which tells
  when something could not be written. Others may be as good: nobody has looked.

A sync of the whole that fails may have failed for a file of somebody else: the files are synced one by one then, which
tells.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, TypeAlias

from broker.log.checkpoints import sync_partition_directory

File: TypeAlias = int | Path
"""A descriptor of a file, or a partition's folder."""

SEVERAL = 2
SOUND = frozenset({"ext4"})
TELLS_ERRORS = (5, 8)
_MEMORY = "/proc/meminfo"
_MOUNTS = "/proc/self/mountinfo"
_WAITING = re.compile(rb"^Dirty: +(\d+) kB\nWriteback: +(\d+) kB$", re.MULTILINE)


def sync_alone(file: File) -> None:
    """Put one file or folder on the disk. Raises: OSError."""
    if isinstance(file, int):
        os.fdatasync(file)
        return
    with suppress(FileNotFoundError):  # deleted meanwhile
        sync_partition_directory(file)


def sync_whole(descriptor: int) -> bool:
    """Put all that was written to a file system on the disk. False where that failed, for whatever file."""
    return _syncfs is not None and _syncfs(descriptor) == 0


class FileSystem:
    """See the module. `directory` lies on it."""

    little_kb: ClassVar[int] = 16 << 10
    """Waiting on the whole machine: what a slow disk writes within a tenth of a second."""

    def __init__(self, directory: Path) -> None:
        self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._device = os.fstat(self._directory).st_dev
        self._memory = os.open(_MEMORY, os.O_RDONLY | os.O_CLOEXEC) if _is_sound(self._device) else None

    def close(self) -> None:
        """Let go of it."""
        os.close(self._directory)
        if self._memory is not None:
            os.close(self._memory)

    def is_best_synced_whole(self, files: Sequence[File]) -> bool:
        """Whether one sync of all is sound, and quicker than one for each of these files."""
        if self._memory is None or len(files) < SEVERAL:
            return False
        if any(self._lies_elsewhere(file) for file in files):
            return False
        waiting = _WAITING.search(os.pread(self._memory, 2048, 0))
        return waiting is not None and int(waiting[1]) + int(waiting[2]) <= self.little_kb

    def _lies_elsewhere(self, file: File) -> bool:
        """A partition's folder may be a link to another disk, or gone."""
        try:
            return (file.stat() if isinstance(file, Path) else os.fstat(file)).st_dev != self._device
        except OSError:
            return True

    def sync(self, files: Sequence[File]) -> None:
        """Put these on the disk, with everything else that waits. Raises: OSError."""
        if not sync_whole(self._directory):
            for file in files:
                sync_alone(file)


def _is_sound(device: int) -> bool:
    if _syncfs is None or _linux_version() < TELLS_ERRORS or not os.access(_MEMORY, os.R_OK):
        return False
    return _kind_of(device) in SOUND


def _linux_version() -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])


def _kind_of(device: int) -> str | None:
    """The kind of file system, as the table of mounts has it."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError):
        for line in Path(_MOUNTS).read_text(errors="replace").splitlines():
            mount, _, rest = line.partition(" - ")
            if mount.split()[2] == wanted:
                return rest.split()[0]
    return None


_syncfs = getattr(ctypes.CDLL(None), "syncfs", None) if sys.platform == "linux" else None
