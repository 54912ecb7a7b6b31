"""How fast a worker is back: started with its state and without, after SIGTERM and SIGKILL, until its next commit.

Rules: from outside. The difference of the two is the restore: start, joining the group and the first commit are in
both. The records restored are those of the changelog topic, as it lies there.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import START_MS, produce, rides
from benchmarks.measure import FOREVER, connect, load
from benchmarks.processes import BenchmarkError, Watched, broker, running
from benchmarks.systems import CommittedProgress, Job, headrace
from benchmarks.workloads import WORKLOADS
from streams.clients.base import Clients, NewTopic
from streams.clients.partitioner import partition_for
from streams.record import TopicPartition

TIMEOUT_SECONDS = 600.0
LEAST_SECONDS = 0.1
"""By which two starts differ anyway: a restore that is lost in that is said to take so long."""


class Restore(NamedTuple):
    """Changelog records and MB, seconds to the next commit with state and without, CPU seconds of the same, MB."""

    records: int
    changelog_mb: float
    with_state_seconds: float
    without_state_seconds: float
    with_state_cpu: float
    without_state_cpu: float
    mb: float

    @property
    def per_second(self) -> float:
        """Records restored per second of the clock on the wall."""
        return self.records / max(self.without_state_seconds - self.with_state_seconds, LEAST_SECONDS)

    @property
    def per_cpu_second(self) -> float:
        """Records restored per CPU-second of the worker."""
        return self.records / max(self.without_state_cpu - self.with_state_cpu, LEAST_SECONDS)


def restore(records: int) -> Restore:
    """Count `records` over a million keys, then lose the state. Raises: BenchmarkError when a worker ends or stalls."""
    workload = WORKLOADS["count-1m"]
    with tempfile.TemporaryDirectory(prefix="headrace-restore-") as scratch, broker(Path(scratch)) as (_, address):
        clients = connect(address)
        try:
            job = Job(workload, workload.inputs(records), address, Path(scratch))
            load(clients, job.inputs)
            admin = clients.admin()
            admin.create([NewTopic(topic, job.partitions) for topic in workload.outputs])
            admin.close()
            _until_committed(clients, job, records)
            _one_more(clients, job)
            kept_seconds, kept_cpu, _ = _until_committed(clients, job, records + 1)
            _one_more(clients, job)
            shutil.rmtree(job.scratch / "state")
            lost_seconds, lost_cpu, mb = _until_committed(clients, job, records + 2)
            changelog_records, changelog_mb = _changelog_records(clients, job), _changelog_mb(Path(scratch))
        finally:
            clients.close()
    return Restore(changelog_records, changelog_mb, kept_seconds, lost_seconds, kept_cpu, lost_cpu, mb)


class Restart(NamedTuple):
    """Seconds from a start to the next commit: the first of all, one after SIGTERM, one after SIGKILL."""

    first_seconds: float
    stopped_seconds: float
    killed_seconds: float


def restart(partitions: int, records: int, settings: Sequence[str] = ()) -> Restart:
    """Count `records` over 265 keys, stop, and start again. Raises: BenchmarkError when a worker ends or stalls."""
    workload = WORKLOADS["count"]
    with tempfile.TemporaryDirectory(prefix="headrace-restart-") as scratch, broker(Path(scratch)) as (_, address):
        clients = connect(address)
        try:
            inputs = [replace(source, partitions=partitions) for source in workload.inputs(records)]
            job = Job(workload, inputs, address, Path(scratch))
            admin = clients.admin()
            admin.create(
                [NewTopic(topic, partitions, config=FOREVER) for topic in (inputs[0].topic, *workload.outputs)]
            )
            admin.close()
            _one_more(clients, job, "zone")
            first_seconds, _, _ = _until_committed(clients, job, 1, settings)
            producer = clients.producer()
            produce(producer, inputs[0])
            producer.close()
            _until_committed(clients, job, records + 1, settings)
            _one_more(clients, job, "zone")
            stopped_seconds, _, _ = _until_committed(clients, job, records + 2, settings, kill=True)
            _one_more(clients, job, "zone")
            killed_seconds, _, _ = _until_committed(clients, job, records + 3, settings)
        finally:
            clients.close()
    return Restart(first_seconds, stopped_seconds, killed_seconds)


def _until_committed(
    clients: Clients, job: Job, records: int, settings: Sequence[str] = (), *, kill: bool = False
) -> tuple[float, float, float]:
    """Run a worker until so many records are committed, then stop it, or `kill` it.

    Shape: seconds, CPU seconds, resident MB at the end.
    """
    system = headrace(settings)
    assert system.group is not None
    progress = CommittedProgress(clients, job, system.group(job), repartitioned=False)
    begun = time.monotonic()
    try:
        with running("worker", system.command(job), job.scratch) as worker:
            while progress.consumed() < records:
                _check(worker, begun)
                time.sleep(0.02)
            usage, seconds = worker.usage(), time.monotonic() - begun
            if kill:
                worker.process.kill()
            return seconds, usage.cpu_seconds, usage.resident_mb
    finally:
        progress.close()


def _check(worker: Watched, begun: float) -> None:
    worker.check()
    if time.monotonic() - begun > TIMEOUT_SECONDS:
        raise BenchmarkError(f"not done within {TIMEOUT_SECONDS:.0f} s{worker.last_words()}")


def _one_more(clients: Clients, job: Job, key: str = "million") -> None:
    """One more record, the first of the same input again."""
    topic = job.inputs[0].topic
    columns = next(rides(topic, 1, key=key).chunks())
    producer = clients.producer()
    place = partition_for(columns.keys[0], producer.partition_count(topic))
    producer.send(topic, place, columns.keys, columns.values, [START_MS])
    producer.close()


def _changelog_records(clients: Clients, job: Job) -> int:
    admin = clients.admin()
    names = [topic for topic in admin.topics() if topic.endswith("-changelog")]
    admin.close()
    consumer = clients.consumer(group=None)
    places = [TopicPartition(name, number) for name in names for number in range(job.partitions)]
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    consumer.close()
    return sum(ends[place] - begins[place] for place in places)


def _changelog_mb(folder: Path) -> float:
    """What the changelogs take on the broker's disk, as they lie there."""
    logs = (folder / "broker").glob("*-changelog-*/*.log")
    return sum(path.stat().st_size for path in logs) / 1e6
