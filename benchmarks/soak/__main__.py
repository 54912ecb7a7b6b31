"""python -m benchmarks.soak --minutes 60: a broker, two workers, an even load, and what they use all the time.

Ends with 1 when something grows: memory or open files of broker or workers, or the latency. The first quarter is for
warming up; the last is held against the second. All processes are watched from outside, through /proc.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import NamedTuple

import msgspec

from benchmarks.latency import percentile
from benchmarks.measure import connect
from benchmarks.processes import Watched, broker, running
from benchmarks.soak.program import Order, Priced
from streams.clients.base import Clients, NewTopic
from streams.record import TopicPartition
from streams.serdes import serde_for

PARTITIONS, KEYS, PRODUCTS = 4, 20_000, 100
STEP_S, SAMPLE_S = 0.01, 5.0
SHORT = {"retention.ms": "60000", "segment.bytes": "8388608", "segment.ms": "60000"}
BROKER = {"log.cleaner.backoff.ms": "5000", "log.retention.check.interval.ms": "5000"}
GROWN, SPARE_MB, SPARE_FILES, SLOWER, SPARE_MS = 1.05, 12.0, 12, 1.5, 20.0
SPARE_TABLES = 3 * 3 * PARTITIONS
"""RocksDB merges a store's tables when there are four: each of three stores has up to three more at times, by turns."""


class Sample(NamedTuple):
    """A moment: memory in MB and open files of each side, latency in ms since the moment before."""

    seconds: float
    broker_mb: float
    worker_mb: float
    broker_files: int
    worker_files: int
    p50_ms: float
    p99_ms: float
    records: int


class Load(Thread):
    """Writes orders, so many a second, until `over`."""

    def __init__(self, clients: Clients, rate: int) -> None:
        super().__init__(name="load", daemon=True)
        self.over = Event()
        self.sent = 0
        self.error: BaseException | None = None
        self._producer = clients.producer()
        self._rate = rate

    def run(self) -> None:
        """What the thread does; an error is kept for whoever looks."""
        begun, encode = time.monotonic(), msgspec.json.encode
        try:
            while not self.over.wait(STEP_S):
                due = round((time.monotonic() - begun) * self._rate)
                for partition in range(PARTITIONS):
                    numbers = range(self.sent + (partition - self.sent) % PARTITIONS, due, PARTITIONS)
                    if not numbers:
                        continue
                    now_ns, now_ms = time.monotonic_ns(), time.time_ns() // 1_000_000
                    keys = [(number * 7919 % KEYS).to_bytes(8, "big") for number in numbers]
                    values = [encode(Order(now_ns, number % PRODUCTS, 1.0)) for number in numbers]
                    self._producer.send("orders", partition, keys, values, [now_ms] * len(keys))
                self.sent = due
            self._producer.flush()
        except BaseException as error:
            self.error = error


def soak(minutes: float, rate: int, settings: Sequence[str]) -> Iterator[Sample]:
    """Samples, one in five seconds. Raises: BenchmarkError when a process ends."""
    with tempfile.TemporaryDirectory(prefix="headrace-soak-") as scratch:
        folder = Path(scratch)
        with broker(folder, BROKER) as (served, address):
            clients = connect(address)
            _prepare(clients)
            options = [f"--set={each}" for each in (f"state_dir={folder / 'state'}", *settings)]
            command = [sys.executable, "-m", "streams.cli", "run", "benchmarks.soak.program:app", "--workers", "2"]
            load = Load(clients, rate)
            try:
                with running("workers", [*command, "--broker", f"kafka://{address}", *options], folder) as workers:
                    load.start()
                    yield from _samples(clients, served, workers, load, minutes * 60)
            finally:
                load.over.set()
                load.join()
                clients.close()


def _prepare(clients: Clients) -> None:
    admin, producer = clients.admin(), clients.producer()
    admin.create(NewTopic(name, PARTITIONS, config=SHORT) for name in ("orders", "counts", "sums", "priced"))
    admin.create([NewTopic("products", PARTITIONS, config={"cleanup.policy": "compact"})])
    names = [serde_for(str).serialize(f"product {number}") for number in range(PRODUCTS)]
    for partition in range(PARTITIONS):
        keys = [number.to_bytes(8, "big") for number in range(PRODUCTS)]
        producer.send("products", partition, keys, names, [0] * PRODUCTS)
    producer.close()
    admin.close()


def _samples(clients: Clients, served: Watched, workers: Watched, load: Load, seconds: float) -> Iterator[Sample]:
    reader = clients.consumer(group=None, read_committed=True)
    reader.assign(TopicPartition("priced", number) for number in range(PARTITIONS))
    decode = msgspec.json.Decoder(Priced).decode
    begun = last = time.monotonic()
    found: list[float] = []
    records = 0
    while last - begun < seconds:
        for batch in reader.poll(0.2):
            now_ns = time.monotonic_ns()
            found += [(now_ns - decode(value).sent) / 1e6 for value in batch.columns().values]
        if (now := time.monotonic()) - last < SAMPLE_S:
            continue
        for each in (served, workers):
            each.check()
        if load.error is not None:
            raise load.error
        last, records = now, records + len(found)
        p50, p99 = (percentile(found, share) if found else 0.0 for share in (0.5, 0.99))
        files = (_files(served.process.pid), _files(workers.process.pid))
        yield Sample(now - begun, served.usage().resident_mb, workers.usage().resident_mb, *files, p50, p99, records)
        found = []


def _files(process_id: int) -> int:
    """Open files of a process and its children."""
    try:
        children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
        own = len(list(Path(f"/proc/{process_id}/fd").iterdir()))
    except OSError:
        return 0
    return own + sum(_files(int(child)) for child in children)


def grown(samples: Sequence[Sample]) -> list[str]:
    """What has grown from the second quarter to the last, in words."""
    quarter = len(samples) // 4
    if not quarter:
        return ["too short to say: take more minutes"]
    before, after = samples[quarter : 2 * quarter], samples[-quarter:]
    found = []
    for name, spare, factor in (
        ("broker_mb", SPARE_MB, GROWN),
        ("worker_mb", SPARE_MB, GROWN),
        ("broker_files", SPARE_FILES, 1.0),
        ("worker_files", SPARE_FILES + SPARE_TABLES, 1.0),
        ("p50_ms", SPARE_MS, SLOWER),
        ("p99_ms", SPARE_MS, SLOWER),
    ):
        early, late = (median(getattr(sample, name) for sample in part) for part in (before, after))
        if late > early * factor + spare:
            found.append(f"{name} went from {early:,.0f} to {late:,.0f}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Soak, and tell. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=5_000, help="orders a second (default 5,000)")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two lines")
    parser.add_argument(
        "--set", action="append", default=["processing_guarantee=exactly_once_v2"], metavar="NAME=VALUE"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that broker and workers are stopped too
    print("minute  broker MB  files  workers MB  files  p50 ms  p99 ms      records", flush=True)
    samples: list[Sample] = []
    told = 0.0
    for sample in soak(options.minutes, options.rate, options.set):
        samples.append(sample)
        if sample.seconds - told >= options.every or sample.seconds >= options.minutes * 60:
            told = sample.seconds
            print(
                f"{sample.seconds / 60:6.1f} {sample.broker_mb:10.0f} {sample.broker_files:6} {sample.worker_mb:11.0f} "
                f"{sample.worker_files:6} {sample.p50_ms:7.0f} {sample.p99_ms:7.0f} {sample.records:12,}",
                flush=True,
            )
    problems = grown(samples)
    print("\n".join(problems) if problems else "flat: memory, open files and latency")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
