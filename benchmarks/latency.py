"""End-to-end latency, free of coordinated omission: a paced producer, a worker, a reader of the output.

Rules: record n is due at start + n / rate, whatever happened to those before it, and its latency counts from then to
the moment its result was read. So a stall is felt by every record that was due while it lasted, as a user would. The
producer is a process of its own; both clocks are the machine's monotonic one.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.load import START_MS, Ride
from benchmarks.measure import FOREVER, connect
from benchmarks.processes import BenchmarkError, Watched, broker, running
from benchmarks.programs import Kept
from benchmarks.systems import Job, headrace
from benchmarks.workloads import WORKLOADS
from streams.clients.base import Clients, Consumer, NewTopic
from streams.record import TopicPartition

PARTITIONS = 4
WARM_SECONDS = 3.0
HEAD_START_SECONDS = 2.0
LATE_SECONDS = 30.0
READY_SECONDS = 60.0
PROBE = -1


def latencies(rate: int, seconds: float, settings: Sequence[str] = ()) -> list[float]:
    """Latencies in ms of all records of `seconds` at `rate` a second, in the order their results came.

    The first three seconds at that rate come before and do not count. `settings` are name=value, as `--set` takes them;
    results count when they are committed. Raises: BenchmarkError when results are missing.
    """
    workload = WORKLOADS["stateless"]
    with tempfile.TemporaryDirectory(prefix="headrace-latency-") as folder, broker(Path(folder)) as (_process, address):
        clients = connect(address)
        try:
            admin = clients.admin()
            admin.create([NewTopic(topic, PARTITIONS, config=FOREVER) for topic in ("rides", *workload.outputs)])
            admin.close()
            command = headrace(settings).command(Job(workload, [], address, Path(folder)))
            with running("worker", command, Path(folder)) as worker:
                return _measured(clients, workload.outputs[0], worker, address, rate, seconds, Path(folder))
        finally:
            clients.close()


def percentile(figures: Sequence[float], share: float) -> float:
    """The smallest figure that `share` of all do not exceed."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _measured(
    clients: Clients, output: str, worker: Watched, address: str, rate: int, seconds: float, folder: Path
) -> list[float]:
    reader = clients.consumer(group=None, read_committed=True)
    places = [TopicPartition(output, number) for number in range(PARTITIONS)]
    reader.assign(places)
    for place in places:
        reader.seek(place, 0)
    _wait_until_it_works(clients, reader, worker)
    warm = round(rate * WARM_SECONDS)
    total = warm + round(rate * seconds)
    begun_ns = time.monotonic_ns() + round(HEAD_START_SECONDS * 1e9)
    command = [sys.executable, "-m", "benchmarks.latency", address, str(rate), str(total), str(begun_ns)]
    with running("producer", command, folder):
        return _read(reader, worker, rate, warm, total, begun_ns)


def _wait_until_it_works(clients: Clients, reader: Consumer, worker: Watched) -> None:
    """Until a first record has passed: a worker that is still joining its group has no latency."""
    producer = clients.producer()
    producer.send("rides", 0, [(0).to_bytes(8, "big")], [_value(PROBE)], [START_MS])
    producer.flush()
    producer.close()
    deadline = time.monotonic() + READY_SECONDS
    while not reader.poll(0.2):
        worker.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"no result within {READY_SECONDS:.0f} s{worker.last_words()}")


def _read(reader: Consumer, worker: Watched, rate: int, warm: int, total: int, begun_ns: int) -> list[float]:
    decode = msgspec.json.Decoder(Kept).decode
    found: list[float] = []
    seen = 0
    deadline = time.monotonic() + total / rate + HEAD_START_SECONDS + LATE_SECONDS
    while seen < total:
        batches = reader.poll(0.5)
        now_ns = time.monotonic_ns()
        worker.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(
                f"{seen:,} of {total:,} results at {rate:,} a second, {LATE_SECONDS:.0f} s after the end"
            )
        for batch in batches:
            numbers = [decode(value).id for value in batch.columns().values]
            seen += len(numbers)
            found += [(now_ns - begun_ns - number * 1e9 / rate) / 1e6 for number in numbers if number >= warm]
    return found


def _value(number: int) -> bytes:
    """A ride that the program keeps."""
    return msgspec.json.encode(Ride(number, "driver_00001", number % 265, 33.0, 12.0, "cash", START_MS + number))


def produce_paced(address: str, rate: int, total: int, begun_ns: int) -> None:
    """Send record n as soon as it is due, in order, those that are due together as one batch per partition."""
    clients = connect(address)
    producer = clients.producer()
    sent = 0
    while sent < total:
        due = min(total, (time.monotonic_ns() - begun_ns) * rate // 1_000_000_000 + 1)
        if due <= sent:
            time.sleep(0.001)
            continue
        for partition in range(PARTITIONS):
            numbers = range(sent + (partition - sent) % PARTITIONS, due, PARTITIONS)
            if numbers:
                keys = [(number % 265).to_bytes(8, "big") for number in numbers]
                values = [_value(number) for number in numbers]
                producer.send("rides", partition, keys, values, [START_MS + number for number in numbers])
        sent = due
    producer.flush()
    producer.close()
    clients.close()


if __name__ == "__main__":
    produce_paced(sys.argv[1], *map(int, sys.argv[2:5]))
