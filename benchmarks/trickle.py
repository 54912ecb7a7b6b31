"""A worker that has little to do: what idling costs, and what commits cost, over many partitions.

Rules: from outside, `streams run` on the count per key with a store and a changelog. Records come evenly, some a second
in every partition, so that each commit has to do with all partitions and next to nothing is spent on records.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.load import START_MS, Ride
from benchmarks.machine import calibration_ns
from benchmarks.measure import FOREVER, connect
from benchmarks.processes import BenchmarkError, Watched, broker, running
from benchmarks.systems import CommittedProgress, Job, headrace
from benchmarks.workloads import WORKLOADS
from streams.clients.base import Clients, NewTopic, Producer

READY_SECONDS = 240.0
SETTLE_SECONDS = 3.0


class Trickle(NamedTuple):
    """Shares of a core, resident MB, and the machine's speed."""

    worker_share: float
    broker_share: float
    worker_mb: float
    broker_mb: float
    calibration_ns: float


def trickle(partitions: int, per_second: float, seconds: float, settings: Sequence[str] = ()) -> Trickle:
    """Watch a worker for `seconds` while each partition gets `per_second` records; 0 of them: idle.

    `settings` are name=value, as `--set` takes them. Raises: BenchmarkError when the worker ends or does not begin.
    """
    workload = WORKLOADS["count"]
    with tempfile.TemporaryDirectory(prefix="headrace-trickle-") as folder, broker(Path(folder)) as (server, address):
        clients = connect(address)
        try:
            source = workload.inputs(1)[0]
            admin = clients.admin()
            admin.create([NewTopic(topic, partitions, config=FOREVER) for topic in (source.topic, *workload.outputs)])
            admin.close()
            job = Job(workload, [source], address, Path(folder))
            producer = clients.producer()
            _to_all(producer, source.topic, partitions, 0)
            with running("worker", headrace(settings).command(job), Path(folder)) as worker:
                _until_all_committed(clients, job, worker, partitions)
                _feed(producer, source.topic, partitions, per_second, SETTLE_SECONDS)
                return _watch(producer, source.topic, partitions, per_second, seconds, worker, server)
        finally:
            clients.close()


def _watch(
    producer: Producer, topic: str, partitions: int, per_second: float, seconds: float, worker: Watched, server: Watched
) -> Trickle:
    before, served, begun = worker.usage(), server.usage(), time.monotonic()
    _feed(producer, topic, partitions, per_second, seconds)
    worker.check()
    passed = time.monotonic() - begun
    after, serves = worker.usage(), server.usage()
    return Trickle(
        (after.cpu_seconds - before.cpu_seconds) / passed,
        (serves.cpu_seconds - served.cpu_seconds) / passed,
        after.resident_mb,
        serves.resident_mb,
        calibration_ns(),
    )


def _feed(producer: Producer, topic: str, partitions: int, per_second: float, seconds: float) -> None:
    """A record to every partition as often as asked, each round when it is due."""
    begun = time.monotonic()
    rounds = round(seconds * per_second)
    for number in range(rounds):
        time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
        _to_all(producer, topic, partitions, number + 1)
    producer.flush()
    time.sleep(max(0.0, begun + seconds - time.monotonic()))


def _to_all(producer: Producer, topic: str, partitions: int, number: int) -> None:
    ride = Ride(number, "driver_00001", number % 265, 33.0, 12.0, "cash", START_MS + number)
    value, key = msgspec.json.encode(ride), (number % 265).to_bytes(8, "big")
    for partition in range(partitions):
        producer.send(topic, partition, [key], [value], [START_MS + number])


def _until_all_committed(clients: Clients, job: Job, worker: Watched, records: int) -> None:
    system = headrace()
    assert system.group is not None
    progress = CommittedProgress(clients, job, system.group(job), repartitioned=False)
    deadline = time.monotonic() + READY_SECONDS
    while progress.consumed() < records:
        worker.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"no commit of all partitions within {READY_SECONDS:.0f} s{worker.last_words()}")
        time.sleep(0.1)
    progress.close()
