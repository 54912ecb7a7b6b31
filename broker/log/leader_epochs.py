"""Which leader epoch began at which offset: how clients notice that a log was cut back under them.

Every start of the broker is a new epoch, stored when its first batch is: an epoch without records leaves no trace.

Rules: one writer, the event loop.
Source: Kafka's LeaderEpochFileCache.
"""

from bisect import bisect_right
from pathlib import Path

from broker.log.checkpoints import LEADER_EPOCHS, read_epochs, write_epochs

UNDEFINED_EPOCH = -1
UNDEFINED_OFFSET = -1


class LeaderEpochs:
    """The epochs of one partition, ascending in epoch and start offset."""

    __slots__ = ("_entries", "_path", "_saved", "highest_seen")

    def __init__(self, directory: Path) -> None:
        self._path = directory / LEADER_EPOCHS
        self._entries = read_epochs(self._path)
        self._saved = list(self._entries)
        self.highest_seen = self.latest  # cutting the log back never takes an epoch back

    @property
    def latest(self) -> int:
        """The epoch of the last batch; -1 for an empty log."""
        return self._entries[-1][0] if self._entries else UNDEFINED_EPOCH

    @property
    def entries(self) -> list[tuple[int, int]]:
        """(epoch, start offset)."""
        return list(self._entries)

    def assign(self, epoch: int, start_offset: int, *, save: bool = True) -> None:
        """Note that an epoch begins; entries it contradicts go. Raises: OSError, and nothing is noted."""
        if epoch <= self.latest:
            return
        entries = [entry for entry in self._entries if entry[1] < start_offset]
        entries.append((epoch, start_offset))
        if save:
            self._write(entries, sync=False)  # every batch carries its epoch too: recovery can do without this file
        self._entries = entries
        self.highest_seen = max(self.highest_seen, epoch)

    def end_offset(self, epoch: int, log_end_offset: int, current: int | None = None) -> tuple[int, int]:
        """(largest epoch not above `epoch`, offset where it ends); (-1, -1) if it is not known.

        `current` is the epoch the log is written in, which begins at its end as long as nothing was.
        Source: Kafka's LeaderEpochFileCache.endOffsetFor.
        """
        entries = self._entries
        if current is not None and current > self.latest:
            entries = [*(entry for entry in entries if entry[1] < log_end_offset), (current, log_end_offset)]
        if not entries or epoch > entries[-1][0] or epoch == UNDEFINED_EPOCH:
            return UNDEFINED_EPOCH, UNDEFINED_OFFSET
        if epoch == entries[-1][0]:
            return epoch, log_end_offset
        following = bisect_right(entries, (epoch, 1 << 62))
        if following == 0:
            return epoch, entries[0][1]
        return entries[following - 1][0], entries[following][1]

    def at(self, offset: int) -> int:
        """The epoch in which what lies at an offset was written; -1 if it is not known."""
        begun = bisect_right(self._entries, offset, key=lambda entry: entry[1])
        return self._entries[begun - 1][0] if begun else UNDEFINED_EPOCH

    def cut_at(self, end_offset: int) -> None:
        """Forget epochs that began at `end_offset` or later, but for the highest seen: it begins there, until another does.

        Clients have been told of it, and take nothing from a leader of an earlier one.
        """
        kept = [entry for entry in self._entries if entry[1] < end_offset]
        if self.highest_seen > (kept[-1][0] if kept else UNDEFINED_EPOCH):
            kept.append((self.highest_seen, end_offset))
        self._replace(kept)

    def begin_at(self, start_offset: int) -> None:
        """Forget epochs that ended before `start_offset`; the one it lies in begins there."""
        earlier = [entry for entry in self._entries if entry[1] <= start_offset]
        later = [entry for entry in self._entries if entry[1] > start_offset]
        self._replace([(earlier[-1][0], start_offset), *later] if earlier else later)

    def save(self, *, sync: bool = True) -> None:
        """Write the file, if it does not say so already."""
        if self._saved != self._entries:
            self._write(self._entries, sync=sync)

    def _write(self, entries: list[tuple[int, int]], *, sync: bool) -> None:
        write_epochs(self._path, entries, sync=sync)
        self._saved = list(entries)

    def _replace(self, entries: list[tuple[int, int]]) -> None:
        if entries != self._entries:
            self._entries = entries
            self.save(sync=False)
