"""How fast lost state comes back: a worker started with its state, and without, until it commits one more record.

Rules: from outside. The difference of the two is the restore: start, joining the group and the first commit are in
both. The records restored are those of the changelog topic, as it lies there.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import START_MS, rides
from benchmarks.measure import connect, load
from benchmarks.processes import BenchmarkError, Watched, broker, running
from benchmarks.systems import CommittedProgress, Job, headrace
from benchmarks.workloads import WORKLOADS
from streams.clients.base import Clients, NewTopic
from streams.clients.partitioner import partition_for
from streams.record import TopicPartition

TIMEOUT_SECONDS = 600.0


class Restore(NamedTuple):
    """Records of the changelog, seconds to the next commit with state and without, CPU seconds of the same, MB."""

    records: int
    with_state_seconds: float
    without_state_seconds: float
    with_state_cpu: float
    without_state_cpu: float
    mb: float

    @property
    def per_second(self) -> float:
        """Records restored per second of the clock on the wall."""
        return self.records / max(self.without_state_seconds - self.with_state_seconds, 1e-9)

    @property
    def per_cpu_second(self) -> float:
        """Records restored per CPU-second of the worker."""
        return self.records / max(self.without_state_cpu - self.with_state_cpu, 1e-9)


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
            workload_records = _changelog_records(clients, job)
        finally:
            clients.close()
    return Restore(workload_records, kept_seconds, lost_seconds, kept_cpu, lost_cpu, mb)


def _until_committed(clients: Clients, job: Job, records: int) -> tuple[float, float, float]:
    """Run a worker until so many records are committed. Shape: seconds, CPU seconds, resident MB at the end."""
    system = headrace()
    assert system.group is not None
    progress = CommittedProgress(clients, job, system.group(job), repartitioned=False)
    begun = time.monotonic()
    try:
        with running("worker", system.command(job), job.scratch) as worker:
            while progress.consumed() < records:
                _check(worker, begun)
                time.sleep(0.02)
            usage = worker.usage()
            return time.monotonic() - begun, usage.cpu_seconds, usage.resident_mb
    finally:
        progress.close()


def _check(worker: Watched, begun: float) -> None:
    worker.check()
    if time.monotonic() - begun > TIMEOUT_SECONDS:
        raise BenchmarkError(f"not done within {TIMEOUT_SECONDS:.0f} s{worker.last_words()}")


def _one_more(clients: Clients, job: Job) -> None:
    """One more record, the first of the same input again."""
    topic = job.inputs[0].topic
    columns = next(rides(topic, 1, key="million").chunks())
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
