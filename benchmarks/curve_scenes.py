"""The curves: what is varied, over which points, and what is measured at each. `benchmarks.curves` keeps them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.latency import latencies, percentile
from benchmarks.load import Input, filled, padded, rides, skewed
from benchmarks.machine import calibration_ns
from benchmarks.measure import FROM, Result, connect, load, measure
from benchmarks.processes import broker
from benchmarks.restoring import restart, restore
from benchmarks.systems import Job, headrace
from benchmarks.trickle import trickle
from benchmarks.workloads import WORKLOADS, in_time
from streams.record import TopicPartition

INPUT_BYTES = 500_000_000
COMMIT_ROUNDS_PER_SECOND = 10
LATE_SHARE = 0.3
CALIBRATION = "calibration ns"
RUN = ("records", "records/s", "per CPU s", "worker MB", "broker CPU s/M", CALIBRATION)
RATES = ("records/s", "per CPU s")
TRICKLE = ("worker % of a core", "broker % of a core", "worker MB", "broker MB", CALIBRATION)
LATENCY = ("p50 ms", "p99 ms", "p99.9 ms", "highest ms", CALIBRATION)


class Asked(NamedTuple):
    """What a point is measured with: records of its input, seconds of watching, settings of the worker as name=value."""

    records: int
    seconds: float
    settings: Sequence[str]


@dataclass(frozen=True)
class Curve:
    """`measure(varied, asked)` gives the columns after the first. `said` tells a reader what to look for.

    `depends_on` are the fields of `Asked` without which points do not compare; the rest are defaults of those.
    """

    title: str
    across: str
    said: str
    points: Sequence[float]
    columns: Sequence[str]
    plotted: Sequence[str]
    measure: Callable[[float, Asked], list[float]]
    depends_on: Sequence[str] = ("records", "settings")
    records: int = 1_000_000
    seconds: float = 20.0
    settings: Sequence[str] = ()


def _run(name: str, inputs: Sequence[Input], asked: Asked, *, begin: float = FROM, workers: int = 1) -> Result:
    return _looked_at(name, inputs, asked, begin=begin, workers=workers)[0]


def _looked_at(
    name: str, inputs: Sequence[Input], asked: Asked, *, begin: float = FROM, workers: int = 1
) -> tuple[Result, float]:
    """A run, and the share of the input that lies in its largest partition."""
    workload = WORKLOADS[name]
    with tempfile.TemporaryDirectory(prefix="headrace-curve-") as scratch, broker(Path(scratch)) as (process, address):
        clients = connect(address)
        try:
            load(clients, inputs)
            job = Job(workload, inputs, address, Path(scratch))
            system = headrace(asked.settings, workers)
            result = measure(system, job, clients, process, idle_seconds=0.0, begin=begin)
            reader = clients.consumer(group=None)
            places = [TopicPartition(inputs[0].topic, number) for number in range(inputs[0].partitions)]
            ends = reader.end_offsets(places).values()
            reader.close()
            return result, max(ends) / sum(ends)
        finally:
            clients.close()


def _figures(result: Result) -> list[float]:
    return [
        result.records,
        result.records_per_second,
        result.records_per_cpu_second,
        result.worker_mb,
        result.broker_cpu_per_million,
        result.calibration_ns,
    ]


def _partitions(varied: float, asked: Asked) -> list[float]:
    inputs = [replace(source, partitions=int(varied)) for source in WORKLOADS["count"].inputs(asked.records)]
    return _figures(_run("count", inputs, asked))


def _workers(varied: float, asked: Asked) -> list[float]:
    return _figures(_run("window", WORKLOADS["window"].inputs(asked.records), asked, workers=int(varied)))


def _keys(varied: float, asked: Asked) -> list[float]:
    keys = int(varied)
    inputs = [filled("rides-of-a-million", keys, asked.records)]
    return _figures(_run("count-1m", inputs, asked, begin=(keys + FROM * asked.records) / (keys + asked.records)))


def _value_bytes(varied: float, asked: Asked) -> list[float]:
    size = int(varied)
    records = min(asked.records, INPUT_BYTES // size)
    inputs = [padded(source, size) for source in WORKLOADS["stateless"].inputs(records)]
    return _figures(_run("stateless", inputs, asked))


def _late(varied: float, asked: Asked) -> list[float]:
    inputs = [rides("rides", asked.records, late=LATE_SHARE, late_ms=round(varied * 1000))]
    kept = sum(1 for _ in in_time(inputs[0]))
    return [(1 - kept / asked.records) * 100, *_figures(_run("window", inputs, asked))]


def _skew(varied: float, asked: Asked) -> list[float]:
    inputs = [skewed("rides-of-a-million", asked.records, varied)]
    counts = WORKLOADS["count-1m"].expected(inputs)
    assert isinstance(counts, dict)
    result, largest = _looked_at("count-1m", inputs, asked)
    return [len(counts), max(counts.values()) / asked.records * 100, largest * 100, *_figures(result)]


def _trickle(per_second: float) -> Callable[[float, Asked], list[float]]:
    def measured(varied: float, asked: Asked) -> list[float]:
        found = trickle(int(varied), per_second, asked.seconds, asked.settings)
        shares = [found.worker_share * 100, found.broker_share * 100]
        return [*shares, found.worker_mb, found.broker_mb, found.calibration_ns]

    return measured


def _restore(varied: float, _asked: Asked) -> list[float]:
    found = restore(int(varied))
    seconds = [found.with_state_seconds, found.without_state_seconds]
    rates = [found.per_second, found.per_cpu_second]
    return [found.records, found.changelog_mb, *rates, *seconds, found.mb, calibration_ns()]


def _restart(varied: float, asked: Asked) -> list[float]:
    return [*restart(int(varied), asked.records, asked.settings), calibration_ns()]


def _latency(varied: float, asked: Asked) -> list[float]:
    found = latencies(int(varied), asked.seconds, asked.settings)
    return [*(percentile(found, share) for share in (0.5, 0.99, 0.999, 1.0)), calibration_ns()]


def _latency_curve(guarantee: str, settings: Sequence[str], said: str) -> Curve:
    return Curve(
        f"End-to-end latency, {guarantee}",
        "records/s",
        "The stateless program, from the time a record was due to be sent to the time its committed result was read, "
        f"so that a stall is felt by every record that was due meanwhile. {said}",
        (1_000, 10_000, 50_000),
        ("records/s", *LATENCY),
        ("p50 ms", "p99 ms"),
        _latency,
        depends_on=("seconds", "settings"),
        settings=settings,
    )


CURVES = {
    "partitions": Curve(
        "One worker over many partitions",
        "partitions of the input",
        "Count per key. Each partition is a task with a store of its own.",
        (1, 4, 16, 64, 250, 1_000),
        ("partitions", *RUN),
        RATES,
        _partitions,
        records=4_000_000,  # few partitions do a million in a second, which is two commits
    ),
    "workers": Curve(
        "Two workers on two cores",
        "workers",
        "The windowed count; CPU and memory of all workers together. The broker is on the same two cores, so two workers "
        "cannot be twice as fast here.",
        (1, 2),
        ("workers", *RUN),
        RATES,
        _workers,
        records=12_000_000,  # a worker takes its tasks over in two seconds: little of the run
    ),
    "keys": Curve(
        "State of up to ten million keys",
        "keys in the store",
        "Count per key. Every key is there before what is measured begins: updates of keys drawn at random. Caches and "
        "write buffers have their default sizes, so memory must stay.",
        (10_000, 100_000, 1_000_000, 10_000_000),
        ("keys", *RUN),
        RATES,
        _keys,
    ),
    "value-bytes": Curve(
        "Values of 130 bytes to 100 KB",
        "bytes of a value",
        "The stateless program; a field that nobody reads makes up the rest.",
        (130, 1_000, 10_000, 100_000),
        ("bytes", *RUN),
        RATES,
        _value_bytes,
    ),
    "late": Curve(
        "Late data",
        "seconds late, up to",
        f"The windowed count, {LATE_SHARE:.0%} of the records late by up to so many seconds; windows of a minute, grace "
        "10 s. What comes after that is dropped, by the rule of Kafka Streams, and the answer is checked with it.",
        (1, 8, 60, 600),
        ("seconds", "dropped %", *RUN),
        RATES,
        _late,
        records=4_000_000,
    ),
    "skew": Curve(
        "Skewed keys",
        "exponent of Zipf's law",
        "Count per key over a million keys: at 0.01 all come alike, at 1 as words in a text, at 1.5 a few are most of it.",
        (0.01, 0.5, 1.0, 1.5),
        ("exponent", "different keys", "hottest key %", "largest partition %", *RUN),
        RATES,
        _skew,
        records=4_000_000,
    ),
    "idle": Curve(
        "CPU when idle",
        "partitions",
        "A count with nothing to count. The worker asks the broker for more, sends heartbeats, and has nothing to commit.",
        (1, 4, 64, 250, 1_000),
        ("partitions", *TRICKLE),
        ("worker % of a core", "broker % of a core"),
        _trickle(0.0),
        depends_on=("seconds", "settings"),
        seconds=10.0,
    ),
    "commits": Curve(
        "What commits cost, exactly-once",
        "partitions",
        f"The count, {COMMIT_ROUNDS_PER_SECOND} records a second in every partition, a commit every 100 ms: each has "
        "output, changelog and offsets of nearly all partitions, and few records.",
        (1, 10, 100, 400),
        ("partitions", *TRICKLE),
        ("worker % of a core", "broker % of a core"),
        _trickle(COMMIT_ROUNDS_PER_SECOND),
        depends_on=("seconds", "settings"),
        seconds=10.0,
        settings=("processing_guarantee=exactly_once_v2", "commit_interval_ms=100"),
    ),
    "restart": Curve(
        "Restart with state",
        "partitions",
        "Seconds from the command to the next commit: with nothing there, after SIGTERM, and after SIGKILL, with state in "
        "every partition. Interpreter, imports and joining the group are in it.",
        (1, 16, 64, 250),
        ("partitions", "first start s", "after SIGTERM s", "after SIGKILL s", CALIBRATION),
        ("first start s", "after SIGTERM s", "after SIGKILL s"),
        _restart,
        records=100_000,
    ),
    "restore": Curve(
        "State lost and restored from the changelog",
        "records that made the state",
        "Counts of up to a million keys; seconds until the next commit with the state there and without: the difference, a "
        "tenth of a second at least, is the restore.",
        (500_000, 1_000_000, 2_000_000, 4_000_000),
        (
            "input records",
            "changelog records",
            "changelog MB",
            "restored/s",
            "per CPU s",
            "restart s",
            "restart without state s",
            "worker MB",
            CALIBRATION,
        ),
        ("restored/s", "per CPU s"),
        _restore,
        depends_on=(),
    ),
    "latency": _latency_curve("at-least-once", ("commit_interval_ms=10",), "Commits every 10 ms."),
    "latency-exactly-once": _latency_curve(
        "exactly-once",
        ("processing_guarantee=exactly_once_v2", "commit_interval_ms=100"),
        "Commits every 100 ms, the default of this guarantee.",
    ),
}
"""By name."""
