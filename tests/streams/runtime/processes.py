"""Workers as processes of their own, and the test's own clients beside them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.record import TopicPartition
from streams.serdes import serde_for

PROGRAM = Path(__file__).with_name("counting_app.py")
QUICK = ("session_timeout_ms=1000", "heartbeat_interval_ms=200", "commit_interval_ms=100")
STARTED = "started tasks: "


class Process:
    """A running worker whose log lines are read as they come."""

    def __init__(self, broker: str, name: str, state_dir: Path, settings: tuple[str, ...] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), broker, name, str(state_dir), *QUICK, *settings],
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

    def until_said(self, line: str) -> None:
        """Read the log up to a line, unless it was there before."""
        if line not in self.lines:
            self.until(line.__eq__)

    def until_tasks(self, count: int) -> frozenset[str]:
        """Wait until it runs so many tasks; those it had already never stop."""

        def enough(line: str) -> bool:
            return line.startswith("running tasks: ") and line != "running tasks: none"

        while True:
            line = self.until(enough)
            tasks = frozenset(line.removeprefix("running tasks: ").split(", "))
            started = self._started & tasks
            while not started >= tasks:
                started |= set(self.until(lambda line: line.startswith(STARTED)).removeprefix(STARTED).split(", "))
            self._started = started
            if len(tasks) == count:
                return tasks

    def freeze(self) -> None:
        """SIGSTOP: it says nothing any more, and does not know it."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

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
        self._consumer = self.clients.consumer(group=None, read_committed=True)
        self._consumer.assign([TopicPartition("counts", number) for number in range(2)])
        self.counts: Counter[str] = Counter()
        self.out_of_order: list[tuple[str, int, int]] = []
        """Words whose count did not go up by one, with the counts before and after (record caches off)."""

    def say(self, words: list[str]) -> None:
        for at, word in enumerate(words):
            self.producer.send("words", at % 2, [None], [word.encode()], [1_000 + at])
        self.producer.flush()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, looking ten times a second, and reading counts meanwhile."""
        self.until_counted(lambda _: holds(), looks=600)

    def until_counted(self, holds: Callable[[Counter[str]], bool], *, looks: int = 400) -> None:
        """Read counts until something holds of the latest of each word."""
        for _ in range(looks):
            for batch in self._consumer.poll(0.1):
                columns = batch.columns()
                for key, value in zip(columns.keys, columns.values, strict=True):
                    word, count = key.decode(), serde_for(int).deserialize(value)
                    if count != self.counts[word] + 1:
                        self.out_of_order.append((word, self.counts[word], count))
                    self.counts[word] = count
            if holds(self.counts):
                return
        pytest.fail(f"the counts stayed at {self.counts}")
