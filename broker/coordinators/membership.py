"""Who is in a classic group: join, sync, heartbeat, leave, and what time does to those who say nothing.

A join or sync that must wait keeps its reply in the `Member`; it is released by the join barrier, the leader's assignment,
a fence or a timeout, and never forgotten. The only thing written down is a generation: when the leader's assignment arrives
or the group empties. Every timer is the event loop's; heartbeats only move a deadline, the timer looks at it when it fires.
Rules and error codes are Kafka's classic group protocol. Must not know offsets, requests or sockets.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from broker.config import BrokerConfig
from broker.coordinators.group import (
    Group,
    GroupState,
    JoinReply,
    JoinResult,
    Member,
    SyncReply,
    SyncResult,
    expect_instance,
)
from broker.errors import BrokerError, ErrorCode

logger = logging.getLogger(__name__)

NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000
"""A new member has no id to send heartbeats with while its first join waits: it is given this long."""
FIRST_JOIN_WAIT_MS = 1_000
"""How long a first rebalance without an initial delay waits for ids that were handed out. Kafka does not wait at all then,
and a group that starts together has a rebalance more; but whoever was given an id and never came holds nobody up for long."""


class Timers(Protocol):
    """What membership needs of an event loop."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back after `delay` seconds."""
        ...

    def time(self) -> float:
        """Seconds of a clock that never goes back."""
        ...


WriteGroup = Callable[[Group, Mapping[str, bytes], Callable[[ErrorCode], None]], None]
"""Writes a generation with its assignments, and calls back when it is committed or could not be written."""


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A join as the coordinator sees it, whatever version it came in."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: dict[str, bytes]
    require_known_id: bool = False
    can_skip_assignment: bool = False


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A sync; only the leader's carries assignments (member id -> bytes)."""

    member_id: str
    instance_id: str | None
    generation: int
    protocol_type: str | None
    protocol: str | None
    assignments: dict[str, bytes]


class Membership:
    """The rules of membership for all groups of one coordinator."""

    def __init__(
        self, config: BrokerConfig, timers: Timers, clock_ms: Callable[[], int], write_group: WriteGroup
    ) -> None:
        self._config = config
        self._timers = timers
        self._clock_ms = clock_ms
        self._write_group = write_group

    # ---- join

    def join(self, group: Group, request: JoinRequest, reply: JoinReply) -> None:
        """Answer a join now, or when the barrier falls. Raises: BrokerError."""
        if group.state is GroupState.DEAD:
            raise BrokerError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        if not group.supports(request.protocol_type, request.protocols):
            raise BrokerError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if not self._has_room(group, request.member_id):
            raise BrokerError(ErrorCode.GROUP_MAX_SIZE_REACHED)
        if request.member_id:
            self._join_known(group, request, reply)
        else:
            self._join_new(group, request, reply)
        if group.state is GroupState.PREPARING_REBALANCE:
            self._complete_join_if_all(group)

    def _has_room(self, group: Group, member_id: str) -> bool:
        if member_id in group.members:
            return True
        return len(group.members) + len(group.pending_members.keys() - {member_id}) < self._config.group_max_size

    def _join_new(self, group: Group, request: JoinRequest, reply: JoinReply) -> None:
        instance_id = request.instance_id
        member_id = f"{instance_id or request.client_id}-{uuid4()}"
        if instance_id is not None and instance_id in group.static_members:
            self._rejoin_static(group, request, member_id, reply)
        elif instance_id is None and request.require_known_id:
            self._hand_out_id(group, member_id, request.session_timeout_ms)
            reply(JoinResult(ErrorCode.MEMBER_ID_REQUIRED, member_id=member_id))
        else:
            self._add(group, request, member_id, reply)

    def _join_known(self, group: Group, request: JoinRequest, reply: JoinReply) -> None:
        member_id = request.member_id
        if member_id in group.pending_members:
            if request.instance_id is not None:  # ids are handed out to members without one; Kafka says so too
                reply(JoinResult(ErrorCode.UNKNOWN_SERVER_ERROR))
                return
            group.forget_pending(member_id)
            self._add(group, request, member_id, reply)
            return
        member = self.member_of(group, member_id, request.instance_id)
        same = member.protocols == request.protocols
        follows = group.state is GroupState.STABLE and group.leader != member_id
        if same and (follows or group.state is GroupState.COMPLETING_REBALANCE):
            reply(group.joined(member))
        else:
            self._update(member, request, reply)
            self._rebalance(group)

    def _add(self, group: Group, request: JoinRequest, member_id: str, reply: JoinReply) -> None:
        member = Member(
            member_id,
            request.instance_id,
            request.client_id,
            request.client_host,
            request.rebalance_timeout_ms,
            request.session_timeout_ms,
            request.protocols,
            is_new=True,
            join_reply=reply,
        )
        if not group.members:
            group.protocol_type = request.protocol_type
        group.add(member)
        if group.state is GroupState.PREPARING_REBALANCE and group.previous_state is GroupState.EMPTY:
            group.new_member_added = True
        self._expect(group, member, NEW_MEMBER_JOIN_TIMEOUT_MS)
        self._rebalance(group)

    def _update(self, member: Member, request: JoinRequest, reply: JoinReply) -> None:
        member.answer_join(JoinResult(ErrorCode.UNKNOWN_MEMBER_ID, member_id=member.member_id))
        member.protocols = request.protocols
        member.rebalance_timeout_ms = request.rebalance_timeout_ms
        member.session_timeout_ms = request.session_timeout_ms
        member.client_id, member.client_host = request.client_id, request.client_host
        member.join_reply = reply

    def _rejoin_static(self, group: Group, request: JoinRequest, member_id: str, reply: JoinReply) -> None:
        """A static member is back under a new id: its old id is fenced, and in Stable it finds its place unchanged."""
        old_leader = group.leader
        member = group.replace_static(request.instance_id or "", member_id)
        self._update(member, request, reply)
        self._expect(group, member, member.session_timeout_ms)
        if group.state is not GroupState.STABLE or group.select_protocol() != group.protocol:
            self._rebalance(group)
            return

        def stored(error: ErrorCode) -> None:
            member.answer_join(self._static_place(group, member, request, old_leader, error))

        assignments = {m.member_id: m.assignment for m in group.members.values()}
        self._write_group(group, assignments, stored)

    def _static_place(
        self, group: Group, member: Member, request: JoinRequest, old_leader: str | None, error: ErrorCode
    ) -> JoinResult:
        if error:
            return JoinResult(error, member_id=member.member_id)
        place = group.joined(member)
        leads = group.leader == member.member_id
        skip = request.can_skip_assignment
        leader = place.leader if skip else old_leader or ""
        members = place.members if skip else ()
        return JoinResult(
            place.error,
            place.generation,
            place.protocol_type,
            place.protocol,
            leader,
            place.member_id,
            members,
            skip_assignment=skip and leads,
        )

    def _hand_out_id(self, group: Group, member_id: str, session_timeout_ms: int) -> None:
        def expired() -> None:
            group.pending_members.pop(member_id, None)
            if group.state is GroupState.PREPARING_REBALANCE:
                self._complete_join_if_all(group)

        group.pending_members[member_id] = self._timers.call_later(session_timeout_ms / 1000, expired)

    # ---- groups that change their kind

    def dissolve(self, group: Group) -> None:
        """The group goes on as a consumer group: whoever waits joins again, and no timer runs any more."""
        self._cancel_rebalance_timer(group)
        for member_id in list(group.pending_members):
            group.forget_pending(member_id)
        for member in group.members.values():
            member.forget_timer()
            member.answer_join(JoinResult(ErrorCode.REBALANCE_IN_PROGRESS, member_id=member.member_id))
            member.answer_sync(SyncResult(ErrorCode.REBALANCE_IN_PROGRESS))

    def rebalance(self, group: Group) -> None:
        """Everybody is to join again."""
        self._rebalance(group)

    # ---- the join barrier

    def _rebalance(self, group: Group) -> None:
        """Start a rebalance, or see whether the one under way is complete."""
        if group.state is GroupState.PREPARING_REBALANCE:
            self._complete_join_if_all(group)
            return
        was_empty = group.state is GroupState.EMPTY
        if group.state is GroupState.COMPLETING_REBALANCE:
            for member in group.members.values():
                member.assignment = b""
                if member.sync_reply is not None:
                    self.touch(member)
                    member.answer_sync(SyncResult(ErrorCode.REBALANCE_IN_PROGRESS))
        self._cancel_rebalance_timer(group)
        group.become(GroupState.PREPARING_REBALANCE, self._clock_ms())
        logger.info("group %s: rebalance from generation %d", group.group_id, group.generation)
        delay_ms = self._config.group_initial_rebalance_delay_ms
        if was_empty and delay_ms:
            group.new_member_added = False
            left_ms = max(group.rebalance_timeout_ms() - delay_ms, 0)
            self._at(group, delay_ms, lambda: self._end_initial_delay(group, left_ms))
        elif was_empty and group.pending_members:
            self._at(group, FIRST_JOIN_WAIT_MS, lambda: self._complete_join(group))
        else:
            self._complete_join_if_all(group)

    def _end_initial_delay(self, group: Group, left_ms: int) -> None:
        """More members may come within the delay; each keeps the first rebalance open, up to the rebalance timeout."""
        if group.new_member_added and left_ms:
            group.new_member_added = False
            delay_ms = min(self._config.group_initial_rebalance_delay_ms, left_ms)
            self._at(group, delay_ms, lambda: self._end_initial_delay(group, left_ms - delay_ms))
        else:
            self._complete_join(group)

    def _in_initial_delay(self, group: Group) -> bool:
        delayed = self._config.group_initial_rebalance_delay_ms > 0
        return delayed and group.previous_state is GroupState.EMPTY and group.rebalance_timer is not None

    def _complete_join_if_all(self, group: Group) -> None:
        if self._in_initial_delay(group):
            return
        if group.all_joined():
            self._complete_join(group)
        elif group.rebalance_timer is None:
            self._at(group, group.rebalance_timeout_ms(), lambda: self._complete_join(group))

    def _complete_join(self, group: Group) -> None:
        """Let go who did not rejoin (static members stay), number the generation, tell everybody."""
        self._cancel_rebalance_timer(group)
        if group.state is not GroupState.PREPARING_REBALANCE:
            return
        absent = [m for m in group.members.values() if m.join_reply is None and m.instance_id is None]
        for member in absent:
            logger.info("group %s: member %s did not rejoin in time", group.group_id, member.member_id)
            group.remove(member.member_id)
        if group.members and not group.elect_joined_leader():
            self._at(group, group.rebalance_timeout_ms(), lambda: self._complete_join(group))
            return
        group.next_generation(self._clock_ms())
        if not group.members:
            self._write_group(group, {}, lambda _: None)
            return
        for member in list(group.members.values()):
            member.is_new = False
            self._expect(group, member, member.session_timeout_ms)
            group.pending_sync.add(member.member_id)
            member.answer_join(group.joined(member))
        self._at(group, group.rebalance_timeout_ms(), lambda: self._expire_sync(group))

    def _expire_sync(self, group: Group) -> None:
        """Who joined but never synced holds the others up no longer."""
        group.rebalance_timer = None
        if group.is_in(GroupState.COMPLETING_REBALANCE, GroupState.STABLE) and group.pending_sync:
            for member_id in list(group.pending_sync):
                logger.info("group %s: member %s did not sync in time", group.group_id, member_id)
                group.remove(member_id)
            self._rebalance(group)

    def _at(self, group: Group, delay_ms: int, callback: Callable[[], None]) -> None:
        self._cancel_rebalance_timer(group)
        group.rebalance_timer = self._timers.call_later(delay_ms / 1000, callback)

    @staticmethod
    def _cancel_rebalance_timer(group: Group) -> None:
        if group.rebalance_timer is not None:
            group.rebalance_timer.cancel()
            group.rebalance_timer = None

    # ---- sync

    def sync(self, group: Group, request: SyncRequest, reply: SyncReply) -> None:
        """Answer with the member's assignment, once the leader gave it. Raises: BrokerError."""
        member = self.member_of(group, request.member_id, request.instance_id, request.generation)
        if request.protocol_type not in {None, group.protocol_type} or request.protocol not in {None, group.protocol}:
            raise BrokerError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if group.state is GroupState.PREPARING_REBALANCE:
            raise BrokerError(ErrorCode.REBALANCE_IN_PROGRESS)
        if group.state is GroupState.EMPTY:
            raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
        self.touch(member)
        group.pending_sync.discard(member.member_id)
        if group.state is GroupState.STABLE:
            reply(group.synced(member))
            return
        member.sync_reply = reply
        if member.member_id == group.leader:
            self._assign(group, request.assignments)

    def _assign(self, group: Group, assignments: dict[str, bytes]) -> None:
        generation = group.generation

        def stored(error: ErrorCode) -> None:
            if group.state is not GroupState.COMPLETING_REBALANCE or group.generation != generation:
                return
            if error:
                self._fail_sync(group, error)
            else:
                self._distribute(group, assignments)

        self._write_group(group, assignments, stored)

    def _distribute(self, group: Group, assignments: dict[str, bytes]) -> None:
        group.become(GroupState.STABLE, self._clock_ms())
        logger.info(
            "group %s: generation %d with %d members is stable", group.group_id, group.generation, len(group.members)
        )
        for member in group.members.values():
            member.assignment = assignments.get(member.member_id, b"")
            if member.sync_reply is not None:
                self.touch(member)
                member.answer_sync(group.synced(member))

    def _fail_sync(self, group: Group, error: ErrorCode) -> None:
        for member in group.members.values():
            member.answer_sync(SyncResult(error))
        self._rebalance(group)

    # ---- heartbeat and leave

    def heartbeat(self, group: Group, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
        """NONE, or REBALANCE_IN_PROGRESS while the group waits for joins. Raises: BrokerError."""
        member = self.member_of(group, member_id, instance_id, generation)
        if group.state is GroupState.EMPTY:
            raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
        self.touch(member)
        preparing = group.state is GroupState.PREPARING_REBALANCE
        return ErrorCode.REBALANCE_IN_PROGRESS if preparing else ErrorCode.NONE

    def leave(self, group: Group, member_id: str, instance_id: str | None) -> None:
        """A member goes; a static one by its instance id, with or without its member id. Raises: BrokerError."""
        if member_id in group.pending_members:
            group.forget_pending(member_id)
            if group.state is GroupState.PREPARING_REBALANCE:
                self._complete_join_if_all(group)
            return
        if instance_id is not None and not member_id:
            if instance_id not in group.static_members:
                raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
            member_id = group.static_members[instance_id]
        self._remove(group, self.member_of(group, member_id, instance_id))

    def member_of(self, group: Group, member_id: str, instance_id: str | None, generation: int | None = None) -> Member:
        """The member, checked as Kafka does: dead group, fenced instance, unknown id, generation, in this order.

        Raises: BrokerError.
        """
        if group.state is GroupState.DEAD:
            raise BrokerError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        expect_instance(group.static_members, member_id, instance_id)
        member = group.members.get(member_id)
        if member is None:
            raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
        if generation is not None and generation != group.generation:
            raise BrokerError(ErrorCode.ILLEGAL_GENERATION)
        return member

    def _remove(self, group: Group, member: Member) -> None:
        member.answer_join(JoinResult(ErrorCode.UNKNOWN_MEMBER_ID, member_id=member.member_id))
        member.answer_sync(SyncResult(ErrorCode.UNKNOWN_MEMBER_ID))
        group.remove(member.member_id)
        if not group.is_in(GroupState.EMPTY, GroupState.DEAD):
            self._rebalance(group)

    # ---- sessions

    def touch(self, member: Member) -> None:
        """The member gave a sign of life."""
        member.deadline = self._timers.time() + member.session_timeout_ms / 1000

    def watch(self, group: Group) -> None:
        """Start the sessions of a group that was read from the log."""
        for member in group.members.values():
            self._expect(group, member, member.session_timeout_ms)

    def _expect(self, group: Group, member: Member, timeout_ms: int) -> None:
        member.forget_timer()
        member.deadline = self._timers.time() + timeout_ms / 1000
        member.timer = self._timers.call_later(timeout_ms / 1000, lambda: self._session_due(group, member))

    def _session_due(self, group: Group, member: Member) -> None:
        left = member.deadline - self._timers.time()
        waits = not member.is_new and (member.join_reply is not None or member.sync_reply is not None)
        if left > 0.001 or waits:
            delay = left if left > 0.001 else member.session_timeout_ms / 1000
            member.timer = self._timers.call_later(delay, lambda: self._session_due(group, member))
            return
        logger.info("group %s: session of member %s expired", group.group_id, member.member_id)
        self._remove(group, member)
