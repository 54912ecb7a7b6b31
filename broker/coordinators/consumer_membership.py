"""What a heartbeat of the new consumer protocol does: join, change, let go, take over, leave; and what silence does.

One request carries everything: a member says who it is, at which epoch, what it wants and what it holds, and learns what it
shall hold. Rules and error codes are KIP-848's. Every timer is the event loop's; heartbeats only move a deadline.
Must not know records, versions or sockets.
"""

import asyncio
import dataclasses
import logging
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from broker.coordinators.assignors import ASSIGNORS
from broker.coordinators.consumer_group import (
    LEFT_FOR_NOW,
    ConsumerGroup,
    ConsumerMember,
    Kind,
    MemberState,
    Place,
    Subscription,
)
from broker.coordinators.membership import Timers
from broker.coordinators.patterns import matcher
from broker.errors import BrokerError, ErrorCode

logger = logging.getLogger(__name__)

JOINS = 0
LEAVES = -1


class TopicShape(Protocol):
    """What an assignment needs to know of a topic."""

    @property
    def topic_id(self) -> UUID:
        """Its id."""
        ...

    @property
    def count(self) -> int:
        """Its number of partitions."""
        ...


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A heartbeat; None stands for what has not changed since the last."""

    member_id: str
    epoch: int
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topics: frozenset[str] | None = None
    regex: str | None = None
    assignor: str | None = None
    owned: frozenset[Place] | None = None

    @property
    def is_full(self) -> bool:
        """Whether the member has said everything, and wants to hear everything."""
        subscribes = self.topics is not None or self.regex is not None
        return self.epoch == JOINS or (self.rebalance_timeout_ms >= 0 and subscribes and self.owned is not None)


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer; `assignment` None: as it was."""

    error: ErrorCode = ErrorCode.NONE
    message: str | None = None
    member_id: str | None = None
    epoch: int = 0
    interval_ms: int = 0
    assignment: frozenset[Place] | None = None


class ConsumerMembership:
    """The rules for all consumer groups of one coordinator. `timeouts` gives a group's (session, heartbeat) in ms."""

    def __init__(
        self,
        timers: Timers,
        topics: Mapping[str, TopicShape],
        timeouts: Callable[[str], tuple[int, int]],
        max_size: int,
        changed: Callable[[ConsumerGroup], None],
    ) -> None:
        self._timers = timers
        self._topics = topics
        self._timeouts = timeouts
        self._max_size = max_size
        self._changed = changed
        self._deadlines: dict[tuple[str, str], float] = {}
        self._rebalances: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._awaited: dict[tuple[str, str], asyncio.TimerHandle] = {}

    # ---- a heartbeat

    def heartbeat(self, group: ConsumerGroup, request: Heartbeat) -> Beat:
        """Take in what a member says; its group notes what changed. Raises: BrokerError."""
        if request.epoch < 0:
            return self._leave(group, request)
        epoch = group.epoch
        known = self._known(group, request)
        matcher(request.regex or "")  # the last that may be refused: from here on the group changes
        member = self._joining(group, request, known) if request.epoch == JOINS or known is None else known
        before, asked = member.assigned, member.pending_revocation
        if member.classic is not None:
            member.classic = None
            group.note(Kind.MEMBER, member.member_id)
            self.await_no_more(group, member)
        self.take_in(group, member, request, epoch)
        self._watch_revocation(group, member, anew=member.pending_revocation != asked)
        tell = request.is_full or member.assigned != before
        interval_ms = self._timeouts(group.group_id)[1]
        assignment = member.assigned if tell else None
        return Beat(member_id=member.member_id, epoch=member.epoch, interval_ms=interval_ms, assignment=assignment)

    def take_in(
        self, group: ConsumerGroup, member: ConsumerMember, request: Heartbeat, epoch: int, *, assigns: bool = True
    ) -> None:
        """What a member says, and a step nearer to what it shall hold; `epoch` is the group's before all this.

        With `assigns` false there is no new target, and no step where one is due.
        """
        changed = self._subscribe(group, member, request)
        self._look_at_topics(group, bumped=group.epoch > epoch)
        is_due = group.epoch > group.assignment_epoch
        if is_due and assigns:
            self._assign(group)
        if assigns or not is_due:
            reads = frozenset(self._topics[name].topic_id for name in self._subscribed(member)) if changed else None
            group.reconcile(member, request.owned, reads)
        self.touch(group, member)

    def check_room(self, group: ConsumerGroup, member_id: str) -> None:
        """Whether one more may come, if this is one more. Raises: BrokerError."""
        if member_id not in group.members and len(group.members) >= self._max_size:
            raise BrokerError(ErrorCode.GROUP_MAX_SIZE_REACHED, f"the group has {self._max_size} members already")

    def _known(self, group: ConsumerGroup, request: Heartbeat) -> ConsumerMember | None:
        """The member that speaks, None for a new one that may join. Raises: BrokerError."""
        if request.instance_id is not None:
            known = self._static_member(group, request)
        else:
            known = group.members.get(request.member_id)
        if request.epoch == JOINS:
            if known is None:
                self.check_room(group, request.member_id)
        elif known is None:
            raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID, f"{request.member_id} is not a member of the group")
        elif not _is_current(known, request):
            raise BrokerError(
                ErrorCode.FENCED_MEMBER_EPOCH,
                f"The consumer group member has epoch {request.epoch}, the broker knows it at {known.epoch}: "
                "abandon all partitions and rejoin.",
            )
        return known

    @staticmethod
    def _static_member(group: ConsumerGroup, request: Heartbeat) -> ConsumerMember | None:
        """Who has the instance id; who has none yet may take one with a join. Raises: BrokerError."""
        current = group.static_members.get(request.instance_id or "")
        if current is None:
            if request.epoch != JOINS:
                raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID, f"there is no static member {request.instance_id}")
            return group.members.get(request.member_id)
        if request.epoch != JOINS:
            if current != request.member_id:
                raise BrokerError(
                    ErrorCode.FENCED_INSTANCE_ID, f"static member {request.instance_id} was fenced by another member"
                )
        elif group.members[current].epoch != LEFT_FOR_NOW and group.members[current].classic is None:
            raise BrokerError(
                ErrorCode.UNRELEASED_INSTANCE_ID, f"static member {request.instance_id} is still in use by {current}"
            )
        return group.members[current]

    def _joining(self, group: ConsumerGroup, request: Heartbeat, known: ConsumerMember | None) -> ConsumerMember:
        """The member that joins: new, static and back, or known and as it was, as in Kafka: it says it holds nothing."""
        if known is None:
            known = ConsumerMember(request.member_id, Subscription(instance_id=request.instance_id))
            group.add(known)
            if not group.assignment_epoch:
                group.note(Kind.GROUP)
            logger.info("group %s: member %s joins", group.group_id, request.member_id)
        elif request.instance_id is None:
            return known
        elif known.member_id != request.member_id:
            self.forget(group, known.member_id)
            known = group.replace(known.member_id, request.member_id)
        elif known.subscription.instance_id != request.instance_id:
            group.name(known, request.instance_id)
        elif known.epoch == LEFT_FOR_NOW:
            known.epoch = known.previous_epoch = JOINS
        return known

    def _subscribe(self, group: ConsumerGroup, member: ConsumerMember, request: Heartbeat) -> bool:
        """Take in what a member says of itself; whether it may read other topics now."""
        was = member.subscription
        now = dataclasses.replace(
            was,
            client_id=request.client_id,
            client_host=request.client_host,
            rack_id=was.rack_id if request.rack_id is None else request.rack_id,
            topics=was.topics if request.topics is None else request.topics,
            regex=was.regex if request.regex is None else request.regex or None,
            assignor=was.assignor if request.assignor is None else request.assignor,
            rebalance_timeout_ms=max(request.rebalance_timeout_ms, -1)
            if request.rebalance_timeout_ms >= 0
            else was.rebalance_timeout_ms,
        )
        if now == was:
            return False
        member.subscription = now
        group.note(Kind.MEMBER, member.member_id)
        if now.topics != was.topics or (now.regex != was.regex and self._matters(group, member, was.regex)):
            group.bump()
        return (now.topics, now.regex) != (was.topics, was.regex)

    def _matters(self, group: ConsumerGroup, member: ConsumerMember, was: str | None) -> bool:
        """Whether a member's other pattern calls for a new target: not one that is new to the group and matches nothing.

        Source: Kafka, which begins no epoch before it knows what a pattern matches, and then only if that is anything.
        """
        now = member.subscription.regex
        others = (other.subscription.regex for other in group.members.values() if other is not member)
        return now is None or now in others or bool(self._matched(now) or self._matched(was))

    # ---- topics and targets

    def _look_at_topics(self, group: ConsumerGroup, *, bumped: bool) -> None:
        """Topics that came, went or grew call for a new target; one epoch is enough for all that a heartbeat changes."""
        found = self._topics_hash(group)
        if found != group.metadata_hash:
            group.metadata_hash = found
            group.note(Kind.GROUP)
            if not bumped:
                group.bump()

    def know_topics(self, group: ConsumerGroup) -> None:
        """The topics of a group as it is now are no news to it."""
        group.metadata_hash = self._topics_hash(group)

    def _topics_hash(self, group: ConsumerGroup) -> int:
        names = sorted(set().union(*(self._subscribed(member) for member in group.members.values())))
        shapes = [(name, self._topics[name].topic_id.hex, self._topics[name].count) for name in names]
        return zlib.crc32(repr(shapes).encode()) if shapes else 0

    def topics_read(self, group: ConsumerGroup) -> frozenset[str]:
        """Topics that members name, there or not, and those that their patterns match."""
        said = [member.subscription for member in group.members.values()]
        return frozenset().union(*(each.topics | self._matched(each.regex) for each in said))

    def _subscribed(self, member: ConsumerMember) -> frozenset[str]:
        """Topics a member reads that exist."""
        named = frozenset(name for name in member.subscription.topics if name in self._topics)
        return named | self._matched(member.subscription.regex)

    def _matched(self, regex: str | None) -> frozenset[str]:
        """Topics a pattern matches, the broker's own among them, as in Kafka: only clients leave those out."""
        if regex is None:
            return frozenset()
        matches = matcher(regex)
        return frozenset(name for name in self._topics if matches(name))

    def _assign(self, group: ConsumerGroup) -> None:
        subscriptions = {member_id: self._subscribed(member) for member_id, member in group.members.items()}
        names = set().union(*subscriptions.values())
        sizes = {name: self._topics[name].count for name in names}
        name_of = {self._topics[name].topic_id: name for name in names}
        now = {
            member_id: {(name_of[topic_id], index) for topic_id, index in places if topic_id in name_of}
            for member_id, places in group.targets.items()
            if member_id in subscriptions
        }
        assigned = ASSIGNORS[group.assignor](subscriptions, sizes, now)
        group.set_targets(
            {
                member_id: frozenset((self._topics[name].topic_id, index) for name, index in partitions)
                for member_id, partitions in assigned.items()
            }
        )
        logger.info(
            "group %s: assignment %d for %d members", group.group_id, group.assignment_epoch, len(group.members)
        )

    # ---- leaving

    def _leave(self, group: ConsumerGroup, request: Heartbeat) -> Beat:
        member_id = request.member_id
        known = member_id if request.instance_id is None else group.static_members.get(request.instance_id, "")
        member = group.members.get(known)
        if member is not None and known != member_id:
            raise BrokerError(
                ErrorCode.FENCED_INSTANCE_ID, f"static member {request.instance_id} was fenced by another member"
            )
        if member is None:
            raise BrokerError(ErrorCode.UNKNOWN_MEMBER_ID, f"{member_id} is not a member of the group")
        if request.epoch == LEFT_FOR_NOW:
            member.epoch = LEFT_FOR_NOW
            member.state = MemberState.STABLE
            group.hold(member, member.assigned)
            member.assignment_epochs = dict.fromkeys(member.assigned, 0)  # its epochs begin anew when it is back
        else:
            self.remove(group, member_id, "leaves")
        return Beat(member_id=member_id, epoch=request.epoch)

    def remove(self, group: ConsumerGroup, member_id: str, why: str) -> None:
        """Let a member go; the others get what it had."""
        self.remove_all(group, [member_id], why)

    def remove_all(self, group: ConsumerGroup, member_ids: Collection[str], why: str) -> None:
        """Let members go together; the others get what they had."""
        for member_id in member_ids:
            logger.info("group %s: member %s %s", group.group_id, member_id, why)
            group.remove(member_id)
            self.forget(group, member_id)
        if member_ids:
            self.know_topics(group)  # what only they read is no news to who comes next
            group.bump()

    # ---- time

    def watch(self, group: ConsumerGroup) -> None:
        """Start the sessions of a group that was read from the log, or of another kind before."""
        for member in group.members.values():
            self.touch(group, member)
            self._watch_revocation(group, member)

    def forget(self, group: ConsumerGroup, member_id: str) -> None:
        """No deadlines for a member any more."""
        self._deadlines.pop((group.group_id, member_id), None)
        for waiting in (self._rebalances, self._awaited):
            timer = waiting.pop((group.group_id, member_id), None)
            if timer is not None:
                timer.cancel()

    def await_member(self, group: ConsumerGroup, member: ConsumerMember, *, anew: bool = False) -> None:
        """A member of the classic protocol is to join, or to sync, within its rebalance timeout, or is let go."""
        key = (group.group_id, member.member_id)
        if key in self._awaited and not anew:
            return
        self.await_no_more(group, member)
        seconds = max(member.subscription.rebalance_timeout_ms, 0) / 1000
        self._awaited[key] = self._timers.call_later(seconds, lambda: self._not_come(group, member))

    def await_no_more(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        """It has come."""
        timer = self._awaited.pop((group.group_id, member.member_id), None)
        if timer is not None:
            timer.cancel()

    def _not_come(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        self._awaited.pop((group.group_id, member.member_id), None)
        if group.members.get(member.member_id) is member:
            self.remove(group, member.member_id, "did not come back in time")
            self._changed(group)

    def _session_seconds(self, group: ConsumerGroup, member_id: str) -> float:
        """How long a member may be silent: as it said itself in the classic protocol, as the broker says in the new."""
        classic = group.members[member_id].classic
        return (self._timeouts(group.group_id)[0] if classic is None else classic.session_timeout_ms) / 1000

    def touch(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        """A member gave a sign of life."""
        key = (group.group_id, member.member_id)
        if key in self._deadlines:
            self._deadlines[key] = self._timers.time() + self._session_seconds(group, member.member_id)
        else:
            self._expect(group, member.member_id)

    def _expect(self, group: ConsumerGroup, member_id: str) -> None:
        """Begin a session."""
        seconds = self._session_seconds(group, member_id)
        self._deadlines[group.group_id, member_id] = self._timers.time() + seconds
        self._timers.call_later(seconds, lambda: self._session_due(group, member_id))

    def _session_due(self, group: ConsumerGroup, member_id: str) -> None:
        deadline = self._deadlines.get((group.group_id, member_id))
        if deadline is None or member_id not in group.members:
            return
        left = deadline - self._timers.time()
        if left > 0.001:
            self._timers.call_later(left, lambda: self._session_due(group, member_id))
            return
        self.remove(group, member_id, "was silent for its session")
        self._changed(group)

    def _watch_revocation(self, group: ConsumerGroup, member: ConsumerMember, *, anew: bool = False) -> None:
        """Who does not let go within its rebalance timeout is fenced; `anew`: it has been asked for others than before."""
        key = (group.group_id, member.member_id)
        revoking = member.state is MemberState.UNREVOKED_PARTITIONS
        if key in self._rebalances and (anew or not revoking):
            self._rebalances.pop(key).cancel()
        if revoking and key not in self._rebalances:
            seconds = max(member.subscription.rebalance_timeout_ms, 0) / 1000
            self._rebalances[key] = self._timers.call_later(seconds, lambda: self._revocation_due(group, member))

    def _revocation_due(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        self._rebalances.pop((group.group_id, member.member_id), None)
        if group.members.get(member.member_id) is member and member.state is MemberState.UNREVOKED_PARTITIONS:
            self.remove(group, member.member_id, "did not let go in time")
            self._changed(group)


def _is_current(member: ConsumerMember, request: Heartbeat) -> bool:
    """The member's epoch, or the one before where the answer with the new one may have been lost."""
    if request.epoch >= member.epoch:
        return request.epoch == member.epoch
    return request.epoch == member.previous_epoch and request.owned is not None and request.owned <= member.assigned
