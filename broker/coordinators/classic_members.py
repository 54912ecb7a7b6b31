"""Members that speak the classic protocol in a consumer group: they join, sync and heartbeat, and are led by the broker.

To such a member its epoch is the generation, and it never leads. A heartbeat tells it to join again when the group has moved
on, when it is to let partitions go, and when those it waits for are free; what it holds it says with the join, what it shall
hold it learns from the sync. Source: KIP-848's online migration.
"""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from broker.coordinators.consumer_group import ClassicSide, ConsumerGroup, ConsumerMember, Kind, MemberState
from broker.coordinators.consumer_membership import ConsumerMembership, Heartbeat, TopicShape
from broker.coordinators.consumer_protocol import PROTOCOL_TYPE, ConsumerSubscription, assignment, parse_subscription
from broker.coordinators.conversion import named, places_of
from broker.coordinators.group import JoinResult, SyncResult, expect_instance
from broker.coordinators.membership import JoinRequest, SyncRequest
from broker.errors import BrokerError, ErrorCode
from broker.log.checkpoints import uuid_text


class ClassicMembers:
    """The rules for them, in all consumer groups of one coordinator."""

    def __init__(self, membership: ConsumerMembership, topics: Mapping[str, TopicShape]) -> None:
        self._membership = membership
        self._topics = topics

    # ---- join

    def replaces_last_of_new_protocol(self, group: ConsumerGroup, request: JoinRequest) -> bool:
        """Whether the join is a static member's that spoke the new protocol before, and nobody else speaks it."""
        current = group.static_members.get(request.instance_id or "")
        return group.speakers_of_new_protocol == {current}

    def join(self, group: ConsumerGroup, request: JoinRequest, *, ends: bool = False) -> JoinResult:
        """A join, answered at once; the group notes what changed. Raises: BrokerError.

        `ends`: with it the group becomes a classic one, and no target is made any more: if one is due, that one rebalances.
        """
        member_id = request.member_id or uuid_text(uuid4())
        self._membership.check_room(group, member_id)
        _check_protocols(group, request)
        if not request.member_id and request.instance_id is None and request.require_known_id:
            return JoinResult(ErrorCode.MEMBER_ID_REQUIRED, member_id=member_id)
        _check_instance(group, request)
        said = _subscription(request)
        member = self._joining(group, request, member_id)
        before = group.epoch
        member.classic = ClassicSide(request.session_timeout_ms, dict(request.protocols))
        group.note(Kind.MEMBER, member.member_id)
        self._membership.take_in(
            group,
            member,
            Heartbeat(
                member.member_id,
                member.epoch,
                request.instance_id,
                said.rack_id,
                request.client_id,
                request.client_host,
                request.rebalance_timeout_ms,
                said.topics,
                owned=places_of(said.owned, self._topics),
            ),
            before,
            assigns=not ends,
        )
        self._membership.await_member(group, member, anew=True)
        return JoinResult(
            ErrorCode.NONE, member.epoch, PROTOCOL_TYPE, member.classic.protocol, member_id=member.member_id
        )

    def _joining(self, group: ConsumerGroup, request: JoinRequest, member_id: str) -> ConsumerMember:
        """The member that joins: known, new, or a static one that is back under another id."""
        current = group.static_members.get(request.instance_id or "")
        if current is None or current == member_id:
            return group.members.get(member_id) or self._new(group, request, member_id)
        self._membership.forget(group, current)
        return group.replace(current, member_id)

    def _new(self, group: ConsumerGroup, request: JoinRequest, member_id: str) -> ConsumerMember:
        member = ConsumerMember(member_id)
        member.subscription.instance_id = request.instance_id
        group.add(member)
        return member

    # ---- sync, heartbeat, leave

    def sync(self, group: ConsumerGroup, request: SyncRequest) -> SyncResult:
        """What the member shall hold. Raises: BrokerError."""
        member, classic = _classic(group, request.member_id, request.instance_id)
        _check_generation(member, request.generation)
        if request.protocol_type not in {None, PROTOCOL_TYPE} or request.protocol not in {None, classic.protocol}:
            raise BrokerError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if group.epoch > member.epoch and member.state is not MemberState.UNREVOKED_PARTITIONS:
            self._membership.await_member(group, member)
            raise BrokerError(ErrorCode.REBALANCE_IN_PROGRESS)
        self._membership.await_no_more(group, member)
        self._membership.touch(group, member)
        version = parse_subscription(classic.protocols[classic.protocol]).version
        held = assignment(named(member.assigned, self._topics), version)
        return SyncResult(ErrorCode.NONE, request.protocol_type, request.protocol, held)

    def heartbeat(self, group: ConsumerGroup, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
        """NONE, or REBALANCE_IN_PROGRESS where the member is to join again. Raises: BrokerError."""
        member, _ = _classic(group, member_id, instance_id)
        _check_generation(member, generation)
        self._membership.touch(group, member)
        waits_no_more = member.state is MemberState.UNRELEASED_PARTITIONS and not group.waits(member)
        if member.epoch < group.epoch or member.state is MemberState.UNREVOKED_PARTITIONS or waits_no_more:
            self._membership.await_member(group, member)
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def leave(self, group: ConsumerGroup, leavers: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
        """Members go, of either protocol (so administrators remove them), each named by (member id, instance id).

        A static one goes by its instance id, with or without its member id. Each has an answer of its own; all go together,
        so that one who is named twice is known twice.
        """
        gone: dict[str, None] = {}
        answers = []
        for member_id, instance_id in leavers:
            try:
                gone[_leaver(group, member_id, instance_id)] = None
                answers.append(ErrorCode.NONE)
            except BrokerError as error:
                answers.append(error.code)
        self._membership.remove_all(group, gone, "leaves")
        return answers


def _leaver(group: ConsumerGroup, member_id: str, instance_id: str | None) -> str:
    """The id of a member that is to go. Raises: BrokerError."""
    if instance_id is not None and not member_id:
        member_id = group.static_members.get(instance_id, "")
    return _member(group, member_id, instance_id).member_id


def _member(group: ConsumerGroup, member_id: str, instance_id: str | None) -> ConsumerMember:
    """A member of either protocol. Raises: BrokerError."""
    expect_instance(group.static_members, member_id, instance_id)
    if member_id not in group.members:
        raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
    return group.members[member_id]


def _classic(group: ConsumerGroup, member_id: str, instance_id: str | None) -> tuple[ConsumerMember, ClassicSide]:
    """A member and its classic side. Raises: BrokerError."""
    member = _member(group, member_id, instance_id)
    if member.classic is None:
        raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
    return member, member.classic


def _check_generation(member: ConsumerMember, generation: int) -> None:
    if member.epoch != generation:
        raise BrokerError(ErrorCode.ILLEGAL_GENERATION)


def _check_instance(group: ConsumerGroup, request: JoinRequest) -> None:
    """Who says which static member it is, and under which id, must be right about both. Raises: BrokerError."""
    if request.instance_id is None or not request.member_id:
        return
    current = group.static_members.get(request.instance_id)
    if current is None:
        raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID)
    if current != request.member_id:
        raise BrokerError(ErrorCode.FENCED_INSTANCE_ID)


def _check_protocols(group: ConsumerGroup, request: JoinRequest) -> None:
    """Whether the member has an assignor in common with the others of its protocol. Raises: BrokerError."""
    sides = [member.classic.protocols.keys() for member in group.members.values() if member.classic is not None]
    common = set(request.protocols).intersection(*sides)
    if request.protocol_type != PROTOCOL_TYPE or not common:
        raise BrokerError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def _subscription(request: JoinRequest) -> ConsumerSubscription:
    try:
        return parse_subscription(next(iter(request.protocols.values())))
    except ValueError as error:
        raise BrokerError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error)) from error
