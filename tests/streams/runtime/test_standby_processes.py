"""Standbys on the real broker: whoever is killed, the work goes on where its copy is, with next to nothing to restore."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.streams.runtime.processes import Process, Topics

pytestmark = [pytest.mark.broker, pytest.mark.crash]

MANY = 40_000
WITH_STANDBY = ("num_standby_replicas=1", "state_cleanup_delay_ms=600000")


def restored(lines: list[str]) -> int:
    """The records that a log says were restored."""
    return sum(int(line.split()[2]) for line in lines if line.startswith("restored counts: "))


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_killed_worker_is_replaced_by_its_standby(
    topics: Topics, start: Callable[..., Process], guarantee: str
) -> None:
    """SIGKILL of one of two workers: the other has a copy of every key, restores nothing of it, and counts on."""
    settings = (*WITH_STANDBY, f"processing_guarantee={guarantee}", "transaction_timeout_ms=2000")
    first = start("a", *settings)
    words = [f"word-{number}" for number in range(MANY)]
    topics.say(words)
    topics.until_counted(lambda counts: len(counts) == MANY)
    second = start("b", *settings)
    (task,) = (name for name in first.until_tasks(2) if name.startswith("1_"))
    second.until_tasks(2)
    second.until_said(f"standby of task {task} is complete")
    before = len(second.lines)
    first.kill()
    assert task in second.until_tasks(4)
    assert restored(second.lines[before:]) == 0
    topics.say(words[:100])
    topics.until_counted(lambda counts: all(counts[word] == 2 for word in words[:100]))
