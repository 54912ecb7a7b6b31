"""All consumer groups of one coordinator: kept, written down, loaded, and asked about.

A heartbeat changes a group in memory, and what it noted as changed is written before the answer leaves. What the disk did
not take stays noted and is written with the next change, so that the log is behind for no longer than the disk refuses.
Must not know versions or sockets.
"""

import logging
from collections.abc import Callable, Mapping

from broker.coordinators.consumer_group import ConsumerGroup, Kind
from broker.coordinators.consumer_group_records import parse_consumer_key, records_of, replay, tombstones
from broker.coordinators.consumer_membership import Beat, ConsumerMembership, Heartbeat, TopicShape
from broker.coordinators.membership import Timers
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
    ) -> None:
        self._runtime = runtime
        self._groups: dict[str, ConsumerGroup] = {}
        self._membership = ConsumerMembership(timers, topics, timeouts, max_size, self._write_silently)

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

    def start(self) -> int:
        """All records are read: begin the sessions; how many groups there are."""
        for group in self._groups.values():
            group.settle()
            self._membership.watch(group)
        return len(self._groups)

    # ---- members

    def heartbeat(self, group_id: str, request: Heartbeat, reply: BeatReply) -> None:
        """Answer when what changed is written down. Raises: BrokerError."""
        group = self._groups.get(group_id)
        if group is None:
            if request.epoch != 0:
                raise BrokerError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found.")
            group = ConsumerGroup(group_id)
        beat = self._membership.heartbeat(group, request)
        self._groups[group_id] = group
        self._write(group, lambda error: reply(_coordinator_failed(error) if error else beat))

    def _write(self, group: ConsumerGroup, done: Done) -> None:
        changes, group.changed = group.changed, {}

        def written(error: ErrorCode) -> None:
            if error:
                group.changed = {**changes, **group.changed}
            done(error)

        self._runtime.write(group.group_id, records_of(group, changes), written, replay=False)

    def _write_silently(self, group: ConsumerGroup) -> None:
        self._write(group, lambda _: None)

    def check_commit(self, group_id: str, member_id: str, epoch: int) -> None:
        """Whether a member may commit at its epoch. Raises: BrokerError."""
        group = self._groups[group_id]
        if epoch < 0 and not group.members:
            return
        member = group.members.get(member_id)
        if member is None:
            raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID, f"{member_id!r} is not a member of {group_id}")
        if member.epoch != epoch:
            raise BrokerError(ErrorCode.STALE_MEMBER_EPOCH, f"the member is at epoch {member.epoch}, it said {epoch}")

    # ---- groups as a whole

    def get(self, group_id: str) -> ConsumerGroup | None:
        """The group, for reading."""
        return self._groups.get(group_id)

    def group_ids(self) -> set[str]:
        """Every consumer group."""
        return set(self._groups)

    def remove_empty(self, group_id: str) -> list[StateRecord]:
        """Forget a group without members; the records that say so."""
        group = self._groups.pop(group_id)
        assert not group.members
        return tombstones(group)


def _coordinator_failed(error: ErrorCode) -> Beat:
    return Beat(error, "the group's state could not be written down")
