"""Records: one as users meet it, and a batch of them as columns, as operators pass them on.

Rules: a column is never changed once its batch was passed on, because several children may hold it; an operator
makes new columns. This module knows neither serdes nor stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress, pairwise
from typing import Any, NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]

NO_TIMESTAMP = -1


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class Windowed(NamedTuple):
    """The key of a windowed result: whose it is, and which window.

    Times in ms since 1970. Time windows end before `end_ms`; session and sliding windows include it.
    """

    key: Any
    start_ms: int
    end_ms: int

    def __str__(self) -> str:
        return f"[{self.key}@{self.start_ms}/{self.end_ms}]"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as users meet it: processors, drivers and handlers take and return these.

    `timestamp` is in ms since 1970. `topic`, `partition` and `offset` say where it was read, and are None, -1 and -1
    for a record that a task made itself.
    """

    key: Any
    value: Any
    timestamp: int = NO_TIMESTAMP
    headers: Headers = ()
    topic: str | None = None
    partition: int = -1
    offset: int = -1


class Batch:
    """Records of one source partition as columns of equal length, in order.

    Shape: `keys`, `values` and `timestamps` are lists; `headers` is a list or None when no record has any; `offsets`
    is a sequence or None for records that a task made itself (`topic` is then None and `partition` -1). `topics` is a
    list where the records are of several topics (`topic` is then None), else None.
    `key_bytes` and `value_bytes` are what `keys` and `values` were read from, kept where topics or stores take them as they
    are (None: they are not known).
    On the edge of a table, `values` are the new values (None: deleted), `old_values` the ones before (None as a
    whole: nobody asked for them), and `latest` tells which changes are the newest of their key (None: all are).
    """

    __slots__ = (
        "headers",
        "key_bytes",
        "keys",
        "latest",
        "offsets",
        "old_values",
        "partition",
        "timestamps",
        "topic",
        "topics",
        "value_bytes",
        "values",
    )

    def __init__(
        self,
        keys: list[Any],
        values: list[Any],
        timestamps: list[int],
        headers: list[Headers] | None = None,
        *,
        offsets: Sequence[int] | None = None,
        topic: str | None = None,
        topics: list[str] | None = None,
        partition: int = -1,
        old_values: list[Any] | None = None,
        latest: list[bool] | None = None,
        key_bytes: list[Any] | None = None,
        value_bytes: list[Any] | None = None,
    ) -> None:
        self.keys = keys
        self.values = values
        self.timestamps = timestamps
        self.headers = headers
        self.offsets = offsets
        self.topic = topic
        self.topics = topics
        self.partition = partition
        self.old_values = old_values
        self.latest = latest
        self.key_bytes = key_bytes
        self.value_bytes = value_bytes

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"Batch({len(self)} records of {self.topic}[{self.partition}])"

    def slice(self, start: int, stop: int) -> Batch:
        """The records from index `start` up to, not including, `stop`."""
        return Batch(
            self.keys[start:stop],
            self.values[start:stop],
            self.timestamps[start:stop],
            self.headers and self.headers[start:stop],
            offsets=self.offsets and self.offsets[start:stop],
            topic=self.topic,
            topics=self.topics and self.topics[start:stop],
            partition=self.partition,
            old_values=self.old_values and self.old_values[start:stop],
            latest=self.latest and self.latest[start:stop],
            key_bytes=self.key_bytes and self.key_bytes[start:stop],
            value_bytes=self.value_bytes and self.value_bytes[start:stop],
        )

    def select(self, mask: Iterable[Any]) -> Batch:
        """The records whose entry in `mask` (one per record) is true."""
        keep = mask if isinstance(mask, list) else list(mask)
        return Batch(
            list(compress(self.keys, keep)),
            list(compress(self.values, keep)),
            list(compress(self.timestamps, keep)),
            self.headers and list(compress(self.headers, keep)),
            offsets=self.offsets and list(compress(self.offsets, keep)),
            topic=self.topic,
            topics=self.topics and list(compress(self.topics, keep)),
            partition=self.partition,
            old_values=self.old_values and list(compress(self.old_values, keep)),
            latest=self.latest and list(compress(self.latest, keep)),
            key_bytes=self.key_bytes and list(compress(self.key_bytes, keep)),
            value_bytes=self.value_bytes and list(compress(self.value_bytes, keep)),
        )

    def with_columns(self, keys: list[Any], values: list[Any]) -> Batch:
        """The same records (timestamps, headers, origin) with other keys and values."""
        return Batch(
            keys,
            values,
            self.timestamps,
            self.headers,
            offsets=self.offsets,
            topic=self.topic,
            topics=self.topics,
            partition=self.partition,
            key_bytes=self.key_bytes if keys is self.keys else None,
            value_bytes=self.value_bytes if values is self.values else None,
        )

    def record(self, index: int) -> Record:
        """The record at `index`, as users meet it."""
        return Record(
            self.keys[index],
            self.values[index],
            self.timestamps[index],
            self.headers[index] if self.headers else (),
            self.topics[index] if self.topics else self.topic,
            self.partition,
            self.offsets[index] if self.offsets else -1,
        )


def joined(batches: list[Batch]) -> Batch:
    """Batches of one partition as one."""
    if len(batches) == 1:
        return batches[0]
    headers = None
    if any(batch.headers for batch in batches):
        headers = [entry for batch in batches for entry in (batch.headers or [()] * len(batch))]
    return Batch(
        list(chain.from_iterable(batch.keys for batch in batches)),
        list(chain.from_iterable(batch.values for batch in batches)),
        list(chain.from_iterable(batch.timestamps for batch in batches)),
        headers,
        offsets=_joined_offsets([batch.offsets or () for batch in batches]),
        topic=batches[0].topic,
        partition=batches[0].partition,
    )


def _joined_offsets(columns: list[Sequence[int]]) -> Sequence[int]:
    """Offsets of batches that follow one another: a range where all are, and none is missing."""
    ranges = [column for column in columns if isinstance(column, range)]
    if len(ranges) == len(columns) and all(one.stop == other.start for one, other in pairwise(ranges)):
        return range(ranges[0].start, ranges[-1].stop)
    return list(chain.from_iterable(columns))
