"""Foreign-key joins of two tables: a row of the left names the row of the right that it belongs to.

A change of the left is registered with the task that has the right row, which keeps the subscription and answers; a
change of the right answers all subscribers. The answer comes back to the left row's task, and counts only if that row
is still the one that asked (by the hash of its value). Results have the later time of both sides when the left set them
off, the right row's when the right did. Keys and values cross topics as bytes: `subscriptions` has the layouts.
Source: Kafka's kstream.internals.foreignkeyjoin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import DEBUG, INFO
from typing import Any, NamedTuple

from state.serde import Serde
from streams.errors import ProductionError
from streams.operators.base import Emit, OperatorContext
from streams.operators.causes import cause_of
from streams.operators.columns import UNHANDLED, Output, kept, report, rows_of
from streams.operators.getters import Getter
from streams.operators.murmur3 import fingerprint
from streams.operators.sink import Partitioner, chosen_partitions
from streams.operators.subscriptions import (
    Instruction,
    Response,
    Subscription,
    combined_key,
    combined_prefix,
    primary_key_of,
)
from streams.record import Batch

__all__ = [
    "Answer",
    "AnswerOnChange",
    "Receive",
    "Register",
    "Resolve",
    "TableSerdes",
    "Target",
    "response_sink",
    "subscription_sink",
]

NULL_FOREIGN_KEY = "its foreign key is null"
NOT_LATEST = "a later version of its row was joined already"
OVERTAKEN = "its row on the left has changed since it asked"
"""Told to who debugs alone: every join whose left rows change has such answers, and the next one is on its way."""


class TableSerdes(NamedTuple):
    """Serdes of a table's keys and values."""

    key: Serde[Any]
    value: Serde[Any]


class Target(NamedTuple):
    """An answer and the partition it goes to: that of the left row."""

    partition: int
    data: bytes


class _RecordByRecord:
    """What the operators of this module share: one record after the other, errors reported, results in one batch."""

    def __init__(self, node: str, emit: Emit) -> None:
        self._node = node
        self._emit = emit
        self._output = Output()

    def init(self, context: OperatorContext) -> None:
        """Remember the context."""
        self._context = context

    def process(self, batch: Batch) -> None:
        """Handle a batch."""
        olds = batch.old_values or [None] * len(batch)
        self._batch = batch
        for row, key, value, timestamp in rows_of(batch):
            latest = batch.latest is None or batch.latest[row]
            try:
                self._handle(row, key, value, olds[row], timestamp, latest=latest)
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
        self._output.pass_on(batch, self._emit)

    def _handle(self, row: int, key: Any, value: Any, old: Any, timestamp: int, *, latest: bool) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is held."""


class Register(_RecordByRecord):
    """Turns a change of the left table into subscriptions. `foreign_key(key, value)` gives the right row's key."""

    def __init__(
        self,
        node: str,
        foreign_key: Callable[[Any, Any], Any],
        left: TableSerdes,
        right_key: Serde[Any],
        emit: Emit,
        *,
        left_join: bool,
        versioned: bool = False,
    ) -> None:
        super().__init__(node, emit)
        self._foreign_key = foreign_key
        self._left = left
        self._right_key = right_key
        self._left_join = left_join
        self._versioned = versioned

    def _handle(self, row: int, key: Any, value: Any, old: Any, timestamp: int, *, latest: bool) -> None:
        if self._versioned and not latest:
            self._context.dropped(self._node, 1, NOT_LATEST, level=INFO)
            return
        if value is None and old is None:
            return
        before, after = self._foreign_bytes(key, old), self._foreign_bytes(key, value)
        if after is None and value is not None and not self._left_join:
            self._context.dropped(self._node, 1, NULL_FOREIGN_KEY)  # told too where the row had a foreign key before
        hash_ = None if value is None else fingerprint(self._left.value.serialize(value))
        primary = self._left.key.serialize(key)
        instructions = self._left_instructions if self._left_join else self._inner_instructions
        for foreign, instruction in instructions(before, after):
            subscription = Subscription(hash_, instruction, primary, self._context.partition)
            self._output.add(row, foreign, subscription.to_bytes(), timestamp)

    def _foreign_bytes(self, key: Any, value: Any) -> bytes | None:
        foreign = None if value is None else self._foreign_key(key, value)
        return None if foreign is None else self._right_key.serialize(foreign)

    def _left_instructions(
        self, before: bytes | None, after: bytes | None
    ) -> Sequence[tuple[bytes | None, Instruction]]:
        if before is not None and before != after:
            return [(before, Instruction.DELETE), (after, Instruction.ANSWER)]
        return [(after, Instruction.ANSWER)]

    def _inner_instructions(
        self, before: bytes | None, after: bytes | None
    ) -> Sequence[tuple[bytes | None, Instruction]]:
        if after is None:
            return [] if before is None else [(before, Instruction.DELETE_AND_ANSWER)]
        if before is None or before == after:
            return [(after, Instruction.ANSWER_IF_PRESENT)]
        return [(before, Instruction.DELETE), (after, Instruction.ANSWER)]


class Receive(_RecordByRecord):
    """Keeps subscriptions by foreign and primary key, or forgets them, and passes them on as they came."""

    def __init__(self, node: str, store: str, emit: Emit) -> None:
        super().__init__(node, emit)
        self._store_name = store

    def init(self, context: OperatorContext) -> None:
        """Take the store."""
        super().init(context)
        self._store = context.store(self._store_name)

    def _handle(self, row: int, key: Any, value: Any, old: Any, timestamp: int, *, latest: bool) -> None:
        del old, latest
        subscription = Subscription.from_bytes(value)
        if key is not None:
            gone = subscription.instruction in {Instruction.DELETE, Instruction.DELETE_AND_ANSWER}
            stored_key = combined_key(key, subscription.primary_key)
            cause = cause_of(self._store, self._batch, row)
            self._store.put(stored_key, None if gone else value, timestamp, cause)
        elif subscription.instruction is not Instruction.ANSWER:
            self._context.dropped(self._node, 1, NULL_FOREIGN_KEY)
            return
        self._output.add(row, key, subscription, timestamp)


class Answer(_RecordByRecord):
    """Answers a subscription with the right table's row."""

    def __init__(self, node: str, right: Getter, serdes: TableSerdes, emit: Emit) -> None:
        super().__init__(node, emit)
        self._right = right
        self._serdes = serdes

    def init(self, context: OperatorContext) -> None:
        """Take the right table's store."""
        super().init(context)
        self._right.init(context)

    def _handle(self, row: int, key: Any, value: Any, old: Any, timestamp: int, *, latest: bool) -> None:
        del old, latest
        subscription: Subscription = value
        found = None if key is None else self._right.get(self._serdes.key.deserialize(key))
        match subscription.instruction:
            case Instruction.DELETE:
                return
            case Instruction.ANSWER_IF_PRESENT if found is None:
                return
            case Instruction.DELETE_AND_ANSWER:
                data = None
            case _:
                data = None if found is None else self._serdes.value.serialize(found[0])
        if found is not None:
            timestamp = max(timestamp, found[1])
        response = Response(subscription.hash, data).to_bytes()
        self._output.add(row, subscription.primary_key, Target(subscription.partition, response), timestamp)

    def close(self) -> None:
        """Let the right table go."""
        self._right.close()


class AnswerOnChange(_RecordByRecord):
    """Answers all subscribers of a row of the right table that changed."""

    def __init__(self, node: str, store: str, serdes: TableSerdes, emit: Emit, *, versioned: bool = False) -> None:
        super().__init__(node, emit)
        self._store_name = store
        self._serdes = serdes
        self._versioned = versioned

    def init(self, context: OperatorContext) -> None:
        """Take the store of subscriptions."""
        super().init(context)
        self._store = context.store(self._store_name)

    def _handle(self, row: int, key: Any, value: Any, old: Any, timestamp: int, *, latest: bool) -> None:
        del old
        if key is None:
            self._context.dropped(self._node, 1, "its key is null")
            return
        if self._versioned and not latest:
            self._context.dropped(self._node, 1, NOT_LATEST, level=INFO)
            return
        data = None if value is None else self._serdes.value.serialize(value)
        for combined, (stored, _) in self._store.prefix_scan(combined_prefix(self._serdes.key.serialize(key))):
            subscription = Subscription.from_bytes(stored)
            response = Response(subscription.hash, data).to_bytes()
            self._output.add(row, primary_key_of(combined), Target(subscription.partition, response), timestamp)


class Resolve(_RecordByRecord):
    """Joins an answer with the left table's row, if that is still the row that asked; joiner(key, left, right)."""

    def __init__(
        self,
        node: str,
        left: Getter,
        left_serdes: TableSerdes,
        right_value: Serde[Any],
        joiner: Callable[[Any, Any, Any], Any],
        emit: Emit,
        *,
        left_join: bool,
    ) -> None:
        super().__init__(node, emit)
        self._left = left
        self._left_serdes = left_serdes
        self._right_value = right_value
        self._joiner = joiner
        self._left_join = left_join

    def init(self, context: OperatorContext) -> None:
        """Take the left table's store."""
        super().init(context)
        self._left.init(context)

    def _handle(self, row: int, key: Any, value: Any, old: Any, timestamp: int, *, latest: bool) -> None:
        del old, latest
        response = Response.from_bytes(value)
        primary = self._left_serdes.key.deserialize(key)
        found = self._left.get(primary)
        current = None if found is None else fingerprint(self._left_serdes.value.serialize(found[0]))
        if current != response.hash:
            self._context.dropped(self._node, 1, OVERTAKEN, level=DEBUG)
            return
        result = None
        if found is not None and (response.value is not None or self._left_join):
            right = None if response.value is None else self._right_value.deserialize(response.value)
            result = self._joiner(primary, found[0], right)
        self._output.add(row, primary, result, timestamp)

    def close(self) -> None:
        """Let the left table go."""
        self._left.close()


def expect_written(topic: str, left_out: Sequence[int]) -> None:
    """Raises: ProductionError when the join cannot hear of a row, because its message is too large."""
    if left_out:
        raise ProductionError(
            f"{len(left_out):,} message(s) between the sides of a foreign-key join are too large for {topic}: raise "
            "max_request_size, and max.message.bytes of the topic, or join smaller rows",
            node=topic,
        )


def subscription_sink(
    context: OperatorContext, node: str, topic: str, key: Serde[Any], partitioner: Partitioner | None
) -> Emit:
    """Writes subscriptions, by the bytes of the foreign key or as `partitioner(topic, key, value, count)` says."""

    def stage(batch: Batch) -> None:
        partitions = None
        if partitioner is not None:
            batch, partitions = placed(context, node, topic, key, partitioner, batch)
        if batch.keys:
            expect_written(
                topic, context.send(topic, batch.keys, batch.values, batch.timestamps, batch.headers, partitions)
            )

    return stage


def placed(
    context: OperatorContext, node: str, topic: str, key: Serde[Any], partitioner: Partitioner, batch: Batch
) -> tuple[Batch, list[int]]:
    """The subscriptions that a partitioner has one place for, and these places; what it raises is an error of processing.

    Source: Kafka's KTableImpl, "The partitions returned by StreamPartitioner... should be a singleton set".
    """
    count = context.partition_count(topic)
    partitions: list[int] = []
    failed: list[int] = []
    for row, data in enumerate(batch.keys):
        try:
            foreign = None if data is None else key.deserialize(data)
            chosen = chosen_partitions(partitioner(topic, foreign, None, count), data, count, topic)
            if len(chosen) != 1:
                raise ValueError(
                    f"the partitioner of a foreign-key join has to choose one partition, but chose {chosen}"
                )
        except UNHANDLED:
            raise
        except Exception as error:
            failed.append(row)
            report(context, node, batch, row, error)
        else:
            partitions += chosen
    return kept(batch, failed), partitions


def response_sink(context: OperatorContext, topic: str) -> Emit:
    """Writes answers to the partitions their subscribers named."""

    def stage(batch: Batch) -> None:
        partitions = [target.partition for target in batch.values]
        values = [target.data for target in batch.values]
        expect_written(topic, context.send(topic, batch.keys, values, batch.timestamps, batch.headers, partitions))

    return stage
