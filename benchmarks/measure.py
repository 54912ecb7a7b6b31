"""One run of one workload by one system, watched from outside: a broker, a worker, topics filled beforehand.

Rules: a result counts when its input is committed, so the clock is the system's progress (`systems`), sampled five times
a second together with CPU time and memory of both processes. Start and end are cut off: figures are those between 15 %
and 95 % of the input. Before a rate is believed, the workload checks what the worker wrote.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from benchmarks.load import Input, produce
from benchmarks.machine import calibration_ns
from benchmarks.processes import BenchmarkError, Usage, Watched, broker, running
from benchmarks.systems import AT_LEAST_ONCE, CommittedProgress, Job, OutputProgress, Progress, System, headrace
from benchmarks.workloads import Workload
from streams.clients.base import Clients, NewTopic
from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.record import TopicPartition

SAMPLE_SECONDS = 0.2
STALL_SECONDS = 60.0
SETTLE_SECONDS = 2.0
QUIET_SECONDS = 1.0
FROM, TO, LEAST = 0.15, 0.95, 0.625
FOREVER = {"retention.ms": "-1"}
"""Of inputs and outputs: their times are of the past, and a broker deletes by time what is as old as that, while it is read."""
Beside = Callable[[Watched], AbstractContextManager[object]]
"""What is done beside a worker while it is measured."""


@dataclass(frozen=True)
class Sample:
    """A moment of a run: seconds since the worker was started, records committed, what both processes have used."""

    seconds: float
    committed: float
    worker: Usage
    broker: Usage


@dataclass(frozen=True)
class Result:
    """What a run came to. CPU in seconds per million records, memory in MB at its highest, idle CPU as share of a core.

    `commits` says how many lie in the time that is measured: with few of them, what was done and what was committed are
    not of the same records. `samples`: (seconds since the start, records committed, CPU seconds of the worker since then).
    """

    system: str
    workload: str
    guarantee: str
    records: int
    records_per_second: float
    records_per_cpu_second: float
    worker_cpu_per_million: float
    broker_cpu_per_million: float
    worker_mb: float
    broker_mb: float
    idle_cpu: float
    first_commit_seconds: float
    load_seconds: float
    calibration_ns: float
    samples: list[tuple[float, int, float]]
    workers: int = 1
    commits: int = 0


def run(
    workload: Workload,
    records: int,
    settings: Sequence[str],
    idle_seconds: float = 5.0,
    workers: int = 1,
    beside: Beside = nullcontext,
) -> Result:
    """Measure a workload of ours once, on a broker of its own. `settings` are name=value, as `--set` takes them.

    Raises: BenchmarkError when a process ends, nothing moves, or the output is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as scratch, broker(Path(scratch)) as (process, address):
        clients = connect(address)
        try:
            inputs = workload.inputs(records)
            begun = time.monotonic()
            load(clients, inputs)
            loaded = time.monotonic() - begun
            given = dict(setting.partition("=")[::2] for setting in settings)
            guarantee = given.get("processing_guarantee", AT_LEAST_ONCE)
            job = Job(workload, inputs, address, Path(scratch), guarantee)
            result = measure(
                headrace(settings, workers), job, clients, process, idle_seconds=idle_seconds, beside=beside
            )
        finally:
            clients.close()
    return replace(result, load_seconds=loaded, workers=workers)


def connect(address: str) -> KafkaClients:
    """The harness's own connection to a broker. Its producers send at once: what is timed is not their waiting for more."""
    return KafkaClients(StreamsConfig.of("benchmark", {"broker": f"kafka://{address}", "linger_ms": 0}))


def load(clients: Clients, inputs: Sequence[Input]) -> None:
    """Make the topics of the inputs, and fill them."""
    admin, producer = clients.admin(), clients.producer()
    for source in inputs:
        policy = {"cleanup.policy": "compact"} if source.compacted else FOREVER
        admin.create([NewTopic(source.topic, source.partitions, config=policy)])
        produce(producer, source)
    admin.close()
    producer.close()


def measure(
    system: System,
    job: Job,
    clients: Clients,
    broker: Watched,
    *,
    idle_seconds: float = 5.0,
    timeout_seconds: float = math.inf,
    begin: float = FROM,
    beside: Beside = nullcontext,
) -> Result:
    """Measure one system once on inputs that lie there already; its output is checked before anything is returned.

    `begin` is the share of the input from which on figures are taken.
    Raises: BenchmarkError when a process ends, nothing moves, time is up, or the output is wrong.
    """
    admin = clients.admin()
    admin.create([NewTopic(topic, job.partitions, config=FOREVER) for topic in job.workload.outputs])
    admin.close()
    progress = _progress(system, job, clients)
    try:
        with running(system.name, system.command(job), job.scratch) as worker:
            with beside(worker):
                samples = _watch(progress, job, worker, broker, timeout_seconds)
            _settle(clients, job)
            idle = _idle_cpu(worker, broker, idle_seconds)
            job.workload.check(clients, job.inputs, closed_only=system.closed_only)
    finally:
        progress.close()
    return _result(system, job, samples, idle, begin)


def _progress(system: System, job: Job, clients: Clients) -> Progress:
    if system.group is not None:
        repartitioned = job.workload.repartitioned and system.repartitions
        return CommittedProgress(clients, job, system.group(job), repartitioned=repartitioned)
    return OutputProgress(clients, job, job.workload.outputs_of(job.inputs, closed_only=system.closed_only))


def _watch(progress: Progress, job: Job, worker: Watched, broker: Watched, timeout_seconds: float) -> list[Sample]:
    """Samples until all input is committed."""
    name = job.workload.name
    samples: list[Sample] = []
    begun = moved = time.monotonic()
    while not samples or samples[-1].committed < job.records:
        worker.check()
        broker.check()
        now = time.monotonic()
        committed = min(progress.consumed(), float(job.records))
        sample = Sample(now - begun, committed, worker.usage(), broker.usage())
        if not samples or sample.committed > samples[-1].committed:
            moved = now
        if now - moved > STALL_SECONDS:
            raise BenchmarkError(f"{name}: nothing was committed for {STALL_SECONDS:.0f} s{worker.last_words()}")
        if now - begun > timeout_seconds:
            raise BenchmarkError(f"{name}: {committed / job.records:.0%} done when {timeout_seconds:.0f} s were over")
        samples.append(sample)
        time.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - now)))
    return samples


def _settle(clients: Clients, job: Job) -> None:
    """Wait until the output has been quiet for a second: not everybody's commit waits for what was sent.

    Raises: BenchmarkError when that does not come.
    """
    consumer = clients.consumer(group=None)
    partitions = [TopicPartition(topic, number) for topic in job.workload.outputs for number in range(job.partitions)]
    deadline = time.monotonic() + STALL_SECONDS
    last = -1
    while (ends := sum(consumer.end_offsets(partitions).values())) != last:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{job.workload.name}: still writing {STALL_SECONDS:.0f} s after its last commit")
        last = ends
        time.sleep(QUIET_SECONDS)
    consumer.close()


def _idle_cpu(worker: Watched, broker: Watched, seconds: float) -> float:
    """The share of a core that both use together when there is nothing to do."""
    if not seconds:
        return 0.0
    time.sleep(SETTLE_SECONDS)
    before = worker.usage().cpu_seconds + broker.usage().cpu_seconds
    time.sleep(seconds)
    return (worker.usage().cpu_seconds + broker.usage().cpu_seconds - before) / seconds


def _result(system: System, job: Job, samples: list[Sample], idle: float, begin: float) -> Result:
    total = samples[-1].committed
    first, last = _span(samples, total, begin)
    records, seconds = last.committed - first.committed, last.seconds - first.seconds
    worker_cpu = last.worker.cpu_seconds - first.worker.cpu_seconds
    broker_cpu = last.broker.cpu_seconds - first.broker.cpu_seconds
    return Result(
        system=system.name,
        workload=job.workload.name,
        guarantee=job.guarantee,
        records=round(total),
        records_per_second=records / seconds if seconds else 0.0,
        records_per_cpu_second=records / worker_cpu if worker_cpu else 0.0,
        worker_cpu_per_million=worker_cpu / records * 1e6,
        broker_cpu_per_million=broker_cpu / records * 1e6,
        worker_mb=max(sample.worker.resident_mb for sample in samples),
        broker_mb=max(sample.broker.resident_mb for sample in samples),
        idle_cpu=idle,
        first_commit_seconds=next(sample.seconds for sample in samples if sample.committed),
        load_seconds=0.0,
        calibration_ns=calibration_ns(),
        samples=[
            (round(sample.seconds, 3), round(sample.committed), round(sample.worker.cpu_seconds, 3))
            for sample in samples
        ],
        commits=len([one for one in _steps(samples) if first.committed < one.committed <= last.committed]),
    )


def _span(samples: Sequence[Sample], total: float, begin: float = FROM) -> tuple[Sample, Sample]:
    """The two moments to measure between: commits, where enough lie between `begin` and 95 %, else points in proportion.

    A fast system commits a tenth of the input at once: a point inside of such a step says nothing of when its records
    were done, the moments after two steps do.
    """
    commits = [step for step in _steps(samples) if total * begin <= step.committed <= total * TO]
    if commits and commits[-1].committed - commits[0].committed >= total * (TO - begin) * LEAST:
        return commits[0], commits[-1]
    return _at(samples, total * begin), _at(samples, total * TO)


def _steps(samples: Sequence[Sample]) -> list[Sample]:
    """The moments at which more was committed than the one before."""
    return [after for before, after in pairwise(samples) if after.committed > before.committed]


def _at(samples: Sequence[Sample], committed: float) -> Sample:
    """The moment when so many records were committed, between two samples in proportion."""
    after = next(index for index, sample in enumerate(samples) if sample.committed >= committed)
    right = samples[after]
    left = samples[after - 1] if after else right
    share = (committed - left.committed) / (right.committed - left.committed) if right is not left else 1.0

    def between(low: float, high: float) -> float:
        return low + (high - low) * share

    def usage(low: Usage, high: Usage) -> Usage:
        return Usage(between(low.cpu_seconds, high.cpu_seconds), high.resident_mb)

    return Sample(
        between(left.seconds, right.seconds),
        committed,
        usage(left.worker, right.worker),
        usage(left.broker, right.broker),
    )
