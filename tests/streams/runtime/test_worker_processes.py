"""Workers as processes of their own on the real broker: they share, die, and take over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from streams.clients.base import NewTopic
from tests.streams.runtime.processes import Process, Topics

pytestmark = pytest.mark.broker

WORDS = ["to", "be", "or", "not", "to", "be", "that", "is", "the", "question"]
ALL = frozenset({"0_0", "0_1", "1_0", "1_1"})


def test_two_processes_split_and_a_stopped_one_hands_over(topics: Topics, start: Callable[[str], Process]) -> None:
    """Each runs half of the tasks; after SIGTERM the other has them all, and every word is counted once."""
    first = start("a")
    assert first.until_tasks(4) == ALL
    second = start("b")
    assert first.until_tasks(2) | second.until_tasks(2) == ALL
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS))
    assert second.stop() == 0
    assert first.until_tasks(4) == ALL
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS * 2))


@pytest.mark.crash
def test_a_killed_process_loses_nothing(topics: Topics, start: Callable[[str], Process]) -> None:
    """SIGKILL of one of two moves its tasks within the session timeout; all words are counted at least once."""
    first = start("a")
    first.until_tasks(4)
    second = start("b")
    first.until_tasks(2)
    second.until_tasks(2)
    topics.say(WORDS)
    second.kill()
    topics.say(WORDS)
    assert first.until_tasks(4) == ALL
    topics.until_counted(lambda counts: all(counts[word] >= 2 * times for word, times in Counter(WORDS).items()))


@pytest.mark.crash
def test_an_intact_directory_restores_nothing_and_a_missing_one_everything(
    topics: Topics, start: Callable[[str], Process]
) -> None:
    """After a stop the same directory reads no changelog; another directory reads it all; counts go on both times."""
    process = start("a")
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS))
    assert process.stop() == 0
    process = start("a")
    process.until_tasks(4)
    assert not any(line.startswith("restoring") for line in process.lines)
    assert process.stop() == 0
    process = start("elsewhere")
    process.until_tasks(4)
    assert any(line.startswith("restored counts") for line in process.lines)
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS * 2))


@pytest.mark.crash
def test_after_a_kill_the_directory_is_trusted(topics: Topics, start: Callable[[str], Process]) -> None:
    """A killed worker's stores are behind, never wrong: the next one restores what is missing, and counts on."""
    process = start("a")
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS))
    process.kill()
    process = start("a")
    process.until_tasks(4)
    topics.say(WORDS)
    topics.until_counted(lambda counts: all(counts[word] >= 2 * times for word, times in Counter(WORDS).items()))
    assert not any("set aside" in line for line in process.lines)


@pytest.mark.crash
def test_a_killed_process_takes_its_place_again(topics: Topics, start: Callable[..., Process]) -> None:
    """With a session of half an hour, a worker that is started again in its directory has its tasks at once."""
    patient = "session_timeout_ms=1800000"
    process = start("a", patient)
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS))
    process.kill()
    process = start("a", patient)
    assert process.until_tasks(4) == ALL
    topics.say(WORDS)
    topics.until_counted(lambda counts: all(counts[word] >= 2 * times for word, times in Counter(WORDS).items()))
    assert process.stop() == 0
    process = start("elsewhere", patient)
    assert process.until_tasks(4) == ALL  # the first one has left, though it was a static member


@pytest.mark.crash
def test_a_changed_program_takes_nothing_of_its_predecessors(topics: Topics, start: Callable[..., Process]) -> None:
    """Killed, given a source more, and back within its session: it has the tasks of the new program, and of no other."""
    patient = "session_timeout_ms=1800000"
    topics.clients.admin().create([NewTopic("more", 2), NewTopic("more-copy", 1)])
    process = start("a", patient)
    assert process.until_tasks(4) == ALL
    process.kill()
    process = start("a", patient, "also=more")
    assert process.until_tasks(6) == ALL | {"2_0", "2_1"}
    assert sum(line.startswith("running tasks: ") for line in process.lines) == 1


@pytest.mark.crash
def test_a_killed_broker_interrupts_nobody_for_good(
    quick_broker: Any, topics: Topics, start: Callable[[str], Process]
) -> None:
    """SIGKILL of the broker under a working worker: when it is back, all words are counted, each once, however long it took."""
    process = start("a", "processing_guarantee=exactly_once_v2", "transaction_timeout_ms=30000")
    process.until_tasks(4)
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS))
    quick_broker.kill()
    quick_broker.start()
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS * 2))
    assert process.stop() == 0
