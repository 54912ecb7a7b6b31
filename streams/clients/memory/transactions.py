"""Transactions in memory: who has which id, and what each has written.

Rules: a new producer of an id fences the old one and aborts what it left open; a transaction is decided everywhere at
once. Time passes only for those who wait for a decision: when they have waited for as long as it may stay open, it is
aborted, and its producer is fenced.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping

from streams.clients.base import GroupMetadata, OffsetAndMetadata
from streams.clients.memory.groups import MemoryGroup
from streams.clients.memory.partition import MemoryPartition
from streams.errors import ProducerFenced
from streams.record import TopicPartition


class MemoryTransaction:
    """An identity and what it has written since it last decided; made by whoever uses the id now."""

    def __init__(self, transactional_id: str, timeout_s: float) -> None:
        self.transactional_id = transactional_id
        self.timeout_s = timeout_s
        self.partitions: dict[TopicPartition, MemoryPartition] = {}
        self.offsets: dict[str, dict[TopicPartition, OffsetAndMetadata]] = {}


class MemoryTransactions:
    """The transactions of a broker; its lock is held by who calls, but in `wait_for`."""

    def __init__(self, changed: threading.Condition, groups: Mapping[str, MemoryGroup]) -> None:
        self._changed = changed
        self._groups = groups
        self._current: dict[str, MemoryTransaction] = {}

    def take_over(self, transactional_id: str, timeout_s: float) -> MemoryTransaction:
        """A new identity for an id."""
        if transactional_id in self._current:
            self._decide(self._current[transactional_id], commit=False)
        fresh = self._current[transactional_id] = MemoryTransaction(transactional_id, timeout_s)
        return fresh

    def is_current(self, transaction: MemoryTransaction) -> bool:
        """Whether nobody took over the id since."""
        return self._current.get(transaction.transactional_id) is transaction

    def check(self, transaction: MemoryTransaction) -> None:
        """Raises: ProducerFenced when the id belongs to another producer by now."""
        if not self.is_current(transaction):
            raise ProducerFenced(f"another producer has the transactional id {transaction.transactional_id!r} by now")

    def add_offsets(
        self, transaction: MemoryTransaction, offsets: Mapping[TopicPartition, OffsetAndMetadata], member: GroupMetadata
    ) -> None:
        """Keep offsets until the transaction is decided. Raises: ProducerFenced, TaskMigrated."""
        self.check(transaction)
        self._groups[member.group].check(member)
        transaction.offsets.setdefault(member.group, {}).update(offsets)

    def end(self, transaction: MemoryTransaction, *, commit: bool) -> dict[TopicPartition, int]:
        """Decide a transaction; the answer is the offset after its control record in each partition."""
        self.check(transaction)
        return self._decide(transaction, commit=commit)

    def wait_for(self, group: str, partitions: Collection[TopicPartition]) -> None:
        """Wait until no undecided transaction holds offsets of these."""
        begun = time.monotonic()
        with self._changed:
            while holders := self._holders(group, partitions):
                left = min(holder.timeout_s for holder in holders) - (time.monotonic() - begun)
                if left > 0:
                    self._changed.wait(left)
                    continue
                for holder in holders:
                    self.take_over(holder.transactional_id, holder.timeout_s)

    def opened(self) -> list[str]:
        """The ids with something that is not decided."""
        with self._changed:
            return sorted(name for name, each in self._current.items() if each.partitions or each.offsets)

    def held(self, group: str) -> set[TopicPartition]:
        """The partitions whose offsets undecided transactions hold."""
        with self._changed:
            return {
                partition for transaction in self._current.values() for partition in transaction.offsets.get(group, {})
            }

    def _holders(self, group: str, partitions: Collection[TopicPartition]) -> list[MemoryTransaction]:
        return [
            transaction
            for transaction in self._current.values()
            if not transaction.offsets.get(group, {}).keys().isdisjoint(partitions)
        ]

    def _decide(self, transaction: MemoryTransaction, *, commit: bool) -> dict[TopicPartition, int]:
        ends = {
            partition: log.end_transaction(transaction.transactional_id, commit=commit)
            for partition, log in transaction.partitions.items()
        }
        if commit:
            for group, offsets in transaction.offsets.items():
                self._groups[group].offsets.update(offsets)
        transaction.partitions, transaction.offsets = {}, {}
        self._changed.notify_all()
        return ends
