"""Workers join and leave under load on the real broker: what does not move goes on, and nothing is lost or reordered.

Results are read as committed, without record caches, so that a key that is lost or reordered does not count up by ones.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Self

import pytest

from streams.clients.partitioner import partitions_for
from tests.streams.runtime.processes import Process, Topics

pytestmark = [pytest.mark.broker]

EXACTLY_ONCE = ("processing_guarantee=exactly_once_v2", "statestore_cache_max_bytes=0", "num_standby_replicas=1")
KEYS = [f"key-{number}" for number in range(20)]


class Load:
    """Says every key again and again until it is stopped, and counts how often."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rounds = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self._topics.say(KEYS)
            self.rounds += 1


def test_who_comes_and_goes_disturbs_no_order(topics: Topics, start: Callable[..., Process]) -> None:
    """A second and a third worker join and leave under load: each key counts up by ones to what was said."""
    first = start("a", *EXACTLY_ONCE)
    first.until_tasks(4)
    with Load(topics) as load:
        second = start("b", *EXACTLY_ONCE)
        first.until_tasks(2)
        third = start("c", *EXACTLY_ONCE)
        third.until_tasks(1)
        assert third.stop() == 0
        second.until_tasks(2)
        assert second.stop() == 0
        first.until_tasks(4)
    topics.until_counted(lambda counts: counts == Counter(dict.fromkeys(KEYS, load.rounds)))
    assert topics.out_of_order == []


def test_tasks_that_stay_work_while_the_group_waits(topics: Topics, start: Callable[..., Process]) -> None:
    """A member that hangs holds up a rebalance for as long as it likes; another's tasks process and commit meanwhile."""
    patient = (*EXACTLY_ONCE, "session_timeout_ms=60000")
    first = start("a", *patient)
    first.until_tasks(4)
    second = start("b", *patient)
    tasks = first.until_tasks(2)
    second.until_tasks(2)
    (reads,) = (int(task[2:]) for task in tasks if task.startswith("0_"))
    (counts,) = (int(task[2:]) for task in tasks if task.startswith("1_"))
    mine = [key for key in KEYS if partitions_for([key.encode()], 2) == [counts]]
    second.freeze()
    third = start("c", *patient)
    first.until(lambda line: line.startswith("joining a new generation"))
    for number in range(1, 6):
        topics.producer.send("words", reads, [None] * len(mine), [key.encode() for key in mine], [number] * len(mine))
        topics.until_counted(lambda counted, number=number: all(counted[key] == number for key in mine))
    assert not any(line.startswith("running tasks: ") for line in third.lines)
    second.thaw()
    third.until_tasks(1)
    assert topics.out_of_order == []
