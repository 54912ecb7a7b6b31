"""How a compacted segment takes the place of those it was made from, so that a crash leaves the old or the new.

    N.log.cleaned    being written; worthless after a crash
    N.log.swap       whole and synced: from here on the new segment counts
    M.log.deleted    an old segment that is still read; gone after a crash
    N.log            the old segments are gone, the name is the usual one

Between two of these the directory is synced, which whoever swaps does in a thread.

Rules: file names only. Which old segments a swap replaces is told by offsets: those from its base to its last offset.
Source: Kafka's UnifiedLog.replaceSegments and LogLoader.
"""

from pathlib import Path

from broker.log.checkpoints import names_in, sync_directory
from broker.log.scan import mapped
from broker.protocol.record_batch import batch_spans

CLEANED = ".cleaned"
SWAP = ".swap"
LOG_SUFFIXES = (".log", ".index", ".timeindex", ".txnindex")
DELETED = ".deleted"
_LEFTOVERS = (CLEANED, ".tmp", DELETED)


def announce(directory: Path, base: int) -> None:
    """`.cleaned` becomes `.swap`, the `.log` last; to be synced before an old segment goes."""
    _rename(directory, base, CLEANED, SWAP)


def put_in_place(directory: Path, base: int) -> None:
    """`.swap` becomes the usual name, once it is durable that the old segments have lost theirs."""
    _rename(directory, base, SWAP, "")


def withdraw(directory: Path) -> None:
    """Forget new segments that are not in place."""
    for path in (*directory.glob(f"*{CLEANED}"), *directory.glob(f"*{SWAP}")):
        path.unlink(missing_ok=True)


def remove_old(directory: Path) -> None:
    """Make the new names durable, then remove what they replaced."""
    sync_directory(directory)
    for path in directory.glob(f"*{DELETED}"):
        path.unlink(missing_ok=True)


def _rename(directory: Path, base: int, old: str, new: str) -> None:
    for suffix in reversed(LOG_SUFFIXES):
        path = _file(directory, base, suffix + old)
        if path.exists():
            path.replace(_file(directory, base, suffix + new))


def finish_swaps(directory: Path) -> None:
    """Complete the swaps a crash interrupted and remove what was being written."""
    names = names_in(directory)
    for name in names:
        if name.endswith(_LEFTOVERS):
            (directory / name).unlink()
    if not any(name.endswith(SWAP) for name in names):
        return
    for path in sorted(directory.glob(f"*.log{SWAP}")):
        base = int(path.name.split(".")[0])
        _complete(directory, base, _replaced(directory, base, _last_offset(path)))
    for path in directory.glob(f"*{SWAP}"):  # indexes of a swap that had not begun
        path.unlink()


def _complete(directory: Path, base: int, replaced: list[int]) -> None:
    """Remove the old segments and give the new one its usual names; the `.log` files go last, so that it can be repeated."""
    for old in replaced:
        for suffix in reversed(LOG_SUFFIXES):
            _file(directory, old, suffix).unlink(missing_ok=True)
    sync_directory(directory)  # or a power failure could bring back an old segment beside the new one that replaced it
    put_in_place(directory, base)
    sync_directory(directory)


def _file(directory: Path, base: int, suffix: str) -> Path:
    return directory / f"{base:020d}{suffix}"


def _last_offset(path: Path) -> int:
    return max((last for _, _, _, last in batch_spans(mapped(path))), default=int(path.name.split(".")[0]))


def _replaced(directory: Path, base: int, last_offset: int) -> list[int]:
    return [old for old in segment_bases(directory) if base <= old <= last_offset]


def segment_bases(directory: Path) -> list[int]:
    """Base offsets of the segments in a partition's directory, ascending."""
    stems = [name.removesuffix(".log") for name in names_in(directory) if name.endswith(".log")]
    return sorted(int(stem) for stem in stems if stem.isdigit())
