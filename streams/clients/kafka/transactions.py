"""The transactions of one producer: its identity, what the current one touches, and the requests that end it.

Lives on the network loop. Rules: partitions are told to the coordinator before anything is written to them, many at
once, and with the first of them the groups whose offsets the transaction before held, which spares the commit a request; a
transaction is decided when none of its requests is under way; a code that says that this producer has lost the id is
ProducerFenced, one that the next transaction need not meet is TransactionAbortable, and every other one, which it would
meet again, is ClientError. Source: Kafka's TransactionManager, under transaction.version 1.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient, CoordinationType

from streams.clients.base import GroupMetadata, OffsetAndMetadata
from streams.clients.kafka import transaction_requests as requests
from streams.clients.kafka.codes import Code, name_of
from streams.clients.kafka.coordinator import PASSING, RETRY_S, Coordinator
from streams.clients.kafka.topic_search import not_writable, without_gone
from streams.errors import ClientError, NameTaken, ProducerFenced, StreamsError, TaskMigrated, TransactionAbortable
from streams.record import TopicPartition

NOBODY = -1
FENCED = frozenset({Code.INVALID_PRODUCER_EPOCH, Code.PRODUCER_FENCED, Code.INVALID_PRODUCER_ID_MAPPING})
"""This producer has its id no more. The last says that the id has expired, so that nobody has it: there is nothing to abort
that the broker knew of, and only a new producer can go on."""
NOT_A_MEMBER = frozenset({Code.ILLEGAL_GENERATION, Code.UNKNOWN_MEMBER_ID, Code.FENCED_INSTANCE_ID})
CURED_BY_THE_NEXT = frozenset(
    {
        Code.REBALANCE_IN_PROGRESS,
        Code.OUT_OF_ORDER_SEQUENCE_NUMBER,
        Code.INVALID_TXN_STATE,
        Code.UNKNOWN_PRODUCER_ID,
        Code.TRANSACTION_ABORTABLE,
    }
)
"""Only this transaction cannot survive them. They are listed, and not what ends a worker: a code that comes again, as for
what a user may not do, would have it abort and begin anew without end."""
ENDING = frozenset({Code.CONCURRENT_TRANSACTIONS})
"""The transaction before is decided, and its markers are being written."""
UNKNOWN_YET = ENDING | {Code.UNKNOWN_TOPIC_OR_PARTITION}


class Transactions:
    """See the module."""

    def __init__(self, client: AIOKafkaClient, transactional_id: str, timeout_ms: int, *, within_s: float) -> None:
        self.transactional_id = transactional_id
        self.producer_id = NOBODY
        self.epoch = NOBODY
        self.partitions: set[TopicPartition] = set()
        self._timeout_ms = timeout_ms
        self._within_s = within_s
        self._groups: dict[str, Coordinator] = {}
        self._joined_groups: set[str] = set()
        self._joining: asyncio.Task[None] | None = None
        """Tells the coordinator of the groups that had a part in the transaction before."""
        self._client = client
        self._coordinator = Coordinator(client, CoordinationType.TRANSACTION, transactional_id)

    async def take_over(self) -> None:
        """Fence whoever had the id, abort what that one left open; as the owner: leave all doubt about writes behind.

        Raises: ProducerFenced, ClientError.
        """
        request = requests.init_producer_id(self.transactional_id, self._timeout_ms, self.producer_id, self.epoch)
        code, answer = await self._coordinator.ask(request, within_s=self._within_s, also=ENDING)
        if code == Code.INVALID_TRANSACTION_TIMEOUT:
            raise ClientError(
                f"the broker does not allow transactions of {self._timeout_ms:,} ms: lower transaction_timeout_ms, "
                "or raise transaction.max.timeout.ms of the broker"
            )
        self._check(code, "gives no producer id", fatal=True)
        self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
        self._forget()

    async def add_partitions(self, partitions: Collection[TopicPartition]) -> None:
        """Have the transaction cover these partitions. Raises: ProducerFenced, TransactionAbortable, ClientError."""
        topics: dict[str, list[int]] = defaultdict(list)
        for topic, partition in sorted(partitions):
            topics[topic].append(partition)
        request = requests.add_partitions(self.transactional_id, self.producer_id, self.epoch, topics)
        code, answer = await self._coordinator.ask(
            request, within_s=self._within_s, code_of=_worst_code, also=UNKNOWN_YET
        )
        refused = _worst(answer).partition
        if code == Code.TOPIC_AUTHORIZATION_FAILED:
            raise ClientError(not_writable(refused, name_of(code)))
        self._check(code, f"does not add {refused} to the transaction")
        self.partitions.update(partitions)
        if self._joining is None and self._groups:
            self._joining = asyncio.create_task(self._join_early(list(self._groups)))

    async def add_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata) -> None:
        """Commit offsets with the transaction. Raises: TaskMigrated, ProducerFenced, TransactionAbortable, ClientError."""
        await self._joined()
        await self._join([group.group])
        code, answer = await self._commit_offsets(offsets, group)
        if code in NOT_A_MEMBER:
            message = (
                f"the group no longer accepts offsets of generation {group.generation} of member "
                f"{group.member_id!r}: the broker answers {name_of(code)}"
            )
            raise NameTaken(message, group.member_id) if code == Code.FENCED_INSTANCE_ID else TaskMigrated(message)
        self._check(code, f"does not take the offset of {_worst(answer).partition} for group {group.group!r}")

    async def _commit_offsets(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata
    ) -> tuple[int, Any]:
        """Code and answer that decide. Offsets of topics that were deleted meanwhile are left out."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._within_s
        while True:
            unknown = Code.UNKNOWN_TOPIC_OR_PARTITION
            passing = ENDING if clock() < until else UNKNOWN_YET
            request = requests.commit_offsets(self.transactional_id, self.producer_id, self.epoch, offsets, group)
            code, answer = await self._group(group.group).ask(
                request, within_s=max(until - clock(), 0), code_of=_worst_code, also=passing
            )
            if code != unknown:
                return code, answer
            left = await without_gone(self._client, offsets)
            if not left:
                return Code.NONE, answer
            if len(left) == len(offsets):
                await asyncio.sleep(RETRY_S)
            offsets = left

    async def end(self, *, commit: bool) -> None:
        """Decide the transaction, if the broker has heard of it. Raises: ProducerFenced, TransactionAbortable, ClientError."""
        await self._joined()
        if self.partitions or self._joined_groups:
            request = requests.end(self.transactional_id, self.producer_id, self.epoch, commit=commit)
            code, _ = await self._coordinator.ask(request, within_s=self._within_s, also=ENDING)
            self._check(code, f"does not {'commit' if commit else 'abort'} the transaction", fatal=not commit)
        self._forget()

    async def _join(self, groups: Sequence[str]) -> None:
        """Have the transaction cover the offsets of these groups."""
        for group in groups:
            if group not in self._joined_groups:
                request = requests.add_offsets(self.transactional_id, self.producer_id, self.epoch, group)
                code, _ = await self._coordinator.ask(request, within_s=self._within_s, also=ENDING)
                self._check(code, f"does not add group {group!r} to the transaction")
                self._joined_groups.add(group)

    async def _join_early(self, groups: Sequence[str]) -> None:
        """The same beside the writes; what goes wrong is met again by who adds offsets."""
        with contextlib.suppress(StreamsError, kafka_errors.KafkaError):
            await self._join(groups)

    async def _joined(self) -> None:
        """Once no group is being told of."""
        if self._joining is not None:
            await asyncio.wait([self._joining])

    async def close(self) -> None:
        """Let the broker end what is open."""
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.wait([self._joining])

    def _forget(self) -> None:
        self.partitions.clear()
        self._joined_groups.clear()
        self._joining = None

    def _group(self, group: str) -> Coordinator:
        if group not in self._groups:
            self._groups[group] = Coordinator(self._client, CoordinationType.GROUP, group)
        return self._groups[group]

    def _check(self, code: int, what: str, *, fatal: bool = False) -> None:
        if code == Code.NONE:
            return
        message = f"the coordinator of transactional id {self.transactional_id!r} {what}: {name_of(code)}"
        raise refusal(code, message, fatal=fatal)


def refusal(code: int, message: str, *, fatal: bool = False) -> StreamsError:
    """The error that a code means for a transaction."""
    if code in FENCED:
        return ProducerFenced(
            f"{message}; another producer took over, the transaction timed out, or the id has expired"
        )
    curable = code in CURED_BY_THE_NEXT or getattr(kafka_errors.for_code(code), "retriable", False)
    return TransactionAbortable(message) if curable and not fatal else ClientError(message)


class _Worst(NamedTuple):
    """The code of an answer that decides, and whose it is."""

    code: int
    partition: TopicPartition | None


def _worst(response: Any) -> _Worst:
    """The code of the partition that decides: one that calls for another try before any other, else the first error.

    Partitions that were not attempted only say that another one failed.
    """
    codes = [_Worst(entry[1], TopicPartition(topic[0], entry[0])) for topic in response.topics for entry in topic[1]]
    errors = [each for each in codes if each.code not in (Code.NONE, Code.OPERATION_NOT_ATTEMPTED)]
    passing = [each for each in errors if each.code in PASSING or each.code in UNKNOWN_YET]
    return next(iter(passing or errors), _Worst(Code.NONE, None))


def _worst_code(response: Any) -> int:
    return _worst(response).code
