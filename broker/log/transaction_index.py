"""The aborted transactions of one segment: who wrote what a read_committed consumer has to skip.

A file of 34-byte entries in the order the transactions ended: version, producer id, first offset, last offset (that of the
marker), and the last stable offset at that time. Most segments have none, and then no file.

Rules: one writer, the event loop. Must not know a batch or a producer's state.
Source: Kafka's TransactionIndex and AbortedTxn, byte for byte.
"""

import os
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from broker.log.checkpoints import write_atomically
from broker.log.whole_writes import write_whole

_ENTRY = Struct(">hqqqq")
_VERSION = 0


class AbortedTransaction(NamedTuple):
    """One transaction that was taken back: its records lie within [first_offset, last_offset]."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class TransactionIndex:
    """Aborted transactions whose marker lies in one segment."""

    __slots__ = ("_entries", "_written", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: list[AbortedTransaction] | None = None
        self._written = 0

    def entries(self) -> list[AbortedTransaction]:
        """All entries, by ascending marker offset."""
        if self._entries is None:
            self._entries, torn = self._read()
            self._written = -1 if torn else len(self._entries)
        return self._entries

    def append(self, transaction: AbortedTransaction) -> None:
        """Add the transaction that ended last."""
        self.entries().append(transaction)

    def replace(self, entries: list[AbortedTransaction]) -> None:
        """Other entries; written by the next flush."""
        self._entries, self._written = entries, -1

    def overlapping(self, start: int, end: int) -> list[AbortedTransaction]:
        """Transactions with records in [start, end)."""
        return [entry for entry in self.entries() if entry.last_offset >= start and entry.first_offset < end]

    def cut_at(self, offset: int) -> None:
        """Forget transactions that ended at `offset` or later."""
        kept = [entry for entry in self.entries() if entry.last_offset < offset]
        if len(kept) < len(self.entries()):
            self.replace(kept)

    def flush(self, *, sync: bool = False) -> None:
        """Write the file if there is anything new."""
        if self._entries is None or self._written == len(self._entries):
            return
        if not self._entries:
            self.path.unlink(missing_ok=True)
        elif self._written < 0:
            write_atomically(self.path, _packed(self._entries))
        else:
            self._extend(self._entries[self._written :], sync=sync)
        self._written = len(self._entries)

    def _extend(self, entries: list[AbortedTransaction], *, sync: bool) -> None:
        """Write behind what is there: a power failure must not take with it what was synced before."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.ftruncate(descriptor, self._written * _ENTRY.size)
            write_whole(descriptor, _packed(entries), self._written * _ENTRY.size)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self) -> tuple[list[AbortedTransaction], bool]:
        """The sound entries, and whether more follows: what cannot be an entry, as zeros cannot, never reached the disk."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return [], False
        entries: list[AbortedTransaction] = []
        for fields in _ENTRY.iter_unpack(data[: len(data) // _ENTRY.size * _ENTRY.size]):
            entry = AbortedTransaction(*fields[1:])
            if entry.last_offset <= max(entry.first_offset, entries[-1].last_offset if entries else -1):
                break
            entries.append(entry)
        return entries, len(entries) * _ENTRY.size < len(data)


def _packed(entries: list[AbortedTransaction]) -> bytes:
    return b"".join(_ENTRY.pack(_VERSION, *entry) for entry in entries)
