"""Sections of the performance page on how long a system has run: its cost from the start on, and its rate as it warms up.

Rules: pure functions from stored runs to text. The same runs as the page's other figures, seen from their beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.measure import FROM, TO

OURS, THEIRS = "headrace", "kafka-streams"
RECORDS = (500_000, 1_000_000, 2_000_000, 3_000_000, 6_000_000, 8_000_000)
WARMING = RECORDS[:4]

COST = """### From a cold start, {guarantee}

CPU seconds from the start of the process until so many records were committed: ours / those of Kafka Streams.
"""

WARM_UP = """Kafka Streams' thousand records per CPU-second had its run ended after so many records, then those of the whole run, and ours.
"""

Runs = Mapping[str, Sequence[Mapping[str, Any]]]
"""By system: the results of one workload under one guarantee."""


def section(guarantee: str, rows: Mapping[str, Runs]) -> Iterable[str]:
    """Both tables, where at least one row tells. Shape of `rows`: by workload."""
    told = {workload: runs for workload, runs in rows.items() if _median(runs, THEIRS, _cost(RECORDS[0])) is not None}
    costs = {workload: [_cost_cell(runs, records) for records in RECORDS] for workload, runs in told.items()}
    shown = [number for number, _ in enumerate(RECORDS) if any(cells[number] for cells in costs.values())]
    if not shown:
        return
    yield COST.format(guarantee=guarantee)
    yield _head([_said(RECORDS[number]) for number in shown])
    for workload, cells in costs.items():
        if any(cells):
            yield f"| {workload} | {' | '.join(cells[number] or '-' for number in shown)} |"
    yield f"\n{WARM_UP}"
    yield _head([*map(_said, WARMING), "whole run", OURS])
    for workload, runs in told.items():
        rates = [*(_median(runs, THEIRS, _rate(records)) for records in WARMING), _median(runs, THEIRS, _whole)]
        cells = ["-" if rate is None else f"{rate / 1000:,.0f}" for rate in [*rates, _median(runs, OURS, _whole)]]
        yield f"| {workload} | {' | '.join(cells)} |"
    yield ""


def cpu_until(result: Mapping[str, Any], records: int) -> float | None:
    """CPU seconds of the worker when the commit was seen that reached `records`; None where a run is shorter, or old.

    Shape of its samples: (seconds, records committed, CPU seconds); those of before this was kept have no third.
    """
    reached = (sample for sample in result.get("samples", ()) if sample[1] >= records)
    return next((sample[2] for sample in reached if len(sample) > 2), None)


def rate_of_first(result: Mapping[str, Any], records: int) -> float | None:
    """Records per CPU-second between 15 % and 95 % of the first so many; None where a run is shorter, or commits too late."""
    first, last = (_cpu_at(result, records * share) for share in (FROM, TO))
    if first is None or last is None or last <= first:
        return None
    return records * (TO - FROM) / (last - first)


def _cpu_at(result: Mapping[str, Any], records: float) -> float | None:
    """In proportion between the commits before and after; before the first one nobody knows."""
    before: tuple[float, float] | None = None
    for sample in result.get("samples", ()):
        if len(sample) < 3 or sample[1] <= (before[0] if before else 0):
            continue
        if sample[1] >= records:
            if before is None:
                return None
            return before[1] + (records - before[0]) / (sample[1] - before[0]) * (sample[2] - before[1])
        before = (sample[1], sample[2])
    return None


def _cost_cell(runs: Runs, records: int) -> str:
    ours, theirs = (_median(runs, system, _cost(records)) for system in (OURS, THEIRS))
    return "" if ours is None or theirs is None else f"{ours:.1f} / {theirs:.1f} = **{theirs / ours:.1f} x**"


def _cost(records: int) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda result: cpu_until(result, records)


def _rate(records: int) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda result: rate_of_first(result, records)


def _whole(result: Mapping[str, Any]) -> float | None:
    return result.get("records_per_cpu_second")


def _median(runs: Runs, system: str, figure: Callable[[Mapping[str, Any]], float | None]) -> float | None:
    found = [value for result in runs.get(system, ()) if (value := figure(result)) is not None]
    return median(found) if found else None


def _head(columns: Sequence[str]) -> str:
    return f"| workload | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}"


def _said(records: int) -> str:
    return f"{records / 1e6:g} M"
