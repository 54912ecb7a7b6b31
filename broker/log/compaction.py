"""Compaction of batches: what stays of a log in which only the latest record per key counts.

Offsets never change. A batch keeps its first and last offset when it loses records, and goes when it has lost all, unless it
is the last word of a live producer or the last of its run. A tombstone or a marker whose data is gone gets a delete horizon
at the first meeting and goes when that has passed. Records of aborted transactions go at once; a marker stays as long as data
of its transaction was met.

Rules: batches in, batches out; no files, no clock. A property test compares the outcome with a naive model.
Source: Kafka's Cleaner, CleanedTransactionMetadata, MemoryRecords.filterTo.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from broker.log.transaction_index import AbortedTransaction
from broker.protocol.compression import Codec, compress
from broker.protocol.record_batch import DELETE_HORIZON_BIT, BatchHeader
from broker.protocol.records import Record, assemble, decode_marker, decode_records, encode_record

_LONGEST_PLAIN_KEY = 32

Batches = Iterable[tuple[BatchHeader, memoryview]]


class LastWord(NamedTuple):
    """What of a live producer must survive: its last batch by offset, or, without one, the marker of its epoch."""

    last_offset: int
    epoch: int


@dataclass(slots=True)
class LatestOffsets:
    """Key -> offset of its last record; long keys are kept as digests."""

    offsets: dict[bytes, int] = field(default_factory=dict)

    def put(self, key: bytes, offset: int) -> None:
        """A later record of a key."""
        self.offsets[_short(key)] = offset

    def superseded(self, record: Record) -> bool:
        """Whether a later record of the same key is known."""
        assert record.key is not None
        return self.offsets.get(_short(record.key), -1) > record.offset


def _short(key: bytes) -> bytes:
    return key if len(key) <= _LONGEST_PLAIN_KEY else blake2b(key, digest_size=_LONGEST_PLAIN_KEY).digest()


class Transactions:
    """Follows transactions while batches are read in order of offset; `kept` collects aborted ones still to be told."""

    def __init__(self, aborted: Iterable[AbortedTransaction], *, from_offset: int = 0) -> None:
        self.kept: list[AbortedTransaction] = []
        self._coming = sorted(
            (transaction for transaction in aborted if transaction.last_offset >= from_offset),
            key=lambda transaction: transaction.first_offset,
        )
        self._aborted: dict[int, AbortedTransaction] = {}
        self._met: set[int] = set()  # producers whose aborted data was met
        self._committed: set[int] = set()  # producers with data in a transaction that is not known as aborted

    def may_go(self, header: BatchHeader, batch: memoryview) -> bool:
        """Whether a batch is an aborted transaction's, or a marker nobody needs any more."""
        while self._coming and self._coming[0].first_offset <= header.last_offset:
            transaction = self._coming.pop(0)
            self._aborted[transaction.producer_id] = transaction
        if header.is_control:
            return self._marker_may_go(header, batch)
        if not header.is_transactional:
            return False
        if header.producer_id in self._aborted:
            self._met.add(header.producer_id)
            return True
        self._committed.add(header.producer_id)
        return False

    def _marker_may_go(self, header: BatchHeader, batch: memoryview) -> bool:
        if header.record_count == 0:
            return True
        marker = decode_marker(batch, header)
        if marker is None:
            return False
        if marker.commit:
            had_data = header.producer_id in self._committed
            self._committed.discard(header.producer_id)
            return not had_data
        transaction = self._aborted.pop(header.producer_id, None)
        if transaction is None or header.producer_id not in self._met:
            return True
        self._met.discard(header.producer_id)
        self.kept.append(transaction)
        return False


class Horizon(NamedTuple):
    """The clock of one compaction: now, and how long tombstones stay from their first meeting on."""

    now_ms: int
    delete_retention_ms: int


class Compactor:
    """Decides batch by batch; one compactor sees all batches of a log from its start, in order."""

    def __init__(
        self,
        latest: LatestOffsets,
        transactions: Transactions,
        last_words: Mapping[int, LastWord],
        horizon: Horizon,
    ) -> None:
        self.transactions = transactions
        self._latest = latest
        self._last_words = last_words
        self._horizon = horizon

    def compact(self, batches: Batches, last_offset: int) -> Iterator[tuple[BatchHeader, bytes]]:
        """What stays of a run of batches, of which `last_offset` is the last offset: that batch stays, if only empty."""
        for header, batch in batches:
            kept = self._compact(header, batch)
            if kept is not None:
                yield kept
            elif header.last_offset == last_offset or self._is_last_word(header):
                yield _emptied(header)

    def _compact(self, header: BatchHeader, batch: memoryview) -> tuple[BatchHeader, bytes] | None:
        """The batch as it stays; None if no record of it does."""
        may_go = self.transactions.may_go(header, batch)
        if header.is_control:
            if may_go and self._passed(header):
                return None
            return self._rewritten(header, decode_records(batch, header), batch, stamp=may_go)
        if may_go:
            return None
        records = decode_records(batch, header)
        kept = [record for record in records if self._stays(record, header)]
        if not kept:
            return None
        tombstones = any(record.value is None for record in kept)
        return self._rewritten(header, kept, batch, stamp=tombstones)

    def _passed(self, header: BatchHeader) -> bool:
        horizon = header.delete_horizon_ms
        return horizon is not None and horizon <= self._horizon.now_ms

    def _stays(self, record: Record, header: BatchHeader) -> bool:
        if record.key is None or self._latest.superseded(record):
            return False
        return record.value is not None or not self._passed(header)

    def _rewritten(
        self, header: BatchHeader, kept: list[Record], batch: memoryview, *, stamp: bool
    ) -> tuple[BatchHeader, bytes]:
        """The batch with the records that stay, and a delete horizon if it needs one and has none."""
        needs_horizon = stamp and header.delete_horizon_ms is None
        if len(kept) == header.record_count and not needs_horizon:
            return header, bytes(batch)
        if needs_horizon:
            base_timestamp = self._horizon.now_ms + self._horizon.delete_retention_ms
            attributes = header.attributes | DELETE_HORIZON_BIT
        else:
            base_timestamp, attributes = header.base_timestamp, header.attributes
        newest = max((record.timestamp for record in kept), default=header.max_timestamp)
        changed = header._replace(
            base_timestamp=base_timestamp,
            attributes=attributes,
            max_timestamp=header.max_timestamp if header.has_log_append_time else newest,
            record_count=len(kept),
        )
        payload = bytearray()
        for record in kept:
            encode_record(payload, record, header.base_offset, base_timestamp)
        return _assembled(changed, compress(header.codec, payload))

    def _is_last_word(self, header: BatchHeader) -> bool:
        word = self._last_words.get(header.producer_id)
        if word is None:
            return False
        if word.last_offset >= 0:
            return header.last_offset == word.last_offset
        return header.is_control and header.producer_epoch == word.epoch


def _emptied(header: BatchHeader) -> tuple[BatchHeader, bytes]:
    """The header alone: offsets, producer and sequences stay known."""
    attributes = header.attributes & ~0x07 | Codec.NONE
    return _assembled(header._replace(attributes=attributes, record_count=0), b"")


def _assembled(header: BatchHeader, payload: bytes) -> tuple[BatchHeader, bytes]:
    data = assemble(header, payload)
    return header._replace(length=len(data) - 12), data


def note_latest(latest: LatestOffsets, transactions: Transactions, batches: Batches, from_offset: int) -> None:
    """Take in the records of batches that were not compacted yet, aborted ones excepted."""
    for header, batch in batches:
        if transactions.may_go(header, batch) or header.is_control or header.last_offset < from_offset:
            continue
        for record in decode_records(batch, header):
            if record.key is not None and record.offset >= from_offset:
                latest.put(record.key, record.offset)
