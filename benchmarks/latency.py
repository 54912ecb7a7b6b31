"""End-to-end latency, free of coordinated omission: a paced producer, a worker, a reader of the output.

Rules: record n is due at start + n / rate, whatever happened to those before it, and its latency counts from then to
the moment its result was read. So a stall is felt by every record that was due while it lasted, as a user would. The
producer is a process of its own; both clocks are the machine's monotonic one. Both ends share the machine with what is
measured, so they do beforehand, or afterwards, what need not be done meanwhile: records are made before the start,
what was read is decoded after the end, and neither looks for cycles meanwhile, which took 50 ms among so many records.
"""

from __future__ import annotations

import gc
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.load import START_MS, ZONES, Columns, Ride
from benchmarks.measure import FOREVER, connect
from benchmarks.processes import BenchmarkError, Watched, broker, running
from benchmarks.programs import Kept
from benchmarks.systems import Job, headrace
from benchmarks.workloads import WORKLOADS
from streams.clients.base import Clients, Consumer, NewTopic, Producer
from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.record import TopicPartition

PARTITIONS = 4
WARM_SECONDS = 3.0
HEAD_START_SECONDS = 1.0
LATE_SECONDS = 30.0
READY_SECONDS = 60.0
LEAST_PAUSE_SECONDS = 0.001
PROBE = -1
FLUSHED_MS = 1000
"""A linger that is never over: what is due is flushed."""
BEGINS = "begins at "


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
    command = [sys.executable, "-m", "benchmarks.latency", address, str(rate), str(total)]
    with running("producer", command, folder) as producer:
        begun_ns = _begin_of(producer)
        with _uncollected():
            read = _read(reader, worker, total, total / rate + HEAD_START_SECONDS + LATE_SECONDS)
    decode = msgspec.json.Decoder(Kept).decode
    return [
        (read_ns - begun_ns - number * 1e9 / rate) / 1e6
        for read_ns, values in read
        for value in values
        if (number := decode(value).id) >= warm
    ]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cycle collector, which would walk through all that is kept."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _begin_of(producer: Watched) -> int:
    """When the producer, which has made its records, sends the first, in ns of the monotonic clock."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        producer.check()
        text = producer.log.read_text(errors="replace")
        if text.startswith(BEGINS) and text.endswith("\n"):
            return int(text.removeprefix(BEGINS))
        time.sleep(0.02)
    raise BenchmarkError(f"the producer was not ready within {READY_SECONDS:.0f} s{producer.last_words()}")


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


def _read(reader: Consumer, worker: Watched, total: int, patience_s: float) -> list[tuple[int, Sequence[bytes]]]:
    """When what was read, until there are `total` results."""
    found: list[tuple[int, Sequence[bytes]]] = []
    seen = 0
    deadline = time.monotonic() + patience_s
    while seen < total:
        batches = reader.poll(0.5)
        now_ns = time.monotonic_ns()
        if time.monotonic() > deadline:
            worker.check()
            raise BenchmarkError(f"{seen:,} of {total:,} results, {LATE_SECONDS:.0f} s after the end")
        for batch in batches:
            values = batch.columns().values
            seen += len(values)
            found.append((now_ns, values))
    return found


def _value(number: int) -> bytes:
    """A ride that the program keeps."""
    return msgspec.json.encode(Ride(number, "driver_00001", number % ZONES, 33.0, 12.0, "cash", START_MS + number))


def produce_paced(address: str, rate: int, total: int) -> None:
    """Send record n as soon as it is due, in order; those that came due while a request was under way are the next one.

    Prints when it begins, which it does when all records are made.
    """
    clients = KafkaClients(StreamsConfig.of("benchmark", {"broker": f"kafka://{address}", "linger_ms": FLUSHED_MS}))
    producer = clients.producer()
    columns = [_columns(range(partition, total, PARTITIONS)) for partition in range(PARTITIONS)]
    begun_ns = time.monotonic_ns() + round(HEAD_START_SECONDS * 1e9)
    print(f"{BEGINS}{begun_ns}", flush=True)
    with _uncollected():
        _send_when_due(producer, columns, rate, total, begun_ns)
    producer.close()
    clients.close()


def _send_when_due(producer: Producer, columns: Sequence[Columns], rate: int, total: int, begun_ns: int) -> None:
    sent = 0
    while sent < total:
        late_ns = time.monotonic_ns() - begun_ns
        due = min(total, late_ns * rate // 1_000_000_000 + 1)
        if due <= sent:
            time.sleep(max(sent / rate - late_ns / 1e9, LEAST_PAUSE_SECONDS))
            continue
        for partition, (keys, values, timestamps) in enumerate(columns):
            part = slice((sent - partition - 1) // PARTITIONS + 1, (due - partition - 1) // PARTITIONS + 1)
            if part.start < part.stop:
                producer.send("rides", partition, keys[part], values[part], timestamps[part])
        producer.flush()
        sent = due


def _columns(numbers: range) -> Columns:
    """The records of these numbers, made."""
    zones = [zone.to_bytes(8, "big") for zone in range(ZONES)]
    keys = [zones[number % ZONES] for number in numbers]
    return Columns(keys, list(map(_value, numbers)), [START_MS + number for number in numbers])


if __name__ == "__main__":
    produce_paced(sys.argv[1], *map(int, sys.argv[2:4]))
