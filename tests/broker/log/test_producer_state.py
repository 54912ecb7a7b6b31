"""Idempotence and fencing of producers, and the snapshot that keeps them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BrokerError, ErrorCode
from broker.log.partition_log import PartitionLog
from broker.log.producer_state import ProducerState
from broker.protocol.record_batch import MAX_SEQUENCE, parse_header
from broker.protocol.records import build_marker

from .conftest import NOW_MS, batch

MakeLog = Callable[..., PartitionLog]


def send(log: PartitionLog, count: int, producer: tuple[int, int, int], *, transactional: bool = False) -> int:
    data = batch(*("x" * count), producer=producer, transactional=transactional)
    return log.append(data, now_ms=NOW_MS).base_offset


def refused(log: PartitionLog, producer: tuple[int, int, int], *, transactional: bool = False) -> ErrorCode:
    with pytest.raises(BrokerError) as caught:
        send(log, 1, producer, transactional=transactional)
    return caught.value.code


def test_repeated_batches_are_stored_once(make_log: MakeLog) -> None:
    """Each of the last five batches is recognized and answered with its first place."""
    log = make_log()
    places = [send(log, 2, (7, 0, 2 * number)) for number in range(6)]
    assert [send(log, 2, (7, 0, 2 * number)) for number in range(1, 6)] == places[1:]
    assert log.log_end_offset == 12
    assert refused(log, (7, 0, 0)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_sequences_must_follow(make_log: MakeLog) -> None:
    """A gap is refused; a producer nobody knows may begin anywhere."""
    log = make_log()
    send(log, 3, (7, 0, 100))
    assert refused(log, (7, 0, 104)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert send(log, 1, (7, 0, 103)) == 3


def test_sequence_wraps(make_log: MakeLog) -> None:
    """After 2^31-1 comes 0, also within a batch and for its repetition."""
    log = make_log()
    send(log, 3, (7, 0, MAX_SEQUENCE - 1))
    assert send(log, 1, (7, 0, 1)) == 3
    assert send(log, 3, (7, 0, MAX_SEQUENCE - 1)) == 0


def test_transactions_that_partitions_join_begin_at_zero(make_log: MakeLog) -> None:
    """Where a write lets a partition join, also a producer nobody knows begins at sequence 0."""
    log = make_log()
    first, late = (batch(*values, producer=(7, 0, at), transactional=True) for values, at in (("xy", 0), ("z", 2)))
    log.producers.attempt(parse_header(late), joins=True)
    assert refused(log, (7, 0, 2), transactional=True) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    log.producers.attempt(parse_header(first), joins=True)
    assert [log.append(data, now_ms=NOW_MS).base_offset for data in (first, late)] == [0, 2]


def test_a_batch_that_was_refused_comes_before_those_behind_it(make_log: MakeLog) -> None:
    """While a transaction's first batch is not let in, those behind it are not; a newer epoch is another matter."""
    log = make_log()
    first, second, newer = (
        batch("x", producer=(7, epoch, at), transactional=True) for epoch, at in ((0, 0), (0, 1), (1, 3))
    )
    log.producers.attempt(parse_header(first), joins=False)
    log.producers.attempt(parse_header(second), joins=False)
    assert refused(log, (7, 0, 1), transactional=True) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    log.producers.attempt(parse_header(newer), joins=True)
    assert log.append(newer, now_ms=NOW_MS).base_offset == 0


def test_past_epochs_do_not_get_to_the_coordinator(make_log: MakeLog) -> None:
    """A batch of an epoch that is past is refused before its transaction is looked up, as by Kafka."""
    log = make_log()
    send(log, 1, (7, 2, 0))
    with pytest.raises(BrokerError) as raised:
        log.producers.attempt(parse_header(batch("x", producer=(7, 1, 0), transactional=True)), joins=True)
    assert raised.value.code is ErrorCode.INVALID_PRODUCER_EPOCH


def test_epochs(make_log: MakeLog) -> None:
    """A newer epoch begins at sequence 0 and fences the older."""
    log = make_log()
    send(log, 1, (7, 1, 0))
    assert refused(log, (7, 2, 5)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    send(log, 1, (7, 2, 0))
    assert refused(log, (7, 1, 1)) is ErrorCode.INVALID_PRODUCER_EPOCH


def test_plain_batch_within_a_transaction(make_log: MakeLog) -> None:
    """A producer with an open transaction may not write outside it."""
    log = make_log()
    send(log, 1, (7, 0, 0), transactional=True)
    assert refused(log, (7, 0, 1)) is ErrorCode.INVALID_TXN_STATE


def test_marker_of_a_bumped_epoch_restarts_sequences(make_log: MakeLog) -> None:
    """A transaction ended under the next epoch leaves the producer at sequence 0 of that epoch."""
    log = make_log()
    send(log, 2, (7, 0, 0), transactional=True)
    marker = build_marker(7, 1, commit=True, coordinator_epoch=0, timestamp_ms=NOW_MS)
    log.append(marker, now_ms=NOW_MS, client=False)
    assert refused(log, (7, 0, 2)) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert send(log, 1, (7, 1, 0), transactional=True) == 3


def test_idle_producers_expire(make_log: MakeLog) -> None:
    """Producers long silent are forgotten, unless a transaction of theirs is open."""
    log = make_log()
    send(log, 1, (7, 0, 0))
    send(log, 1, (8, 0, 0), transactional=True)
    assert log.producers.expire(NOW_MS + 1) == 1
    assert set(log.producers.producers) == {8}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5), st.booleans()), max_size=20))
def test_snapshot_keeps_the_state(steps: list[tuple[int, int, bool]]) -> None:
    """What a snapshot gives back goes on like the original: last batches, epochs, open transactions."""
    state, offset, sequences = ProducerState(), 0, dict.fromkeys(range(5), 0)
    from broker.protocol.record_batch import parse_header

    for producer, count, transactional in steps:
        data = batch(*("x" * count), producer=(producer, 0, sequences[producer]), transactional=transactional)
        state.append(parse_header(data), offset)
        offset += count
        sequences[producer] += count
    again = ProducerState.from_snapshot(state.snapshot())
    assert again.snapshot() == state.snapshot()
    assert again.open_transactions == state.open_transactions
    assert again.first_unstable_offset == state.first_unstable_offset


@given(st.data())
def test_damaged_snapshot_is_noticed(data: st.DataObject) -> None:
    """A snapshot with a changed, missing or added byte is refused, so that recovery takes an older one."""
    from broker.protocol.record_batch import parse_header

    state = ProducerState()
    state.append(parse_header(batch("x", producer=(1, 2, 3))), 0)
    whole = bytearray(state.snapshot())
    where = data.draw(st.integers(0, len(whole) - 1))
    damaged = data.draw(
        st.sampled_from([whole[:where], whole + b"\0", whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :]])
    )
    with pytest.raises(ValueError, match="snapshot"):
        ProducerState.from_snapshot(bytes(damaged))
