"""All consumer groups of one coordinator: kept, written down, loaded, and asked about.

A heartbeat changes a group in memory, and what it noted as changed is written before the answer leaves. What the disk did
not take stays noted and is written with the next change, so that the log is behind for no longer than the disk refuses.
Must not know versions or sockets.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from broker.coordinators.classic_members import ClassicMembers
from broker.coordinators.consumer_group import ConsumerGroup, ConsumerMember, Kind
from broker.coordinators.consumer_group_records import parse_consumer_key, records_of, replay, tombstones
from broker.coordinators.consumer_membership import LEAVES, Beat, ConsumerMembership, Heartbeat, TopicShape
from broker.coordinators.group import JoinReply, JoinResult, SyncResult
from broker.coordinators.membership import JoinRequest, SyncRequest, Timers
from broker.coordinators.offsets import TopicPartition
from broker.coordinators.runtime import Done, Runtime, StateRecord
from broker.errors import BrokerError, ErrorCode

logger = logging.getLogger(__name__)

BeatReply = Callable[[Beat], None]


class ConsumerGroups:
    """group id -> group."""

    def __init__(
        self,
        runtime: Runtime,
        timers: Timers,
        topics: Mapping[str, TopicShape],
        timeouts: Callable[[str], tuple[int, int]],
        max_size: int,
        become_classic: Callable[[ConsumerGroup, int, bool], None],
    ) -> None:
        """`become_classic(group, generation, rebalance)` takes over a group whose members all speak the classic protocol."""
        self._runtime = runtime
        self._become_classic = become_classic
        self._topics = topics
        self._groups: dict[str, ConsumerGroup] = {}
        self._membership = ConsumerMembership(timers, topics, timeouts, max_size, self._write_silently_after_leaving)
        self._classic = ClassicMembers(self._membership, topics)

    def replay(self, record: StateRecord, living: frozenset[str] = frozenset()) -> bool:
        """Take in a stored record, but of groups that live already; whether it was about a consumer group."""
        key = parse_consumer_key(record.key)
        if key is None:
            return False
        group_id, kind, member_id = key
        if group_id in living:
            return True
        if record.value is None and kind is Kind.GROUP:
            self._groups.pop(group_id, None)
        elif record.value is not None or group_id in self._groups:
            group = self._groups.setdefault(group_id, ConsumerGroup(group_id))
            replay(group, kind, member_id, record.value)
        return True

    def start(self, living: frozenset[str] = frozenset()) -> int:
        """All records are read: begin the sessions, but of groups that live already; how many groups there are."""
        for group_id, group in self._groups.items():
            if group_id not in living:
                group.settle()
                self._membership.watch(group)
        return len(self._groups)

    # ---- members

    def heartbeat(
        self, group_id: str, request: Heartbeat, reply: BeatReply, converted: ConsumerGroup | None = None
    ) -> None:
        """Answer when what changed is written down; `converted` is the group if it was a classic one. Raises: BrokerError."""
        group = converted or self._groups.get(group_id)
        if group is None:
            if request.epoch != 0:
                raise BrokerError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found.")
            group = ConsumerGroup(group_id)
        if converted is not None:
            self._membership.know_topics(converted)
        beat = self._membership.heartbeat(group, request)
        self._groups[group_id] = group
        write = self._write_after_leaving if request.epoch == LEAVES else self._write
        write(group, lambda error: reply(_coordinator_failed(error) if error else beat))

    def watch(self, group: ConsumerGroup) -> None:
        """Start the sessions of a group that was converted."""
        self._membership.watch(group)

    def join_classic(self, group: ConsumerGroup, request: JoinRequest, reply: JoinReply) -> None:
        """A join by the classic protocol. Raises: BrokerError."""
        before, ends = group.epoch, self._classic.replaces_last_of_new_protocol(group, request)
        result = self._classic.join(group, request, ends=ends)
        failed = JoinResult(ErrorCode.COORDINATOR_NOT_AVAILABLE)

        def done(error: ErrorCode) -> None:
            reply(failed if error else result)

        if ends:
            self._dissolve(group, before, rebalance=group.epoch > group.assignment_epoch, done=done)
        else:
            self._write(group, done)

    def sync_classic(self, group: ConsumerGroup, request: SyncRequest) -> SyncResult:
        """A sync by the classic protocol. Raises: BrokerError."""
        return self._classic.sync(group, request)

    def beat_classic(self, group: ConsumerGroup, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
        """A heartbeat by the classic protocol. Raises: BrokerError."""
        return self._classic.heartbeat(group, member_id, instance_id, generation)

    def leave_classic(self, group: ConsumerGroup, leavers: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
        """Members leave by the classic protocol, (member id, instance id); each has its answer."""
        answers = self._classic.leave(group, leavers)
        if ErrorCode.NONE in answers:
            self._write_silently_after_leaving(group)
        return answers

    def _write_after_leaving(self, group: ConsumerGroup, done: Done) -> None:
        """Members are gone, which raised the epoch by one; those who stay may all speak the classic protocol.

        A join leaves the group what it is, even where nobody is left who speaks the new protocol: so Kafka.
        """
        if group.is_all_classic:
            self._dissolve(group, group.epoch - 1, rebalance=True, done=done)
        else:
            self._write(group, done)

    def _write(self, group: ConsumerGroup, done: Done) -> None:
        changes, group.changed = group.changed, {}

        def written(error: ErrorCode) -> None:
            if error:
                group.changed = {**changes, **group.changed}
            done(error)

        self._runtime.write(group.group_id, records_of(group, changes), written, replay=False)

    def _dissolve(self, group: ConsumerGroup, generation: int, *, rebalance: bool, done: Done) -> None:
        """The last member of the new protocol is gone, and those who stay go on as a classic group."""
        logger.info("group %s: becomes a classic group", group.group_id)
        self._become_classic(group, generation, rebalance)
        for member_id in list(group.members):
            self._membership.forget(group, member_id)
            group.remove(member_id)
        self._groups.pop(group.group_id, None)
        records = [*records_of(group, group.changed), *tombstones(group)]
        self._runtime.write(group.group_id, records, done, replay=False)

    def _write_silently_after_leaving(self, group: ConsumerGroup) -> None:
        self._write_after_leaving(group, lambda _: None)

    # ---- offsets

    def check_commit(self, group_id: str, member_id: str, epoch: int, where: Iterable[TopicPartition]) -> None:
        """Whether a member may commit these partitions, all or none, at its epoch. Raises: BrokerError.

        At an epoch before it may where it has had the partition since: what it read before it heard of the new one counts.
        """
        group = self._groups[group_id]
        if epoch < 0 and not group.members:
            return
        member = _member(group, member_id)
        if epoch > member.epoch or (epoch < member.epoch and not all(self._may(member, epoch, each) for each in where)):
            raise _stale(member, epoch)

    def _may(self, member: ConsumerMember, epoch: int, where: TopicPartition) -> bool:
        topic = self._topics.get(where[0])
        return topic is not None and member.may_commit((topic.topic_id, where[1]), epoch)

    def check_fetch(self, group_id: str, member_id: str, epoch: int) -> None:
        """Whether a member may read the offsets at its epoch. Raises: BrokerError."""
        member = _member(self._groups[group_id], member_id)
        if epoch != member.epoch:
            raise _stale(member, epoch)

    # ---- groups as a whole

    def get(self, group_id: str) -> ConsumerGroup | None:
        """The group, for reading."""
        return self._groups.get(group_id)

    def topics_read(self, group_id: str) -> frozenset[str]:
        """What the members of a group read: topics they name, there or not, and those that their patterns match."""
        group = self._groups.get(group_id)
        return frozenset() if group is None else self._membership.topics_read(group)

    def group_ids(self) -> set[str]:
        """Every consumer group."""
        return set(self._groups)


def _member(group: ConsumerGroup, member_id: str) -> ConsumerMember:
    """A member of either protocol. Raises: BrokerError."""
    member = group.members.get(member_id)
    if member is None:
        raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID, f"{member_id!r} is not a member of {group.group_id}")
    return member


def _stale(member: ConsumerMember, epoch: int) -> BrokerError:
    """The epoch is not the member's; one of the classic protocol has a generation."""
    code = ErrorCode.STALE_MEMBER_EPOCH if member.classic is None else ErrorCode.ILLEGAL_GENERATION
    return BrokerError(code, f"the member is at epoch {member.epoch}, it said {epoch}")


def _coordinator_failed(error: ErrorCode) -> Beat:
    return Beat(error, "the group's state could not be written down")
