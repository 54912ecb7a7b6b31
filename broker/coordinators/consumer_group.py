"""One group of the new consumer protocol: members with epochs, their target, and their way from what they have to it.

Three epochs count up: the group's at every change of members, subscriptions or topics; the assignment's when a target was
computed for the group's; each member's when it has arrived at a target. A partition is given to its new owner only after
its old one has said that it let go: `reconcile` is that rule. Pure state; every change is noted in `changed`, which says
what must be written down. Knows nothing of logs, timers or requests.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from uuid import UUID

from broker.coordinators.assignors import DEFAULT_ASSIGNOR

Place = tuple[UUID, int]
"""A partition by its topic's id."""

FIRST_EPOCH = 1
"""Of a new group, before its first member has said what it reads."""
LEFT_FOR_NOW = -2
"""Epoch of a static member that went and may come back."""


class MemberState(Enum):
    """Where a member stands on its way to its target: the number its record has."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2


class ConsumerGroupState(Enum):
    """States of a group as administrators see them."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"


class Kind(Enum):
    """What a record is about: the version of its key."""

    GROUP = 3
    MEMBER = 5
    TARGET_EPOCH = 6
    TARGET = 7
    CURRENT = 8


@dataclass(slots=True)
class Subscription:
    """What a member said of itself."""

    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    topics: frozenset[str] = frozenset()
    regex: str | None = None
    rebalance_timeout_ms: int = -1
    assignor: str | None = None


@dataclass(frozen=True, slots=True)
class ClassicSide:
    """What a member said that joined by the classic protocol: its assignors, best first, with its subscription in each."""

    session_timeout_ms: int
    protocols: dict[str, bytes]

    @property
    def protocol(self) -> str:
        """The assignor it is told to have been chosen; none is, as the broker assigns."""
        return next(iter(self.protocols))


@dataclass(slots=True)
class ConsumerMember:
    """One member; `pending_revocation` is what it has been asked to let go and still holds, `classic` None for the new kind.

    `assignment_epochs` says of either since which epoch it has it.
    """

    member_id: str
    subscription: Subscription = field(default_factory=Subscription)
    epoch: int = 0
    previous_epoch: int = -1
    state: MemberState = MemberState.STABLE
    assigned: frozenset[Place] = frozenset()
    pending_revocation: frozenset[Place] = frozenset()
    assignment_epochs: dict[Place, int] = field(default_factory=dict)
    classic: ClassicSide | None = None

    def may_commit(self, place: Place, epoch: int) -> bool:
        """Whether an epoch before the present one is late enough for a partition: it has been the member's since (KIP-1251)."""
        since = self.assignment_epochs.get(place)
        return since is not None and epoch >= since


class ConsumerGroup:
    """A group between its first member and its deletion."""

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = FIRST_EPOCH
        self.metadata_hash = 0
        self.assignment_epoch = 0
        self.members: dict[str, ConsumerMember] = {}
        self.static_members: dict[str, str] = {}
        self.targets: dict[str, frozenset[Place]] = {}
        self.owners: dict[Place, str] = {}
        self.changed: dict[tuple[Kind, str], None] = {}

    @property
    def state(self) -> ConsumerGroupState:
        """Empty, waiting for a target, on the way to it, or there."""
        if not self.members:
            return ConsumerGroupState.EMPTY
        if self.epoch > self.assignment_epoch:
            return ConsumerGroupState.ASSIGNING
        arrived = all(m.state is MemberState.STABLE and m.epoch == self.assignment_epoch for m in self.members.values())
        return ConsumerGroupState.STABLE if arrived else ConsumerGroupState.RECONCILING

    @property
    def assignor(self) -> str:
        """The assignor most members ask for."""
        votes = Counter(m.subscription.assignor for m in self.members.values() if m.subscription.assignor)
        return votes.most_common(1)[0][0] if votes else DEFAULT_ASSIGNOR

    def note(self, kind: Kind, member_id: str = "") -> None:
        """Something has changed and must be written down."""
        self.changed[kind, member_id] = None

    def bump(self) -> None:
        """Members, subscriptions or topics changed: a new target is due."""
        self.epoch += 1
        self.note(Kind.GROUP)

    # ---- members

    def add(self, member: ConsumerMember) -> None:
        """Take in a member."""
        self.members[member.member_id] = member
        if member.subscription.instance_id is not None:
            self.static_members[member.subscription.instance_id] = member.member_id
        self.note(Kind.MEMBER, member.member_id)
        self.note(Kind.CURRENT, member.member_id)

    def name(self, member: ConsumerMember, instance_id: str) -> None:
        """A member is a static one from now on, or another one than before."""
        self._forget_instance(member)
        member.subscription = replace(member.subscription, instance_id=instance_id)
        self.static_members[instance_id] = member.member_id
        self.note(Kind.MEMBER, member.member_id)

    def _forget_instance(self, member: ConsumerMember) -> None:
        instance_id = member.subscription.instance_id
        if instance_id is not None and self.static_members.get(instance_id) == member.member_id:
            del self.static_members[instance_id]

    def remove(self, member_id: str) -> ConsumerMember:
        """Let a member go, with all it has."""
        member = self.members.pop(member_id)
        self._release(member)
        self._forget_instance(member)
        self.targets.pop(member_id, None)
        for kind in (Kind.CURRENT, Kind.TARGET, Kind.MEMBER):
            self.note(kind, member_id)
        return member

    def replace(self, old_id: str, new_id: str) -> ConsumerMember:
        """A static member is back under another id and takes over what the old one had."""
        target = self.targets.get(old_id, frozenset())
        old = self.remove(old_id)
        if new_id in self.members:
            self.remove(new_id)
        member = ConsumerMember(new_id, old.subscription, 0, 0)
        self.add(member)
        self.targets[new_id] = target
        self.note(Kind.TARGET, new_id)
        return member

    def hold(
        self,
        member: ConsumerMember,
        assigned: frozenset[Place],
        pending_revocation: frozenset[Place] = frozenset(),
    ) -> None:
        """A member has these partitions and no others; what is new to it, it has since the present assignment."""
        self._release(member)
        member.assigned, member.pending_revocation = assigned, pending_revocation
        since = member.assignment_epochs
        member.assignment_epochs = {
            place: since.get(place, self.assignment_epoch) for place in assigned | pending_revocation
        }
        for place in assigned | pending_revocation:
            self.owners[place] = member.member_id
        self.note(Kind.CURRENT, member.member_id)

    def _release(self, member: ConsumerMember) -> None:
        for place in member.assigned | member.pending_revocation:
            if self.owners.get(place) == member.member_id:
                del self.owners[place]

    def set_targets(self, targets: Mapping[str, frozenset[Place]]) -> None:
        """What every member shall have in the end, for the group's present epoch."""
        for member_id, places in targets.items():
            if self.targets.get(member_id) != places:
                self.targets[member_id] = places
                self.note(Kind.TARGET, member_id)
        self.assignment_epoch = self.epoch
        self.note(Kind.TARGET_EPOCH)

    # ---- the way to the target

    def reconcile(
        self, member: ConsumerMember, owned: frozenset[Place] | None, reads: frozenset[UUID] | None = None
    ) -> None:
        """Bring a member a step nearer to its target.

        `owned` is what it says it holds, None if it said nothing; `reads` its topics if they are others than before.
        """
        if member.state is MemberState.UNREVOKED_PARTITIONS:
            if owned is None or owned & member.pending_revocation:
                unread = frozenset(place for place in member.assigned if reads is not None and place[0] not in reads)
                if unread:
                    self.hold(member, member.assigned - unread, member.pending_revocation | unread)
                return
            self.hold(member, member.assigned)
        elif member.state is MemberState.STABLE and member.epoch == self.assignment_epoch:
            return
        self._step(member, owned)

    def _step(self, member: ConsumerMember, owned: frozenset[Place] | None) -> None:
        target = self.targets.get(member.member_id, frozenset())
        kept = member.assigned & target
        revoked = member.assigned - target
        if revoked and (owned is None or owned & revoked):
            self.hold(member, kept, revoked)
            member.state = MemberState.UNREVOKED_PARTITIONS
            return
        missing = target - kept
        free = frozenset(place for place in missing if self.owners.get(place, member.member_id) == member.member_id)
        state = MemberState.STABLE if free == missing else MemberState.UNRELEASED_PARTITIONS
        if (member.assigned, member.state, member.epoch) != (kept | free, state, self.assignment_epoch):
            self.hold(member, kept | free)
            self._arrive(member, state)

    def _arrive(self, member: ConsumerMember, state: MemberState) -> None:
        member.state = state
        if member.epoch != self.assignment_epoch:
            member.previous_epoch, member.epoch = member.epoch, self.assignment_epoch

    def waits(self, member: ConsumerMember) -> bool:
        """Whether another member holds what this one is to have."""
        missing = self.targets.get(member.member_id, frozenset()) - member.assigned
        return any(self.owners.get(place, member.member_id) != member.member_id for place in missing)

    @property
    def is_all_classic(self) -> bool:
        """Whether it has members, and none of the new protocol."""
        return bool(self.members) and not self.speakers_of_new_protocol

    @property
    def speakers_of_new_protocol(self) -> set[str]:
        """Members that have not joined by the classic protocol."""
        return {member_id for member_id, member in self.members.items() if member.classic is None}

    # ---- loading

    def settle(self) -> None:
        """All records are read: work out who owns what."""
        self.owners = {
            place: member.member_id
            for member in self.members.values()
            for place in member.assigned | member.pending_revocation
        }
        self.static_members = {
            m.subscription.instance_id: m.member_id
            for m in self.members.values()
            if m.subscription.instance_id is not None
        }
        self.changed.clear()
