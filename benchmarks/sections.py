"""Sections of the performance page that do not compare systems: the path stage by stage, and the curves.

Rules: pure functions from stored results to text and plots; equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.plots import lines

GOOD_DAY_NS = 120.0
"""The fixed loop on the machine of the design spikes, on a quiet day; see benchmarks/machine.py."""
RESTORE_GOAL, SPIKE_CHAIN = 1_000_000, "550-600"

STAGES = f"""## The path, stage by stage

CPU of one process per record, best of five passes over 100 batches of a thousand, each stage with its input ready. Beside
it what the design spikes measured for the same step before there was a library, on a machine whose fixed loop took some
{GOOD_DAY_NS:.0f} ns on a quiet day: the third column is ours divided by the loop beside it and multiplied by that, an estimate to
compare with the fourth. All stages together were {SPIKE_CHAIN} thousand records a second in the spike (a windowed count with
changelog and sink, no transactions, no fsync), 1,700 to 1,800 ns. `make bench-micro` measures again and tells each stage's ratio to the run
before on the same machine.
"""


def stages(kept: Mapping[str, Any]) -> Iterable[str]:
    """The table of the stages that are kept. Shape of `kept`: see `benchmarks.report.save`."""
    yield STAGES
    yield f"{machine_of(kept['machine'])}.\n"
    yield "| stage | what | ns | on a quiet day, ns | design spike, ns | loop, ns |\n|---|---|---:|---:|---:|---:|"
    for row in kept["stages"]:
        quiet = row["ns"] / row["calibration_ns"] * GOOD_DAY_NS
        figures = f"{row['ns']:,.0f} | {quiet:,.0f} | {row['spike'] or '-'} | {row['calibration_ns']:.0f}"
        yield f"| {row['name']} | {row['what']} | {figures} |"
    yield ""


SAMPLED = """## Where a record's time goes

CPU of the worker in ns per input record, in whole runs at least once, by the functions it was seen in: the stacks of its
threads are looked at 250 times a second, those that wait left out. `python -m benchmarks.sampled` measures again. What it means, and
what the floor of a row is: [where time goes](where-time-goes.md).
"""


def sampled(kept: Mapping[str, Any]) -> Iterable[str]:
    """The table of steps by workload. Shape of `kept`: see `benchmarks.sampled`."""
    yield SAMPLED
    yield f"{machine_of(kept['machine'])}.\n"
    rows = kept["rows"]
    lines = [("step", [row["workload"] for row in rows])]
    lines += [(step, [number(row["shares"][step] * row["ns"]) for row in rows]) for step in rows[0]["shares"]]
    lines += [
        ("**all**", [number(row["ns"]) for row in rows]),
        ("samples", [f"{row['samples']:,}" for row in rows]),
        ("loop, ns", [number(row["calibration_ns"]) for row in rows]),
    ]
    table = [f"| {name} | {' | '.join(cells)} |" for name, cells in lines]
    yield "\n".join([table[0], f"|---|{'---:|' * len(rows)}", *table[1:], ""])


def curve(name: str, kept: Mapping[str, Any], plots: dict[str, str]) -> Iterable[str]:
    """Title, words, table and plot of one curve; the plot goes into `plots`. Shape of `kept`: see `benchmarks.curves`."""
    yield f"### {kept['title']}\n"
    yield f"{kept['said']}\n"
    columns, points = kept["columns"], kept["points"]
    about, commits = kept["about"], sorted({kept["commits"][str(point[0])] for point in points})
    made_with = [f"{name} {_said(value)}" for name, value in kept["made_with"].items() if value]
    words = [machine_of(about, commits), *made_with, f"again: `{kept['command']}`"]
    yield f"{'; '.join(words)}.\n"
    yield f"| {' | '.join(columns)} |\n|{'---:|' * len(columns)}"
    for point in points:
        yield f"| {' | '.join(number(figure) for figure in point)} |"
    yield ""
    series = {column: [(point[0], point[columns.index(column)]) for point in points] for column in kept["plotted"]}
    plots[f"performance-{name}.svg"] = lines(kept["title"], series, kept["across"], ", ".join(kept["plotted"]))
    yield f"![{kept['title']}](plots/performance-{name}.svg)\n"


def curves(kept: Mapping[str, Mapping[str, Any]], wanted: Sequence[str], plots: dict[str, str]) -> Iterable[str]:
    """All that were measured, in the order of `wanted`; those that were not are named."""
    yield "## Curves\n"
    yield (
        "One quantity varied, all else as above. Machines are shared: the last column is the fixed loop beside each point, "
        f"some {GOOD_DAY_NS:.0f} ns on a quiet day. Compare points after division by it. A million records at more than half a "
        "million a second hold four commits at most, by which a rate is measured: such rates come out too high, up to three "
        "times.\n"
    )
    for name in wanted:
        if name in kept and kept[name]["points"]:
            yield from curve(f"curve-{name}", kept[name], plots)
    if missing := [name for name in wanted if name not in kept]:
        yield f"Not measured: {', '.join(missing)}.\n"


def shortfalls(kept: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """What curves say of the goals that no campaign looks at."""
    if restore := kept.get("restore"):
        best = max(point[restore["columns"].index("restored/s")] for point in restore["points"])
        if best < RESTORE_GOAL:
            yield f"- restore: {number(best)} records/s at best, not a million."
    else:
        yield "- Not measured: the rate of a restore."


def machine_of(about: Mapping[str, Any], commits: Sequence[str] = ()) -> str:
    """The machine in a few words, with the commits that were measured on it."""
    made = list(commits) or [about["commit"]]
    cpu = f"{about['cpu']}, " if "cpu" in about else ""
    said = f"commit{'s' if len(made) > 1 else ''} {', '.join(made)}"
    return f"{about['platform']}, {cpu}{about['cores']} cores, Python {about['python']}, {said}"


def number(figure: float) -> str:
    """As it stands in a table: three digits that say something, thousands as k."""
    if figure >= 10_000:
        return f"{figure / 1000:,.0f}k"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _said(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else f"{value:,}"
