"""Queues that begin with the same time come in the order of Kafka's heap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.input_order import InputOrder


def taken(*queues: tuple[str, list[int]]) -> list[str]:
    order, rest = InputOrder(), {topic: iter(times) for topic, times in queues}
    for topic, times in rest.items():
        order.add(topic, next(times))
    found = []
    while (topic := order.take()) is not None:
        found.append(topic)
        if (following := next(rest[topic], None)) is not None:
            order.add(topic, following)
    return found


def test_the_earliest_record_is_next() -> None:
    """Whatever order the queues came in."""
    assert taken(("a", [5, 6]), ("b", [1, 9]), ("c", [7])) == ["b", "a", "a", "c", "b"]


def test_two_queues_of_one_time_take_turns() -> None:
    """A queue that was taken from goes behind the others of its time."""
    assert taken(("a", [5, 5]), ("b", [5, 5])) == ["a", "b", "a", "b"]


def test_the_last_of_three_comes_before_the_second() -> None:
    """java.util.PriorityQueue moves its last element to the top when the first leaves."""
    assert taken(("a", [5]), ("b", [5]), ("c", [5])) == ["a", "c", "b"]


@given(queues=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=1, max_size=6))
def test_every_record_is_taken_once_and_none_before_an_earlier_head(queues: list[list[int]]) -> None:
    """The heap is a heap."""
    rest = {str(index): list(times) for index, times in enumerate(queues)}
    order = InputOrder()
    for topic, times in rest.items():
        order.add(topic, times[0])
    while (taken_from := order.take()) is not None:
        assert rest[taken_from][0] == min(times[0] for times in rest.values() if times)
        rest[taken_from].pop(0)
        if rest[taken_from]:
            order.add(taken_from, rest[taken_from][0])
    assert not any(rest.values())


def test_records_wait_for_empty_topics_one_after_the_other() -> None:
    """In the order of Kafka's HashMap of partitions: each has max_task_idle_ms, from when it is looked at."""
    order = InputOrder(["left", "right", "rest"], max_idle_ms=10)
    order.add("left", 5)
    assert [order.take(now) for now in (0, 9, 10, 19)] == [None] * 4
    assert order.take(20) == "left"
    order.add("left", 6)
    assert order.take(20) == "left"


def test_nobody_is_waited_for_while_nothing_waits() -> None:
    """Time that passes before a record comes does not count, as in Kafka's driver."""
    order = InputOrder(["left", "right"], max_idle_ms=10)
    assert order.take(0) is None
    order.add("left", 5)
    assert [order.take(now) for now in (50, 59, 60)] == [None, None, "left"]


def test_a_topic_with_records_is_waited_for_anew() -> None:
    """When it has none any more; what has both is not waited for."""
    order = InputOrder(["left", "right"], max_idle_ms=10)
    order.add("left", 5)
    assert order.take(0) is None
    order.add("right", 6)
    assert [order.take(1), order.take(1), order.take(10), order.take(11)] == ["left", None, None, "right"]
