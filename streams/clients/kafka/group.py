"""A member of a consumer group: joins, syncs, beats, leaves (Kafka's classic protocol, eager or cooperative).

Lives on the network loop; the processing thread hears of ownership by `Rebalance`s, answers them from inside its
`poll`, and what it answers is what the next join tells the leader. Rules: heartbeats go on whatever user code does, but
a processing thread that has not polled for `max_poll_interval_ms` makes the member leave; an eager member gives
everything back before it joins, a cooperative one what is to go after it has synced, and then joins again; a member
that the group has dropped says so (`LOST`) before it joins anew. A static member that comes back finds its place as it was
left, and the group assigns anew only if that no longer stands. The table of states is beside their enum.
Source: Kafka's AbstractCoordinator and ConsumerCoordinator; KIP-345, KIP-394, KIP-429, KIP-792, KIP-814.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient, CoordinationType

from streams.clients.base import Assignment, Assignor, GroupMetadata, Matches, OffsetAndMetadata, Subscription
from streams.clients.handover import withhold
from streams.clients.kafka import group_requests as requests
from streams.clients.kafka.codes import Code, name_of
from streams.clients.kafka.coordinator import MOVED, PASSING, RETRY_S, Coordinator
from streams.clients.kafka.group_errors import refusal
from streams.clients.kafka.group_offsets import commit_offsets, committed_offsets, decided_offsets
from streams.clients.kafka.group_requests import Claim
from streams.clients.kafka.group_states import TRANSITIONS, GroupSettings, MemberState, Ownership, Rebalance
from streams.clients.kafka.heartbeats import Heartbeats
from streams.clients.kafka.lease import Lease
from streams.clients.kafka.network import Line, Outage, described, translated
from streams.clients.kafka.subscribed_topics import SubscribedTopics
from streams.errors import ClientError, RebalanceInProgress, StreamsError, TaskMigrated
from streams.record import TopicPartition

log = logging.getLogger(__name__)

NO_GENERATION = -1
JOIN_MARGIN_S = 5.0
LEAVE_S = 2.0
GENERATION_POLL_S = 0.005
TAKEN_BACK, TAKEN_BACK_S = 3, 60.0
"""How often, and in which time, a member takes back a name that is its own before it believes in another of that name."""
NOBODY: frozenset[TopicPartition] = frozenset()


class GroupMember:
    """One member. All methods but `polling` are called on the network loop; `metadata` and `life` may be read by any."""

    def __init__(
        self,
        client: AIOKafkaClient,
        settings: GroupSettings,
        lease: Lease,
        *,
        tell: Callable[[Rebalance], None],
        fail: Callable[[StreamsError], None],
    ) -> None:
        self.metadata = GroupMetadata(settings.group, instance_id=settings.instance_id)
        self.life = 0
        self._client = client
        self._settings = settings
        self._lease = lease
        self._tell = tell
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._coordinator = Coordinator(client, CoordinationType.GROUP, settings.group)
        self._state = MemberState.UNJOINED
        self._ended_by: StreamsError | None = None
        self._assignor: Assignor | None = None
        self._counts: dict[str, int] = {}
        """What the leader divided; empty for the others."""
        self._claimed: tuple[str, ...] = ()
        """The topics of the last join."""
        self._owned = NOBODY
        self._returns = False
        """Whether it last joined by its name alone: it may have been given a place as it was left, without a rebalance."""
        self.lost = False
        """Whether the group has dropped this member, and the processing thread has not heard of it."""
        self._taken_back: list[float] = []
        self._needed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._outage = Outage("the group")
        self._topics = SubscribedTopics(client, self._outage)
        self._heartbeats = Heartbeats(
            self._coordinator, settings, lease, self._beating_as, answered=self._heartbeat_answered, silent=self._silent
        )

    # What the consumer asks

    async def subscribe(self, topics: Iterable[str], assignor: Assignor, matches: Matches | None = None) -> None:
        """Join the group."""
        self._assignor = assignor
        await self._topics.subscribe(topics, matches, self._metadata_changed)
        self._begin()

    async def rejoin(self, taken: str | None = None) -> None:
        """Leave, and join as a new member; what was owned is let go without a word. Raises: what this member ended with.

        `taken` is the member id whose name another one has, as a transaction was told.
        """
        if taken is not None:
            self._fenced(self.metadata._replace(member_id=taken), "take offsets")
        self._expect_living()
        await self._cancel()
        await self._leave()
        self._move(MemberState.UNJOINED)
        self._owned, self.lost = NOBODY, False
        self._begin()

    def enforce_rebalance(self) -> None:
        """Have the group assign anew."""
        self._needed.set()

    def polling(self, *, waits: bool) -> None:
        """The processing thread waits in `poll`, or is about to do something else. From any thread."""
        self._heartbeats.polling(waits=waits)

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], *, within_s: float) -> None:
        """Commit as this member. Raises: TaskMigrated, RebalanceInProgress, ClientError."""
        member = self.metadata
        if self._assignor is not None and (self.lost or member.generation == NO_GENERATION):
            # Asked as nobody, the broker would take offsets while the group is empty.
            raise TaskMigrated("the group went on without this member")
        code = await commit_offsets(self._coordinator, member, offsets, within_s=within_s)
        if code == Code.NONE:
            return
        if code == Code.REBALANCE_IN_PROGRESS:
            self._called()
            raise RebalanceInProgress("not committed: the group forms a new generation")
        if code in (Code.ILLEGAL_GENERATION, Code.UNKNOWN_MEMBER_ID):
            if code == Code.ILLEGAL_GENERATION and self._between_generations(member):
                raise RebalanceInProgress("not committed: this member is joining the next generation")
            self._dropped(member, code)
            raise TaskMigrated(f"the group went on without this member: the broker answers {name_of(code)}")
        if code == Code.FENCED_INSTANCE_ID:
            self._fenced(member, "take offsets")
            self._expect_living()
            raise TaskMigrated(f"another member has this one's place: the broker answers {name_of(code)}")
        raise refusal(member.group, code, "take offsets")

    async def committed(
        self, partitions: Iterable[TopicPartition], *, within_s: float
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed offsets, once no transaction holds them; partitions without one are absent."""
        return await committed_offsets(self._coordinator, self._settings.group, partitions, within_s=within_s)

    async def decided(
        self, partitions: Iterable[TopicPartition], *, within_s: float
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """The group's committed offsets that no open transaction holds; None where there is none."""
        return await decided_offsets(self._coordinator, self._settings.group, partitions, within_s=within_s)

    async def generation_beyond(self, generation: int, *, within_s: float) -> GroupMetadata:
        """This member once it is through to a generation after that one, or as it is when it is not on its way."""
        deadline = self._loop.time() + within_s
        while self.metadata.generation == generation and self._between_generations(self.metadata):
            if self._loop.time() >= deadline:
                break
            await asyncio.sleep(GENERATION_POLL_S)
        return self.metadata

    async def close(self) -> None:
        """Leave the group; a static member that stays keeps its place until its session ends."""
        await self._cancel()
        if self._state is not MemberState.ENDED:
            await self._leave()
            self._move(MemberState.ENDED)

    # One generation after the other

    def _begin(self) -> None:
        self.life += 1
        self._needed.set()
        self._tasks = [self._loop.create_task(self._run()), self._loop.create_task(self._heartbeats.run())]

    async def _run(self) -> None:
        try:
            with translated():
                while True:
                    await self._needed.wait()
                    await self._rebalance()
        except StreamsError as error:
            self._end(error)
        except Exception as error:
            log.exception("the member of the group failed")
            self._end(ClientError(f"the member of group {self._settings.group!r} failed: {error}"))

    async def _rebalance(self) -> None:
        """Try to get through to the next generation once; `_needed` stays set when it has to be tried again."""
        user_data = await self._prepare()
        joined = await self._join(user_data)
        if joined is None:
            return
        assignment = await self._sync(joined)
        if assignment is not None:
            await self._take(assignment)

    async def _prepare(self) -> bytes:
        """Have the processing thread give back what it must, and say what the leader is to know."""
        self._move(MemberState.PREPARING)
        while True:
            lost, self.lost = self.lost, False
            if lost and self._owned:
                user_data = await self._ask(Ownership.LOST, self._owned)
                self._owned = NOBODY
            elif self._owned and not self._cooperative:
                user_data = await self._ask(Ownership.REVOKED, self._owned)
                self._owned = NOBODY
            else:
                user_data = await self._ask(Ownership.JOINING, NOBODY)
            if not self.lost:
                return user_data

    async def _join(self, user_data: bytes) -> Any:
        """The response that makes this a member of the new generation; None: begin again."""
        settings, assignor = self._settings, self._assigning
        self._move(MemberState.JOINING)
        await self._topics.refresh()
        self._claimed = self._topics.now
        claim = Claim(self._claimed, user_data, tuple(sorted(self._owned)), self.metadata.generation)
        times = (settings.session_timeout_ms, settings.max_poll_interval_ms)
        self._returns = settings.instance_id is not None and not self.metadata.member_id
        self._needed.clear()
        response = await self._ask_coordinator(requests.join(self.metadata, *times, assignor.name, claim))
        if response is not None and self._returns and _may_lead_unknowingly(response):
            # The very same claim again: a follower is only told once more, and the leader leads a new generation.
            self._become(response.generation, response.member_id)
            response = await self._ask_coordinator(requests.join(self.metadata, *times, assignor.name, claim))
        if response is None:
            return None
        if response.error_code == Code.NONE:
            self._become(response.generation, response.member_id)
            return response
        if response.error_code == Code.MEMBER_ID_REQUIRED:
            self._become(NO_GENERATION, response.member_id)
            self._needed.set()
            return None
        await self._refused(response.error_code, "be joined")
        return None

    async def _sync(self, joined: Any) -> Assignment | None:
        """This member's assignment, after having made all if it leads; None: begin again."""
        self._move(MemberState.SYNCING)
        self._counts = {}
        leads = joined.leader == joined.member_id
        assignments: Mapping[str, Assignment] = {}
        if leads:
            claims = {
                (member_id, instance_id): Claim.decoded(data) for member_id, instance_id, data, *_ in joined.members
            }
            self._counts = await self._topics.count({topic for claim in claims.values() for topic in claim.topics})
            if not getattr(joined, "skip_assignment", False):
                assignments = await self._assign(claims)
        response = await self._ask_coordinator(requests.sync(self.metadata, assignments))
        if response is None:
            return None
        if response.error_code != Code.NONE:
            await self._refused(response.error_code, "be synced with")
            return None
        assignment = requests.decoded_assignment(response.assignment)
        counts = self._counts if leads else self._topics.counts_now()
        if self._returns and not self._assigning.stands(assignment.user_data, counts):
            log.info("the place this member had is not what it needs now: the group assigns anew")
            self._needed.set()
            return None
        return assignment

    async def _take(self, assignment: Assignment) -> None:
        """Own what was assigned, after having let go of what was not; then the others may have that."""
        self._move(MemberState.STABLE)
        if not self.lost:
            self._lease.begin(self._loop.time())
        given = frozenset(assignment.partitions)
        gone = self._owned - given
        if gone:
            await self._ask(Ownership.REVOKED, gone)
            self._owned -= gone
            if self.lost:
                return
            self._needed.set()
        self._owned = given
        self._tell(Rebalance(Ownership.ASSIGNED, given, assignment.user_data, self.life, lambda _: None))
        self._metadata_changed()

    async def _assign(self, claims: Mapping[tuple[str, str | None], Claim]) -> Mapping[str, Assignment]:
        """Divide, as the leader."""
        subscriptions = _subscriptions(claims)
        # On a thread of its own: it may ask the broker for offsets, and heartbeats go on while it thinks.
        assignments = await asyncio.to_thread(self._assigning.assign, self._counts, subscriptions)
        return withhold(assignments, subscriptions) if self._cooperative else assignments

    def _metadata_changed(self) -> None:
        """Have the group assign anew when a topic has grown, as its leader, or when other topics match than at the join."""
        if self._state is not MemberState.STABLE:
            return
        grown = bool(self._counts) and self._topics.counts(self._counts) != self._counts
        if grown or self._topics.now != self._claimed:
            log.info("topics have changed: the group assigns anew")
            self._counts, self._claimed = {}, self._topics.now
            self._needed.set()

    # Requests

    async def _ask_coordinator(self, request: Any) -> Any:
        """Join and sync, which may take as long as the slowest member; None: not answered, begin again."""
        timeout_s = self._settings.max_poll_interval_ms / 1000 + JOIN_MARGIN_S
        try:
            response = await self._coordinator.ask_once(request, line=Line.JOINING, timeout_s=timeout_s)
        except kafka_errors.IncompatibleBrokerVersion:
            raise
        except kafka_errors.KafkaError as error:
            self._outage.failed(described(error))
            self._needed.set()
            await asyncio.sleep(RETRY_S)
            return None
        self._outage.over()
        return response

    async def _refused(self, code: int, what: str) -> None:
        """Judge a code of join or sync, and have it begun again. Raises: ClientError for what no retry cures."""
        self._needed.set()
        if code in (Code.UNKNOWN_MEMBER_ID, Code.ILLEGAL_GENERATION):
            self._dropped(self.metadata, code)
        elif code == Code.FENCED_INSTANCE_ID:
            self._fenced(self.metadata, what)
        elif code in PASSING:
            if code in MOVED:
                self._coordinator.forget()
            await asyncio.sleep(RETRY_S)
        elif code != Code.REBALANCE_IN_PROGRESS:
            raise refusal(self._settings.group, code, what)

    def _beating_as(self) -> GroupMetadata | None:
        """Who beats now: nobody before the first generation, nor while a join tells the group that this one lives."""
        joining = self._state is MemberState.JOINING
        return None if joining or self.metadata.generation < 0 else self.metadata

    def _heartbeat_answered(self, member: GroupMetadata, code: int) -> None:
        if code == Code.NONE:
            return
        if code == Code.REBALANCE_IN_PROGRESS:
            self._called()
        elif code in (Code.UNKNOWN_MEMBER_ID, Code.ILLEGAL_GENERATION):
            self._dropped(member, code)
        elif code == Code.FENCED_INSTANCE_ID:
            self._fenced(member, "be kept up")
        elif code in MOVED:
            self._coordinator.forget()
        elif code not in PASSING:
            self._end(refusal(member.group, code, "be kept up"))

    async def _silent(self) -> None:
        """The processing thread does not poll: others shall have the partitions."""
        member = self.metadata
        await self._leave()
        self._dropped(member, Code.UNKNOWN_MEMBER_ID)

    async def _leave(self) -> None:
        """Say goodbye once, and do not insist; a static member that stays does not."""
        member = self.metadata
        if member.member_id and not self._settings.stays:
            self._lease.end()
            with contextlib.suppress(kafka_errors.KafkaError, TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._coordinator.ask_once(requests.leave(member))
        self._become(NO_GENERATION, "")

    # Within

    @property
    def _assigning(self) -> Assignor:
        assert self._assignor is not None, "members have an assignor"
        return self._assignor

    @property
    def _cooperative(self) -> bool:
        return self._assigning.cooperative

    def _between_generations(self, member: GroupMetadata) -> bool:
        """Whether this member is on its way to the next generation, or got there since it was `member`."""
        now = self.metadata
        joining = self._state in (MemberState.JOINING, MemberState.SYNCING)
        return now.member_id == member.member_id and (joining or now.generation > member.generation)

    def _called(self) -> None:
        """The group forms a new generation. A member on its way to it knows that; to join once more would begin another."""
        if self._state is MemberState.STABLE:
            self._needed.set()

    def _become(self, generation: int, member_id: str) -> None:
        self.metadata = self.metadata._replace(generation=generation, member_id=member_id)

    def _dropped(self, member: GroupMetadata, code: int) -> None:
        """The group does not know this member, or has gone on without it: another may own what it owned."""
        if self._assignor is None or self._state is MemberState.ENDED:
            return
        log.warning("dropped out of the group: %s", name_of(code))
        self.lost = True
        self._lease.end()
        self._become(NO_GENERATION, member.member_id if code == Code.ILLEGAL_GENERATION else "")
        self._needed.set()

    def _fenced(self, member: GroupMetadata, what: str) -> None:
        """The group knows another id under this member's name.

        A coordinator that dies between two generations forgets the id it gave out last, and a name that nobody else can
        have is taken back. One that was given by its user may be another's: this member ends, as it does when the name
        is taken from it again and again.
        """
        now = self._loop.time()
        self._taken_back = [at for at in self._taken_back if at > now - TAKEN_BACK_S]
        if self._settings.stays or len(self._taken_back) >= TAKEN_BACK:
            self._end(refusal(member.group, Code.FENCED_INSTANCE_ID, what))
        elif member.member_id == self.metadata.member_id:
            self._taken_back.append(now)
            self._dropped(member, Code.FENCED_INSTANCE_ID)

    def _move(self, state: MemberState) -> None:
        if state is not self._state:
            assert state in TRANSITIONS[self._state], f"member: {self._state.value} -> {state.value}"
            log.debug("member is %s", state.value)
            self._state = state

    async def _ask(self, ownership: Ownership, partitions: frozenset[TopicPartition]) -> bytes:
        """Wait until the processing thread has heard; the answer is what it tells the leader."""
        answer: asyncio.Future[bytes] = self._loop.create_future()

        def answered(user_data: bytes) -> None:
            if not answer.done():
                answer.set_result(user_data)

        def done(user_data: bytes) -> None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(answered, user_data)

        self._tell(Rebalance(ownership, partitions, b"", self.life, done))
        return await answer

    def _end(self, error: StreamsError) -> None:
        """Nothing cures this: the processing thread is told, and the member rests."""
        if self._state is MemberState.ENDED:
            return
        self._ended_by = error
        self._move(MemberState.ENDED)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._fail(error)

    def _expect_living(self) -> None:
        """Raises: what this member ended with."""
        if self._ended_by is not None:
            raise self._ended_by

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


def _may_lead_unknowingly(joined: Any) -> bool:
    """Whether an older broker may have named the leader by an id that this member had before (KIP-814)."""
    told = joined.error_code == Code.NONE and not hasattr(joined, "skip_assignment")
    return told and joined.leader != joined.member_id


def _subscriptions(claims: Mapping[tuple[str, str | None], Claim]) -> list[Subscription]:
    """The members as the assignor sees them; of two that claim a partition, the younger generation owns it."""
    youngest: dict[TopicPartition, int] = {}
    for claim in claims.values():
        for partition in claim.owned:
            youngest[partition] = max(youngest.get(partition, NO_GENERATION), claim.generation)
    return [
        Subscription(
            member_id,
            claim.topics,
            claim.user_data,
            tuple(partition for partition in claim.owned if claim.generation == youngest[partition]),
            instance_id,
        )
        for (member_id, instance_id), claim in claims.items()
    ]
