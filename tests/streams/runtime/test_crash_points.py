"""A commit cut by SIGKILL after each of its steps: what the next start finds, restores, and counts."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import pytest

from state import StateDirectory, StoreKind, StoreSpec, open_store
from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients
from streams.config import AT_LEAST_ONCE, EXACTLY_ONCE, StreamsConfig
from streams.record import Batch, TopicPartition
from streams.runtime.committer import CommitStep
from streams.serdes import serde_for

pytestmark = [pytest.mark.broker, pytest.mark.crash, pytest.mark.slow]

PROGRAM = Path(__file__).with_name("counting_app.py")
SETTINGS = (
    "commit_interval_ms=50",
    "statestore_cache_max_bytes=0",
    "session_timeout_ms=500",
    "heartbeat_interval_ms=100",
)
RUNNING = "worker is running"
PARTITIONS = 2
WORDS = ["to", "be", "or", "not", "to", "be", "that", "is", "the", "question"] * 5
STORE = StoreSpec(
    name="counts", kind=StoreKind.TIMESTAMPED_KEY_VALUE, key_serde=serde_for(str), value_serde=serde_for(int)
)
CASES = [
    (guarantee, step)
    for guarantee in (AT_LEAST_ONCE, EXACTLY_ONCE)
    for step in CommitStep
    if guarantee == EXACTLY_ONCE or step is not CommitStep.OFFSETS_SENT
]


class Program(NamedTuple):
    """The counting application under one name."""

    broker: str
    name: str
    guarantee: str
    state_dir: Path

    def start(self, *more: str) -> subprocess.Popen[str]:
        settings = (f"processing_guarantee={self.guarantee}", *SETTINGS, *more)
        command = [sys.executable, str(PROGRAM), self.broker, self.name, str(self.state_dir), *settings]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Topics:
    """The test's own clients."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._clients = KafkaClients(StreamsConfig.of(f"{program.name}-test", {"broker": program.broker}))
        admin = self._clients.admin()
        admin.delete(["words", "counts"])
        admin.create([NewTopic("words", PARTITIONS), NewTopic("counts", PARTITIONS)])

    def say(self, words: list[str]) -> None:
        producer = self._clients.producer()
        for at, word in enumerate(words):
            producer.send("words", at % PARTITIONS, [None], [word.encode()], [at])
        producer.close()

    def read(self, topic: str) -> dict[int, Batch]:
        """All that counts in a topic, by partition."""
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        reader = self._clients.consumer(group=None, read_committed=self._program.guarantee == EXACTLY_ONCE)
        reader.assign(partitions)
        ends = reader.end_offsets(partitions)
        found = {number: Batch([], [], [], offsets=[]) for number in range(PARTITIONS)}
        while any(reader.position(partition) < end for partition, end in ends.items()):
            for raw in reader.poll(1.0):
                columns, known = raw.columns(), found[raw.partition]
                known.keys.extend(columns.keys)
                known.values.extend(columns.values)
                known.offsets.extend(columns.offsets)
        reader.close()
        return found

    def results(self) -> Counter[tuple[str, int]]:
        """How often each result came out."""
        number = serde_for(int)
        return Counter(
            (key.decode(), number.deserialize(value))
            for columns in self.read("counts").values()
            for key, value in zip(columns.keys, columns.values, strict=True)
        )

    def not_reached(self) -> int:
        """Changelog records that count and that the stores on disk do not have yet."""
        missing = 0
        directory = StateDirectory(self._program.state_dir, self._program.name)
        for number, columns in self.read(f"{self._program.name}-counts-changelog").items():
            with directory.open_task(f"1_{number}", owner="test") as owned:
                store = open_store(STORE, directory=owned.path)
                position = store.position or 0
                store.close()
            missing += sum(offset >= position for offset in columns.offsets)
        return missing

    def close(self) -> None:
        self._clients.close()


@pytest.fixture
def program(broker_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Program:
    guarantee, step = request.param
    return Program(broker_url, f"cut-{guarantee}-{step.name}".lower(), guarantee, tmp_path / "state")


@pytest.fixture
def topics(program: Program) -> Iterator[Topics]:
    made = Topics(program)
    yield made
    made.close()


def counted_once(words: list[str]) -> Counter[tuple[str, int]]:
    """What counting each word once gives: 1, 2, 3 ... for each."""
    return Counter((word, number) for word, times in Counter(words).items() for number in range(1, times + 1))


def restored(lines: list[str]) -> int:
    """The records that a log says were restored."""
    return sum(int(line.split()[2]) for line in lines if line.startswith("restored counts: "))


def finish(program: Program, topics: Topics, words: list[str]) -> list[str]:
    """Run until all is restored and all words are counted, which they may be before; the answer is the log."""
    with program.start() as process:
        deadline = threading.Timer(60, process.kill)
        deadline.start()
        try:
            assert process.stdout is not None
            begun = list(takewhile(lambda line: RUNNING not in line, process.stdout))
            for _ in range(200):
                if not counted_once(words) - topics.results():
                    break
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
        finally:
            deadline.cancel()
            process.kill()
    assert process.returncode == 0, "".join([*begun, out])
    return [*map(str.rstrip, begun), *out.splitlines()]


def cut_short(program: Program, step: CommitStep) -> None:
    """Run until the first commit is cut after a step."""
    with program.start(f"cut={step.value}:1") as process:
        try:
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL, out


@pytest.mark.parametrize(
    ("program", "step"), [((guarantee, step), step) for guarantee, step in CASES], indirect=["program"]
)
def test_a_commit_cut_after_a_step(program: Program, topics: Topics, step: CommitStep) -> None:
    """The next start restores what the last commit did not reach and no more, and every word counts (once, if promised)."""
    topics.say(WORDS)
    finish(program, topics, WORDS)
    topics.say(WORDS)
    cut_short(program, step)
    missing = topics.not_reached()
    if program.guarantee == EXACTLY_ONCE and step not in {CommitStep.COMMITTED, CommitStep.STATE_WRITTEN}:
        assert missing == 0
    lines = finish(program, topics, WORDS * 2)
    assert restored(lines) == missing
    results = topics.results()
    assert not counted_once(WORDS * 2) - results
    if program.guarantee == EXACTLY_ONCE:
        assert results == counted_once(WORDS * 2)
