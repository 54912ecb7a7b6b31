"""How a process is set up for a run, and left as it was."""

from __future__ import annotations

import gc

from streams.running import YOUNG_OBJECTS, seldom_collected


def test_the_collector_is_left_as_it_was_found() -> None:
    """Fewer collections while running; the program's own thresholds afterwards."""
    before = gc.get_threshold()
    with seldom_collected():
        assert gc.get_threshold() == (YOUNG_OBJECTS, *before[1:])
    assert gc.get_threshold() == before
