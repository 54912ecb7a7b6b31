"""One transactional id: who produces under it, and where its transaction stands. Records of `__transaction_state` as well.

Pure state: a change is a new `Transaction` that `become` allows, written as a record and read back by `parse_transaction`.
Key and value are Kafka's own (value version 0; version 1 is read). Knows nothing of logs, timers or requests.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from broker.coordinators.fields import FieldReader, FieldWriter

TopicPartition = tuple[str, int]

MAX_EPOCH = 2**15 - 2
"""The last epoch a client may use; the one above it only fences."""


class TransactionState(Enum):
    """States of a transactional id: (number in the record, name in the admin APIs)."""

    EMPTY = (0, "Empty")
    ONGOING = (1, "Ongoing")
    PREPARE_COMMIT = (2, "PrepareCommit")
    PREPARE_ABORT = (3, "PrepareAbort")
    COMPLETE_COMMIT = (4, "CompleteCommit")
    COMPLETE_ABORT = (5, "CompleteAbort")
    DEAD = (6, "Dead")

    @property
    def number(self) -> int:
        """As the record has it."""
        return self.value[0]

    @property
    def shown(self) -> str:
        """As administrators see it."""
        return self.value[1]


_S = TransactionState
TRANSITIONS: dict[TransactionState, frozenset[TransactionState]] = {
    _S.EMPTY: frozenset({_S.EMPTY, _S.ONGOING, _S.PREPARE_ABORT, _S.DEAD}),
    _S.ONGOING: frozenset({_S.ONGOING, _S.PREPARE_COMMIT, _S.PREPARE_ABORT}),
    _S.PREPARE_COMMIT: frozenset({_S.COMPLETE_COMMIT}),
    _S.PREPARE_ABORT: frozenset({_S.COMPLETE_ABORT}),
    _S.COMPLETE_COMMIT: frozenset({_S.EMPTY, _S.ONGOING, _S.PREPARE_ABORT, _S.DEAD}),
    _S.COMPLETE_ABORT: frozenset({_S.EMPTY, _S.ONGOING, _S.PREPARE_ABORT, _S.DEAD}),
    _S.DEAD: frozenset(),
}
"""State -> states that may follow it. An abort of nothing is prepared as well: under EndTxn 5 it gives a new epoch."""

COMPLETED_BY = {_S.PREPARE_COMMIT: _S.COMPLETE_COMMIT, _S.PREPARE_ABORT: _S.COMPLETE_ABORT}
IDLE = frozenset({_S.EMPTY, _S.COMPLETE_COMMIT, _S.COMPLETE_ABORT})
_BY_NUMBER = {state.number: state for state in TransactionState}


class ProducerEpoch(NamedTuple):
    """A producer id and its epoch."""

    producer_id: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What is known of a transactional id.

    `previous` is the epoch its own producer had before the last bump, for a client that repeats itself: None if the bump let
    another producer in, and after a restart, as records do not hold it. `renumbered_from` is the producer id whose epochs the
    last end used up.
    """

    transactional_id: str
    producer: ProducerEpoch
    timeout_ms: int
    state: TransactionState
    partitions: frozenset[TopicPartition] = frozenset()
    start_ms: int = -1
    update_ms: int = -1
    previous: ProducerEpoch | None = None
    renumbered_from: int | None = None

    def become(
        self,
        state: TransactionState,
        now_ms: int,
        *,
        producer: ProducerEpoch | None = None,
        previous: ProducerEpoch | None = None,
        partitions: Iterable[TopicPartition] | None = None,
        timeout_ms: int | None = None,
    ) -> "Transaction":
        """The id in another state; the table allows it or the program is wrong.

        A `producer` comes with its `previous` epoch, or with None where it is not the one of before.
        """
        assert state in TRANSITIONS[self.state], f"{self.transactional_id}: {self.state} cannot become {state}"
        start_ms = -1 if state is _S.EMPTY else self.start_ms
        if state is _S.ONGOING and self.state is not _S.ONGOING:
            start_ms = now_ms
        after = dataclasses.replace(
            self,
            state=state,
            producer=producer or self.producer,
            previous=previous if producer else self.previous,
            partitions=self.partitions if partitions is None else frozenset(partitions),
            timeout_ms=self.timeout_ms if timeout_ms is None else timeout_ms,
            start_ms=start_ms,
            update_ms=now_ms,
        )
        return after.following(self)

    def following(self, before: "Transaction") -> "Transaction":
        """With the producer id that the step to it has replaced because its epochs were used up, if it has."""
        renumbered = before.producer.epoch > MAX_EPOCH and before.producer.producer_id != self.producer.producer_id
        return dataclasses.replace(self, renumbered_from=before.producer.producer_id if renumbered else None)

    def has_had(self, producer: ProducerEpoch) -> bool:
        """Whether a producer id is this one's, in whatever epoch, or was before its epochs ran out."""
        if producer.producer_id == self.producer.producer_id:
            return True
        before = self.previous
        return before is not None and producer.producer_id == before.producer_id and producer.epoch >= MAX_EPOCH

    def was_ended_by(self, producer: ProducerEpoch) -> bool:
        """Whether a producer's last EndTxn 5 has given it the epoch of now, so that it only repeats itself."""
        ended_as = ProducerEpoch(producer.producer_id, producer.epoch + 1)
        renumbered = self.producer.epoch == 0 and producer == (self.renumbered_from, MAX_EPOCH)
        return self.producer == ended_as or renumbered

    @property
    def bumped(self) -> ProducerEpoch:
        """The same producer, one epoch on."""
        return ProducerEpoch(self.producer.producer_id, self.producer.epoch + 1)


# ---- records


def transaction_key(transactional_id: str) -> bytes:
    """Key of a transactional id's record."""
    return FieldWriter().int16(0).string(transactional_id).done()


def parse_transaction_key(data: bytes) -> str | None:
    """The transactional id; None for key versions this broker does not use."""
    reader = FieldReader(data)
    return reader.string() if reader.int16() == 0 else None


def transaction_value(transaction: Transaction) -> bytes:
    """Value of a transactional id's record."""
    writer = FieldWriter().int16(0).int64(transaction.producer.producer_id).int16(transaction.producer.epoch)
    writer.int32(transaction.timeout_ms).int8(transaction.state.number)
    by_topic: dict[str, list[int]] = {}
    for topic, partition in sorted(transaction.partitions):
        by_topic.setdefault(topic, []).append(partition)
    writer.int32(len(by_topic))
    for topic, partitions in by_topic.items():
        writer.string(topic).int32(len(partitions))
        for partition in partitions:
            writer.int32(partition)
    return writer.int64(transaction.update_ms).int64(transaction.start_ms).done()


def parse_transaction(transactional_id: str, data: bytes) -> Transaction:
    """A transactional id as its record left it, of value version 0 or 1 (flexible; its tagged fields are not needed)."""
    reader = FieldReader(data)
    flexible = reader.int16() >= 1
    producer = ProducerEpoch(reader.int64(), reader.int16())
    timeout_ms, number = reader.int32(), reader.int8()
    partitions = [
        (topic, partition) for topic, indexes in _parse_partitions(reader, flexible=flexible) for partition in indexes
    ]
    update_ms, start_ms = reader.int64(), reader.int64()
    return Transaction(
        transactional_id=transactional_id,
        producer=producer,
        timeout_ms=timeout_ms,
        state=_BY_NUMBER.get(number, TransactionState.PREPARE_ABORT),
        partitions=frozenset(partitions),
        start_ms=start_ms,
        update_ms=update_ms,
    )


def _parse_partitions(reader: FieldReader, *, flexible: bool) -> list[tuple[str, list[int]]]:
    if not flexible:
        return [
            (reader.string(), [reader.int32() for _ in range(reader.int32())]) for _ in range(max(reader.int32(), 0))
        ]
    topics = []
    for _ in range(max(reader.varint() - 1, 0)):
        topics.append((reader.compact_string(), [reader.int32() for _ in range(reader.varint() - 1)]))
        reader.tags()
    return topics
