"""Punctuators fire on Kafka's grid."""

from __future__ import annotations

import pytest

from streams.runtime.punctuation import PunctuationQueue


def test_fires_when_due_with_the_clocks_time() -> None:
    """Nothing before the due time; then once, with the current time."""
    queue, fired = PunctuationQueue(), []
    queue.schedule(10, 10, fired.append)
    assert queue.fire(9) == 0
    assert queue.fire(12) == 1
    assert fired == [12]
    assert queue.due == 20


def test_missed_intervals_are_skipped_on_the_same_grid() -> None:
    """After a jump it fires once, and next on the first multiple after now."""
    queue, fired = PunctuationQueue(), []
    queue.schedule(0, 10, fired.append)
    queue.fire(37)
    assert (fired, queue.due) == ([37], 40)


def test_a_start_that_is_past_is_not_made_up_for() -> None:
    """Kafka's anchored schedule (KIP-1146): the next point of the grid after now; a start at this very time counts."""
    dues = []
    for start in (0, 7, 37, 38, 45):
        queue = PunctuationQueue()
        queue.schedule(0, 10, dues.append, start, 37)
        dues.append(queue.due)
    assert dues == [40, 47, 37, 38, 45]


def test_cancel_inside_the_callback() -> None:
    """A punctuator that cancels itself never fires again."""
    queue, fired = PunctuationQueue(), []

    def once(time: int) -> None:
        fired.append(time)
        punctuator.cancel()

    punctuator = queue.schedule(0, 1, once)
    queue.fire(5)
    queue.fire(50)
    assert (fired, queue.due) == ([5], None)


def test_ties_fire_in_the_order_of_javas_queue() -> None:
    """Six on one clock, the fifth cancelled before 30: who is called, as `java.util.PriorityQueue` (JDK 21) had it."""
    queue, fired = PunctuationQueue(), []
    schedule = [(20, 20), (20, 30), (20, 30), (30, 30), (0, 20), (20, 40)]
    punctuators = [
        queue.schedule(due, interval_ms, lambda _, number=number: fired.append(number))
        for number, (due, interval_ms) in enumerate(schedule)
    ]
    assert queue.fire(10) == 1
    punctuators[4].cancel()
    for time in (30, 40, 50, 60, 80, 90):
        queue.fire(time)
        fired.append("|")
    assert fired == [4, 5, 0, 1, 2, 3, "|", 0, "|", 1, 2, "|", 3, 5, 0, "|", 2, 0, 1, "|", 3, "|"]


def test_an_interval_must_be_positive() -> None:
    """An interval of nothing would never end."""
    with pytest.raises(ValueError, match="at least 1 ms, not 0 ms"):
        PunctuationQueue().schedule(0, 0, lambda _: None)
