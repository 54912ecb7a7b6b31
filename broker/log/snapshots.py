"""The producer snapshots of a partition: `<offset>.snapshot` holds the producers as they were before that offset.

Written when a segment is rolled, at checkpoints and when the log is closed; only checkpoints, and with them a clean stop,
sync it. A snapshot is found whole by its CRC: after a crash an older one and a longer replay do as well.

Rules: files only; what is in them is `producer_state`'s.
"""

from pathlib import Path

from broker.log.checkpoints import names_in
from broker.log.producer_state import ProducerState

SUFFIX = ".snapshot"


def snapshot_path(directory: Path, offset: int) -> Path:
    """The file of the state before `offset`."""
    return directory / f"{offset:020d}{SUFFIX}"


def snapshot_offsets(directory: Path) -> list[int]:
    """Offsets there are snapshots for, ascending."""
    stems = [name.removesuffix(SUFFIX) for name in names_in(directory) if name.endswith(SUFFIX)]
    return sorted(int(stem) for stem in stems if stem.isdigit())


def write_snapshot(directory: Path, producers: ProducerState, offset: int) -> Path:
    """Store the state before `offset`; the file."""
    path = snapshot_path(directory, offset)
    path.write_bytes(producers.snapshot())
    return path


def drop_broken_snapshots(directory: Path) -> None:
    """After a crash: snapshots that never reached the disk whole are of no use, and would be passed over for ever."""
    for offset in snapshot_offsets(directory):
        path = snapshot_path(directory, offset)
        try:
            ProducerState.from_snapshot(path.read_bytes())
        except ValueError:
            path.unlink()


def latest_snapshot(directory: Path, *, up_to: int) -> tuple[ProducerState, int] | None:
    """(state, offset) of the newest whole snapshot not beyond `up_to`; broken ones are passed over."""
    for offset in reversed(snapshot_offsets(directory)):
        if offset > up_to:
            continue
        try:
            return ProducerState.from_snapshot(snapshot_path(directory, offset).read_bytes()), offset
        except (ValueError, OSError):
            continue
    return None


def keep_snapshots(directory: Path, offsets: set[int]) -> None:
    """Remove all snapshots but those of `offsets` and the newest."""
    present = snapshot_offsets(directory)
    for offset in present[:-1]:
        if offset not in offsets:
            snapshot_path(directory, offset).unlink(missing_ok=True)
