"""One classic group: its members, its generation, and the states it may be in.

Pure state. Every change of state goes through `Group.become`, which asserts the table; who joins, waits and leaves when is
`membership`'s business, and nothing here knows of logs, timers or the network.

    Empty -> PreparingRebalance -> CompletingRebalance -> Stable -> PreparingRebalance ... -> Empty -> Dead
"""

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from broker.coordinators.consumer_protocol import PROTOCOL_TYPE
from broker.coordinators.fields import FieldReader
from broker.coordinators.group_records import StoredGroup, StoredMember
from broker.errors import BrokerError, ErrorCode


class GroupState(Enum):
    """States of a classic group; the values are what DescribeGroups and ListGroups say."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


_S = GroupState
TRANSITIONS: dict[GroupState, frozenset[GroupState]] = {
    _S.EMPTY: frozenset({_S.PREPARING_REBALANCE, _S.DEAD}),
    _S.PREPARING_REBALANCE: frozenset({_S.COMPLETING_REBALANCE, _S.EMPTY, _S.DEAD}),
    _S.COMPLETING_REBALANCE: frozenset({_S.STABLE, _S.PREPARING_REBALANCE, _S.DEAD}),
    _S.STABLE: frozenset({_S.PREPARING_REBALANCE, _S.DEAD}),
    _S.DEAD: frozenset(),
}
"""State -> states that may follow it."""


@dataclass(frozen=True, slots=True)
class JoinResult:
    """Answer to a join. `members` (id, instance id, subscription) is for the leader alone."""

    error: ErrorCode = ErrorCode.NONE
    generation: int = -1
    protocol_type: str | None = None
    protocol: str | None = None
    leader: str = ""
    member_id: str = ""
    members: tuple[tuple[str, str | None, bytes], ...] = ()
    skip_assignment: bool = False


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Answer to a sync: the member's own assignment."""

    error: ErrorCode = ErrorCode.NONE
    protocol_type: str | None = None
    protocol: str | None = None
    assignment: bytes = b""


JoinReply = Callable[[JoinResult], None]
SyncReply = Callable[[SyncResult], None]


@dataclass(slots=True, eq=False)
class Member:
    """One member. `protocols` maps the assignors it can use, best first, to its subscription under each."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: dict[str, bytes]
    assignment: bytes = b""
    is_new: bool = False
    join_reply: JoinReply | None = None
    sync_reply: SyncReply | None = None
    deadline: float = 0.0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def answer_join(self, result: JoinResult) -> None:
        """Release the waiting join, if one waits."""
        reply, self.join_reply = self.join_reply, None
        if reply is not None:
            reply(result)

    def answer_sync(self, result: SyncResult) -> None:
        """Release the waiting sync, if one waits."""
        reply, self.sync_reply = self.sync_reply, None
        if reply is not None:
            reply(result)

    def forget_timer(self) -> None:
        """No session deadline any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Group:
    """A classic group between its creation and its death."""

    def __init__(self, group_id: str, now_ms: int) -> None:
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.previous_state = GroupState.EMPTY
        self.state_ms = now_ms
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.generation = 0
        self.leader: str | None = None
        self.members: dict[str, Member] = {}
        self.static_members: dict[str, str] = {}
        self.pending_members: dict[str, asyncio.TimerHandle] = {}
        self.pending_sync: set[str] = set()
        self.new_member_added = False
        self.rebalance_timer: asyncio.TimerHandle | None = None

    @classmethod
    def restored(cls, group_id: str, stored: StoredGroup) -> "Group":
        """The group as its last record left it: Stable if it had members, else Empty."""
        group = cls(group_id, stored.state_ms)
        group.protocol_type = stored.protocol_type or None
        group.protocol = stored.protocol
        group.generation = stored.generation
        group.leader = stored.leader
        for member in stored.members:
            group.add(_restored_member(member, stored.protocol or ""))
        group.leader = stored.leader
        group.state = GroupState.STABLE if stored.members else GroupState.EMPTY
        return group

    def become(self, state: GroupState, now_ms: int) -> None:
        """Change state; the table allows it or the program is wrong."""
        assert state in TRANSITIONS[self.state], f"group {self.group_id}: {self.state} cannot become {state}"
        self.previous_state, self.state, self.state_ms = self.state, state, now_ms

    def is_in(self, *states: GroupState) -> bool:
        """Whether the group is in one of `states`."""
        return self.state in states

    # ---- members

    def add(self, member: Member) -> None:
        """Take a member in; the first one leads."""
        assert member.member_id not in self.members
        if self.leader is None:
            self.leader = member.member_id
        self.members[member.member_id] = member
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id

    def remove(self, member_id: str) -> None:
        """Let a member go; whoever waits first leads next."""
        member = self.members.pop(member_id)
        member.forget_timer()
        if member.instance_id is not None and self.static_members.get(member.instance_id) == member_id:
            del self.static_members[member.instance_id]
        self.pending_sync.discard(member_id)
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)

    def replace_static(self, instance_id: str, new_member_id: str) -> Member:
        """Give a static member a new id; whoever still waits under the old one is fenced."""
        old_id = self.static_members[instance_id]
        member = self.members.pop(old_id)
        member.answer_join(JoinResult(ErrorCode.FENCED_INSTANCE_ID, member_id=old_id))
        member.answer_sync(SyncResult(ErrorCode.FENCED_INSTANCE_ID))
        member.member_id = new_member_id
        self.members[new_member_id] = member
        self.static_members[instance_id] = new_member_id
        self.pending_sync.discard(old_id)
        if self.leader == old_id:
            self.leader = new_member_id
        return member

    def forget_pending(self, member_id: str) -> None:
        """A member id that was handed out is not waited for any more."""
        timer = self.pending_members.pop(member_id, None)
        if timer is not None:
            timer.cancel()

    def waiting(self) -> list[Member]:
        """Members whose join waits, in order of arrival."""
        return [member for member in self.members.values() if member.join_reply is not None]

    def all_joined(self) -> bool:
        """Whether every known member waits in the join, and no handed-out id is outstanding."""
        return not self.pending_members and all(member.join_reply is not None for member in self.members.values())

    def elect_joined_leader(self) -> bool:
        """Make sure the leader is one who rejoined; False if nobody did."""
        leader = self.members.get(self.leader or "")
        if leader is not None and leader.join_reply is not None:
            return True
        joined = self.waiting()
        if joined:
            self.leader = joined[0].member_id
        return bool(joined)

    def rebalance_timeout_ms(self) -> int:
        """The longest any member may take to rejoin."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    # ---- protocols

    def supports(self, protocol_type: str, protocols: Iterable[str]) -> bool:
        """Whether someone with these protocols can join those who are here."""
        offered = set(protocols)
        if not offered or not protocol_type:
            return False
        if self.state is GroupState.EMPTY or not self.members:
            return True
        return protocol_type == self.protocol_type and bool(offered & self._protocols_of_all())

    def select_protocol(self) -> str:
        """The protocol most members like best among those all of them know."""
        candidates = self._protocols_of_all()
        votes = Counter(
            next(name for name in member.protocols if name in candidates) for member in self.members.values()
        )
        return votes.most_common(1)[0][0]

    def _protocols_of_all(self) -> set[str]:
        return set.intersection(*(set(member.protocols) for member in self.members.values()))

    def next_generation(self, now_ms: int) -> None:
        """The join is over: number the generation and settle its protocol, or be empty."""
        self.generation += 1
        self.pending_sync.clear()
        if self.members:
            self.protocol = self.select_protocol()
            self.become(GroupState.COMPLETING_REBALANCE, now_ms)
        else:
            self.protocol = None
            self.leader = None
            self.become(GroupState.EMPTY, now_ms)

    # ---- views

    def subscriptions(self) -> tuple[tuple[str, str | None, bytes], ...]:
        """(member id, instance id, subscription under the chosen protocol), for the leader."""
        protocol = self.protocol or ""
        return tuple((m.member_id, m.instance_id, m.protocols.get(protocol, b"")) for m in self.members.values())

    @property
    def lets_offsets_go(self) -> bool:
        """Whether offsets that none of its members reads may expire: when it is empty, or knows what its members read."""
        if self.members:
            return self.state is GroupState.STABLE and self.protocol_type == PROTOCOL_TYPE
        return self.state is GroupState.EMPTY and not self.pending_members

    def topics_read(self) -> frozenset[str] | None:
        """What the members of a consumer group read; None, which is anything, where one's subscription cannot be read.

        Source: Kafka's ClassicGroup.isSubscribedToTopic.
        """
        topics: set[str] = set()
        for member in self.members.values():
            reader = FieldReader(member.protocols.get(self.protocol or "", b""))
            try:
                reader.int16()
                topics.update(reader.string() for _ in range(reader.int32()))
            except (ValueError, struct.error):
                return None
        return frozenset(topics)

    def joined(self, member: Member) -> JoinResult:
        """What a member is told about the current generation."""
        is_leader = member.member_id == self.leader
        return JoinResult(
            ErrorCode.NONE,
            self.generation,
            self.protocol_type,
            self.protocol,
            self.leader or "",
            member.member_id,
            self.subscriptions() if is_leader else (),
        )

    def synced(self, member: Member) -> SyncResult:
        """What a member is told about its assignment."""
        return SyncResult(ErrorCode.NONE, self.protocol_type, self.protocol, member.assignment)

    def stored(self, assignments: Mapping[str, bytes] | None = None) -> StoredGroup:
        """The group as a record, with `assignments` (member id -> bytes) in place of what members hold."""
        protocol = self.protocol or ""
        members = tuple(
            StoredMember(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.rebalance_timeout_ms,
                member.session_timeout_ms,
                member.protocols.get(protocol, b""),
                member.assignment if assignments is None else assignments.get(member.member_id, b""),
            )
            for member in self.members.values()
        )
        return StoredGroup(
            self.protocol_type or "", self.generation, self.protocol, self.leader, self.state_ms, members
        )


def _restored_member(stored: StoredMember, protocol: str) -> Member:
    return Member(
        stored.member_id,
        stored.instance_id,
        stored.client_id,
        stored.client_host,
        stored.rebalance_timeout_ms,
        stored.session_timeout_ms,
        {protocol: stored.subscription},
        stored.assignment,
    )


def expect_instance(static_members: Mapping[str, str], member_id: str, instance_id: str | None) -> None:
    """A static member is the one that its instance id stands for now. Raises: BrokerError, unknown or fenced."""
    if instance_id is None:
        return
    current = static_members.get(instance_id)
    if current is None:
        raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
    if current != member_id:
        raise BrokerError(ErrorCode.FENCED_INSTANCE_ID)
