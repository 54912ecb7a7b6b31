"""Which records caused what: told to record caches, and found again in what they let go.

Rules: in front of a cache, updates of many records wait, and each keeps the headers, topic, partition and offset of the
record that made it last, as Kafka's cache keeps the record context. They are told only where somebody can tell: the
cache by the bytes that it counts, or those behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

from state.stores import Cause
from streams.record import Batch

__all__ = ["NO_CAUSE", "cause_of", "causes_of", "set_causes"]

NO_CAUSE: Cause = ((), None, -1, -1)
"""Of what no record caused."""


def causes_of(store: Any, batch: Batch) -> list[Cause] | None:
    """What the record cache of `store` has to know of the records of a batch; None where it need not know anything."""
    if not _asks(store, batch):
        return None
    count = len(batch)
    columns = (
        batch.headers or repeat((), count),
        batch.topics or repeat(batch.topic, count),
        repeat(batch.partition, count),
        repeat(-1, count) if batch.offsets is None else batch.offsets,
    )
    return list(zip(*columns, strict=True))


def cause_of(store: Any, batch: Batch, row: int) -> Cause | None:
    """The same for one record."""
    if not _asks(store, batch):
        return None
    return (
        batch.headers[row] if batch.headers else (),
        batch.topics[row] if batch.topics else batch.topic,
        batch.partition,
        -1 if batch.offsets is None else batch.offsets[row],
    )


def _asks(store: Any, batch: Batch) -> bool:
    if not store.cached:
        return store.logs_headers and batch.headers is not None
    return bool(batch.headers or batch.topics or store.wants_cause(batch.topic))


def set_causes(batch: Batch, causes: Sequence[Cause | None]) -> None:
    """Give the records of a new batch the headers and the origin of those that caused them."""
    columns = zip(*(cause or NO_CAUSE for cause in causes), strict=True)
    headers, topics, partitions, offsets = map(list, columns)
    batch.headers = headers if any(headers) else None
    batch.topic = topics[0]
    batch.topics = None if topics.count(topics[0]) == len(topics) else topics
    batch.partition, batch.offsets = max(partitions), offsets  # one partition, and -1 for what no record caused
