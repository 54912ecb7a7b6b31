"""Workers as processes of their own on the real broker: they share, die, and take over."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.record import TopicPartition
from streams.serdes import serde_for

pytestmark = pytest.mark.broker

PROGRAM = Path(__file__).with_name("counting_app.py")
WORDS = ["to", "be", "or", "not", "to", "be", "that", "is", "the", "question"]
QUICK = ("session_timeout_ms=1000", "heartbeat_interval_ms=200", "commit_interval_ms=100")
STARTED = "started tasks: "
ALL = frozenset({"0_0", "0_1", "1_0", "1_1"})


class Process:
    """A running worker whose log lines are read as they come."""

    def __init__(self, broker: str, name: str, state_dir: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), broker, name, str(state_dir), *QUICK],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._started: frozenset[str] = frozenset()

    def until(self, holds: Callable[[str], bool]) -> str:
        """Read the log up to a line for which something holds."""
        for line in self._process.stdout:
            self.lines.append(line.rstrip())
            if holds(self.lines[-1]):
                return self.lines[-1]
        pytest.fail("the worker ended:\n" + "\n".join(self.lines[-30:]))

    def until_tasks(self, count: int) -> frozenset[str]:
        """Wait until it runs so many tasks; those it had already never stop."""

        def enough(line: str) -> bool:
            return line.startswith(("running tasks: 0", "running tasks: 1"))

        while True:
            line = self.until(enough)
            tasks = frozenset(line.removeprefix("running tasks: ").split(", "))
            started = self._started & tasks
            while not started >= tasks:
                started |= set(self.until(lambda line: line.startswith(STARTED)).removeprefix(STARTED).split(", "))
            self._started = started
            if len(tasks) == count:
                return tasks

    def stop(self) -> int:
        """End it well; the answer is its exit code."""
        self._process.send_signal(signal.SIGTERM)
        out, _ = self._process.communicate(timeout=20)
        self.lines += out.splitlines()
        return self._process.returncode

    def kill(self) -> None:
        """SIGKILL it, if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate(timeout=20)


class Topics:
    """The test's own clients: writes words, reads counts."""

    def __init__(self, broker: str, name: str) -> None:
        self.clients = KafkaClients(StreamsConfig.of(f"{name}-test", {"broker": broker}))
        self.producer = self.clients.producer()
        admin = self.clients.admin()
        admin.delete(["words", "counts"])
        admin.create([NewTopic("words", 2), NewTopic("counts", 2)])
        self._consumer = self.clients.consumer(group=None)
        self._consumer.assign([TopicPartition("counts", number) for number in range(2)])
        self.counts: Counter[str] = Counter()

    def say(self, words: list[str]) -> None:
        for at, word in enumerate(words):
            self.producer.send("words", at % 2, [None], [word.encode()], [1_000 + at])
        self.producer.flush()

    def until_counted(self, holds: Callable[[Counter[str]], bool]) -> None:
        """Read counts until something holds of the latest of each word."""
        for _ in range(200):
            for batch in self._consumer.poll(0.1):
                columns = batch.columns()
                for key, value in zip(columns.keys, columns.values, strict=True):
                    self.counts[key.decode()] = serde_for(int).deserialize(value)
            if holds(self.counts):
                return
        pytest.fail(f"the counts stayed at {self.counts}")


@pytest.fixture
def topics(broker_url: str, request: pytest.FixtureRequest) -> Iterator[Topics]:
    made = Topics(broker_url, request.node.name)
    yield made
    made.producer.close()
    made.clients.close()


@pytest.fixture
def start(broker_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Process]]:
    """Starts a worker with a state directory of that name; all are killed at the end."""
    made: list[Process] = []

    def starting(state: str) -> Process:
        made.append(Process(broker_url, request.node.name, tmp_path / state))
        return made[-1]

    yield starting
    for process in made:
        process.kill()


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
def test_a_killed_broker_interrupts_nobody_for_good(
    quick_broker: Any, topics: Topics, start: Callable[[str], Process]
) -> None:
    """SIGKILL of the broker under a working worker: when it is back, all words are counted, each once."""
    process = start("a")
    process.until_tasks(4)
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS))
    quick_broker.kill()
    quick_broker.start()
    topics.say(WORDS)
    topics.until_counted(lambda counts: counts == Counter(WORDS * 2))
    assert process.stop() == 0
