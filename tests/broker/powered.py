"""A broker whose computer may lose power: `python -m tests.broker.powered SHADOW CALL NUMBER ...` beside its own arguments.

Writes down in the folder SHADOW what the disk has promised to keep, as the broker asks for it: the bytes of a file as they
were when `fsync` or `fdatasync` of it was called and came back, and the names in a directory at its `fsync`. Of a sync of
the whole file system only the files count that the broker asked it for. Nothing else counts: a file that was closed, renamed or long forgotten is not on the disk before it was synced. `power.py` builds from
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from broker.command import main as run_broker
from broker.log.checkpoints import LEADER_EPOCHS, PARTITION_METADATA
from broker.log.file_system import File, FileSystem
from tests.broker.faults import make_fatal

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


class Seen(NamedTuple):
    """What a file or directory was when its sync began: its key, None if nobody will find it again, and what is in it.

    `number` counts looks: a sync that ends late must not take back what a later one has kept.
    """

    number: int
    key: str | None
    names: dict[str, str]
    contents: bytes | None


class Shadow:
    """What is safe. Everything that lies in the data directory at the start is."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / CONTENTS).mkdir(parents=True)
        self._contents = folder / CONTENTS
        self._journal = os.open(folder / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lock = threading.RLock()
        self._reused: Counter[int] = Counter()
        self._looks = 0
        self._kept: Counter[str] = Counter()
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
        whole: Any = FileSystem
        whole.sync = self._syncing_whole(FileSystem.sync)
        for name in ("unlink", "remove", "rmdir"):
            setattr(os, name, self._removing(getattr(os, name), victim=0))
        for name in ("replace", "rename"):
            setattr(os, name, self._removing(getattr(os, name), victim=1))

    def _syncing(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            seen = self._look(descriptor)
            real(descriptor)
            self._keep(seen)

        return sync

    def _syncing_whole(self, real: Callable[[FileSystem, Sequence[File]], None]) -> Callable[..., None]:
        def sync(file_system: FileSystem, files: Sequence[File]) -> None:
            seen = [self._look(descriptor) for file in files for descriptor in _opened(file)]
            real(file_system, files)
            for each in seen:
                self._keep(each)

        return sync

    def _look(self, descriptor: int) -> Seen:
        with self._lock:  # what comes in while the disk works may or may not be safe
            self._looks += 1
            status = os.fstat(descriptor)
            key = key_of(status, self._reused) if status.st_nlink else None
            if stat.S_ISDIR(status.st_mode):
                return Seen(self._looks, key, names_of(descriptor, self._reused), None)
            return Seen(self._looks, key, {}, _whole(descriptor, status.st_size))

    def _keep(self, seen: Seen) -> None:
        if seen.key is None:
            return
        with self._lock:
            if self._kept[seen.key] > seen.number:
                return
            self._kept[seen.key] = seen.number
            if seen.contents is None:
                self._note("names", seen.key, seen.names)
            else:
                new = self._contents / f"{seen.key}.new"
                new.write_bytes(seen.contents)
                self._replace(new, self._contents / seen.key)

    def _removing(self, real: Callable[..., None], victim: int) -> Callable[..., None]:
        def remove(*arguments: Any, **options: Any) -> None:
            with self._lock:
                number = _last_link(arguments[victim], options.get("dir_fd"))
                real(*arguments, **options)
                if number is not None:
                    self._reused[number] += 1
                    self._note("reused", number)

        return remove


def _opened(file: File) -> Iterator[int]:
    """Descriptors of what a sync of `file` is about: of a partition's folder also the small files in it."""
    if isinstance(file, int):
        yield file
        return
    for path in (file / PARTITION_METADATA, file / LEADER_EPOCHS, file):
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                yield descriptor
            finally:
                os.close(descriptor)


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
        make_fatal(deadly, int(use))
    Shadow(Path(shadow_folder), Path(arguments[arguments.index("--data-dir") + 1])).watch()
    sys.exit(run_broker(arguments))
