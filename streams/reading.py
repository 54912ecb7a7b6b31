"""Records of topics, read from outside of an application: to look at, to test, to report.

Rules: reads without a group, so nobody is disturbed and nothing is committed; only records that are committed are seen.
What is read is fixed when reading begins: from where, and up to where, unless it follows.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from state.serde import Serde
from streams.clients.base import Admin, Clients, TopicDescription
from streams.clients.raw_batch import RawBatch
from streams.dsl.options import Topic
from streams.durations import moment_ms
from streams.errors import ConfigError, DeserializationError, StreamsError
from streams.numbers import whole_number
from streams.record import Batch, Record, TopicPartition
from streams.settings import nearest

POLL_S = 0.5

Point = datetime | str | int
"""A place in a topic: "earliest" or "latest", or a time: datetime or ISO 8601 text (without a zone: UTC), or ms since
1970."""


class Records:
    """What lies in some topics: iterate it, `poll` it, or take it `to_pandas()`; a context manager, closed at its end.

    Records of one partition come in its order, those of several as they arrive.
    """

    def __init__(
        self,
        clients: Clients,
        topics: Sequence[Topic],
        default: Serde[Any],
        *,
        start: Point = "earliest",
        end: Point = "latest",
        last: int | None = None,
        follow: bool = False,
        partitions: Sequence[int] | None = None,
        offset: int | None = None,
    ) -> None:
        self._release = ExitStack()
        self._read = {
            topic.name: (topic.name, _reader(topic.key_serde or default), _reader(topic.value_serde or default))
            for topic in topics
        }
        self._consumer = clients.consumer(group=None, read_committed=True)
        self._release.callback(self._consumer.close)
        self._follow = follow
        chosen = _partitions_of(clients, list(self._read), partitions)
        self._ends = self._offsets(end, chosen)
        if offset is not None:
            starts = self._from(offset)
        else:
            starts = self._offsets(start, chosen) if last is None else self._before_the_end(last)
        self._consumer.assign(chosen)
        for partition, place in starts.items():
            self._consumer.seek(partition, place)

    @property
    def at_end(self) -> bool:
        """Whether everything was read that was there, up to `end`, when reading began."""
        return all(self._consumer.position(partition) >= end for partition, end in self._ends.items())

    def poll(self, timeout_s: float = POLL_S) -> list[Record]:
        """What has arrived, waiting up to `timeout_s` for something. Raises: DeserializationError."""
        return [record for batch in self._consumer.poll(timeout_s) for record in self._decoded(batch)]

    def catch_up(self) -> list[Record]:
        """Everything that is there by now and was not given yet, of a reader that follows."""
        self._ends = self._consumer.end_offsets(list(self._ends))
        found: list[Record] = []
        while not self.at_end:
            found += self.poll()
        return found

    def __iter__(self) -> Iterator[Record]:
        with self:
            while self._follow or not self.at_end:
                yield from self.poll()

    def to_pandas(self, *, places: bool = False) -> Any:
        """All of it as a DataFrame; see `streams.frames.frame_of`. Raises: StreamsError without pandas."""
        from streams.frames import frame_of

        if self._follow:
            raise StreamsError("a reader that follows has no end, so it makes no DataFrame: leave out follow=True")
        return frame_of(self, places=places)

    def owns(self, release: ExitStack) -> None:
        """What to let go of with the reader: the connection that was made for it alone."""
        outer = ExitStack()
        outer.push(release)
        outer.push(self._release)
        self._release = outer

    def close(self) -> None:
        """Disconnect; more than once does nothing."""
        self._release.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _offsets(self, point: Point, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        if point == "earliest":
            return self._consumer.beginning_offsets(partitions)
        if point == "latest":
            return self._consumer.end_offsets(partitions)
        return self._consumer.offsets_at(partitions, time_ms(point))

    def _before_the_end(self, last: int) -> dict[TopicPartition, int]:
        """Where the last records of each partition begin.

        Markers of transactions, aborted records and those that compaction removed have offsets too, so more and more of
        these are looked through until enough records are there, or all.
        """
        step = last = whole_number(last, "last", error=ConfigError)
        starts, begins = dict(self._ends), self._consumer.beginning_offsets(list(self._ends))
        found = {partition: array("q") for partition in starts}
        while wanting := [each for each in starts if len(found[each]) < last and starts[each] > begins[each]]:
            ends = {partition: starts[partition] for partition in wanting}
            starts |= {partition: max(begins[partition], end - step) for partition, end in ends.items()}
            for partition, earlier in self._offsets_between(starts, ends).items():
                found[partition] = earlier + found[partition]
            step *= 2
        return {each: offsets[-last] if len(offsets) >= last else starts[each] for each, offsets in found.items()}

    def _offsets_between(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, array[int]]:
        """The offsets of the records that lie there, in the partitions that have an end."""
        self._consumer.assign(ends)
        for partition in ends:
            self._consumer.seek(partition, starts[partition])
        found = {partition: array("q") for partition in ends}
        while any(self._consumer.position(partition) < end for partition, end in ends.items()):
            for batch in self._consumer.poll(POLL_S):
                partition = TopicPartition(batch.topic, batch.partition)
                found[partition].extend(each for each in batch.columns().offsets or () if each < ends[partition])
        return found

    def _from(self, offset: int) -> dict[TopicPartition, int]:
        """One offset in every partition, within what is there."""
        begins = self._consumer.beginning_offsets(list(self._ends))
        return {
            partition: min(max(begins[partition], offset), max(end, begins[partition]))
            for partition, end in self._ends.items()
        }

    def _decoded(self, batch: RawBatch) -> list[Record]:
        columns = batch.columns()
        end = self._ends[TopicPartition(batch.topic, batch.partition)]
        if not self._follow and batch.next_offset > end:
            columns = columns.select([offset < end for offset in columns.offsets or ()])
        topic, keys, values = self._read[batch.topic]
        try:
            decoded = columns.with_columns(list(map(keys, columns.keys)), list(map(values, columns.values)))
        except (ValueError, TypeError):
            raise _unreadable(columns, keys, values) from None
        return [replace(decoded.record(index), topic=topic) for index in range(len(columns.keys))]


def time_ms(point: datetime | str | int) -> int:
    """A time in ms since 1970 from what `Point` allows; without a zone it is UTC. Raises: ConfigError."""
    try:
        return moment_ms(point)
    except ValueError:
        raise ConfigError(
            f"expected 'earliest', 'latest', a time such as 2026-01-31T12:00 or ms since 1970, got {point!r}"
        ) from None


def _reader(serde: Serde[Any]) -> Callable[[bytes | None], Any]:
    deserialize = serde.deserialize
    return lambda data: None if data is None else deserialize(data)


def described(admin: Admin, topics: Sequence[str]) -> dict[str, TopicDescription]:
    """Topics that have to be there. Raises: ConfigError for one that is not."""
    found = admin.describe(topics)
    for name in topics:
        if name not in found:
            near = nearest(name, admin.topics())
            raise ConfigError(f"there is no topic {name!r} on this broker; `streams topics` lists them{near}")
    return found


def _partitions_of(clients: Clients, topics: Sequence[str], chosen: Sequence[int] | None) -> list[TopicPartition]:
    admin = clients.admin()
    try:
        found = described(admin, topics)
    finally:
        admin.close()
    for name in topics:
        for number in chosen or ():
            if number not in range(found[name].partitions):
                raise ConfigError(
                    f"the topic {name!r} has no partition {number}: it has 0 to {found[name].partitions - 1}"
                )
    return [TopicPartition(name, number) for name in topics for number in chosen or range(found[name].partitions)]


def _unreadable(columns: Batch, keys: Callable[[Any], Any], values: Callable[[Any], Any]) -> DeserializationError:
    """The error for the first record of a batch that cannot be read."""
    for index in range(len(columns.keys)):
        record = columns.record(index)
        for part, read, data in (("key", keys, record.key), ("value", values, record.value)):
            try:
                read(data)
            except (ValueError, TypeError) as problem:
                return DeserializationError(
                    f"the {part} of a record cannot be read: {problem}; declare the type that was written",
                    node="reader",
                    topic=record.topic or "",
                    partition=record.partition,
                    offset=record.offset,
                    value=data,
                )
    raise AssertionError("no record of the batch fails by itself")
