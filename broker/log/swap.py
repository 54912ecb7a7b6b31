"""How a compacted segment takes the place of those it was made from, so that a crash leaves the old or the new.

    N.log.cleaned    being written; worthless after a crash
    N.log.swap       whole and synced: from here on the new segment counts
    N.log            the old segments are gone, the name is the usual one

Rules: file names only. Which old segments a swap replaces is told by offsets: those from its base to its last offset.
Source: Kafka's UnifiedLog.replaceSegments and LogLoader.
"""

from pathlib import Path

from broker.log.checkpoints import sync_directory
from broker.protocol.record_batch import batch_spans

CLEANED = ".cleaned"
SWAP = ".swap"
LOG_SUFFIXES = (".log", ".index", ".timeindex", ".txnindex")
_LEFTOVERS = (CLEANED, ".tmp", ".deleted")


def finish_swaps(directory: Path) -> None:
    """Complete the swaps a crash interrupted and remove what was being written."""
    for suffix in _LEFTOVERS:
        for path in directory.glob(f"*{suffix}"):
            path.unlink()
    for path in sorted(directory.glob(f"*.log{SWAP}")):
        base = int(path.name.split(".")[0])
        for old in _replaced(directory, base, _last_offset(path)):
            remove_segment_files(directory, old)
        adopt(directory, base)
    for path in directory.glob(f"*{SWAP}"):
        path.replace(path.with_name(path.name.removesuffix(SWAP)))


def adopt(directory: Path, base: int) -> None:
    """Give the files of a swap their usual names, the log last: as long as it is a swap, the swap can be repeated."""
    for suffix in reversed(LOG_SUFFIXES):
        path = directory / f"{base:020d}{suffix}{SWAP}"
        if path.exists():
            path.replace(directory / f"{base:020d}{suffix}")
    sync_directory(directory)


def remove_segment_files(directory: Path, base: int) -> None:
    """Delete a replaced segment."""
    for suffix in LOG_SUFFIXES:
        (directory / f"{base:020d}{suffix}").unlink(missing_ok=True)


def _last_offset(path: Path) -> int:
    data = path.read_bytes()
    return max((last for _, _, _, last in batch_spans(data)), default=int(path.name.split(".")[0]))


def _replaced(directory: Path, base: int, last_offset: int) -> list[int]:
    bases = sorted(int(path.stem) for path in directory.glob("*.log") if path.stem.isdigit())
    return [old for old in bases if base <= old <= last_offset]
