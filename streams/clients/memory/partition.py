"""One partition in memory: its records as columns, and which of them transactions hide.

Rules: a control record takes an offset, as in Kafka, and nobody ever reads it. Records of an aborted transaction, and
whatever follows the first record of an undecided one, are hidden from readers of what is committed.
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.clients.raw_batch import Part, records_of_part
from streams.record import Batch, Headers, TopicPartition


class MemoryBatch:
    """Records of one partition from `first_offset` up to, not including, `next_offset`. A `RawBatch`."""

    def __init__(
        self, partition: TopicPartition, first_offset: int, columns: Batch, next_offset: int | None = None
    ) -> None:
        self.topic, self.partition = partition
        self.first_offset = first_offset
        self.next_offset = first_offset + len(columns) if next_offset is None else next_offset
        self.size = sum(
            len(key or b"") + len(value or b"") for key, value in zip(columns.keys, columns.values, strict=True)
        )
        self._columns = columns

    def columns(self) -> Batch:
        """The records."""
        return self._columns

    def parts(self, part_bytes: int) -> Iterator[Part]:
        """The records, some at a time."""
        columns, offsets = self._columns, self._columns.offsets or ()
        count = len(columns)
        step = records_of_part(count, self.size, part_bytes)
        for start in range(0, count - step, step):
            yield Part(columns.slice(start, start + step), offsets[start + step - 1] + 1, 0)
        rest = (max(count - 1, 0) // step) * step
        yield Part(columns if not rest else columns.slice(rest, count), self.next_offset, self.size)


class MemoryPartition:
    """See the module. `start` is the first offset that still exists."""

    def __init__(self) -> None:
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.headers: list[Headers] = []
        self.start = 0
        self._undecided: dict[str, list[range]] = {}
        self._control: set[int] = set()
        self._aborted: set[int] = set()

    @property
    def end(self) -> int:
        """The offset after the last record."""
        return self.start + len(self.keys)

    @property
    def stable_end(self) -> int:
        """The first offset of an undecided transaction, else the end."""
        return min((ranges[0].start for ranges in self._undecided.values()), default=self.end)

    def append(self, columns: Batch, transactional_id: str | None = None) -> None:
        """Add records at the end, in a transaction if one is named."""
        first = self.end
        self.keys.extend(columns.keys)
        self.values.extend(columns.values)
        self.timestamps.extend(columns.timestamps)
        self.headers.extend(columns.headers if columns.headers is not None else [()] * len(columns))
        if transactional_id is not None:
            self._undecided.setdefault(transactional_id, []).append(range(first, self.end))

    def end_transaction(self, transactional_id: str, *, commit: bool) -> int:
        """Write the control record that decides a transaction; the answer is the offset after it."""
        written = self._undecided.pop(transactional_id)
        if not commit:
            self._aborted.update(*written)
        self._control.add(self.end)
        self.append(Batch([None], [None], [0]))
        return self.end

    def delete_before(self, offset: int) -> None:
        """Drop the records below `offset`."""
        count = min(max(offset - self.start, 0), len(self.keys))
        for column in (self.keys, self.values, self.timestamps, self.headers):
            del column[:count]
        self.start += count

    def read(self, partition: TopicPartition, offset: int, limit: int, *, read_committed: bool) -> MemoryBatch | None:
        """Up to `limit` offsets from `offset` on, less what is hidden; None when there are none."""
        first = max(offset, self.start)
        after = min(first + limit, self.stable_end if read_committed else self.end)
        if after <= first:
            return None
        at = slice(first - self.start, after - self.start)
        headers = self.headers[at]
        columns = Batch(
            self.keys[at],
            self.values[at],
            self.timestamps[at],
            headers if any(headers) else None,
            offsets=range(first, after),
            topic=partition.topic,
            partition=partition.partition,
        )
        hidden = self._control | self._aborted if read_committed else self._control
        if not hidden.isdisjoint(range(first, after)):
            columns = columns.select([offset not in hidden for offset in range(first, after)])
        return MemoryBatch(partition, first, columns, after)
