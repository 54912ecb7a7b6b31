"""Membership in a consumer group, over aiokafka's coordinator: join, sync, heartbeats, commits.

The coordinator lives on the network thread and keeps its heartbeats going whatever user code does; what it says of
ownership is handed to the processing thread as a `Rebalance`, and it goes on only when that thread has answered.
It is eager: all partitions are given back before any are given out. Membership of our own will replace it behind the
same interface. Source: aiokafka.consumer.group_coordinator, used without its consumer and fetcher.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from streams.clients.base import Assignment, Assignor, OffsetAndMetadata, Subscription
from streams.record import TopicPartition

PROTOCOL_VERSION = 0


class Ownership(Enum):
    """What happens to partitions in a rebalance."""

    REVOKED = "revoked"
    LOST = "lost"
    ASSIGNED = "assigned"


class Rebalance(NamedTuple):
    """Something the processing thread has to know, and to answer by `done`, from inside its `poll`."""

    ownership: Ownership
    partitions: frozenset[TopicPartition]
    done: Callable[[], None]


class GroupSettings(NamedTuple):
    """Times in ms."""

    group: str
    instance_id: str | None
    session_timeout_ms: int
    heartbeat_interval_ms: int
    max_poll_interval_ms: int


class GroupMember(ConsumerRebalanceListener):
    """One member. All methods but `alive` are called on the network thread."""

    def __init__(
        self,
        client: AIOKafkaClient,
        settings: GroupSettings,
        *,
        tell: Callable[[Rebalance], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._client = client
        self._tell = tell
        self._subscription = SubscriptionState(loop=asyncio.get_running_loop())
        self._assignor: _AssignorBridge | None = None
        self._answers: set[asyncio.Future[None]] = set()
        self._coordinator = self._join(settings)
        self._watch(fail)

    def _join(self, settings: GroupSettings) -> GroupCoordinator:
        return GroupCoordinator(
            self._client,
            self._subscription,
            group_id=settings.group,
            group_instance_id=settings.instance_id,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            rebalance_timeout_ms=settings.max_poll_interval_ms,
            max_poll_interval_ms=settings.max_poll_interval_ms,
            enable_auto_commit=False,
            assignors=(),
        )

    async def subscribe(self, topics: Iterable[str], assignor: Assignor, user_data: bytes) -> None:
        """Join the group."""
        self._assignor = _AssignorBridge(assignor, user_data)
        self._coordinator._assignors = (self._assignor,)
        self._client.set_topics(set(topics))
        await self._client.force_metadata_update()
        self._subscription.subscribe(set(topics), listener=self)

    def alive(self) -> None:
        """The processing thread polls: the group need not fear for it. From any thread."""
        self._subscription._last_fetch_ended = time.monotonic()

    def set_user_data(self, user_data: bytes) -> None:
        """What the next join tells the leader."""
        if self._assignor is not None:
            self._assignor.user_data = user_data

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit with this member's generation. Raises: CommitFailedError when the group has moved on."""
        await self._coordinator.commit_offsets(None, dict(offsets))

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed offsets; partitions without one are absent."""
        found = await self._coordinator.fetch_committed_offsets(list(partitions))
        return {
            TopicPartition(*partition): OffsetAndMetadata(entry.offset, entry.metadata or "")
            for partition, entry in found.items()
        }

    async def close(self) -> None:
        """Leave the group."""
        for answer in self._answers:
            if not answer.done():
                answer.set_result(None)
        await self._coordinator.close()

    # ConsumerRebalanceListener

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Have the processing thread let go, and wait for it; without a generation, others own them already."""
        if not revoked or self._coordinator._closing.done():
            return
        lost = self._coordinator.generation < 0
        await self._ask(Ownership.LOST if lost else Ownership.REVOKED, revoked)

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Tell the processing thread; its first records come after it has heard."""
        self._tell(Rebalance(Ownership.ASSIGNED, _ours(assigned), lambda: None))

    async def _ask(self, ownership: Ownership, partitions: Any) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        self._answers.add(answer)

        def answered() -> None:
            if not answer.done():
                answer.set_result(None)

        def done() -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(answered)

        self._tell(Rebalance(ownership, _ours(partitions), done))
        try:
            await answer
        finally:
            self._answers.discard(answer)

    def _watch(self, fail: Callable[[Exception], None]) -> None:
        """Have the coordinator's fatal errors told to `fail`: it throws them at whoever waits for a fetch."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._subscription.register_fetch_waiters({waiter})

        def told(waiter: asyncio.Future[None]) -> None:
            if not waiter.cancelled() and (error := waiter.exception()) is not None:
                fail(error if isinstance(error, Exception) else RuntimeError(str(error)))

        waiter.add_done_callback(told)


class _AssignorBridge:
    """One of our assignors in the shape aiokafka calls."""

    def __init__(self, assignor: Assignor, user_data: bytes) -> None:
        self.name = assignor.name
        self.user_data = user_data
        self._assign = assignor.assign

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(PROTOCOL_VERSION, sorted(topics), self.user_data)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, ConsumerProtocolMemberAssignment]:
        subscriptions = [
            Subscription(member_id, tuple(entry.subscription), entry.user_data or b"")
            for member_id, entry in members.items()
        ]
        topics = {topic for subscription in subscriptions for topic in subscription.topics}
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in sorted(topics)}
        return {member: _encoded(assignment) for member, assignment in self._assign(counts, subscriptions).items()}

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing to remember: the listener hears of the partitions."""


def _encoded(assignment: Assignment) -> ConsumerProtocolMemberAssignment:
    by_topic: dict[str, list[int]] = {}
    for partition in assignment.partitions:
        by_topic.setdefault(partition.topic, []).append(partition.partition)
    return ConsumerProtocolMemberAssignment(PROTOCOL_VERSION, list(by_topic.items()), assignment.user_data)


def _ours(partitions: Any) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(*partition) for partition in partitions)
