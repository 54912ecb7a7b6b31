"""A data directory: its lock, its identity, and every partition in it.

    .lock                              held by the broker that owns the directory
    meta.properties                    cluster id, node id, directory id
    .kafka_cleanshutdown               there after a clean stop only; a start takes it away
    recovery-point-offset-checkpoint   up to where each log was synced, indexes included
    log-start-offset-checkpoint        start offsets that DeleteRecords raised
    replication-offset-checkpoint      high watermarks
    <topic>-<partition>/               a partition

Rules: called on the event loop (checkpoints may run in a thread of the caller's). Knows nothing of topics' settings but what
it is told. Nothing is deleted to make a start succeed.
Source: Kafka's LogManager and its file names.
"""

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

from broker.errors import CorruptLog, DataDirectoryError, DirectoryLocked
from broker.log.checkpointing import Checkpoint
from broker.log.checkpoints import (
    LOG_STARTS,
    META_PROPERTIES,
    RECOVERY_POINTS,
    read_offsets,
    read_properties,
    read_topic_id,
    sync_directory,
    sync_partition_directory,
    uuid_text,
    write_atomically,
    write_offsets,
    write_properties,
    write_topic_id,
)
from broker.log.config import LogConfig
from broker.log.open_files import OpenFiles
from broker.log.partition_log import CommitAtOnce, Committer, PartitionLog
from broker.log.recovery import Origin, open_log

LOCK = ".lock"
CLUSTER_METADATA = "__cluster_metadata"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
_DELETED_SUFFIX = "-delete"
_LONGEST_NAME = 255
"""Of a file or folder, on nearly every file system; a topic's name may have 249 of it."""
_CLEAN_TEXT = '{"version":0,"brokerEpoch":-1}'
_SUPPORTED_META_VERSIONS = {"0", "1"}

Message = Callable[[str], None]


class LogDirectory:
    """See the module. Made by `LogDirectory.open`."""

    def __init__(self, path: Path, lock: int, identity: dict[str, str], defaults: LogConfig) -> None:
        self.path = path
        self.cluster_id = identity["cluster.id"]
        self.identity = identity
        self.files = OpenFiles()
        self.recovered = False
        self.missing: dict[tuple[str, int], int] = {}  # partitions that once reached an offset and have no folder now
        self.on_advance: Callable[[PartitionLog], None] | None = None
        self.on_taken_back: Callable[[PartitionLog], None] | None = None
        self.on_deleted: Callable[[list[PartitionLog]], None] | None = None
        self._lock = lock
        self._writing = threading.Lock()  # of the recovery points, which a checkpoint writes in a thread
        self._starts_named: set[tuple[str, int]] = set()  # the partitions that the file of start offsets names
        self._defaults = defaults
        self._committer: Committer = CommitAtOnce()
        self._logs: dict[tuple[str, int], PartitionLog] = {}

    @classmethod
    def open(
        cls,
        path: Path | str,
        defaults: LogConfig | None = None,
        *,
        on_message: Message,
        config_of: Callable[[str], LogConfig] | None = None,
        node_id: int = 0,
    ) -> "LogDirectory":
        """Own the directory, made if need be, and every partition in it, recovered if the last stop was none.

        `config_of` gives a topic's settings; without it a log has the defaults until its `config` is set. `node_id` is
        noted in a directory that is new; one of another node is refused, as Kafka does.
        Raises: DirectoryLocked, CorruptLog, DataDirectoryError.
        """
        path = Path(path)
        lock = _owned(path)
        try:
            directory = cls(path, lock, _identity(path, node_id), defaults or LogConfig())
            directory._load(on_message, config_of or (lambda _: directory._defaults))
        except BaseException:
            os.close(lock)
            raise
        return directory

    def _load(self, on_message: Message, config_of: Callable[[str], LogConfig]) -> None:
        marker = self.path / CLEAN_SHUTDOWN
        clean = marker.exists()
        points = read_offsets(self.path / RECOVERY_POINTS)
        starts = read_offsets(self.path / LOG_STARTS)
        self._starts_named = set(starts)
        began = time.monotonic()
        _sweep(self.path)
        for topic, partition, folder in partition_folders(self.path):
            key = (topic, partition)
            origin = self._origin(folder, topic, partition, read_topic_id(folder) or uuid4(), config_of(topic))
            origin = replace(
                origin, clean=clean, recovery_point=points.get(key, 0), log_start_offset=starts.get(key, 0)
            )
            log = open_log(origin, on_message)
            if clean and log.log_end_offset < origin.recovery_point:
                raise CorruptLog(
                    f"{folder} ends at offset {log.log_end_offset}, but {origin.recovery_point} was reached before the last, "
                    "clean stop: segments are missing; restore them from a copy"
                )
            self._add(log)
        self.missing = {key: offset for key, offset in points.items() if offset and key not in self._logs}
        if self._logs and not clean:
            self.recovered = True
            seconds = time.monotonic() - began
            on_message(f"the last stop was not clean: checked {len(self._logs)} partitions in {seconds:.2f} s")
        if clean:
            marker.unlink()
            sync_directory(self.path)  # or a power failure brings it back, and what it vouches for is no more

    def _origin(self, folder: Path, topic: str, partition: int, topic_id: UUID, config: LogConfig) -> Origin:
        return Origin(folder, topic, partition, topic_id, config, self.files)

    def _add(self, log: PartitionLog) -> None:
        log.committer = self._committer
        log.on_advance = self._advanced
        log.on_taken_back = self._taken_back
        self._logs[log.topic, log.partition] = log

    def _advanced(self, log: PartitionLog) -> None:
        if self.on_advance is not None:
            self.on_advance(log)

    def _taken_back(self, log: PartitionLog) -> None:
        if self.on_taken_back is not None:
            self.on_taken_back(log)

    def use_committer(self, committer: Committer) -> None:
        """Let every log, present and to come, report its appends to `committer`."""
        self._committer = committer
        for log in self._logs.values():
            log.committer = committer

    def create(self, topic: str, partition: int, topic_id: UUID, config: LogConfig) -> PartitionLog:
        """An empty partition. Raises: DataDirectoryError, if its folder exists already."""
        return self.create_many(topic, [partition], topic_id, config)[0]

    def create_many(
        self, topic: str, partitions: Iterable[int], topic_id: UUID, config: LogConfig
    ) -> list[PartitionLog]:
        """Empty partitions of one topic: their folders share one sync, and are durable when this returns.

        What lies in them is synced with their first record (`directory_dirty`). Raises: DataDirectoryError, OSError.
        """
        numbers = list(partitions)
        if self._starts_named.intersection((topic, number) for number in numbers):  # of a topic that was deleted
            self.save_start_offsets()
        made = [self._make(topic, number, topic_id, config) for number in numbers]
        sync_directory(self.path)
        for log in made:
            log.directory_dirty = True
            self._add(log)
        return made

    def _make(self, topic: str, partition: int, topic_id: UUID, config: LogConfig) -> PartitionLog:
        folder = self.path / f"{topic}-{partition}"
        if folder.exists():
            raise DataDirectoryError(f"{folder} exists already; move it away")
        staged = self._doomed(folder.name)  # a crash before the rename leaves something the next start sweeps away
        staged.mkdir()
        write_topic_id(staged, topic_id, sync=False)
        staged.replace(folder)
        return open_log(self._origin(folder, topic, partition, topic_id, config), _ignore)

    def delete(self, topic: str, partition: int) -> None:
        """Remove a partition and its files. Whoever still waits for it is not woken."""
        self.delete_many(topic, [partition])

    def delete_many(self, topic: str, partitions: Iterable[int]) -> None:
        """Remove partitions of one topic and their files: they share one sync, and the checkpoints are written once."""
        logs = [self._logs.pop((topic, partition)) for partition in partitions]
        folders = [self._remove(log) for log in logs]
        sync_directory(self.path)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        self._forget(logs)

    def _remove(self, log: PartitionLog) -> Path:
        """Take a partition's folder out of sight; where it lies now."""
        log.deleted = True
        for segment in log.segments:
            segment.delete()
        doomed = self._doomed(log.name)
        log.directory.replace(doomed)
        return doomed

    def _forget(self, logs: list[PartitionLog]) -> None:
        """No checkpoint may outlive its partition: after a crash a topic of the same name would be read by it."""
        keys = {(log.topic, log.partition) for log in logs}
        with suppress(OSError):  # deleting is what makes room: `create_many` and the next checkpoint see to what stays
            if keys & self._starts_named:
                self.save_start_offsets()
            with self._writing:
                points = read_offsets(self.path / RECOVERY_POINTS)
                if keys & points.keys():
                    kept = {key: offset for key, offset in points.items() if key not in keys}
                    write_offsets(self.path / RECOVERY_POINTS, kept)
        if self.on_deleted is not None:
            self.on_deleted(logs)

    def _doomed(self, name: str) -> Path:
        """A folder that a start removes. A topic's name may be so long that only its beginning finds room."""
        ending = f".{uuid4().hex}{_DELETED_SUFFIX}"
        return self.path / f"{name[: _LONGEST_NAME - len(ending)]}{ending}"

    def get(self, topic: str, partition: int) -> PartitionLog | None:
        """The log of a partition, if it exists."""
        return self._logs.get((topic, partition))

    def logs(self) -> list[PartitionLog]:
        """Every log."""
        return list(self._logs.values())

    def begin_checkpoint(self) -> Checkpoint:
        """A checkpoint whose `sync` may run in another thread, and whose `finish` comes back here."""
        return Checkpoint(self.path, self._logs.values(), self._writing)

    def checkpoint(self) -> None:
        """Write down how far logs are synced, waiting for the disk."""
        checkpoint = self.begin_checkpoint()
        checkpoint.sync()
        checkpoint.finish()

    def save_start_offsets(self) -> None:
        """Make raised start offsets durable."""
        starts = {key: log.log_start_offset for key, log in self._logs.items() if log.starts_inside}
        self._starts_named |= starts.keys()  # a write that fails leaves the old file or the new one
        write_offsets(self.path / LOG_STARTS, starts)
        self._starts_named = set(starts)

    def close(self) -> None:
        """Sync and close everything and leave the mark of a clean stop; the lock goes last.

        Raises: DataDirectoryError, where something cannot be written: the next start is one after a crash then.
        """
        try:
            self._close()
        except OSError as error:
            raise DataDirectoryError(
                f"not all of {self.path} could be written at the end ({error.strerror}): nothing acknowledged is lost, and "
                "the next start checks the logs, as after a crash"
            ) from error
        finally:
            os.close(self._lock)

    def _close(self) -> None:
        for log in self._logs.values():
            log.close()
            if log.directory_dirty:
                sync_partition_directory(log.directory)
        self.checkpoint()
        self.save_start_offsets()
        for log in self._logs.values():
            log.release()
        write_atomically(self.path / CLEAN_SHUTDOWN, _CLEAN_TEXT)


def _ignore(_: str) -> None:
    """An empty directory has nothing to say."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep brokers away from a data directory, made if need be. Raises: DirectoryLocked, DataDirectoryError."""
    lock = _owned(path)
    try:
        yield
    finally:
        os.close(lock)


def _owned(path: Path) -> int:
    """A descriptor of the lock that is held as long as it is open. Raises: DirectoryLocked, DataDirectoryError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        return _lock(path)
    except OSError as error:
        raise DataDirectoryError(f"cannot use data directory {path}: {error.strerror}") from error


def _lock(path: Path) -> int:
    """Hold the lock file, against other processes (POSIX, as Java locks) and against this one (flock).

    Raises: DirectoryLocked.
    """
    descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        os.close(descriptor)
        who = f"process {owner}" if owner.isdigit() else "another broker"
        raise DirectoryLocked(
            f"data directory {path} is in use by {who}: stop it, or choose another directory"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _identity(path: Path, node_id: int) -> dict[str, str]:
    """meta.properties, made on the first start.

    Raises: CorruptLog, DataDirectoryError for a layout of a newer Kafka, or another node's directory.
    """
    file = path / META_PROPERTIES
    values = read_properties(file)
    if not values:
        values = {
            "version": "1",
            "cluster.id": uuid_text(uuid4()),
            "node.id": str(node_id),
            "directory.id": uuid_text(uuid4()),
        }
        write_properties(file, values)
    if values.get("version") not in _SUPPORTED_META_VERSIONS:
        raise DataDirectoryError(
            f"{file} has version {values.get('version')}; this broker knows 0 and 1: use the broker that wrote it"
        )
    if "cluster.id" not in values:
        raise CorruptLog(f"{file} names no cluster.id; restore it from a copy")
    stored = values.get("node.id", values.get("broker.id", str(node_id)))  # broker.id in version 0
    if stored != str(node_id):
        raise DataDirectoryError(
            f"data directory {path} belongs to node {stored}, and this broker is node {node_id}: start it with "
            f"--set node.id={stored}, or choose another directory"
        )
    return values


def partition_folders(path: Path) -> Iterator[tuple[str, int, Path]]:
    """(topic, partition, folder) of every partition, by name; not the metadata log of a Kafka that was here before."""
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        topic, separator, partition = entry.name.rpartition("-")
        if separator and partition.isdigit() and topic != CLUSTER_METADATA and entry.is_dir():
            yield topic, int(partition), Path(entry.path)


def _sweep(path: Path) -> None:
    """Finish deletions, and creations, that a crash interrupted."""
    for doomed in path.glob(f"*{_DELETED_SUFFIX}"):
        shutil.rmtree(doomed, ignore_errors=True)
