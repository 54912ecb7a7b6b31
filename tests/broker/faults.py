"""A broker that dies in the middle of a chosen call to the file system: `python -m tests.broker.faults CALL NUMBER ...`.

CALL is a function of `os` that changes files, or `sync_whole`, which syncs a file system; at its NUMBER-th use the process
kills itself with SIGKILL, before the call, after it, or for a write when half of the bytes are written. The remaining
arguments are the broker's. So a crash can be put inside a roll, a compaction's swap or a checkpoint, where a kill from
outside would hit once in a thousand tries.
"""

import itertools
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from broker.command import main
from broker.log import file_system


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives SIGKILL")


def half_written(descriptor: int, buffers: Any, offset: int) -> None:
    """What is on the disk when a process dies in a write."""
    whole = b"".join(buffers) if isinstance(buffers, (tuple, list)) else bytes(buffers)
    os.lseek(descriptor, offset, os.SEEK_SET)
    os.write(descriptor, whole[: len(whole) // 2])


def make_fatal(name: str, number: int) -> None:
    """Let the process die in the `number`-th use of the call."""
    home = os
    if name == "sync_whole":
        home = file_system
        file_system.FileSystem.little_kb = 1 << 40  # however much the machine has to write: that it is called
    setattr(home, name, fatal(name, getattr(home, name), number))


def fatal(name: str, real: Callable[..., Any], number: int) -> Callable[..., Any]:
    """The call, deadly at its `number`-th use."""
    uses = itertools.count(1)
    choice = random.Random(number).choice(("before", "after"))

    def call(*arguments: Any, **options: Any) -> Any:
        if next(uses) != number:
            return real(*arguments, **options)
        if choice == "after":
            real(*arguments, **options)
        elif name in {"pwritev", "pwrite"}:
            half_written(*arguments)
        die()

    return call


if __name__ == "__main__":
    make_fatal(sys.argv[1], int(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
