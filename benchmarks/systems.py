"""What a run needs to know of a system, whichever it is: how it is started, and how its progress shows from outside.

Rules: a system is a command; nothing inside it knows that it is measured. A record counts when its results are
committed, which a system shows by the offsets its group commits, or, if it commits none, by what lies in its output.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.load import Input
from benchmarks.processes import BenchmarkError
from benchmarks.workloads import Workload
from streams.clients.base import Clients
from streams.record import TopicPartition

COMMIT_INTERVAL_MS = 500
AT_LEAST_ONCE, EXACTLY_ONCE = "at_least_once", "exactly_once_v2"


@dataclass(frozen=True)
class Job:
    """One run to be made: a workload over `inputs`, on the broker at `address`, with `scratch` for its files."""

    workload: Workload
    inputs: Sequence[Input]
    address: str
    scratch: Path
    guarantee: str = AT_LEAST_ONCE

    @property
    def counted(self) -> list[Input]:
        """The inputs that progress is measured by: tables to join with are not."""
        return [source for source in self.inputs if not source.compacted]

    @property
    def partitions(self) -> int:
        """Of the inputs, and so of the outputs."""
        return self.inputs[0].partitions

    @property
    def records(self) -> int:
        """Of all counted inputs together."""
        return sum(source.records for source in self.counted)


@dataclass(frozen=True)
class System:
    """A system under test.

    `group(job)` names the consumer group whose committed offsets show progress; without it, the outputs do. With
    `repartitions`, records that change their key pass a topic; else they stay in the process. `closed_only` says that
    it writes a window once, when that closes. One run takes `share` of the input of the others: for systems that would
    take hours. `without` are workloads that it cannot do.
    """

    name: str
    command: Callable[[Job], Sequence[str]]
    group: Callable[[Job], str] | None = None
    guarantees: tuple[str, ...] = (AT_LEAST_ONCE,)
    closed_only: bool = False
    repartitions: bool = True
    share: float = 1.0
    without: tuple[str, ...] = ()


class Progress(Protocol):
    """How far a system has come."""

    def consumed(self) -> float:
        """Records of the input whose results are committed."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class CommittedProgress:
    """By a group's committed offsets; where records pass a repartition topic, by the slower of the two topics."""

    def __init__(self, clients: Clients, job: Job, group: str, *, repartitioned: bool) -> None:
        self._clients = clients
        self._consumer = clients.consumer(group=group)
        self._partitions = _partitions(clients, [source.topic for source in job.counted])
        self._repartitioned = repartitioned
        self._second: list[TopicPartition] = []

    def consumed(self) -> float:
        """See Progress."""
        first = self._committed(self._partitions)
        if not self._repartitioned:
            return first
        if not self._second:
            self._second = _partitions(self._clients, repartition_topics(self._clients))
        return min(first, self._committed(self._second)) if self._second else 0.0

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def _committed(self, partitions: Sequence[TopicPartition]) -> float:
        return float(sum(committed.offset for committed in self._consumer.committed(partitions).values()))


class OutputProgress:
    """By the records of the output, as a share of those that must come: for systems that commit no offsets."""

    def __init__(self, clients: Clients, job: Job, expected: int) -> None:
        self._consumer = clients.consumer(group=None)
        self._partitions = _partitions(clients, job.workload.outputs)
        if not expected:
            raise BenchmarkError(f"{job.workload.name}: no output to see progress by in so few records; take more")
        self._scale = job.records / expected
        self._records = job.records

    def consumed(self) -> float:
        """See Progress."""
        return min(float(self._records), sum(self._consumer.end_offsets(self._partitions).values()) * self._scale)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


def repartition_topics(clients: Clients) -> list[str]:
    """Topics that a system made to send records to itself: every one of them has the word in their names."""
    admin = clients.admin()
    try:
        return [topic for topic in admin.topics() if "repartition" in topic]
    finally:
        admin.close()


def headrace(settings: Sequence[str] = (), workers: int = 1) -> System:
    """Ours: `streams run` on a program of `benchmarks.programs`; `settings` are name=value as `--set` takes them."""

    def command(job: Job) -> list[str]:
        wanted = [
            f"state_dir={job.scratch / 'state'}",
            f"commit_interval_ms={COMMIT_INTERVAL_MS}",
            *([f"processing_guarantee={job.guarantee}"] if job.guarantee != AT_LEAST_ONCE else []),
            *settings,
        ]
        options = [part for setting in wanted for part in ("--set", setting)]
        options += ["--workers", str(workers)] if workers > 1 else []
        program = job.workload.program
        return [sys.executable, "-m", "streams.cli", "run", program, "--broker", f"kafka://{job.address}", *options]

    return System("headrace", command, lambda job: job.workload.group, (AT_LEAST_ONCE, EXACTLY_ONCE))


def _partitions(clients: Clients, topics: Sequence[str]) -> list[TopicPartition]:
    if not topics:
        return []
    admin = clients.admin()
    try:
        found = admin.describe(topics)
    finally:
        admin.close()
    return [TopicPartition(topic, number) for topic, each in found.items() for number in range(each.partitions)]
