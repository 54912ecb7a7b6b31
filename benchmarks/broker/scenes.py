"""The scenes: an empty broker under several loads, one with many partitions, one with a large log; what is measured in each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.broker import loads
from benchmarks.broker.loads import Figures
from benchmarks.broker.sides import Served, serving
from benchmarks.processes import BenchmarkError

Measured = dict[str, Figures]
SETTLE_SECONDS = 1.0
SEGMENT_BYTES = 1 << 20
GIGABYTE = 1_000_000_000
QUICK_LOOK = 0.1
LARGE = frozenset({"warm_seconds", "many_partitions", "partitions", "connections", "gigabytes"})


@dataclass(frozen=True)
class Size:
    """How much is done: records and seconds, the seconds that a JVM takes to get warm, and what makes up large scenes."""

    small_records: int = 1_000_000
    large_records: int = 400_000
    single_records: int = 40_000
    latency_seconds: float = 10.0
    warm_seconds: float = 20.0
    many_partitions: int = 2_000
    partitions: int = 1_000
    connections: int = 200
    gigabytes: int = 50

    def times(self, factor: float) -> Size:
        """A smaller or larger run; nothing becomes nothing. What makes a scene large is less only in a quick look."""
        kept = frozenset() if factor < QUICK_LOOK else LARGE
        return Size(
            *[value if name in kept else type(value)(max(value * factor, 1)) for name, value in vars(self).items()]
        )


def throughput(served: Served, size: Size, prefix: str = "") -> Measured:
    """Batches of small and of larger records, produced and consumed: once to warm the broker, and once that counts."""
    measured: Measured = {}
    for name, each, records in (("100 B", 100, size.small_records), ("1 KB", 1_000, size.large_records)):
        for topic in (f"{prefix}warm-{each}", f"{prefix}batches-{each}"):
            loads.make_topic(served, topic)
            measured[f"produce {name}"] = loads.produce(served, topic, each, records)
            measured[f"consume {name}"] = loads.consume(served, topic, each, records)
    return measured


def batches(side: str, mode: str, folder: Path, size: Size) -> Measured:
    """Start and idle size of an empty broker, then batches."""
    with serving(side, mode, folder, {}) as served:
        time.sleep(SETTLE_SECONDS)
        start = {"ready s": served.ready_seconds, "MB idle": served.watched.usage().resident_mb}
        return {"start": start} | throughput(served, size)


def single(side: str, mode: str, folder: Path, size: Size) -> Measured:
    """One record per batch from four producers, after as many that warm the broker."""
    with serving(side, mode, folder, {}) as served:
        for topic in ("warm", "single"):
            loads.make_topic(served, topic, loads.PRODUCERS)
            measured = loads.single_records(served, topic, size.single_records)
        return {"one record per batch": measured}


def latency(side: str, mode: str, folder: Path, size: Size) -> Measured:
    """End to end, undisturbed and beside compaction; the broker has been warmed by the same load."""
    with serving(side, mode, folder, {"log.cleaner.backoff.ms": "100"}) as served:
        loads.make_topic(served, "warm")
        loads.latency(served, "warm", size.warm_seconds)
        measured: Measured = {}
        loads.make_topic(served, "paced")
        measured["end to end"] = loads.latency(served, "paced", size.latency_seconds)
        measured["end to end beside compaction"] = loads.latency_beside_compaction(
            served, "beside", size.latency_seconds
        )
        return measured


def loaded(side: str, mode: str, folder: Path, size: Size) -> Measured:
    """Memory with many partitions and connections."""
    with serving(side, mode, folder, {}) as served:
        return {"loaded": loads.loaded_memory(served, size.partitions, size.connections)}


def many_partitions(side: str, mode: str, folder: Path, size: Size) -> Measured:
    """The batches again, with other partitions beside them: ten, then many."""
    measured: Measured = {}
    with serving(side, mode, folder, {}) as served:
        for count in (10, size.many_partitions):
            loads.make_topic(served, f"others-{count}", count)
            for name, figures in throughput(served, size, f"beside-{count}-").items():
                measured[f"{name}, {count} partitions"] = figures
    return measured


def large_log(side: str, mode: str, folder: Path, size: Size) -> Measured:
    """The batches again, into a topic whose log is 1 GB and then tens of GB: its closed segments are made sparse files."""
    measured: Measured = {}
    topic = "batches-1000"
    with serving(side, mode, folder, {}) as served:
        loads.make_topic(served, topic, segment_bytes=str(SEGMENT_BYTES), retention_bytes="-1")
        filled = loads.Sender(served, loads.BATCHED)
        filled.send(topic, bytes(1_000), (size.gigabytes + 1) * SEGMENT_BYTES // 1_000)
        data = served.data / f"{topic}-0"
    for gigabytes in (1, size.gigabytes):
        _swell(data, gigabytes)
        with serving(side, mode, folder, {}) as served:
            name = f"{gigabytes} GB"
            measured[f"start, {name}"] = {"ready s": served.ready_seconds}
            measured[f"produce 1 KB, {name}"] = loads.produce(served, topic, 1_000, size.large_records)
            loads.make_topic(served, f"paced-{gigabytes}")
            measured[f"end to end, {name}"] = loads.latency(served, f"paced-{gigabytes}", size.latency_seconds)
    return measured


def _swell(data: Path, gigabytes: int) -> None:
    """Lengthen closed segments by holes until the log is that large. Raises: BenchmarkError."""
    closed = sorted(data.glob("*.log"))[:-1]
    if len(closed) < gigabytes:
        raise BenchmarkError(f"{data} has {len(closed)} closed segments, too few for {gigabytes} GB")
    for path in closed[:gigabytes]:
        os.truncate(path, max(GIGABYTE, path.stat().st_size))


SCENES: Mapping[str, Callable[[str, str, Path, Size], Measured]] = {
    "batches": batches,
    "single": single,
    "latency": latency,
    "loaded": loaded,
    "partitions": many_partitions,
    "log": large_log,
}
