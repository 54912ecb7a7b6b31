"""Where a task's records leave it: sinks, repartition topics and changelogs.

Rules: columns are split by partition once per batch and handed to the producer as they are; nothing waits here, and
what goes wrong on the way surfaces when the producer is flushed. Records without a key share one partition per batch,
and take turns over the batches. It knows topics and partitions, never stores or operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Protocol, cast

from streams.clients.partitioner import partitions_for
from streams.errors import ProductionError
from streams.record import Headers


class Output(Protocol):
    """What tasks need of a producer; see `streams.clients.base.Producer`."""

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> Sequence[int]:
        """Append records to a partition; the answer is the indices of those that are too large."""
        ...

    def partition_count(self, topic: str) -> int:
        """How many partitions the topic has."""
        ...

    def end_offset(self, topic: str, partition: int) -> int | None:
        """The offset after the last acknowledged record that was written there, None before the first."""
        ...


class ChangelogPartition:
    """The changelog of one store: a partition of a topic. Satisfies `state.stores.ChangelogWriter`."""

    def __init__(self, producer: Output, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self._producer = producer

    def write(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Append changes; None deletes. Raises: ProductionError for one that is too large: state must not lose it."""
        refused = self._producer.send(self.topic, self.partition, keys, values, timestamps, headers)
        if refused:
            at = refused[0]
            size = len(keys[at]) + len(values[at] or b"")
            raise ProductionError(
                f"a change of {size:,} bytes is too large for the changelog {self.topic}: keep less under one key, or "
                "raise max_request_size, and max.message.bytes of the topic",
                node="changelog",
                value=keys[at],
            )


class Collector:
    """Writes columns to topics over one producer."""

    def __init__(self, producer: Output) -> None:
        self.producer = producer
        self._turn = 0

    def send(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
        partitions: Sequence[int] | None = None,
    ) -> Sequence[int]:
        """Write records; without `partitions`, Kafka's partitioner chooses by the key's bytes.

        Shape: the indices of those that are too large and were left out.
        """
        count = self.producer.partition_count(topic)
        if count == 1 and partitions is None:
            return self.producer.send(topic, 0, keys, values, timestamps, headers)
        chosen = self._partitions(keys, count) if partitions is None else partitions
        if chosen and chosen.count(chosen[0]) == len(chosen) == len(keys):
            return self.producer.send(topic, chosen[0], keys, values, timestamps, headers)
        refused: list[int] = []
        for partition, indices in _by_partition(chosen).items():
            pick = _picker(indices)
            left_out = self.producer.send(
                topic, partition, pick(keys), pick(values), pick(timestamps), pick(headers) if headers else None
            )
            if left_out:
                refused += [indices[at] for at in left_out]
        return refused

    def changelog(self, topic: str, partition: int) -> ChangelogPartition:
        """The writer of one store's changelog."""
        return ChangelogPartition(self.producer, topic, partition)

    def _partitions(self, keys: Sequence[bytes | None], count: int) -> list[int]:
        if all(keys) or None not in keys:  # the first is quicker, and false for an empty key too
            return partitions_for(cast("Sequence[bytes]", keys), count)
        self._turn += 1
        keyless = self._turn % count
        keyed = iter(partitions_for([key for key in keys if key is not None], count))
        return [keyless if key is None else next(keyed) for key in keys]


def _by_partition(partitions: Sequence[int]) -> dict[int, list[int]]:
    """The indices of the records of each partition, in order."""
    indices: dict[int, list[int]] = {}
    for index, partition in enumerate(partitions):
        try:
            indices[partition].append(index)
        except KeyError:
            indices[partition] = [index]
    return indices


def _picker(indices: list[int]) -> Any:
    """A function from a column to the entries at `indices`."""
    if len(indices) == 1:
        only = indices[0]
        return lambda column: (column[only],)
    return itemgetter(*indices)
