"""A section of the performance page: what a system costs from its start until so many records are committed.

Rules: pure functions from stored runs to text. The same runs as the page's other figures, seen from their beginning: no
part of them is cut off, and a moment is that of the commit which reaches a number of records, with no interpolation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

OURS, THEIRS = "headrace", "kafka-streams"
RECORDS = (500_000, 1_000_000, 2_000_000, 3_000_000, 6_000_000, 8_000_000)

SAID = """### From a cold start, {guarantee}

The figures above leave out the first 15 % of long runs, in which a Java program is mostly interpreted and compiles itself.
Here is all of it, the start of the process included: CPU seconds until so many records were committed, ours / those of
Kafka Streams, and how many times ours theirs are. What a test, a restart or a job that ends costs stands on the left; a
service that runs for weeks is further to the right than this goes.
"""

Runs = Mapping[str, Sequence[Mapping[str, Any]]]
"""By system: the results of one workload under one guarantee."""


def section(guarantee: str, rows: Mapping[str, Runs]) -> Iterable[str]:
    """The table, where at least one row tells. Shape of `rows`: by workload."""
    lines = {workload: [_cell(runs, records) for records in RECORDS] for workload, runs in rows.items()}
    shown = [number for number, _ in enumerate(RECORDS) if any(cells[number] for cells in lines.values())]
    if not shown:
        return
    yield SAID.format(guarantee=guarantee)
    yield f"| workload | {' | '.join(_said(RECORDS[number]) for number in shown)} |\n|---|{'---:|' * len(shown)}"
    for workload, cells in lines.items():
        if any(cells):
            yield f"| {workload} | {' | '.join(cells[number] or '-' for number in shown)} |"
    yield ""


def cpu_until(result: Mapping[str, Any], records: int) -> float | None:
    """CPU seconds of the worker when the commit was seen that reached `records`; None where a run is shorter, or old.

    Shape of its samples: (seconds, records committed, CPU seconds); those of before this was kept have no third.
    """
    reached = (sample for sample in result.get("samples", ()) if sample[1] >= records)
    return next((sample[2] for sample in reached if len(sample) > 2), None)


def _cell(runs: Runs, records: int) -> str:
    ours, theirs = (
        [cpu for result in runs.get(system, ()) if (cpu := cpu_until(result, records)) is not None]
        for system in (OURS, THEIRS)
    )
    if not ours or not theirs:
        return ""
    return f"{median(ours):.1f} / {median(theirs):.1f} = **{median(theirs) / median(ours):.1f} x**"


def _said(records: int) -> str:
    return f"{records / 1e6:g} M"
