"""The transaction coordinator on a real log: epochs, fencing, ends, timeouts, and what a restart finishes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.config import BrokerConfig
from broker.coordinators.runtime import Done, Marker
from broker.coordinators.transaction import (
    MAX_EPOCH,
    TRANSITIONS,
    ProducerEpoch,
    TopicPartition,
    Transaction,
    TransactionState,
    parse_transaction,
    transaction_key,
    transaction_value,
)
from broker.coordinators.transaction_coordinator import TransactionCoordinator
from broker.errors import BrokerError, ErrorCode
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.partition_log import PartitionLog
from broker.protocol.records import build_pairs
from broker.server.delayed import Delayed

A, B = ("topic", 0), ("topic", 1)
TOPICS = st.tuples(st.text(min_size=1, max_size=9), st.integers(0, 99))


class Refusing:
    """A disk that never says whether it has what was appended."""

    def appended(self, log: PartitionLog) -> None:
        """Nothing is committed."""


class Transactions:
    """A coordinator whose markers are kept, or held back until a test lets them go."""

    def __init__(self, path: Path, clock) -> None:
        self.path = path
        self.clock = clock
        self.markers: list[tuple[TopicPartition, Marker]] = []
        self.held: list[Done] | None = None
        self.producer_ids = iter(range(100, 200))
        self.open()

    def open(self) -> None:
        self.directory = LogDirectory.open(self.path, LogConfig(), on_message=print)
        delayed = Delayed(self.clock)
        self.directory.on_advance = delayed.advanced
        self.directory.on_taken_back = lambda log: self.coordinator.taken_back(log)
        log = self.directory.get("__transaction_state", 0)
        if log is None:
            log = self.directory.create("__transaction_state", 0, uuid4(), LogConfig(cleanup_policy=("compact",)))
        self.log = log
        self.coordinator = TransactionCoordinator(
            BrokerConfig(),
            [log],
            self.clock.now_ms,
            delayed.when_committed,
            new_producer_id=lambda: next(self.producer_ids),
            write_marker=self.write_marker,
        )
        self.coordinator.load()

    def reopen(self) -> None:
        self.directory.close()
        self.open()

    def store(self, producer: ProducerEpoch) -> None:
        """Another broker left the id with a producer, idle; start with that."""
        stored = Transaction(
            transactional_id="id", producer=producer, timeout_ms=60_000, state=TransactionState.EMPTY, update_ms=0
        )
        record = build_pairs([(transaction_key("id"), transaction_value(stored))], timestamp_ms=0)
        self.log.append(record, now_ms=0, client=False)
        self.reopen()

    def write_marker(self, where: TopicPartition, marker: Marker, done: Done) -> None:
        if self.held is not None:
            self.held.append(done)
            return
        self.markers.append((where, marker))
        done(ErrorCode.NONE)

    def init(self, expected: ProducerEpoch | None = None, timeout_ms: int = 60_000) -> ProducerEpoch:
        answers: list[tuple[ErrorCode, ProducerEpoch]] = []
        self.coordinator.init("id", timeout_ms, expected, lambda *answer: answers.append(answer))
        assert answers[0][0] is ErrorCode.NONE
        return answers[0][1]

    def add(self, producer: ProducerEpoch, *partitions: TopicPartition) -> None:
        answers: list[ErrorCode] = []
        self.coordinator.add_partitions("id", producer, partitions, answers.append)
        assert answers == [ErrorCode.NONE]

    def end(self, producer: ProducerEpoch, *, commit: bool = True, bump: bool = False) -> ProducerEpoch:
        answers: list[tuple[ErrorCode, ProducerEpoch]] = []
        self.coordinator.end("id", producer, lambda *answer: answers.append(answer), commit=commit, bump=bump)
        assert answers[0][0] is ErrorCode.NONE
        return answers[0][1]

    @property
    def state(self) -> TransactionState:
        found = self.coordinator.describe("id")
        assert found is not None
        return found.state


@pytest.fixture
def transactions(tmp_path: Path, clock) -> Iterator[Transactions]:
    made = Transactions(tmp_path / "data", clock)
    yield made
    made.directory.close()


def refused(call: Callable[[], object]) -> ErrorCode:
    with pytest.raises(BrokerError) as raised:
        call()
    return raised.value.code


def test_epochs_go_up(transactions: Transactions) -> None:
    """The same id keeps its producer id and gets a new epoch each time; a used-up epoch brings a new producer id."""
    assert transactions.init() == (100, 0)
    assert transactions.init() == (100, 1)
    transactions.reopen()
    assert transactions.init() == (100, 2)
    for _ in range(MAX_EPOCH - 2):
        last = transactions.init()
    assert last == (100, MAX_EPOCH)
    assert transactions.init() == (101, 0)


def test_ends_use_up_the_epochs(transactions: Transactions) -> None:
    """The end that takes the last epoch goes on under a new producer id, also when it is repeated."""
    producer = ProducerEpoch(7, MAX_EPOCH)
    transactions.store(producer)
    transactions.add(producer, A)
    assert transactions.end(producer, bump=True) == (100, 0)
    assert transactions.markers == [(A, Marker(7, MAX_EPOCH + 1, True, transactions.coordinator.coordinator_epoch))]
    assert transactions.end(producer, bump=True) == (100, 0)
    assert transactions.init(producer) == (100, 0)
    transactions.store(producer)
    transactions.add(producer, A)
    assert transactions.end(producer, bump=True) == (101, 0)
    transactions.reopen()
    assert transactions.end(producer, bump=True) == (101, 0)
    assert refused(lambda: transactions.init(producer)) is ErrorCode.PRODUCER_FENCED
    assert transactions.end(ProducerEpoch(101, 0), commit=False, bump=True) == (101, 1)


def test_commit_marks_every_partition(transactions: Transactions) -> None:
    """A commit writes one marker into each partition of the transaction, and no other."""
    producer = transactions.init()
    transactions.add(producer, A)
    transactions.add(producer, A, B)
    transactions.end(producer)
    assert sorted(where for where, _ in transactions.markers) == [A, B]
    assert {(marker.producer_id, marker.epoch, marker.commit) for _, marker in transactions.markers} == {(100, 0, True)}
    assert transactions.state is TransactionState.COMPLETE_COMMIT


def test_repeated_and_opposite_ends(transactions: Transactions) -> None:
    """The same end again succeeds, the opposite is error 48, and so is an end without a transaction."""
    producer = transactions.init()
    assert refused(lambda: transactions.end(producer)) is ErrorCode.INVALID_TXN_STATE
    transactions.add(producer, A)
    transactions.end(producer, commit=False)
    assert transactions.end(producer, commit=False) == producer
    assert refused(lambda: transactions.end(producer, commit=True)) is ErrorCode.INVALID_TXN_STATE
    assert len(transactions.markers) == 1


def test_bumped_end(transactions: Transactions) -> None:
    """An end that bumps gives the next epoch, again when repeated, and its markers carry it."""
    producer = transactions.init()
    transactions.add(producer, A)
    before = ProducerEpoch(100, -1)
    assert refused(lambda: transactions.end(before, bump=True)) is ErrorCode.PRODUCER_FENCED  # nothing was ended yet
    assert transactions.end(producer, bump=True) == (100, 1)
    assert transactions.end(producer, bump=True) == (100, 1)
    assert transactions.markers[0][1].epoch == 1
    assert refused(lambda: transactions.add(producer, A)) is ErrorCode.PRODUCER_FENCED


def test_fencing(transactions: Transactions) -> None:
    """A new producer aborts what is open (51 first) and shuts the old one out."""
    old = transactions.init()
    transactions.add(old, A)
    assert refused(transactions.init) is ErrorCode.CONCURRENT_TRANSACTIONS
    assert [(where, marker.commit) for where, marker in transactions.markers] == [(A, False)]
    new = transactions.init()
    assert new.epoch == old.epoch + 2
    assert refused(lambda: transactions.add(old, A)) is ErrorCode.PRODUCER_FENCED
    assert refused(lambda: transactions.end(old)) is ErrorCode.PRODUCER_FENCED
    stranger = ProducerEpoch(999, 0)
    assert refused(lambda: transactions.add(stranger, A)) is ErrorCode.INVALID_PRODUCER_ID_MAPPING


def test_producer_that_knows_its_epoch(transactions: Transactions) -> None:
    """A new epoch is given to who has the current one, repeated to who has the last, refused to anybody else."""
    first = transactions.init()
    second = transactions.init(first)
    assert second == (100, 1)
    assert transactions.init(first) == second
    assert refused(lambda: transactions.init(ProducerEpoch(100, 7))) is ErrorCode.PRODUCER_FENCED


def test_a_fenced_producer_does_not_get_the_epoch_of_the_next(transactions: Transactions) -> None:
    """As Kafka: the epoch before is repeated to the producer that asked with it, not to one that another has replaced."""
    zombie = transactions.init()
    ours = transactions.init()
    assert refused(lambda: transactions.init(zombie)) is ErrorCode.PRODUCER_FENCED
    assert transactions.init(ours) == (100, 2)
    assert transactions.init(ours) == transactions.init(ours) == (100, 2)
    transactions.reopen()  # nobody knows any more who asked
    assert refused(lambda: transactions.init(ours)) is ErrorCode.PRODUCER_FENCED
    assert transactions.init(ProducerEpoch(100, 2)) == (100, 3)


def test_a_fenced_producer_does_not_get_the_next_id_either(transactions: Transactions) -> None:
    """Nor where the epochs were used up, so that the next producer has a new id; the producer that did that is repeated it."""
    transactions.store(ProducerEpoch(7, MAX_EPOCH))
    assert transactions.init(ProducerEpoch(7, MAX_EPOCH)) == (100, 0)
    assert transactions.init(ProducerEpoch(7, MAX_EPOCH)) == (100, 0)
    transactions.store(ProducerEpoch(8, MAX_EPOCH))
    assert transactions.init() == (101, 0)
    assert refused(lambda: transactions.init(ProducerEpoch(8, MAX_EPOCH))) is ErrorCode.PRODUCER_FENCED


def test_a_producer_that_was_too_slow_goes_on(transactions: Transactions, clock) -> None:
    """Whose transaction took too long gets the epoch that fenced it when it asks with its own; not once another has come."""
    slow = transactions.init(timeout_ms=1_000)
    transactions.add(slow, A)
    clock.advance(2)
    assert transactions.coordinator.abort_timed_out() == 1
    assert transactions.init(slow) == (100, 1)
    assert transactions.init() == (100, 2)
    assert refused(lambda: transactions.init(slow)) is ErrorCode.PRODUCER_FENCED


def test_wrong_epoch_ends_what_is_open_all_the_same(transactions: Transactions) -> None:
    """As Kafka: whoever names the id with any epoch has its open transaction aborted and its producer fenced; then it is told."""
    producer = transactions.init()
    transactions.add(producer, A)
    assert refused(lambda: transactions.init(ProducerEpoch(101, 0))) is ErrorCode.PRODUCER_FENCED
    transactions.add(producer, B)
    assert refused(lambda: transactions.init(ProducerEpoch(100, 7))) is ErrorCode.CONCURRENT_TRANSACTIONS
    assert refused(lambda: transactions.init(ProducerEpoch(100, 7))) is ErrorCode.PRODUCER_FENCED
    assert refused(lambda: transactions.add(producer, A)) is ErrorCode.PRODUCER_FENCED


def test_nothing_begins_while_markers_are_written(transactions: Transactions) -> None:
    """Between outcome and last marker the id is busy (51); the end is answered when the last marker is durable."""
    producer = transactions.init()
    transactions.add(producer, A, B)
    transactions.held = []
    answers: list[ErrorCode] = []
    transactions.coordinator.end("id", producer, lambda error, _: answers.append(error), commit=True)
    assert refused(lambda: transactions.add(producer, A)) is ErrorCode.CONCURRENT_TRANSACTIONS
    assert refused(lambda: transactions.end(producer)) is ErrorCode.CONCURRENT_TRANSACTIONS
    assert not answers
    for done in transactions.held:
        done(ErrorCode.NONE)
    assert answers == [ErrorCode.NONE]
    transactions.add(producer, A)


def test_restart_finishes_what_was_prepared(transactions: Transactions) -> None:
    """A crash after the outcome was stored changes nothing about it: the markers are written at the next start."""
    producer = transactions.init()
    transactions.add(producer, A, B)
    transactions.held = []
    transactions.coordinator.end("id", producer, lambda *_: None, commit=True)
    transactions.held = None
    transactions.reopen()
    assert sorted(where for where, _ in transactions.markers) == [A, B]
    assert transactions.state is TransactionState.COMPLETE_COMMIT


def test_open_transaction_survives_a_restart(transactions: Transactions) -> None:
    """What is open stays open, with its partitions."""
    producer = transactions.init()
    transactions.add(producer, A)
    transactions.reopen()
    transactions.coordinator.verify("id", producer, A)
    verify = transactions.coordinator.verify
    assert refused(lambda: verify("id", producer, B)) is ErrorCode.INVALID_TXN_STATE
    transactions.end(producer)
    assert [where for where, _ in transactions.markers] == [A]


def test_timeout(transactions: Transactions, clock) -> None:
    """A transaction that takes too long is aborted and its producer fenced."""
    producer = transactions.init(timeout_ms=1_000)
    transactions.add(producer, A)
    assert transactions.coordinator.abort_timed_out() == 0
    clock.advance(1.1)
    assert transactions.coordinator.abort_timed_out() == 1
    assert transactions.state is TransactionState.COMPLETE_ABORT
    assert refused(lambda: transactions.end(producer)) is ErrorCode.PRODUCER_FENCED


def test_idle_ids_are_forgotten(transactions: Transactions, clock) -> None:
    """After seven days without use an id is gone, from the log too; an open one stays."""
    producer = transactions.init()
    transactions.add(producer, A)
    clock.advance(8 * 86_400)
    assert transactions.coordinator.expire() == 0
    transactions.end(producer)
    clock.advance(8 * 86_400)
    assert transactions.coordinator.expire() == 1
    transactions.reopen()
    assert transactions.coordinator.describe("id") is None


@pytest.mark.parametrize(("timeout_ms", "code"), [(0, 50), (900_001, 50)])
def test_bad_timeouts(transactions: Transactions, timeout_ms: int, code: int) -> None:
    """A timeout of nothing, or above the maximum, is error 50."""
    assert refused(lambda: transactions.init(timeout_ms=timeout_ms)) == code


def test_table_is_whole() -> None:
    """Every state has a row, and only the dead state has no way out."""
    assert set(TRANSITIONS) == set(TransactionState)
    assert [state for state, following in TRANSITIONS.items() if not following] == [TransactionState.DEAD]


@given(st.frozensets(TOPICS, max_size=6), st.sampled_from(list(TransactionState)), st.integers(0, 2**62))
def test_record_round_trip(partitions: frozenset[TopicPartition], state: TransactionState, at_ms: int) -> None:
    """A transactional id survives its record."""
    transaction = Transaction(
        transactional_id="id",
        producer=ProducerEpoch(7, 3),
        timeout_ms=5,
        state=state,
        partitions=partitions,
        start_ms=at_ms,
        update_ms=at_ms,
    )
    assert parse_transaction("id", transaction_value(transaction)) == transaction


def test_an_end_that_was_not_synced_can_be_asked_for_again(transactions) -> None:
    """The disk refuses the record of a commit: the client is told, the transaction goes on, and the retry ends it."""
    producer = transactions.init()
    transactions.add(producer, A)
    committer, transactions.log.committer = transactions.log.committer, Refusing()
    answers: list[ErrorCode] = []
    transactions.coordinator.end("id", producer, lambda error, _: answers.append(error), commit=True)
    transactions.log.take_back()
    assert answers == [ErrorCode.COORDINATOR_NOT_AVAILABLE]
    assert transactions.coordinator.describe("id").state is TransactionState.ONGOING
    assert transactions.markers == []
    transactions.log.committer = committer
    transactions.coordinator.end("id", producer, lambda error, _: answers.append(error), commit=True)
    assert answers[-1] is ErrorCode.NONE
    assert [where for where, _ in transactions.markers] == [A]


def test_a_lost_completion_is_made_up_for(transactions) -> None:
    """Markers are written but the disk refuses the note of it: the next look at timeouts finishes the transaction."""
    producer = transactions.init()
    transactions.add(producer, A)
    transactions.held = []
    answers: list[ErrorCode] = []
    transactions.coordinator.end("id", producer, lambda error, _: answers.append(error), commit=True)
    committer, transactions.log.committer = transactions.log.committer, Refusing()
    held, transactions.held = transactions.held, None
    for done in held:
        done(ErrorCode.NONE)
    transactions.log.take_back()
    assert answers == [ErrorCode.NONE]
    assert transactions.coordinator.describe("id").state is TransactionState.PREPARE_COMMIT
    transactions.log.committer = committer
    transactions.coordinator.abort_timed_out()
    assert transactions.coordinator.describe("id").state is TransactionState.COMPLETE_COMMIT


def test_who_may_write_before_it_adds_waits_for_the_note_of_its_end(transactions) -> None:
    """Else a power failure could take the note alone, and the next start end what was written after it."""
    producer = transactions.init()
    transactions.add(producer, A)
    transactions.held = []
    answers: list[ErrorCode] = []
    transactions.coordinator.end("id", producer, lambda error, _: answers.append(error), commit=True, bump=True)
    committer, transactions.log.committer = transactions.log.committer, Refusing()
    for done in transactions.held:
        done(ErrorCode.NONE)
    assert answers == []
    transactions.log.committer = committer
    committer.appended(transactions.log)
    assert answers == [ErrorCode.NONE]


def test_nobody_finishes_what_is_not_on_disk(transactions) -> None:
    """A look at timeouts between the record of a commit and its sync writes no marker: the disk may still refuse."""
    producer = transactions.init()
    transactions.add(producer, A)
    committer, transactions.log.committer = transactions.log.committer, Refusing()
    answers: list[ErrorCode] = []
    transactions.coordinator.end("id", producer, lambda error, _: answers.append(error), commit=True)
    transactions.coordinator.abort_timed_out()
    assert transactions.markers == []
    transactions.log.take_back()
    transactions.log.committer = committer
    transactions.coordinator.end("id", producer, lambda error, _: answers.append(error), commit=False)
    assert [marker.commit for _, marker in transactions.markers] == [False]
