"""The open segment files of a data directory: a bounded number of descriptors for any number of partitions.

Also a bounded memory of the indexes of closed segments: mapping them would cost a descriptor each.

A segment opens its file when it first needs it and keeps it until the pool, being full, takes back the one that has been
idle longest. A file that is being synced by the flusher is pinned.

Also how many descriptors there are: `raise_limit` takes what the system allows at the start of a broker, and
`is_lack` tells an error of having none left, which passes and has lost nothing, from those of a disk.

Rules: used on the event loop only.
"""

import errno
import os
import sys
from pathlib import Path
from typing import Protocol

try:
    import resource
except ImportError:  # only Unix has limits
    HAS_LIMITS = False
else:
    HAS_LIMITS = True

MOST_FILES = 4096
CONTENTS_BYTES = 32 * 1024 * 1024
UNLIMITED = 1 << 20
MOST_ON_MACOS = 10_240
"""Its OPEN_MAX: it refuses more, whatever its hard limit says."""


def limit() -> int:
    """How many files this process may open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if HAS_LIMITS else UNLIMITED
    return UNLIMITED if HAS_LIMITS and soft == resource.RLIM_INFINITY else soft


def raise_limit() -> None:
    """Let this process open as many files as the system allows it: the soft limit is for programs that use `select`."""
    if not HAS_LIMITS:
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = MOST_ON_MACOS if sys.platform == "darwin" and not 0 <= hard < MOST_ON_MACOS else hard
    if limit() != wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_lack(error: BaseException) -> bool:
    """Whether a file could not be opened because too many are."""
    return isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}


class Holder(Protocol):
    """What holds a descriptor: `busy` says it may not be taken now, `used` that it served since the pool last asked."""

    used: bool

    @property
    def busy(self) -> bool:
        """Whether somebody works with the descriptor."""

    def release_file(self) -> None:
        """Close the descriptor."""


class OpenFiles:
    """Counts descriptors and takes back idle ones, oldest first, a recently used one getting a second round.

    Without a capacity, half of what the process may open.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity or min(limit() // 2, MOST_FILES)
        self._holders: dict[Holder, None] = {}
        self._contents: dict[Path, bytes] = {}
        self._contents_bytes = 0

    def __len__(self) -> int:
        """Descriptors open now."""
        return len(self._holders)

    def open(self, holder: Holder, path: str) -> int:
        """A descriptor for reading and writing; the file is made if need be."""
        if len(self._holders) >= self.capacity:
            self._make_room()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._holders[holder] = None
        return descriptor

    def forget(self, holder: Holder) -> None:
        """The holder closed its file by itself."""
        self._holders.pop(holder, None)

    def contents(self, path: Path) -> bytes:
        """A small file that does not change, from memory if it was asked for lately; b"" if there is none."""
        data = self._contents.pop(path, None)
        if data is None:
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return b""
            self._contents_bytes += len(data)
        self._contents[path] = data
        while self._contents_bytes > CONTENTS_BYTES and len(self._contents) > 1:
            self.forget_contents(next(iter(self._contents)))
        return data

    def forget_contents(self, path: Path) -> None:
        """A file changes, or goes."""
        self._contents_bytes -= len(self._contents.pop(path, b""))

    def _make_room(self) -> None:
        for _ in range(2 * len(self._holders)):
            holder = next(iter(self._holders))
            del self._holders[holder]
            if not holder.busy and not holder.used:
                holder.release_file()
                return
            holder.used = False
            self._holders[holder] = None
