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


def test_ties_fire_in_order_of_scheduling() -> None:
    """Two that are due together are called in the order they were scheduled."""
    queue, fired = PunctuationQueue(), []
    queue.schedule(5, 10, lambda _: fired.append("first"))
    queue.schedule(5, 10, lambda _: fired.append("second"))
    queue.fire(5)
    assert fired == ["first", "second"]


def test_an_interval_must_be_positive() -> None:
    """An interval of nothing would never end."""
    with pytest.raises(ValueError, match="at least 1 ms, not 0 ms"):
        PunctuationQueue().schedule(0, 0, lambda _: None)
