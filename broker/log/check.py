"""Verifies a data directory that no broker is using: every batch, index, checkpoint and snapshot; changes nothing.

What a start would put right by itself is no damage: indexes behind the recovery point of a directory whose last stop was
none are not looked at. A torn tail is reported all the same, because a start will cut it off.

Rules: reads files, yields findings. Must not know who asked, nor repair anything.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

from broker.errors import CorruptLog, DataDirectoryError, DirectoryLocked
from broker.log.checkpoints import (
    HIGH_WATERMARKS,
    LEADER_EPOCHS,
    LOG_STARTS,
    META_PROPERTIES,
    RECOVERY_POINTS,
    read_epochs,
    read_offsets,
    read_properties,
    read_topic_id,
)
from broker.log.directory import CLEAN_SHUTDOWN, LOCK, partition_folders
from broker.log.index import OFFSET_ENTRY, TIME_ENTRY
from broker.log.producer_state import ProducerState
from broker.log.scan import Damage, mapped, sound_batches
from broker.log.snapshots import snapshot_offsets, snapshot_path
from broker.log.swap import segment_bases
from broker.log.transaction_index import TransactionIndex
from broker.protocol.record_batch import BatchHeader


class Finding(NamedTuple):
    """One thing that is not as it should be."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass
class Checked:
    """How much was looked at."""

    partitions: int = 0
    segments: int = 0
    batches: int = 0
    size_bytes: int = 0

    def __str__(self) -> str:
        return f"{self.partitions} partitions, {self.segments} segments, {self.batches:,} batches, {self.size_bytes:,} bytes"


@dataclass
class _Batches:
    """The sound batches of one segment, as its indexes are compared with them."""

    by_position: dict[int, BatchHeader] = field(default_factory=dict)
    latest: dict[int, int] = field(default_factory=dict)  # last offset -> largest timestamp up to there
    end_offset: int = 0


def check_directory(path: Path, checked: Checked) -> Iterator[Finding]:
    """Everything that is wrong in a data directory; `checked` counts along.

    Raises: DirectoryLocked if a broker uses it, DataDirectoryError if it is no data directory.
    """
    if not read_properties(path / META_PROPERTIES):
        raise DataDirectoryError(f"{path} is no data directory of a broker: it has no {META_PROPERTIES}")
    with _unused(path):
        clean = (path / CLEAN_SHUTDOWN).exists()
        points: dict[tuple[str, int], int] = {}
        for name in (LOG_STARTS, HIGH_WATERMARKS, RECOVERY_POINTS):
            try:
                points = read_offsets(path / name)
            except CorruptLog as error:
                yield Finding(path / name, str(error))
        for topic, partition, folder in partition_folders(path):
            checked.partitions += 1
            yield from _check_partition(folder, points.pop((topic, partition), 0), checked, clean=clean)
        for (topic, partition), point in points.items():
            if point:
                yield Finding(path / f"{topic}-{partition}", f"is missing, though offset {point} was synced there")


@contextmanager
def _unused(path: Path) -> Iterator[None]:
    """Keep brokers away while we look; no lock file means that there never was one."""
    try:
        descriptor = os.open(path / LOCK, os.O_RDWR)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise DirectoryLocked(f"data directory {path} is in use by a broker: stop it before checking") from error
    finally:
        os.close(descriptor)


def _check_partition(folder: Path, recovery_point: int, checked: Checked, *, clean: bool) -> Iterator[Finding]:
    yield from _check_small_files(folder)
    next_offset = 0
    bases = segment_bases(folder)
    for base in bases:
        path = folder / f"{base:020d}.log"
        checked.segments += 1
        checked.size_bytes += path.stat().st_size
        if base < next_offset:
            yield Finding(path, f"begins at offset {base}, but the segment before it reaches {next_offset - 1}")
        batches = _Batches(end_offset=base)
        yield from _check_batches(path, base, batches)
        checked.batches += len(batches.by_position)
        if clean or batches.end_offset <= recovery_point:
            yield from chain(_check_index(path, base, batches), _check_time_index(path, base, batches))
        yield from _check_transactions(path.with_suffix(".txnindex"), base, batches)
        next_offset = batches.end_offset
    if next_offset < recovery_point:
        yield Finding(folder, f"ends at offset {next_offset}, though everything before {recovery_point} was synced")


def _check_small_files(folder: Path) -> Iterator[Finding]:
    try:
        read_topic_id(folder)
        epochs = read_epochs(folder / LEADER_EPOCHS)
        if any(later <= earlier for earlier, later in pairwise(epochs)):
            yield Finding(folder / LEADER_EPOCHS, f"epochs and offsets do not ascend: {epochs}")
    except CorruptLog as error:
        yield Finding(folder, str(error))
    for offset in snapshot_offsets(folder):
        path = snapshot_path(folder, offset)
        try:
            ProducerState.from_snapshot(path.read_bytes())
        except ValueError as error:
            yield Finding(path, f"is no whole producer snapshot: {error}")
    for path in sorted(folder.glob("*.damaged")):
        yield Finding(path, "was set aside by an earlier recovery; move it away once you have no use for it")


def _check_batches(path: Path, base: int, batches: _Batches) -> Iterator[Finding]:
    latest = -1
    for found in sound_batches(mapped(path), 0, base):
        if isinstance(found, Damage):
            left = path.stat().st_size - found.position
            yield Finding(path, f"at byte {found.position:,}: {found.reason}; {left:,} bytes from there are no log")
            return
        position, header = found
        latest = max(latest, header.max_timestamp)
        batches.by_position[position] = header
        batches.latest[header.last_offset] = latest
        batches.end_offset = header.last_offset + 1


def _check_index(log: Path, base: int, batches: _Batches) -> Iterator[Finding]:
    path = log.with_suffix(".index")
    data = path.read_bytes() if path.exists() else b""
    if len(data) % OFFSET_ENTRY.size:
        yield Finding(path, f"{len(data)} bytes are not whole entries of {OFFSET_ENTRY.size}")
        return
    before = (-1, -1)
    for relative, position in OFFSET_ENTRY.iter_unpack(data):
        header = batches.by_position.get(position)
        if header is None or not header.base_offset <= base + relative < batches.end_offset:
            yield Finding(path, f"no batch with offset {base + relative} begins at byte {position:,} of the log")
            return
        if relative <= before[0] or position <= before[1]:
            yield Finding(path, f"the entry for offset {base + relative} does not ascend")
            return
        before = (relative, position)


def _check_time_index(log: Path, base: int, batches: _Batches) -> Iterator[Finding]:
    path = log.with_suffix(".timeindex")
    data = path.read_bytes() if path.exists() else b""
    if len(data) % TIME_ENTRY.size:
        yield Finding(path, f"{len(data)} bytes are not whole entries of {TIME_ENTRY.size}")
        return
    before = (-1, -1)
    for timestamp, relative in TIME_ENTRY.iter_unpack(data):
        if timestamp <= before[0] or relative < before[1]:
            yield Finding(path, f"the entry for timestamp {timestamp} does not ascend")
            return
        if batches.latest.get(base + relative, timestamp) != timestamp or base + relative >= batches.end_offset:
            yield Finding(path, f"timestamp {timestamp} is not the largest up to offset {base + relative}")
            return
        before = (timestamp, relative)


def _check_transactions(path: Path, base: int, batches: _Batches) -> Iterator[Finding]:
    try:
        entries = TransactionIndex(path).entries()
    except (ValueError, CorruptLog) as error:
        yield Finding(path, f"is no whole index of aborted transactions: {error}")
        return
    for entry in entries:
        if not entry.first_offset <= entry.last_offset or not base <= entry.last_offset < batches.end_offset:
            yield Finding(path, f"names a transaction at offsets {entry.first_offset} to {entry.last_offset}")
            return
