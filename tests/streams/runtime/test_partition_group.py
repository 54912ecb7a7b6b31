"""Which record is next, and where a batch ends."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.clients.memory import MemoryBatch
from streams.record import Batch, TopicPartition
from streams.runtime.partition_group import ALL, PartitionGroup, PartitionQueue

LEFT, RIGHT = TopicPartition("left", 0), TopicPartition("right", 0)


def as_it_is(batch: Batch, _partition_time: int) -> Batch:
    return batch


def raw(partition: TopicPartition, first: int, timestamps: list[int]) -> MemoryBatch:
    size = len(timestamps)
    columns = Batch(
        [None] * size,
        [f"{partition.topic}{first + at}" for at in range(size)],
        timestamps,
        offsets=range(first, first + size),
        topic=partition.topic,
        partition=partition.partition,
    )
    columns.values = [value.encode() for value in columns.values]
    return MemoryBatch(partition, first, columns)


def group(left: list[int], right: list[int], **settings: Any) -> PartitionGroup:
    made = PartitionGroup([PartitionQueue(LEFT, as_it_is), PartitionQueue(RIGHT, as_it_is)], **settings)
    for partition, timestamps in ((LEFT, left), (RIGHT, right)):
        if timestamps:
            made.add(raw(partition, 0, timestamps))
    return made


def drained(made: PartitionGroup, limit: int = ALL, due: int | None = None) -> list[list[bytes]]:
    taken = []
    while (found := made.take(limit, due)) is not None:
        taken.append(found[1].values)
    return taken


def test_a_batch_ends_where_the_other_partition_is_due() -> None:
    """Records are taken by timestamp over both partitions, as many at a time as that allows."""
    assert drained(group([1, 2, 9], [3, 4])) == [[b"left0", b"left1"], [b"right0", b"right1"], [b"left2"]]


def test_ties_go_to_the_queue_named_first() -> None:
    """Equal timestamps: left before right, however the batches fell."""
    assert drained(group([5, 5], [5])) == [[b"left0", b"left1"], [b"right0"]]


def test_whoever_chooses_overrules_times() -> None:
    """The TopologyTestDriver does, whose inputs come in the order of Kafka's heap; None: from nowhere for now."""
    choices = iter([LEFT, RIGHT, RIGHT, None])
    assert drained(group([9], [3, 4], choose=lambda: next(choices)), limit=1) == [[b"left0"], [b"right0"], [b"right1"]]


def test_a_head_out_of_order_holds_back_what_is_behind_it() -> None:
    """Only the head counts: a late record behind a newer one waits for it."""
    assert drained(group([5, 1], [3])) == [[b"right0"], [b"left0", b"left1"]]


def test_a_batch_ends_after_the_record_that_makes_a_punctuation_due() -> None:
    """Stream time 10 is reached by the second record, so the batch ends with it."""
    assert drained(group([3, 12, 13], []), due=10) == [[b"left0", b"left1"], [b"left2"]]


@given(
    st.lists(st.integers(0, 20), max_size=12),
    st.lists(st.integers(0, 20), max_size=12),
    st.integers(1, 5),
    st.integers(0, 20),
)
def test_the_cut_never_shows(left: list[int], right: list[int], limit: int, due: int) -> None:
    """However small the batches, the order of records is the same."""
    order = [value for batch in drained(group(left, right)) for value in batch]
    assert [value for batch in drained(group(left, right), limit, due) for value in batch] == order


def test_the_position_is_the_next_records_offset() -> None:
    """In the middle of a batch it points at the head, at the end behind the batch."""
    queue = PartitionQueue(LEFT, as_it_is)
    queue.add(raw(LEFT, 10, [1, 2, 3]))
    queue.head_timestamp()
    queue.take(2, ALL, ALL)
    assert (queue.position, queue.partition_time) == (12, 2)
    queue.take(2, ALL, ALL)
    assert (queue.position, queue.partition_time, queue.size) == (13, 3, 0)


def test_a_batch_without_records_moves_the_position() -> None:
    """Records that were all dropped (or a transaction marker) are behind us."""
    queue = PartitionQueue(LEFT, lambda batch, _time: batch.select([False] * len(batch)))
    queue.add(raw(LEFT, 10, [1, 2, 3]))
    assert queue.empty
    assert queue.position == 13


def test_small_batches_are_joined() -> None:
    """Record batches of one record come as one batch, offsets in order."""
    queue = PartitionQueue(LEFT, as_it_is)
    for offset in range(5):
        queue.add(raw(LEFT, offset, [offset]))
    assert queue.head_timestamp() == 0
    batch = queue.take(ALL, ALL, ALL)
    assert (batch.timestamps, list(batch.offsets or ())) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])


def test_waits_for_an_empty_partition_while_the_broker_has_more() -> None:
    """max_task_idle_ms 0: not ready while the lag of the empty one is unknown or positive."""
    lag: dict[TopicPartition, int | None] = {RIGHT: None}
    made = PartitionGroup([PartitionQueue(LEFT, as_it_is), PartitionQueue(RIGHT, as_it_is)], lag=lag.get)
    made.add(raw(LEFT, 0, [1]))
    assert not made.ready(0)
    lag[RIGHT] = 3
    assert not made.ready(0)
    lag[RIGHT] = 0
    assert made.ready(0)


def test_waits_by_the_clock_when_told() -> None:
    """A positive max_task_idle_ms waits that long at lag 0; -1 never waits."""
    made = group([1], [], max_task_idle_ms=50)
    assert not made.ready(1000)
    assert made.idle_deadline == 1050
    assert not made.ready(1049)
    assert made.ready(1050)
    assert group([1], [], max_task_idle_ms=-1).ready(0)


def test_what_was_waited_for_long_enough_is_no_deadline_any_more() -> None:
    """A worker without input sleeps: a deadline that is over would have it look again at once, for ever."""
    made = group([], [], max_task_idle_ms=50)
    assert not made.ready(1_000)
    assert made.idle_deadline == 1_050
    assert not made.ready(1_050)
    assert made.idle_deadline == 1_100  # that of the second queue: Kafka waits for one after the other
    assert not made.ready(1_100)
    assert made.idle_deadline is None


MOMENTS = st.lists(st.integers(0, 12), min_size=1, max_size=12)


@given(MOMENTS, MOMENTS, st.integers(1, 30), st.none() | st.integers(0, 12))
def test_taking_two_queues_together_keeps_the_order_of_taking_one_by_one(
    left: list[int], right: list[int], limit: int, due: int | None
) -> None:
    """Late records, ties, a limit and a punctuation included; what is left comes in the same order too."""
    both, alone = group(left, right), group(left, right)
    together: list[bytes] = []
    taken = both.take_interleaved(limit, due)
    if taken is not None:
        values = [iter(batch.values) for batch in taken.batches]
        together = [next(values[turn]) for turn in taken.turns]
        assert len(together) <= limit
        stamps = [iter(batch.timestamps) for batch in taken.batches]
        times = [next(stamps[turn]) for turn in taken.turns]
        assert due is None or all(time < due for time in times[:-1])
    assert together + all_of(both) == all_of(alone)


def all_of(taken_from: PartitionGroup) -> list[bytes]:
    """The values of all records that wait, one by one."""
    found: list[bytes] = []
    while taken := taken_from.take(1):
        found += taken[1].values
    return found


def test_queues_that_do_not_take_turns_are_left_to_batches() -> None:
    """A run of one queue is longer than the other lets it be: nothing is taken together."""
    assert group([1, 2, 3], [9]).take_interleaved(3) is None
    assert group([1, 2, 3], []).take_interleaved(3) is None


def test_what_waits_for_a_record_to_be_passed() -> None:
    """It is called by offset, once, when the position has come by, and never after the queue was cleared."""
    made, called = group([1, 2, 3, 4], []), []
    queue = made.queues[LEFT]
    for offset in (2, 0, 3, 1):
        queue.at_passing(offset, lambda offset=offset: called.append(offset))
    made.pass_on()
    assert called == []
    made.take(3)
    queue.pass_on(1)
    assert called == [0]
    made.pass_on()
    made.pass_on()
    assert called == [0, 1, 2]
    queue.clear()
    made.add(raw(LEFT, 4, [5]))
    made.take(1)
    made.pass_on()
    assert called == [0, 1, 2]
