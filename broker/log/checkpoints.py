"""Small files that must be whole or old, never half: written beside, synced, renamed, and the directory synced.

Formats are Kafka's: an offset checkpoint is version 0, a count, then `topic partition offset` lines; a leader-epoch
checkpoint the same with `epoch offset`; `partition.metadata` and `meta.properties` are properties.

Rules: knows file formats and how to replace a file; must not know what the numbers are for.
Source: Kafka's OffsetCheckpointFile, LeaderEpochCheckpointFile, PartitionMetadataFile, PropertiesUtils.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from broker.errors import CorruptLog

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"
HIGH_WATERMARKS = "replication-offset-checkpoint"
LEADER_EPOCHS = "leader-epoch-checkpoint"
PARTITION_METADATA = "partition.metadata"
META_PROPERTIES = "meta.properties"
PRIVATE_MODE = 0o600
"""Of a file with something in it that is nobody else's business."""


def write_atomically(path: Path, text: str | bytes, *, sync: bool = True, private: bool = False) -> None:
    """Replace a file: after a crash it is the old or the new one. One that is `private` is for its owner alone, always."""
    temporary = path.with_name(path.name + ".tmp")
    if private:  # who has an old one open would read on in it
        temporary.unlink(missing_ok=True)
    with open(temporary, "wb", opener=_private if private else None) as file:
        file.write(text.encode() if isinstance(text, str) else text)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
    if sync:
        sync_directory(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, PRIVATE_MODE)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_partition_directory(path: Path) -> None:
    """Make durable which files a partition has, with the small ones that are written without a sync."""
    for name in (PARTITION_METADATA, LEADER_EPOCHS):
        with suppress(FileNotFoundError):
            sync_file(path / name)
    sync_directory(path)


def names_in(path: Path) -> list[str]:
    """The names in a directory, several times faster than a glob over it."""
    with os.scandir(path) as entries:
        return [entry.name for entry in entries]


def read_offsets(path: Path) -> dict[tuple[str, int], int]:
    """(topic, partition) -> offset of an offset checkpoint; empty if there is none.

    Raises: CorruptLog.
    """
    rows = _read_table(path)
    return {(topic, int(partition)): int(offset) for topic, partition, offset in rows}


def write_offsets(path: Path, offsets: Mapping[tuple[str, int], int]) -> None:
    """Replace an offset checkpoint."""
    _write_table(path, [f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items()])


def read_epochs(path: Path) -> list[tuple[int, int]]:
    """(leader epoch, its start offset), ascending; empty if there is no file.

    Raises: CorruptLog.
    """
    return [(int(epoch), int(offset)) for epoch, offset in _read_table(path)]


def write_epochs(path: Path, epochs: Sequence[tuple[int, int]], *, sync: bool = True) -> None:
    """Replace a leader-epoch checkpoint."""
    _write_table(path, [f"{epoch} {offset}" for epoch, offset in epochs], sync=sync)


def _read_table(path: Path) -> list[list[str]]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return []
    if not lines:  # Kafka makes some of them empty, before there is anything to say
        return []
    try:
        version, count, rows = int(lines[0]), int(lines[1]), [line.split(" ") for line in lines[2:] if line]
        if version != 0 or len(rows) != count:
            raise ValueError(f"version {version}, {len(rows)} of {count} lines")
    except (IndexError, ValueError) as error:
        raise CorruptLog(
            f"{path} is not a checkpoint this broker can read ({error}); move it away to have it rebuilt from the log"
        ) from error
    return rows


def _write_table(path: Path, rows: Sequence[str], *, sync: bool = True) -> None:
    write_atomically(path, "\n".join(["0", str(len(rows)), *rows, ""]), sync=sync)


def uuid_text(identifier: UUID) -> str:
    """An id as Kafka prints it: URL-safe base64 without padding, 22 characters."""
    return base64.urlsafe_b64encode(identifier.bytes).decode().rstrip("=")


def parse_uuid(text: str) -> UUID:
    """An id from Kafka's form.

    Raises: ValueError.
    """
    return UUID(bytes=base64.urlsafe_b64decode(text + "=="))


def read_properties(path: Path) -> dict[str, str]:
    """Name -> value of a properties file; `:` and `=` both separate, as in Java. Empty if there is no file."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    values = {}
    for line in lines:
        if line.strip("\0 \t") and not line.lstrip().startswith(("#", "!")):
            at = min(position for position in (line.find("="), line.find(":"), len(line)) if position >= 0)
            values[line[:at].strip()] = line[at + 1 :].strip().replace("\\:", ":").replace("\\=", "=")
    return values


def write_properties(path: Path, values: Mapping[str, str], separator: str = "=", *, sync: bool = True) -> None:
    """Replace a properties file."""
    write_atomically(path, "".join(f"{name}{separator}{value}\n" for name, value in values.items()), sync=sync)


def read_topic_id(directory: Path) -> UUID | None:
    """The topic id a partition's directory belongs to; None in directories older than topic ids.

    Raises: CorruptLog.
    """
    values = read_properties(directory / PARTITION_METADATA)
    if not values:
        return None
    try:
        return parse_uuid(values["topic_id"])
    except (KeyError, ValueError) as error:
        raise CorruptLog(
            f"{directory / PARTITION_METADATA} names no topic id ({error}); restore it from a copy"
        ) from error


def write_topic_id(directory: Path, topic_id: UUID, *, sync: bool = True) -> None:
    """Store which topic a partition's directory belongs to."""
    values = {"version": "0", "topic_id": uuid_text(topic_id)}
    write_properties(directory / PARTITION_METADATA, values, ": ", sync=sync)
