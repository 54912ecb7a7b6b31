"""A broker that dies in the middle of a chosen call to the file system: `python -m tests.broker.faults CALL NUMBER ...`.

CALL is a function of `os` that changes files; at its NUMBER-th use the process kills itself with SIGKILL, before the call,
after it, or for a write when half of the bytes are written. The remaining arguments are the broker's. So a crash can be put
inside a roll, a compaction's swap or a checkpoint, where a kill from outside would hit once in a thousand tries.
"""

import itertools
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from broker.command import main

CALLS = ("pwritev", "pwrite", "fdatasync", "fsync", "replace", "unlink", "ftruncate", "mkdir")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives SIGKILL")


def half_written(descriptor: int, buffers: Any, offset: int) -> None:
    """What is on the disk when a process dies in a write."""
    whole = b"".join(buffers) if isinstance(buffers, (tuple, list)) else bytes(buffers)
    os.lseek(descriptor, offset, os.SEEK_SET)
    os.write(descriptor, whole[: len(whole) // 2])


def fatal(name: str, number: int) -> Callable[..., Any]:
    """The call, deadly at its `number`-th use."""
    real = getattr(os, name)
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
    deadly = sys.argv[1]
    setattr(os, deadly, fatal(deadly, int(sys.argv[2])))
    sys.exit(main(sys.argv[3:]))
