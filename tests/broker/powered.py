"""A broker whose computer may lose power: `python -m tests.broker.powered SHADOW CALL NUMBER ...` beside its own arguments.

Writes down in the folder SHADOW what the disk has promised to keep, as the broker asks for it: the bytes of a file as they
were when `fsync` or `fdatasync` of it was called and came back, and the names in a directory at its `fsync`. Nothing else
counts: a file that was closed, renamed or long forgotten is not on the disk before it was synced. `power.py` builds from
it what a power failure leaves. CALL and NUMBER put the death into a call to the file system, as in `faults.py`; CALL `-`
leaves it to the outside.

A file is known by its inode and by how often that number was given away before, since file systems use numbers again.
"""

import json
import os
import shutil
import stat
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.command import main as run_broker
from tests.broker.faults import fatal

JOURNAL = "journal"
CONTENTS = "contents"


def key_of(status: os.stat_result, reused: Counter[int]) -> str:
    """`d` or `f` for directory or file, inode, and which use of that number it is."""
    kind = "d" if stat.S_ISDIR(status.st_mode) else "f"
    return f"{kind}{status.st_ino}.{reused[status.st_ino]}"


def names_of(directory: int | Path, reused: Counter[int]) -> dict[str, str]:
    """Name -> key of what lies in a directory now."""
    names = {}
    for name in os.listdir(directory):  # noqa: PTH208  of an open descriptor, too
        try:
            status = os.stat(name, dir_fd=directory) if isinstance(directory, int) else (directory / name).stat()
        except FileNotFoundError:  # removed meanwhile
            continue
        names[name] = key_of(status, reused)
    return names


class Shadow:
    """What is safe. Everything that lies in the data directory at the start is."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / CONTENTS).mkdir(parents=True)
        self._contents = folder / CONTENTS
        self._journal = os.open(folder / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lock = threading.RLock()
        self._reused: Counter[int] = Counter()
        self._replace = os.replace
        data_dir.mkdir(parents=True, exist_ok=True)
        self._trust(data_dir)

    def _trust(self, directory: Path) -> None:
        names = names_of(directory, self._reused)
        self._note("names", key_of(directory.stat(), self._reused), names)
        for name, key in names.items():
            if key.startswith("d"):
                self._trust(directory / name)
            else:
                shutil.copyfile(directory / name, self._contents / key)

    def _note(self, what: str, key: object, value: object = None) -> None:
        os.write(self._journal, json.dumps([what, key, value]).encode() + b"\n")

    def watch(self) -> None:
        """From now on every call of this process is looked at."""
        for name in ("fsync", "fdatasync"):
            setattr(os, name, self._syncing(getattr(os, name)))
        for name in ("unlink", "remove", "rmdir"):
            setattr(os, name, self._removing(getattr(os, name), victim=0))
        for name in ("replace", "rename"):
            setattr(os, name, self._removing(getattr(os, name), victim=1))

    def _syncing(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            with self._lock:  # what comes in while the disk works may or may not be safe
                status = os.fstat(descriptor)
                key = key_of(status, self._reused)
                is_directory = stat.S_ISDIR(status.st_mode)
                names = names_of(descriptor, self._reused) if is_directory else {}
                contents = b"" if is_directory else _whole(descriptor, status.st_size)
            real(descriptor)
            if not status.st_nlink:  # nobody will find it again
                return
            with self._lock:
                if is_directory:
                    self._note("names", key, names)
                else:
                    new = self._contents / f"{key}.new"
                    new.write_bytes(contents)
                    self._replace(new, self._contents / key)

        return sync

    def _removing(self, real: Callable[..., None], victim: int) -> Callable[..., None]:
        def remove(*arguments: Any, **options: Any) -> None:
            with self._lock:
                number = _last_link(arguments[victim], options.get("dir_fd"))
                real(*arguments, **options)
                if number is not None:
                    self._reused[number] += 1
                    self._note("reused", number)

        return remove


def _whole(descriptor: int, size: int) -> bytes:
    with Path(f"/proc/self/fd/{descriptor}").open("rb", buffering=0) as file:  # it may be open for writing only
        return file.read(size)


def _last_link(path: Any, directory: int | None) -> int | None:
    """The inode whose last name goes with this one."""
    try:
        status = os.stat(path, dir_fd=directory, follow_symlinks=False)
    except (FileNotFoundError, TypeError):
        return None
    return status.st_ino if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1 else None


if __name__ == "__main__":
    shadow_folder, deadly, use, *arguments = sys.argv[1:]
    if deadly != "-":
        setattr(os, deadly, fatal(deadly, int(use)))
    Shadow(Path(shadow_folder), Path(arguments[arguments.index("--data-dir") + 1])).watch()
    sys.exit(run_broker(arguments))
