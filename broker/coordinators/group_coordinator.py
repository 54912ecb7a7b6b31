"""The group coordinator: classic groups, consumer groups and the offsets of both, on one runtime.

Requests come in as plain values, answers leave through callbacks once what they say is durable. State machine and timing
are `membership`'s, states `group`'s, records `group_records`'; this file binds them to the log, decides who may commit,
and lists, describes, deletes and expires. Must not know versions, responses or sockets.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from broker.config import BrokerConfig
from broker.coordinators.assignors import check_assignor
from broker.coordinators.consumer_group import ConsumerGroup
from broker.coordinators.consumer_group_records import tombstones
from broker.coordinators.consumer_groups import BeatReply, ConsumerGroups
from broker.coordinators.consumer_membership import Heartbeat, TopicShape
from broker.coordinators.consumer_protocol import PROTOCOL_TYPE
from broker.coordinators.conversion import to_classic, to_consumer
from broker.coordinators.group import Group, GroupState, JoinReply, JoinResult, SyncReply, SyncResult
from broker.coordinators.group_records import (
    CommittedOffset,
    GroupKey,
    OffsetKey,
    group_key,
    group_value,
    parse_group,
    parse_key,
    parse_offset,
)
from broker.coordinators.membership import JoinRequest, Membership, SyncRequest, Timers
from broker.coordinators.offsets import Offsets, TopicPartition
from broker.coordinators.runtime import Done, Marker, Origin, Runtime, StateRecord, WhenCommitted
from broker.errors import BrokerError, ErrorCode
from broker.log.partition_log import PartitionLog

logger = logging.getLogger(__name__)

NO_TOPICS: Mapping[str, TopicShape] = MappingProxyType({})


class Committer(NamedTuple):
    """Who commits; generation -1 and no member id for clients that assign partitions to themselves."""

    member_id: str = ""
    instance_id: str | None = None
    generation: int = -1


class OffsetCommit(NamedTuple):
    """One partition of a commit; `retention_ms` -1: as long as the broker keeps offsets."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str
    retention_ms: int = -1

    def at(self, now_ms: int) -> CommittedOffset:
        """As it is stored."""
        expire_ms = now_ms + self.retention_ms if self.retention_ms >= 0 else -1
        return CommittedOffset(self.offset, self.leader_epoch, self.metadata, now_ms, expire_ms)


class GroupCoordinator:
    """All groups of this broker."""

    def __init__(
        self,
        config: BrokerConfig,
        logs: Sequence[PartitionLog],
        timers: Timers,
        clock_ms: Callable[[], int],
        when_committed: WhenCommitted,
        *,
        topics: Mapping[str, TopicShape] = NO_TOPICS,
        settings_of: Callable[[str], Mapping[str, str]] = lambda _: {},
    ) -> None:
        """`topics` is what consumer groups can read, `settings_of` a group's own settings by Kafka's names."""
        self._config = config
        self._clock_ms = clock_ms
        self._membership = Membership(config, timers, clock_ms, self._write_group)
        self._groups: dict[str, Group] = {}
        self._offsets = Offsets()
        self._runtime = Runtime(logs, self._replay, when_committed, clock_ms, self._offsets.end)
        self._settings_of = settings_of
        self._living: frozenset[str] = frozenset()
        self._topics = topics
        self._consumers = ConsumerGroups(
            self._runtime, timers, topics, self._timeouts, config.group_consumer_max_size, self._become_classic
        )

    def load(self) -> None:
        """Read all groups from the log and start the sessions of their members."""
        count = self._runtime.load(self._forget)
        for group in self._groups.values():
            self._membership.watch(group)
        consumers = self._consumers.start()
        logger.info("loaded %d groups from %d records", len(self._groups) + consumers, count)

    def taken_back(self, log: PartitionLog) -> None:
        """What a disk refused to sync never happened: offsets are again as the log has them.

        Groups that live stay as they are: their members are told of the failure, and write their state down again.
        """
        self._living = frozenset(self._groups) | self._consumers.group_ids()
        try:
            self._runtime.taken_back(log, self._forget)
        finally:
            living, self._living = self._living, frozenset()
        for group_id in self._groups.keys() - living:
            self._membership.watch(self._groups[group_id])
        self._consumers.start(living)

    def _forget(self, partition: int) -> None:
        self._offsets.forget_groups(lambda group_id: self._runtime.partition_of(group_id) == partition)

    def _replay(self, record: StateRecord, origin: Origin) -> None:
        if self._consumers.replay(record, self._living):
            return
        key = parse_key(record.key)
        if isinstance(key, GroupKey) and key.group in self._living:
            return
        if isinstance(key, OffsetKey):
            self._offsets.replay(key, None if record.value is None else parse_offset(record.value), origin)
        elif isinstance(key, GroupKey) and record.value is None:
            group = self._groups.pop(key.group, None)
            if group is not None:
                group.become(GroupState.DEAD, self._clock_ms())
        elif isinstance(key, GroupKey) and record.value is not None:
            self._groups[key.group] = Group.restored(key.group, parse_group(record.value))

    def _write_group(self, group: Group, assignments: Mapping[str, bytes], done: Done) -> None:
        value = group_value(group.stored(assignments))
        self._runtime.write(group.group_id, [StateRecord(group_key(group.group_id), value)], done, replay=False)

    # ---- membership

    def join(self, group_id: str, request: JoinRequest, reply: JoinReply) -> None:
        """Answer when the join barrier falls, or at once with an error."""
        said = request.member_id
        try:
            self._check_join(group_id, request)
            consumer = self._consumers.get(group_id)
            if consumer is not None and consumer.members:
                said = ""
                self._consumers.join_classic(consumer, request, reply)
            else:
                self._membership.join(self._group_to_join(group_id, request), request, reply)
        except BrokerError as error:
            reply(JoinResult(error.code, member_id=said))

    def _check_join(self, group_id: str, request: JoinRequest) -> None:
        if not group_id:
            raise BrokerError(ErrorCode.INVALID_GROUP_ID)
        low, high = self._config.group_min_session_timeout_ms, self._config.group_max_session_timeout_ms
        if not low <= request.session_timeout_ms <= high:
            raise BrokerError(ErrorCode.INVALID_SESSION_TIMEOUT)

    def _group_to_join(self, group_id: str, request: JoinRequest) -> Group:
        group = self._groups.get(group_id)
        if group is None:
            is_simple = self._offsets.knows(group_id) and self._consumers.get(group_id) is None
            if request.member_id and not is_simple:
                raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
            self._make_classic(group_id)
            group = self._groups[group_id] = Group(group_id, self._clock_ms())
        return group

    def sync(self, group_id: str, request: SyncRequest, reply: SyncReply) -> None:
        """Answer when the leader's assignment is stored, or at once with an error."""
        consumer = self._consumers.get(group_id)
        try:
            if consumer is not None:
                reply(self._consumers.sync_classic(consumer, request))
            else:
                self._membership.sync(self._known(group_id), request, reply)
        except BrokerError as error:
            reply(SyncResult(error.code))

    def heartbeat(self, group_id: str, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
        """What a member learns from its heartbeat."""
        consumer = self._consumers.get(group_id)
        try:
            if consumer is not None:
                return self._consumers.beat_classic(consumer, member_id, instance_id, generation)
            return self._membership.heartbeat(self._known(group_id), member_id, instance_id, generation)
        except BrokerError as error:
            return error.code

    def leave(self, group_id: str, member_id: str, instance_id: str | None) -> ErrorCode:
        """One member leaves."""
        return self.leave_all(group_id, [(member_id, instance_id)])[0]

    def leave_all(self, group_id: str, leavers: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
        """Members leave, each named by (member id, instance id), and each with an answer of its own.

        Those of a consumer group go together, those of a classic one one after the other, as in Kafka.
        """
        consumer = self._consumers.get(group_id)
        if consumer is not None:
            return self._consumers.leave_classic(consumer, leavers)
        return [self._leave(group_id, *leaver) for leaver in leavers]

    def _leave(self, group_id: str, member_id: str, instance_id: str | None) -> ErrorCode:
        try:
            self._membership.leave(self._known(group_id), member_id, instance_id)
        except BrokerError as error:
            return error.code
        return ErrorCode.NONE

    def _known(self, group_id: str) -> Group:
        if not group_id:
            raise BrokerError(ErrorCode.INVALID_GROUP_ID)
        group = self._groups.get(group_id)
        if group is None:
            raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
        return group

    # ---- consumer groups

    def consumer_heartbeat(self, group_id: str, request: Heartbeat, reply: BeatReply) -> None:
        """A heartbeat of the new protocol; a classic group becomes a consumer group with the first. Raises: BrokerError."""
        check_assignor(request.assignor)
        classic = self._groups.get(group_id)
        if classic is None or self._consumers.get(group_id) is not None:
            self._consumers.heartbeat(group_id, request, reply)
            return
        if request.epoch != 0:
            raise BrokerError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a consumer group.")
        converted = to_consumer(classic, self._topics) if classic.members else None
        self._consumers.heartbeat(group_id, request, reply, converted)
        del self._groups[group_id]
        self._runtime.write(group_id, [StateRecord(group_key(group_id), None)], lambda _: None, replay=False)
        self._membership.dissolve(classic)
        if converted is not None:
            logger.info("group %s: becomes a consumer group", group_id)
            self._consumers.watch(converted)

    def _become_classic(self, consumer: ConsumerGroup, generation: int, rebalance: bool) -> None:
        """Take over a group whose last member of the new protocol is gone; whether its members are to join again."""
        group = to_classic(consumer, self._topics, generation, self._clock_ms())
        self._groups[group.group_id] = group
        self._write_group(group, {m.member_id: m.assignment for m in group.members.values()}, lambda _: None)
        self._membership.watch(group)
        if rebalance:
            self._membership.rebalance(group)

    def _make_classic(self, group_id: str) -> None:
        """A consumer group may become a classic one if it has no members. Raises: BrokerError."""
        consumer = self._consumers.get(group_id)
        if consumer is None:
            return
        self._runtime.write(group_id, tombstones(consumer), lambda _: None)
        if self._consumers.get(group_id) is not None:
            raise BrokerError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "the group's end could not be written down")

    def consumer_group(self, group_id: str) -> ConsumerGroup | None:
        """A consumer group, for reading; None for classic ones."""
        return self._consumers.get(group_id)

    def _timeouts(self, group_id: str) -> tuple[int, int]:
        """(session timeout, heartbeat interval) of a consumer group in ms."""
        own = self._settings_of(group_id)
        session = own.get("consumer.session.timeout.ms", self._config.group_consumer_session_timeout_ms)
        interval = own.get("consumer.heartbeat.interval.ms", self._config.group_consumer_heartbeat_interval_ms)
        return int(session), int(interval)

    # ---- offsets

    def commit(self, group_id: str, who: Committer, offsets: Sequence[OffsetCommit], done: Done) -> None:
        """Store offsets for a member of the current generation, or for a group that has no members.

        Raises: BrokerError.
        """
        self.check_commit(group_id, who, offsets)
        self.store(group_id, offsets, done)

    def check_commit(
        self, group_id: str, who: Committer, offsets: Iterable[OffsetCommit], *, transactional: bool = False
    ) -> None:
        """Whether this member may commit these offsets now; counts as a sign of life. Raises: BrokerError.

        A producer that commits in a transaction may leave out who it is, and may commit while assignments are made.
        """
        if self._consumers.get(group_id) is not None:
            self._check_consumer_commit(group_id, who, offsets, transactional=transactional)
            return
        group = self._groups.get(group_id)
        if group is None:
            if who.generation >= 0:
                stored = self._offsets.knows(group_id)
                raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID if stored else ErrorCode.ILLEGAL_GENERATION)
            return
        if group.state is GroupState.DEAD:
            raise BrokerError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        anonymous = who.generation < 0 and not who.member_id and who.instance_id is None
        if who.generation < 0 and (group.state is GroupState.EMPTY or (anonymous and transactional)):
            return
        if anonymous:
            raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
        member = self._membership.member_of(group, *who)
        if group.state is GroupState.COMPLETING_REBALANCE and not transactional:
            raise BrokerError(ErrorCode.REBALANCE_IN_PROGRESS)
        self._membership.touch(member)

    def _check_consumer_commit(
        self, group_id: str, who: Committer, offsets: Iterable[OffsetCommit], *, transactional: bool
    ) -> None:
        if transactional and who == Committer():
            return
        try:
            where = ((offset.topic, offset.partition) for offset in offsets)
            self._consumers.check_commit(group_id, who.member_id, who.generation, where)
        except BrokerError as error:
            if transactional and error.code is ErrorCode.STALE_MEMBER_EPOCH:
                raise BrokerError(ErrorCode.ILLEGAL_GENERATION, error.message) from error
            raise

    def check_fetch(self, group_id: str, member_id: str | None, epoch: int) -> None:
        """Whether a member may read its group's offsets at its epoch; anybody may who says neither. Raises: BrokerError."""
        if (member_id is not None or epoch >= 0) and self._consumers.get(group_id) is not None:
            self._consumers.check_fetch(group_id, member_id or "", epoch)

    def store(
        self,
        group_id: str,
        offsets: Iterable[OffsetCommit],
        done: Done,
        *,
        producer: tuple[int, int] | None = None,
    ) -> None:
        """Write offsets down, in a producer's transaction if one is given; whether they may be was settled before."""
        now_ms = self._clock_ms()
        committed = (((offset.topic, offset.partition), offset.at(now_ms)) for offset in offsets)
        self._runtime.write(group_id, self._offsets.commit(group_id, committed), done, producer=producer)

    def partition_of(self, group_id: str) -> int:
        """The partition of `__consumer_offsets` that a transaction with offsets of a group must include."""
        return self._runtime.partition_of(group_id)

    def end_transaction(self, partition: int, marker: Marker, done: Done) -> None:
        """A transaction with offsets in a partition has ended."""
        self._runtime.end_transaction(partition, marker, done)

    def pending_offsets(self, group_id: str) -> frozenset[TopicPartition]:
        """Partitions whose committed offset may change when an open transaction ends."""
        return frozenset(self._offsets.pending(group_id))

    def fetch(self, group_id: str, ready: Callable[[Mapping[TopicPartition, CommittedOffset]], None]) -> None:
        """All committed offsets of a group, durable ones only; empty for a group nobody knows."""
        self._runtime.after_writes(group_id, lambda _: ready(self._offsets.of_group(group_id)))

    def delete_offsets(
        self, group_id: str, where: Sequence[TopicPartition], done: Callable[[dict[TopicPartition, ErrorCode]], None]
    ) -> None:
        """Forget offsets of topics the group is not subscribed to. Raises: BrokerError."""
        if not group_id:
            raise BrokerError(ErrorCode.INVALID_GROUP_ID)
        group = self._groups.get(group_id)
        if group is None and not self._offsets.knows(group_id) and self._consumers.get(group_id) is None:
            raise BrokerError(ErrorCode.GROUP_ID_NOT_FOUND)
        if group is not None and group.members and group.protocol_type != PROTOCOL_TYPE:
            raise BrokerError(ErrorCode.NON_EMPTY_GROUP)
        unread = dict.fromkeys(self._unread(group_id, where))
        refused = {p: ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC for p in where if p not in unread}
        records = self._offsets.forget(group_id, [p for p in self._offsets.all_of(group_id) if p in unread])
        self._runtime.write(group_id, records, lambda error: done({p: refused.get(p, error) for p in where}))

    def _unread(self, group_id: str, where: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Those of topics that no member of a group reads."""
        if not where:
            return []
        group = self._groups.get(group_id)
        read = self._consumers.topics_read(group_id) if group is None else group.topics_read()
        return [] if read is None else [partition for partition in where if partition[0] not in read]

    def forget_topic(self, topic: str) -> None:
        """A topic is gone, and every group's offsets of it."""
        by_group: dict[str, list[TopicPartition]] = {}
        for group_id, where in self._offsets.of_topic(topic):
            by_group.setdefault(group_id, []).append(where)
        for group_id, partitions in by_group.items():
            self._runtime.write(group_id, self._offsets.forget(group_id, partitions), lambda _: None)

    # ---- groups as a whole

    def group_ids(self) -> list[str]:
        """Every group: those with members or a generation, and those that only stored offsets."""
        return sorted(self._groups.keys() | set(self._offsets.groups()) | self._consumers.group_ids())

    def is_new_member(self, group_id: str, member_id: str) -> bool:
        """Whether somebody is a member of the new protocol, who commits at epochs."""
        consumer = self._consumers.get(group_id)
        member = None if consumer is None else consumer.members.get(member_id)
        return member is not None and member.classic is None

    def exists(self, group_id: str) -> bool:
        """Whether there is such a group, of either kind."""
        return (
            group_id in self._groups or self._consumers.get(group_id) is not None or self.describe(group_id) is not None
        )

    def describe(self, group_id: str) -> Group | None:
        """The classic group, for reading; a group of mere offsets is Empty, one that nobody knows None."""
        if self._consumers.get(group_id) is not None:
            return None
        group = self._groups.get(group_id)
        if group is None and self._offsets.knows(group_id):
            return Group(group_id, 0)
        return group

    def delete(self, group_id: str, done: Done) -> None:
        """Delete a group without members and all its offsets."""
        consumer = self._consumers.get(group_id)
        if consumer is not None:
            self._delete_consumer(consumer, done)
            return
        group = self.describe(group_id)
        if group is None:
            done(ErrorCode.GROUP_ID_NOT_FOUND)
        elif group.members:
            done(ErrorCode.NON_EMPTY_GROUP)
        else:
            self._runtime.write(group_id, self._tombstones(group), done)

    def _delete_consumer(self, group: ConsumerGroup, done: Done) -> None:
        if group.members:
            done(ErrorCode.NON_EMPTY_GROUP)
            return
        records = self._offsets.forget(group.group_id, self._offsets.all_of(group.group_id))
        self._runtime.write(group.group_id, [*records, *tombstones(group)], done)

    def _tombstones(self, group: Group) -> list[StateRecord]:
        """What deletes a group; it dies when they are replayed, not before the disk has taken them."""
        records = self._offsets.forget(group.group_id, self._offsets.all_of(group.group_id))
        if group.group_id in self._groups:
            records.append(StateRecord(group_key(group.group_id), None))
        return records

    def expire(self) -> int:
        """Drop offsets that nobody reads any more, after the retention time, and groups with nothing left."""
        now_ms = self._clock_ms()
        retention_ms = self._config.offsets_retention_minutes * 60_000
        dropped = 0
        for group_id in self.group_ids():
            group, consumer = self._groups.get(group_id), self._consumers.get(group_id)
            if group is not None and not group.lets_offsets_go:
                continue
            since_ms = group.state_ms if group is not None and not group.members else 0
            where = self._unread(group_id, self._offsets.expired(group_id, now_ms, since_ms, retention_ms))
            dropped += len(where)
            records = self._offsets.forget(group_id, where)
            nothing_left = len(where) == len(self._offsets.all_of(group_id))
            if group is not None and not group.members and nothing_left and group.generation > 0:
                records.append(StateRecord(group_key(group_id), None))
            if consumer is not None and not consumer.members and nothing_left:
                records += tombstones(consumer)
            if records:
                self._runtime.write(group_id, records, lambda _: None)
        return dropped
