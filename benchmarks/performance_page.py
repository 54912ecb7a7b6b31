"""`python -m benchmarks.performance_page`: docs/performance.md, its plots, and docs/large-installations.md, from results.

Rules: every figure on the page comes from a file of `benchmarks/results` that is in the repository; the words around it
say how it was made, and what falls short of the goals is listed by comparison, not by hand. The same files give the
same page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks import cold_start, large_installations_page, sections, workloads
from benchmarks.cold_start import OURS, THEIRS, Runs
from benchmarks.curve_scenes import CURVES
from benchmarks.plots import bars
from benchmarks.report import KEPT_SAMPLES, KEPT_STAGES, RESULTS
from benchmarks.sections import number
from benchmarks.simulation import NAME as SIMULATED
from benchmarks.systems import AT_LEAST_ONCE, EXACTLY_ONCE

DOCS = Path(__file__).parent.parent / "docs"
BROKERS = {"ours": "the bundled broker", "kafka": "Apache Kafka"}
WORDS = {AT_LEAST_ONCE: "at-least-once", EXACTLY_ONCE: "exactly-once"}
TIMES, EXACTLY_ONCE_SHARE, MB, MB_OF_A_MILLION = 5.0, 0.9, 250.0, 600.0
COMMITS = 6
"""Fewer of them in the time that is measured, and a rate is off by more than the tenth that is allowed for."""

HEAD = """# Performance

<!-- Made by `make performance` from benchmarks/results; changes belong there, or in benchmarks/performance_page.py. -->

What Headrace does per second and per CPU-second, beside Kafka Streams and the stream processors that Python has. The
goal is five times Kafka Streams per CPU-second in every row, and ahead of it in wall time with one worker; what falls
short is said below, row by row.

```console
$ make bench-peers                            # sets everything up, measures, resumes where it was stopped
$ make bench-peers ARGS='--broker kafka'      # the same against Apache Kafka
$ make bench-curves                           # one quantity varied: partitions, keys, bytes, latency and more
$ make bench-micro                            # the path stage by stage
$ make performance                            # this page, from what was measured
```

Where the time of a row goes, and what its floor is: [where time goes](where-time-goes.md). What a hundred workers would do:
[large installations](large-installations.md).
"""

METHOD = """## How it is measured

- **From outside, everybody alike.** A system is a command. Its progress is the offsets its group commits, five times a
  second, or, if it commits none, the records in its output; CPU time and memory are those of its whole process tree, from
  `/proc`. A record counts when its results are committed; where records pass a repartition topic, when they are through.
- **The same input.** JSON of 115-135 bytes in 4 partitions, 265 keys unless the workload says otherwise, seeded, there
  before the start; 2 % of the records are up to 8 s late. All systems of a row read the same topic of one broker, one
  after the other, each with fresh output topics. Slower systems read the first part of it, as said below.
- **The same setting.** One process with one worker (one thread for Kafka Streams), commit every 500 ms, defaults for
  everything else. The broker is a process of its own on the same machine and is not part of a system's CPU.
- **Between 15 % and 95 % of the input**, so that start and end do not show, and from one commit to another where a system
  commits in large steps. A JVM warms up before, but not completely.
- **From a cold start** the same runs are told once more with nothing cut off: what a test, a restart or a job that ends
  costs stands on the left of those tables; a service that runs for weeks is further to the right than they go. How long
  a Java program had run decides how fast it was: the second table takes the rule above for shorter runs.
- **Right before fast.** The output of every run is compared with the right answer, computed from the input in plain
  Python: every record where each counts, the last of every key where a table is written. A run with a wrong answer
  has no figure.
- **By turns.** Where systems were measured several times, it was all of them once, then all of them again. Figures are the
  medians of a system's runs. How many times Kafka Streams' figure ours is comes from the runs of one turn, which lie
  minutes apart: the median over the turns, in brackets the lowest and the highest.
- **Calibration.** A fixed loop in Python is timed beside each run: a machine that is shared, or another one, shows there.
"""

WORKLOADS = """| workload | what it does |
|---|---|
| stateless | parse, keep half, add a field, write |
| count | count per key (265), updates out |
| rekey-count | count per driver (10,000), through a repartition topic |
| window | count and sum per key, tumbling 1 minute, grace 10 s |
| table-join | enrich each ride from a table of 265 rows, write all |
| stream-join | two streams by id within 5 s |
| count-1m | count per key, a million keys at random |
"""

CAVEATS = """## What speaks against these figures

- Systems of one table need not be measured on the same day: the table below them says at which commit, by which Python,
  with how many records and how fast the machine was; ratios of more than 3 do not turn on that, smaller ones may.
- Broker and system share one machine; a system that waits for the broker looks worse in wall time than it is.
- A run lasts seconds for us and minutes for others: few commits lie between our 15 % and 95 %, and our figures are the
  less exact ones, by a tenth or so; `--records` and `--repeat` make them better. A commit is seen up to 0.2 s late, which is
  8 % of the 2.5 s that are measured of three million records at a million a second, and 3 % of eight million. A JVM gets faster over minutes: Kafka Streams' figures are those of
  its first ones, warm-up from 15 % of the input on included.
- Kafka Streams' record cache writes few of the updates of a key that come close together; we have one too, and the two
  need not write the same number. What is compared is what the table says in the end.
- The loader writes JSON as our own serde would. Our stream join keeps values as they came in where samples show that, and
  writes other JSON anew, for about a tenth of its CPU.
- Our figures are those of CPython as the table names it. Distributions, containers and installers build it with
  profile-guided optimization (PGO); one that was compiled plainly, as pyenv does by default, needs a sixth more CPU.
- Values of one shape and size, uncompressed, keys evenly drawn; one worker; state that fits in memory, but for count-1m
  not in any cache of Kafka Streams' default size.
- The harness reads the broker five times a second while it measures, and broker and loader are ours.
- Peers are as their documentation shows them, in versions pinned in `benchmarks/peers/systems.py`; whoever knows one
  better is asked to correct its program in `benchmarks/peers/programs`.
"""


class Row(NamedTuple):
    """Which figures belong together: one workload under one guarantee."""

    workload: str
    guarantee: str


PER_CPU_SECOND, PER_SECOND = "records_per_cpu_second", "records_per_second"
MB_AT_MOST, BROKER_CPU = "worker_mb", "broker_cpu_per_million"
"""What a run's result calls the figures that are shown."""


class Figures(NamedTuple):
    """One system in one row: medians over its runs, named as in their results."""

    records_per_cpu_second: float
    records_per_second: float
    worker_mb: float
    broker_cpu_per_million: float
    records: int
    runs: int
    commits: int | None
    """In the time that was measured, of the run with the fewest; None where results do not say."""


class Made(NamedTuple):
    """How a system's runs were made: at which commits, by which Pythons, with how many records, beside which fixed loop."""

    commits: list[str]
    pythons: list[str]
    records: list[int]
    calibrations: list[float]


class Campaign(NamedTuple):
    """A file of `benchmarks.peers`, read."""

    about: Mapping[str, Any]
    figures: Mapping[Row, Mapping[str, Figures]]
    errors: Sequence[Mapping[str, Any]]
    made: Mapping[str, Made]
    """By system."""
    turns: Mapping[Row, Mapping[int, Mapping[str, Mapping[str, Any]]]]
    """What the figures are made from, by turn and system: what one turn has measured was measured within minutes."""
    processors: Mapping[str, Sequence[tuple[str, str]]]
    """By processor (empty: unknown) the workload and system of each run on it."""

    @property
    def systems(self) -> list[str]:
        """In the order of the file's caveats, which is that of `benchmarks.peers.systems`."""
        found = {name for row in self.figures.values() for name in row}
        return [name for name in self.about["caveats"] if name in found]

    def rows(self, guarantee: str) -> list[Row]:
        """Those of one guarantee, in the order of the workloads, whenever they were measured."""
        return [row for row in self.figures if row.guarantee == guarantee]


def read(path: Path) -> Campaign:
    """A campaign's file. Several turns of one run become their medians."""
    kept = json.loads(path.read_text())
    turns: dict[Row, dict[int, dict[str, dict[str, Any]]]] = {}
    for run in kept["runs"]:
        if "result" in run:
            row = Row(run["workload"], run["guarantee"])
            turns.setdefault(row, {}).setdefault(run["turn"], {})[run["system"]] = run["result"]
    about = kept["about"]
    made: dict[str, Made] = {}
    processors: dict[str, list[tuple[str, str]]] = {}
    for run in kept["runs"]:
        if "result" in run:
            system, result = made.setdefault(run["system"], Made([], [], [], [])), run["result"]
            system.commits.append(run.get("commit", about["machine"]["commit"]))
            system.pythons.append(run.get("python", about["machine"]["python"]))
            processors.setdefault(run.get("cpu", about["machine"].get("cpu", "")), []).append(
                (run["workload"], run["system"])
            )
            system.records.append(result["records"])
            system.calibrations.append(result["calibration_ns"])
    order = list(workloads.WORKLOADS)
    figures = {
        row: {name: _figures(each) for name, each in _runs_of(turns[row]).items()}
        for row in sorted(turns, key=lambda row: order.index(row.workload))
    }
    return Campaign(
        kept["about"],
        figures,
        [run for run in kept["runs"] if "error" in run],
        made,
        turns,
        processors,
    )


def _runs_of(turns: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> Runs:
    """The results of a row's turns, by system."""
    systems = dict.fromkeys(name for turn in turns.values() for name in turn)
    return {name: [turn[name] for turn in turns.values() if name in turn] for name in systems}


def _figures(results: Sequence[Mapping[str, Any]]) -> Figures:
    def middle(name: str) -> float:
        return median(result[name] for result in results)

    commits = min((result["commits"] for result in results if "commits" in result), default=None)
    return Figures(
        *map(middle, (PER_CPU_SECOND, PER_SECOND, MB_AT_MOST, BROKER_CPU)), results[0]["records"], len(results), commits
    )


def _times(campaign: Campaign, row: Row, measured: str) -> list[float]:
    """How many times Kafka Streams' figure ours is, in each turn that has both; ascending."""
    turns = campaign.turns[row].values()
    return sorted(turn[OURS][measured] / turn[THEIRS][measured] for turn in turns if OURS in turn and THEIRS in turn)


class Stored(NamedTuple):
    """All that the page is made from: campaigns, curves by name, the stages of the path, steps as whole runs were seen in."""

    campaigns: Sequence[Campaign]
    curves: Mapping[str, Any]
    stages: Mapping[str, Any] | None
    sampled: Mapping[str, Any] | None


def page(stored: Stored) -> tuple[str, dict[str, str]]:
    """The page, and its plots by file name."""
    plots: dict[str, str] = {}
    parts = [HEAD]
    if not stored.campaigns:
        parts.append("No results are kept yet: run `make bench-peers`, then `make performance`.\n")
    for campaign in stored.campaigns:
        parts += _campaign(campaign, plots)
    parts += ["## Short of the goals\n", *_shortfalls(stored), ""]
    parts += sections.curves(stored.curves, list(CURVES), plots)
    parts += sections.stages(stored.stages) if stored.stages else []
    parts += sections.sampled(stored.sampled) if stored.sampled else []
    return "\n".join([*parts, METHOD, WORKLOADS, CAVEATS]), plots


def _campaign(campaign: Campaign, plots: dict[str, str]) -> Iterable[str]:
    about = campaign.about
    broker = about["broker"]
    yield f"## Against {BROKERS[broker]}\n"
    commits = sorted({commit for made in campaign.made.values() for commit in made.commits})
    speeds = [each for made in campaign.made.values() for each in made.calibrations]
    cpus = sorted(campaign.processors, key=lambda cpu: -len(campaign.processors[cpu]))
    machine = {**about["machine"], "cpu": cpus[0]} if any(cpus) else about["machine"]
    yield f"{sections.machine_of(machine, commits)}; calibration {_span(speeds)} ns.\n"
    for cpu in cpus[1:]:
        runs = sorted(set(campaign.processors[cpu]))
        said = "; ".join(f"{workload} of {system}" for workload, system in runs)
        yield f"On another processor, {cpu}: {said}. They compare with each other, not with the rest.\n"
    for guarantee in (AT_LEAST_ONCE, EXACTLY_ONCE):
        if rows := campaign.rows(guarantee):
            yield f"### Records per CPU-second, {WORDS[guarantee]}\n"
            yield _table(campaign, rows, PER_CPU_SECOND, ratio=True)
            name = f"performance-{broker}-{WORDS[guarantee]}.svg"
            title = f"Records per CPU-second, {WORDS[guarantee]}, against {BROKERS[broker]}"
            plots[name] = _plot(title, campaign, rows)
            yield f"![{title}](plots/{name})\n"
            yield f"### Records per second of the clock on the wall, {WORDS[guarantee]}\n"
            yield _table(campaign, rows, PER_SECOND, ratio=True)
            yield f"### Resident memory in MB at its highest, {WORDS[guarantee]}\n"
            yield _table(campaign, rows, MB_AT_MOST)
            yield f"### CPU seconds of the broker per million records, {WORDS[guarantee]}\n"
            yield _table(campaign, rows, BROKER_CPU)
            yield from cold_start.section(
                WORDS[guarantee], {row.workload: _runs_of(campaign.turns[row]) for row in rows}
            )
    yield "### What was measured, and what to know of it\n"
    yield "| system | versions | measured at commit | by Python | records | calibration, ns | |"
    yield "|---|---|---|---|---:|---:|---|"
    for name in campaign.systems:
        made = campaign.made[name]
        cells = [
            about["versions"].get(name, ""),
            ", ".join(sorted(set(made.commits))),
            ", ".join(sorted(set(made.pythons))),
            ", ".join(f"{records:,}" for records in sorted(set(made.records))),
            _span(made.calibrations),
            about["caveats"][name],
        ]
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    if campaign.errors:
        yield "Without a figure, because the run failed:\n"
        for run in campaign.errors:
            reason = run["error"].strip().splitlines()[0][:200]
            yield f"- {run['system']}, {run['workload']}, {WORDS[run['guarantee']]}: {reason}"
        yield ""


def _table(campaign: Campaign, rows: Sequence[Row], measured: str, *, ratio: bool = False) -> str:
    names = campaign.systems
    head = ["workload", *names, *(["against Kafka Streams"] if ratio else [])]
    lines_ = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for row in rows:
        found = campaign.figures[row]
        cells = [number(getattr(found[name], measured)) if name in found else "-" for name in names]
        if ratio:
            cells.append(_said_times(_times(campaign, row, measured)))
        lines_.append(f"| {row.workload} | {' | '.join(cells)} |")
    return "\n".join([*lines_, ""])


def _said_times(times: Sequence[float]) -> str:
    if not times:
        return "-"
    between = f" ({times[0]:.1f}-{times[-1]:.1f})" if len(times) > 1 else ""
    return f"**{median(times):.1f} x**{between}"


def _plot(title: str, campaign: Campaign, rows: Sequence[Row]) -> str:
    def figure(row: Row, name: str) -> float | None:
        found = campaign.figures[row].get(name)
        return found.records_per_cpu_second if found else None

    series = {name: [figure(row, name) for row in rows] for name in campaign.systems}
    return bars(title, [row.workload for row in rows], series, "records per CPU-second")


def _shortfalls(stored: Stored) -> Iterable[str]:
    """Every goal that a row misses, or that was not measured."""
    misses = [miss for campaign in stored.campaigns for miss in _misses(campaign)]
    misses += sections.shortfalls(stored.curves)
    yield from misses or ["Nothing of what was measured here."]


def _misses(campaign: Campaign) -> Iterable[str]:
    where = "" if campaign.about["broker"] == "ours" else f", against {BROKERS[campaign.about['broker']]}"
    for row, found in campaign.figures.items():
        name = f"{row.workload}, {WORDS[row.guarantee]}{where}"
        if OURS not in found:
            yield f"- {name}: no figure of ours."
            continue
        ours = found[OURS]
        if per_cpu_second := _times(campaign, row, PER_CPU_SECOND):
            if (times := median(per_cpu_second)) < TIMES:
                yield f"- {name}: {times:.1f} times Kafka Streams per CPU-second, not {TIMES:.0f}."
            if median(_times(campaign, row, PER_SECOND)) <= 1:
                yield f"- {name}: behind Kafka Streams in wall time."
        else:
            yield f"- {name}: no figure of Kafka Streams to compare with."
        if ours.commits is not None and ours.commits < COMMITS:
            yield f"- {name}: only {ours.commits} commits of ours lie in the time that is measured: take more records."
        limit = MB_OF_A_MILLION if row.workload == "count-1m" else MB
        if ours.worker_mb > limit:
            yield f"- {name}: {ours.worker_mb:.0f} MB resident, not {limit:.0f}."
        other = campaign.figures.get(Row(row.workload, AT_LEAST_ONCE), {}).get(OURS)
        if row.guarantee == EXACTLY_ONCE and other:
            share = ours.records_per_cpu_second / other.records_per_cpu_second
            if share < EXACTLY_ONCE_SHARE:
                yield f"- {name}: {1 - share:.0%} below at-least-once per CPU-second, not within 10 %."


def _span(figures: Sequence[float]) -> str:
    return f"{min(figures):.0f}-{max(figures):.0f}" if figures else "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Write the page and its plots. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.performance_page", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the results lie")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page goes")
    options = parser.parse_args(arguments)
    write(options.results, options.docs)
    return 0


def write(results: Path, docs: Path) -> None:
    """The pages from the campaigns, curves, stages and simulation of `results`, as far as they are there."""
    campaigns = [read(path) for name in BROKERS if (path := results / f"peers-{name}.json").exists()]
    curves = {name: kept for name in CURVES if (kept := _kept(results / f"curve-{name}.json"))}
    text, plots = page(Stored(campaigns, curves, _kept(results / KEPT_STAGES), _kept(results / KEPT_SAMPLES)))
    (docs / "plots").mkdir(parents=True, exist_ok=True)
    (docs / "performance.md").write_text(text)
    for name, plot in plots.items():
        (docs / "plots" / name).write_text(plot)
    if simulated := _kept(results / SIMULATED):
        (docs / "large-installations.md").write_text(large_installations_page.page(simulated))


def _kept(path: Path) -> Mapping[str, Any] | None:
    return json.loads(path.read_text()) if path.exists() else None  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
