"""A broker on a disk that breaks: `python -m tests.broker.broken_disk FLAG CALLS ...` beside its own arguments.

CALLS are functions of `os`, with commas between; while the file FLAG exists they fail with EIO, as a dying disk's do. So
does a sync of the whole file system.
"""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.command import main
from broker.log import file_system


def breakable(name: str, flag: Path) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(*arguments: Any, **options: Any) -> Any:
        if flag.exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **options)

    return call


def breakable_whole(flag: Path) -> Callable[[int], bool]:
    real = file_system.sync_whole
    return lambda descriptor: not flag.exists() and real(descriptor)


if __name__ == "__main__":
    whole: Any = file_system
    whole.sync_whole = breakable_whole(Path(sys.argv[1]))
    for broken in sys.argv[2].split(","):
        setattr(os, broken, breakable(broken, Path(sys.argv[1])))
    sys.exit(main(sys.argv[3:]))
