"""docs/large-installations.md, from what `benchmarks.simulation` kept. Pure: equal results give equal bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.sections import machine_of, number

HEAD = """# Large installations

<!-- Made by `make performance` from benchmarks/results/simulation.json; changes belong in benchmarks/. -->

No machine of ours holds {workers:,} workers, {tasks:,} partitions and {state} of state, so this page calculates what they
would do. Rebalances are those of the real assignor, over a group in memory. Everything else is what one worker and the
broker cost when they were measured, multiplied. It shows where the design would reach its limits, and what to do then.
`make simulation` calculates it again, for other sizes with `ARGS='--workers 20 --partitions 500 --state-gb 50'`.
"""

TIMES = """Times last until everything is balanced: each rebalance waits for the worker that has the most state to fetch, and for a
heartbeat. Tasks with a warm copy, and tasks that stay where they are, go on meanwhile. Stalled tasks are those without a
warm copy anywhere: they wait for their state, after the session of the dead worker is over. A `~` marks changes of which
the first ten rebalances were computed, and the others are assumed to go on at the pace of the last.
"""


def page(kept: Mapping[str, Any]) -> str:
    """The page. Shape of `kept`: see `benchmarks.simulation.simulate`."""
    return "\n".join(_parts(kept))


def _parts(kept: Mapping[str, Any]) -> Iterable[str]:
    size = kept["size"]
    gb = size["state_gb"]
    state = f"{gb / 1000:g} TB" if gb >= 1000 else f"{gb:g} GB"
    yield HEAD.format(workers=size["workers"], tasks=size["tasks"], state=state)
    yield "## Where the limits are, and what to do then\n"
    yield from (f"- {said}" for said in kept["bends"] or ["Nowhere, as far as costs are known."])
    yield from (f"- Not known and left out: measure it with `{command}`." for command in kept["missing"])
    yield ""
    yield "## Workers that come and go\n"
    yield TIMES
    yield "| | rebalances | leader, CPU s each | tasks moved | state fetched, GB | balanced after | stalled |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for row in kept["rebalances"]:
        about = "" if row["computed"] else "~"
        stalled = f"{row['stalled']:,} for {_seconds(row['stalled_s'])}" if row["stalled"] else "-"
        figures = [
            f"{about}{row['looks']:,}",
            f"{row['leader_s']:.2f}",
            f"{about}{row['moved']:,}",
            f"{about}{number(row['fetched_gb'])}",
            f"{about}{_seconds(row['settled_s'])}",
            stalled,
        ]
        yield f"| {row['what']} | {' | '.join(figures)} |"
    yield ""
    yield "## Restores, commits, idling, messages\n"
    yield "| | |\n|---|---:|"
    for row in kept["figures"]:
        yield f"| {row['what']} | {number(row['value'])} {row['unit']} |"
    yield ""
    yield from _grounds(kept)


def _grounds(kept: Mapping[str, Any]) -> Iterable[str]:
    gb = kept["size"]["state_gb"]
    yield "## What it rests on\n"
    yield f"Computed on {machine_of(kept['about'])}, calibration {kept['about']['calibration_ns']:.0f} ns.\n"
    yield "| cost | measured at | commit | calibration, ns |\n|---|---|---|---|"
    for cost in kept["costs"]:
        first, last = cost["points"]
        slow, fast = cost["calibration"]
        yield (
            f"| [{cost['name']}](performance.md#curves) | {number(first)} to {number(last)} | {', '.join(cost['commits'])} "
            f"| {slow:.0f}-{fast:.0f} |"
        )
    yield ""
    if (rate := kept["restore_mb_per_second"]) is not None:
        records = gb * 1e9 / kept["record_bytes"]
        yield (
            f"A worker restores {rate:.1f} MB of changelog a second, in records of {kept['record_bytes']:.0f} bytes as they were "
            f"measured. So the state is {number(records / 1e9)} billion records, the worst case: a restore costs more by the "
            "record than by the byte, and takes less with larger ones. State is assumed to be as large as its changelog.\n"
        )
    yield (
        "The calculation leaves out the network between machines, disks that are slower than these, brokers that share "
        "their work unevenly, skewed keys, and workers that are busy while they restore. Between measured points, costs are "
        "interpolated in a line."
    )
    yield ""


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
