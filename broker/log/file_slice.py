"""A run of bytes in a file that is sent from there, by the system, without passing through this process.

Keeps its file open, whatever becomes of its name meanwhile; the bytes are committed, and nothing changes them.
"""

import os
from typing import Any, Protocol


class Pinned(Protocol):
    """A file that stays open while somebody works with it."""

    def pin(self) -> int:
        """The descriptor, to be kept open until `unpin`."""

    def unpin(self) -> None:
        """One who worked with it is done."""


class FileSlice:
    """`size` bytes at `offset`, with what `loop.sendfile` asks of a file."""

    __slots__ = ("_descriptor", "_file", "offset", "size")

    def __init__(self, file: Pinned, offset: int, size: int) -> None:
        """Raises: OSError, if the file cannot be opened."""
        self._file: Pinned | None = None
        self._descriptor = file.pin()
        self._file = file
        self.offset = offset
        self.size = size

    def __len__(self) -> int:
        """Bytes."""
        return self.size

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Not needed any more."""
        file, self._file = self._file, None
        if file is not None:
            file.unpin()

    def __del__(self) -> None:
        """An answer that nobody waits for any more is dropped unsent."""
        self.close()


def copied(buffer: Any) -> Any:
    """The bytes of a FileSlice, read; anything else as it is. Raises: OSError."""
    if type(buffer) is not FileSlice:
        return buffer
    data = os.pread(buffer.fileno(), buffer.size, buffer.offset)
    buffer.close()
    return data
