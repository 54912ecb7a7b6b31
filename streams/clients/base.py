"""What the runtime needs of a Kafka client: four small, blocking interfaces.

Rules: every call may be made from the processing thread and blocks it; an implementation does its network work on a
thread of its own, so that heartbeats go on while user code runs. Records cross this border as whole columns of bytes:
no object, await or lock per record. Errors are `ClientError`, `ProductionError`, `TaskMigrated` and, where it says so,
`RebalanceInProgress` and `TransactionAbortable`.
`kafka` implements them over aiokafka, `memory` is the scripted one for tests and for the TopologyTestDriver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from msgspec import Struct, field

from streams.clients.raw_batch import RawBatch
from streams.record import Headers, Record, TopicPartition

T_co = TypeVar("T_co", covariant=True)
Matches = Callable[[str], bool]


class Pending(Protocol[T_co]):
    """What a client does meanwhile, begun by a method `begin_...`, which itself does not block."""

    def done(self) -> bool:
        """Whether it is over, well or not."""
        ...

    def result(self) -> T_co:
        """Wait until it is over. Raises: what went wrong with it."""
        ...


class Before(NamedTuple):
    """What a commit waits for: that `pending` is over, and well; then `reached` is called, on any thread.

    What goes wrong with either is the answer of the commit, which then does not happen.
    """

    pending: Pending[None]
    reached: Callable[[], None]


class Instead(NamedTuple):
    """What is written in place of a record that is refused: keys, values and headers in bytes; by the key, as ever."""

    topic: str
    record: Record


OnRefused = Callable[[str, Record, Exception], Instead | None]
"""What a producer asks when the broker does not take a record: (topic, record in bytes, what the broker says).

It is asked long after `send`, beside the processing thread, and before what was sent with the record counts as written: so
what is written instead is in the same flush, and in the same transaction. None goes on without it. Raises: StreamsError to
end the producer. Source: Kafka's ProductionExceptionHandler, which the producer's callback asks.
"""


class OffsetAndMetadata(NamedTuple):
    """A committed offset: the next record to read, and a short text kept with it (stream time)."""

    offset: int
    metadata: str = ""


class GroupMetadata(NamedTuple):
    """Who commits for a group: what the broker checks before it takes offsets, so that a zombie is shut out (KIP-447).

    Outside of a group's life (offsets committed without a subscription) generation is -1 and the member id empty.
    """

    group: str
    generation: int = -1
    member_id: str = ""
    instance_id: str | None = None


class TopicDescription(Struct, frozen=True):
    """What the broker says of a topic."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


class NewTopic(Struct, frozen=True):
    """A topic to be made. `partitions` and `replication_factor` of -1 mean the broker's default."""

    name: str
    partitions: int = -1
    replication_factor: int = -1
    config: Mapping[str, str] = field(default_factory=dict)


class Subscription(NamedTuple):
    """One member of the group as the assignor sees it; `owned` is what it still holds (cooperative members only)."""

    member_id: str
    topics: tuple[str, ...]
    user_data: bytes
    owned: tuple[TopicPartition, ...] = ()
    instance_id: str | None = None


class Assignment(NamedTuple):
    """What the assignor gives one member."""

    partitions: tuple[TopicPartition, ...]
    user_data: bytes = b""


class Assignor(Protocol):
    """Divides partitions among the members of a group; `assign` runs on the group's leader only.

    With `cooperative`, members keep what they own while the group rebalances (KIP-429): `assign` says who is to have
    what in the end, and the group sees to it that a partition goes to its new owner only when the old one has let go.
    Without, all members give everything back first. All members of a group must agree.
    """

    name: str
    cooperative: bool

    def user_data(self) -> bytes:
        """What this member tells the leader about itself; asked on the processing thread, whenever it joins."""
        ...

    def on_assignment(self, user_data: bytes) -> None:
        """What the leader tells this member beside its partitions; on the processing thread, before `assigned`."""
        ...

    def stands(self, user_data: bytes, partitions: Mapping[str, int] | None) -> bool:
        """Whether an assignment that was made before this member came back still is what its leader would make.

        If not, the group assigns anew before this member takes anything. `partitions` has the partition counts of now if
        this member leads, else None. On any thread.
        """
        ...

    def assign(self, partitions: Mapping[str, int], members: Sequence[Subscription]) -> Mapping[str, Assignment]:
        """Shape: `partitions` maps topic to partition count; the answer maps member id to assignment.

        Runs beside the processing thread, and may block, also on the consumer's queries for offsets.
        """
        ...


class RebalanceListener(Protocol):
    """Told of ownership, on the processing thread, from inside `Consumer.poll`."""

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Called while these are still owned, and only with what really goes: commit, then let go of them."""
        ...

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Called once per generation, with all partitions owned from now on, before any records of new ones.

        Those kept from the generation before go on where they are, paused if they were: they must not be placed anew.
        """
        ...

    def lost(self, partitions: frozenset[TopicPartition]) -> None:
        """Called with all that was owned, when another member may own it already: let go without a commit."""
        ...


class Consumer(Protocol):
    """Reads partitions, as a member of a group or by assignment."""

    def subscribe(
        self, topics: Sequence[str], assignor: Assignor, listener: RebalanceListener, matches: Matches | None = None
    ) -> None:
        """Join the group; partitions come and go from inside `poll`. Topics whose name `matches` do, too, as seen last."""
        ...

    def rejoin(self, taken: str | None = None) -> None:
        """Leave the group and join it as a new member, unheard by the listener; of this member id another has the name."""
        ...

    def enforce_rebalance(self) -> None:
        """Have the group assign anew, though nobody came or went (a standby is warm)."""
        ...

    def group_metadata(self, *, beyond: int | None = None) -> GroupMetadata:
        """Who this member is now, for `Producer.send_offsets`; on its way to a generation after `beyond` it is waited for."""
        ...

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions without a group (restore, global tables)."""
        ...

    def poll(self, timeout_s: float) -> list[RawBatch]:
        """All that has arrived, waiting up to `timeout_s` for something; per partition in order of offset."""
        ...

    def attend(self) -> None:
        """Have the network's work done as far as it can be at once; who does not poll for a while calls it meanwhile.

        Cheap, and so fit to be called after each batch; without it that work is done a little later.
        """
        ...

    def wake(self) -> None:
        """Make a `poll` in progress, or the next one, return at once; from any thread, also a signal handler's."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`; what was fetched before is forgotten."""
        ...

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop fetching these until `resume`."""
        ...

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these again."""
        ...

    def position(self, partition: TopicPartition) -> int:
        """The offset of the next record that `poll` will return of this partition."""
        ...

    def lag(self, partition: TopicPartition) -> int | None:
        """How many records the broker has beyond `position`, as of the last fetch; None before the first."""
        ...

    def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed offsets, once no transaction holds some; partitions without one are absent."""
        ...

    def decided(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """The group's committed offsets as far as they are known now, None where nothing was ever committed.

        Partitions whose offsets an open transaction holds are absent: ask again later.
        """
        ...

    def begin_commit(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], after: Sequence[Before] = ()
    ) -> Pending[None]:
        """Begin a `commit` that is sent after all of these, one by one; its errors come with the answer."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit for the group, synchronously.

        Raises: TaskMigrated when the group has moved on without this member; RebalanceInProgress when nothing was
        committed because the group is between two generations: still the owner, poll on and commit later.
        """
        ...

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that still exists of each."""
        ...

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last readable record of each (last stable offset under read_committed)."""
        ...

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each, those of undecided transactions too.

        What a restore under read_committed must reach: a transaction counts as committed before its markers are
        written, so the last stable offset may still lie below records that are committed.
        """
        ...

    def offsets_at(self, partitions: Iterable[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        """The first offset of each whose record is not older than `timestamp` in ms, else the end offset."""
        ...

    def topic_ids(self, topics: Iterable[str]) -> dict[str, bytes]:
        """The ids of topics, by which one that was made anew is another; absent where the broker does not say."""
        ...

    def close(self) -> None:
        """Leave the group and disconnect."""
        ...


class Producer(Protocol):
    """Writes records, idempotently; batches are built as columns arrive and sent in the background.

    One made with a transactional id writes in transactions only: `begin`, then any number of `send` and
    `send_offsets`, then `commit_transaction` or `abort_transaction`. Making it fences whoever had the id before, and
    aborts what that one left open. Beside their own errors its methods raise
    - ProducerFenced (a TaskMigrated): another producer has this id, or the transaction timed out; close this one;
    - TransactionAbortable: this transaction cannot be committed; `abort_transaction`, and go on with the next.

    A commit need not be waited for: `seal` ends what it is to cover, `begin_flush`, `begin_send_offsets` and
    `begin_commit` are about what was sealed, and what is sent meanwhile follows it: the next transaction may begin at
    once, and waits here until the one before has ended.
    """

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> Sequence[int]:
        """Append records to a partition, but for those that are too large to be written: the answer is their indices.

        Blocks only while the buffers are full.
        """
        ...

    def partition_count(self, topic: str) -> int:
        """How many partitions the topic has; a missing topic is a ClientError that says so."""
        ...

    def flush(self) -> None:
        """Wait until all that was sent is acknowledged. Raises what went wrong with any of it."""
        ...

    def withdraw(self) -> None:
        """Forget what was sent to `exclusive` topics and has not left, without waiting for the broker."""
        ...

    def release(self) -> None:
        """Nothing follows for the moment: what would wait only briefly for company leaves now.

        Who has called it once calls it after every few sends, and whenever it is about to wait for something else.
        """
        ...

    def seal(self) -> None:
        """What was sent so far is what the next commit covers. Not again before that has ended, or was aborted."""
        ...

    def begin_flush(self) -> Pending[None]:
        """Wait for the acknowledgement of all that was sealed. Raises, with the answer, what went wrong with any of it."""
        ...

    def end_offset(self, topic: str, partition: int) -> int | None:
        """The offset after the last record that this producer wrote there, None before the first.

        Of what the last flush covered, or the last commit; then after the control record that ends its transaction.
        """
        ...

    @property
    def held_back(self) -> bool:
        """Whether more waits for a transaction to end than the buffers are meant for: it is time to wait for that."""
        ...

    def begin(self) -> None:
        """Begin a transaction; the broker hears of it with the first record or offset. Only between transactions."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun, and is neither sealed nor over."""
        ...

    def send_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata) -> None:
        """Add offsets of a group to the transaction, synchronously; they count when it is committed.

        Raises: TaskMigrated when the broker no longer accepts `group`: the member was thrown out, or, if
        `Consumer.group_metadata` shows a newer generation of the same member by now, may be asked again with that.
        """
        ...

    def begin_send_offsets(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata
    ) -> Pending[None]:
        """Begin to add offsets to the sealed transaction; errors as those of `send_offsets`, with the answer."""
        ...

    def begin_commit(self, after: Sequence[Before] = ()) -> Pending[None]:
        """Begin to commit the sealed transaction, after all of these, one by one, and all that was sealed is acknowledged.

        Errors as those of `commit_transaction`, with the answer.
        """
        ...

    def commit_transaction(self) -> None:
        """Flush, and commit records and offsets at once. Without any of them the broker is not asked.

        Raises: ClientError when the broker did not say whether it is committed: make a new producer with the same id,
        and look at the committed offsets.
        """
        ...

    def abort_transaction(self) -> None:
        """Drop what was sent in this transaction, if there is one, and in one that follows a sealed one.

        Waits until it is aborted, or for a commit that is under way; errors of its writes are forgotten.
        """
        ...

    def close(self, *, abandon: bool = False) -> None:
        """Flush and disconnect; an open transaction is aborted.

        With `abandon` the broker is not waited for: what was not acknowledged may or may not arrive, and a transaction
        is left to whoever takes over the id, or to its timeout.
        """
        ...


class Admin(Protocol):
    """Topics and their settings."""

    def topics(self) -> list[str]:
        """The names of all topics, in order."""
        ...

    def describe(self, topics: Iterable[str]) -> dict[str, TopicDescription]:
        """The topics that exist among these; missing ones are absent."""
        ...

    def create(self, topics: Iterable[NewTopic]) -> None:
        """Create the topics; one that exists already is left as it is."""
        ...

    def delete(self, topics: Iterable[str]) -> None:
        """Delete the topics; missing ones are no error."""
        ...

    def begin_delete_records(self, before: Mapping[TopicPartition, int]) -> Pending[None]:
        """Begin to drop the records below these offsets (repartition topics, after a commit)."""
        ...

    def open_transactions(self) -> list[str]:
        """The ids whose transaction has begun and is not about to end, in order."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


class Clients(Protocol):
    """Makes the clients of one worker, all on one network loop."""

    def consumer(self, *, group: str | None, read_committed: bool = False, returns_as: str | None = None) -> Consumer:
        """A consumer of its own; without a group it can only `assign`.

        `returns_as` is the name under which a member that was killed takes its own place in the group again, at once and
        unnoticed by the others. One that closes leaves the group all the same.
        """
        ...

    def producer(
        self,
        *,
        transactional_id: str | None = None,
        transaction_timeout_ms: int | None = None,
        refused: OnRefused | None = None,
        exclusive: frozenset[str] = frozenset(),
    ) -> Producer:
        """An idempotent producer (acks=all); with an id, one that writes in transactions.

        `exclusive` topics are written by one member of the group at a time: what is still to be sent there when the group
        may have gone on without this one waits until that is known, and is forgotten if it has.
        `refused` is asked about records that the broker does not take; without it, such a record ends the producer.
        The timeout is the configured one unless given: the broker aborts a transaction that stays open for longer.
        """
        ...

    def admin(self) -> Admin:
        """An admin client."""
        ...

    def give_up(self) -> None:
        """End all waiting for the broker that is under way, with BrokerUnreachable; from any thread."""
        ...

    def close(self) -> None:
        """Close what is still open, and end the network loop."""
        ...


Clock = Callable[[], int]
"""Wall-clock time in ms since 1970."""
