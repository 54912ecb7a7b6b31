"""One run of one workload, watched from outside: a broker, a worker, a topic filled beforehand.

Rules: a result counts when its input is committed, so the clock is the group's committed offsets, sampled five times a
second together with CPU time and memory of both processes. Start and end are cut off: figures are those between 15 %
and 95 % of the input. Before a rate is believed, the workload checks what the worker wrote.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.load import Input, produce
from benchmarks.machine import calibration_ns
from benchmarks.processes import BenchmarkError, Usage, Watched, broker, running
from benchmarks.workloads import Workload
from streams.clients.base import Clients, Consumer, NewTopic
from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.record import TopicPartition

PARTITIONS = 4
SAMPLE_SECONDS = 0.2
STALL_SECONDS = 60.0
SETTLE_SECONDS = 2.0
FROM, TO = 0.15, 0.95


@dataclass(frozen=True)
class Sample:
    """A moment of a run: seconds since the worker was started, records committed, what both processes have used."""

    seconds: float
    committed: float
    worker: Usage
    broker: Usage


@dataclass(frozen=True)
class Result:
    """What a run came to. CPU in seconds per million records, memory in MB at its highest, idle CPU as share of a core."""

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
    samples: list[tuple[float, int]]
    workers: int = 1


def run(
    workload: Workload, records: int, settings: Sequence[str], idle_seconds: float = 5.0, workers: int = 1
) -> Result:
    """Measure a workload once. `settings` are name=value, as `streams run --set` takes them.

    Raises: BenchmarkError when a process ends, nothing moves, or the output is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as scratch, broker(Path(scratch)) as (process, address):
        config = StreamsConfig.of("benchmark", {"broker": f"kafka://{address}"})
        clients = KafkaClients(config)
        try:
            inputs = workload.inputs(records)
            begun = time.monotonic()
            _load(clients, inputs, workload.outputs)
            loaded = time.monotonic() - begun
            command = _command(workload, address, Path(scratch), settings, workers)
            with running("worker", command, Path(scratch)) as worker:
                samples = _watch(clients, workload, inputs, worker, process)
                _settle(clients, workload)
                idle = _idle_cpu(worker, process, idle_seconds)
                workload.check(clients, records)
        finally:
            clients.close()
    guarantee = dict(setting.partition("=")[::2] for setting in settings).get("processing_guarantee", "at_least_once")
    return replace(_result(workload, guarantee, samples, idle, loaded), workers=workers)


def _load(clients: Clients, inputs: Sequence[Input], outputs: Sequence[str]) -> None:
    admin, producer = clients.admin(), clients.producer()
    for source in inputs:
        admin.create(
            [NewTopic(source.topic, PARTITIONS, config={"cleanup.policy": "compact"} if source.compacted else {})]
        )
        produce(producer, source)
    admin.create([NewTopic(topic, PARTITIONS) for topic in outputs])
    admin.close()
    producer.close()


def _command(workload: Workload, address: str, scratch: Path, settings: Sequence[str], workers: int) -> list[str]:
    wanted = [f"state_dir={scratch / 'state'}", "commit_interval_ms=500", *settings]
    options = [part for setting in wanted for part in ("--set", setting)]
    options += ["--workers", str(workers)] if workers > 1 else []
    return [sys.executable, "-m", "streams.cli", "run", workload.program, "--broker", f"kafka://{address}", *options]


def _watch(
    clients: Clients, workload: Workload, inputs: Sequence[Input], worker: Watched, broker: Watched
) -> list[Sample]:
    """Samples until all input is committed."""
    counted = [source for source in inputs if not source.compacted]
    partitions = [TopicPartition(source.topic, number) for source in counted for number in range(PARTITIONS)]
    total = sum(source.records for source in counted)
    consumer = clients.consumer(group=workload.group)
    samples: list[Sample] = []
    begun = moved = time.monotonic()
    while not samples or samples[-1].committed < total:
        worker.check()
        broker.check()
        now = time.monotonic()
        sample = Sample(now - begun, _committed(consumer, partitions), worker.usage(), broker.usage())
        if not samples or sample.committed > samples[-1].committed:
            moved = now
        if now - moved > STALL_SECONDS:
            raise BenchmarkError(f"{workload.name}: nothing was committed for {STALL_SECONDS:.0f} s; {worker.log}")
        samples.append(sample)
        time.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - now)))
    consumer.close()
    return samples


def _settle(clients: Clients, workload: Workload) -> None:
    """Wait until what the worker sent to itself over repartition topics is committed too.

    Raises: BenchmarkError when that stalls.
    """
    admin = clients.admin()
    found = admin.describe([topic for topic in admin.topics() if topic.endswith("-repartition")])
    admin.close()
    partitions = [TopicPartition(topic, number) for topic, each in found.items() for number in range(each.partitions)]
    consumer = clients.consumer(group=workload.group)
    deadline = time.monotonic() + STALL_SECONDS
    while _committed(consumer, partitions) < sum(consumer.end_offsets(partitions).values()):
        if time.monotonic() > deadline:
            raise BenchmarkError(
                f"{workload.name}: its repartition topic was not committed within {STALL_SECONDS:.0f} s"
            )
        time.sleep(SAMPLE_SECONDS)
    consumer.close()


def _committed(consumer: Consumer, partitions: Sequence[TopicPartition]) -> int:
    return sum(committed.offset for committed in consumer.committed(partitions).values())


def _idle_cpu(worker: Watched, broker: Watched, seconds: float) -> float:
    """The share of a core that both use together when there is nothing to do."""
    if not seconds:
        return 0.0
    time.sleep(SETTLE_SECONDS)
    before = worker.usage().cpu_seconds + broker.usage().cpu_seconds
    time.sleep(seconds)
    return (worker.usage().cpu_seconds + broker.usage().cpu_seconds - before) / seconds


def _result(workload: Workload, guarantee: str, samples: list[Sample], idle: float, loaded: float) -> Result:
    total = samples[-1].committed
    first, last = _at(samples, total * FROM), _at(samples, total * TO)
    records, seconds = last.committed - first.committed, last.seconds - first.seconds
    worker_cpu = last.worker.cpu_seconds - first.worker.cpu_seconds
    broker_cpu = last.broker.cpu_seconds - first.broker.cpu_seconds
    return Result(
        workload=workload.name,
        guarantee=guarantee,
        records=round(total),
        records_per_second=records / seconds if seconds else 0.0,
        records_per_cpu_second=records / worker_cpu if worker_cpu else 0.0,
        worker_cpu_per_million=worker_cpu / records * 1e6,
        broker_cpu_per_million=broker_cpu / records * 1e6,
        worker_mb=max(sample.worker.resident_mb for sample in samples),
        broker_mb=max(sample.broker.resident_mb for sample in samples),
        idle_cpu=idle,
        first_commit_seconds=next(sample.seconds for sample in samples if sample.committed),
        load_seconds=loaded,
        calibration_ns=calibration_ns(),
        samples=[(round(sample.seconds, 3), round(sample.committed)) for sample in samples],
    )


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
