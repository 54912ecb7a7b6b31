"""The one producer of a worker: what its tasks write to, and under exactly-once the transaction they share.

A transaction begins with the first record after a commit has begun, so an idle worker has none open. Rules: everything
that was sent since then is in it, of whatever task; it ends as a whole, with the offsets, or not at all. A producer
that was fenced, or cannot even abort, is replaced by a new one under the same transactional id, which fences the old.
It knows neither tasks nor stores.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from streams.clients.base import Before, Consumer, GroupMetadata, OffsetAndMetadata, Pending, Producer
from streams.errors import ProducerFenced, StreamsError, TaskMigrated
from streams.record import Headers, TopicPartition

log = logging.getLogger(__name__)


class StreamsProducer:
    """See the module. `make` makes the producer, a transactional one if `transactional`."""

    def __init__(self, make: Callable[[], Producer], *, transactional: bool) -> None:
        self.transactional = transactional
        self._make = make
        self._producer = make()

    @property
    def in_transaction(self) -> bool:
        """Whether something was sent since the last commit began; always False without transactions."""
        return self._producer.in_transaction

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> Sequence[int]:
        """Append records to a partition, in the transaction if there are transactions.

        Shape: the indices of those that are too large and were left out.
        """
        if self.transactional:
            self._begin()
        return self._producer.send(topic, partition, keys, values, timestamps, headers)

    def partition_count(self, topic: str) -> int:
        """How many partitions the topic has."""
        return self._producer.partition_count(topic)

    def end_offset(self, topic: str, partition: int) -> int | None:
        """The offset after the last record, or commit marker, that this producer wrote there before the last `seal`."""
        return self._producer.end_offset(topic, partition)

    def release(self) -> None:
        """Nothing follows for the moment: what would wait only briefly for company leaves now."""
        self._producer.release()

    @property
    def held_back(self) -> bool:
        """Whether more waits for a transaction to end than the buffers are meant for."""
        return self._producer.held_back

    def seal(self) -> None:
        """What was sent so far is what the commit that begins covers."""
        if self.transactional:
            self._begin()
        self._producer.seal()

    def begin_flush(self) -> Pending[None]:
        """Wait until all that was sealed is acknowledged. Raises, with the answer, what went wrong with any of it."""
        return self._producer.begin_flush()

    def commit(
        self,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        consumer: Consumer,
        *,
        sent: Callable[[], None],
        written: Before,
    ) -> Iterator[Pending[None]]:
        """End the sealed transaction, with the offsets of the member and generation that the consumer is: in steps.

        `sent` is called when the offsets are in the transaction, which ends after that and after `written`: then all of it
        becomes visible. Raises: TaskMigrated when the group has moved on, or another producer has this one's id;
        TransactionAbortable; ClientError when nobody knows whether it has ended.
        """
        if not offsets:
            sent()
            yield self._producer.begin_commit((written,))
            return

        def begin(group: GroupMetadata) -> Pending[None]:
            return self._producer.begin_commit(
                (Before(self._producer.begin_send_offsets(offsets, group), sent), written)
            )

        group = consumer.group_metadata()
        try:
            yield begin(group)
        except ProducerFenced:
            raise
        except TaskMigrated:
            newer = consumer.group_metadata(beyond=group.generation)
            if newer.member_id != group.member_id or newer.generation <= group.generation:
                raise
            # still a member: the group went on while the offsets were on their way
            yield begin(newer)

    def withdraw(self) -> None:
        """Have nothing more written to changelogs of what was sent so far: others may have the tasks."""
        self._producer.withdraw()

    def abort(self) -> None:
        """Undo what was sent since the last commit. A producer that cannot is replaced, which undoes it as well.

        Raises: ClientError when the broker cannot be reached to do either.
        """
        if not self.transactional:
            return
        try:
            self._producer.abort_transaction()
        except StreamsError as error:
            log.warning("replacing the producer: %s", error)
            self._close_quietly()
            self._producer = self._make()

    def close(self, *, abandon: bool = False) -> None:
        """Undo what was not committed, and disconnect; with `abandon` without a word to the broker."""
        self._producer.close(abandon=abandon)

    def _begin(self) -> None:
        if not self._producer.in_transaction:
            self._producer.begin()

    def _close_quietly(self) -> None:
        try:
            self._producer.close()
        except StreamsError as error:
            log.debug("while closing a fenced producer: %s", error)
