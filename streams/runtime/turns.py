"""Whose turn it is: how long a task goes on before the next one does.

While a task works, what it reads and keeps is in the processor's own cache, where the next task's will push it out; so one
that has much to do goes on for a while. All that do share `ROUND_S`, after which the worker looks at the rest of its life;
who has many tasks gives each the one batch that it takes at least.

Tasks that write to a topic which others read mixed with their neighbours' output (a repartition topic) keep in step, one
batch each: in a backlog, the times of what is mixed would otherwise lie apart by a whole turn, and windows behind it would
see more records as late.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from streams.runtime.task import Task
from streams.topology.topology import Topology

ROUND_S = 0.05
REST = 2
"""How many times as long as an opening took the network's thread has after it."""


def in_step(topology: Topology) -> frozenset[int]:
    """The sub-topologies whose tasks write to internal topics that other tasks read."""
    mixed = topology.repartition_topics.keys()
    return frozenset(part.id for part in topology.subtopologies if not mixed.isdisjoint(part.sink_topics))


class Turns:
    """See the module. `in_step` are the sub-topologies whose tasks keep in step; `clock` is in seconds.

    `attend` is called after each batch, so that network work is done while what it brings is still in the processor's cache.
    """

    def __init__(
        self, in_step: Collection[int], attend: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._in_step = in_step
        self._attend = attend
        self._clock = clock

    def round(self, tasks: Sequence[Task], now_ms: int, max_records: int, hurried: Callable[[], bool]) -> int:
        """A turn for each of the tasks, one batch each once the worker is `hurried`; the answer is how many records were processed."""
        share_s = ROUND_S / max(sum(map(self._goes_on, tasks)), 1)
        return sum(self._turn(task, share_s, now_ms, max_records, hurried) for task in tasks)

    def _turn(self, task: Task, share_s: float, now_ms: int, max_records: int, hurried: Callable[[], bool]) -> int:
        until = self._clock() + share_s
        count = done = self._process(task, now_ms, max_records)
        while count and self._goes_on(task) and self._clock() < until and not hurried():
            count = self._process(task, now_ms, max_records)
            done += count
        return done

    def _process(self, task: Task, now_ms: int, max_records: int) -> int:
        count = task.process(now_ms, max_records)
        self._attend()
        return count

    def _goes_on(self, task: Task) -> bool:
        return task.id.subtopology not in self._in_step


class Rests:
    """Openings are done `with` it; the next one may be at `over_at`, in seconds of the monotonic clock, if others wait."""

    def __init__(self) -> None:
        self.over_at = self._begun = 0.0

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, *_error: object) -> None:
        now = time.monotonic()
        self.over_at = now + REST * (now - self._begun)
