"""`python -m benchmarks.simulation`: an installation larger than any machine here, out of costs that were measured.

Rules: every cost is read from a stored result (`costs`), none stands here; one that was never measured is said and what
rests on it left out. Rebalances are those of the real assignor over a group in memory. What comes of it is kept in
`results/simulation.json`, which `make performance` turns into docs/large-installations.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from rich.console import Console

from benchmarks import machine
from benchmarks.costs import Costs, read
from benchmarks.placement import Group, Look
from benchmarks.report import RESULTS
from streams.config import StreamsConfig
from streams.runtime.placement import PlacementRules

NAME = "simulation.json"
LOOKS = 10
"""So many rebalances of a change are computed; if it is not over by then, the rest goes on at the same pace."""
COMMITS_PER_SECOND = 10
"""Of the curve that commit costs come from."""
GROUP_RECORD_BYTES = 1 << 20
BUSY = 0.7
"""A core that is taken to this share has no room for peaks."""
PATIENCE_S = 600.0
DEFAULTS = StreamsConfig.of("simulation", {})


class Installation(NamedTuple):
    """What is simulated."""

    workers: int
    tasks: int
    state_gb: float

    @property
    def tasks_each(self) -> float:
        """Per worker."""
        return self.tasks / self.workers

    @property
    def task_mb(self) -> float:
        """State of a task."""
        return self.state_gb * 1000 / self.tasks


class Change(NamedTuple):
    """Something that happens to a group that stands still. `joining` are the workers that come."""

    what: str
    standbys: int
    warmups: int
    dying: int = 0
    joining: int = 0


def rebalances(size: Installation, costs: Costs, churn: int, chance: Random) -> Iterator[dict[str, Any]]:
    """What the assignor makes of changes, and how long it takes until all is settled.

    Shape of a row: what, looks, leader_s (CPU of one look), moved, fetched_gb (by all workers), settled_s (each look waits
    for the worker that fetches most), stalled (tasks without a warm copy), stalled_s (how long they stand still for their state), computed
    (whether all looks were, or the last ones go on at the pace of those before). None where no cost is known.
    """
    default = DEFAULTS.max_warmup_replicas
    for change in (
        Change(f"{churn} workers die, one standby each", 1, default, dying=churn),
        Change(f"{churn} workers die, no standbys", 0, default, dying=churn),
        Change("1 worker joins", 0, default, joining=1),
        Change(f"{churn} workers join", 0, default, joining=churn),
        Change(f"{churn} workers join, max_warmup_replicas={5 * churn}", 0, 5 * churn, joining=churn),
        Change(f"{churn} workers join, one standby each", 1, default, joining=churn),
    ):
        yield _rebalance(size, costs, change, chance)


def _rebalance(size: Installation, costs: Costs, change: Change, chance: Random) -> dict[str, Any]:
    group = Group(size.workers, size.tasks, PlacementRules(change.standbys, 10_000, change.warmups), addresses=False)
    group.rebalance("start")
    group.die(change.dying, chance)
    group.join(change.joining)
    looks: list[Look] = []
    settled = False
    while not settled and len(looks) < LOOKS:
        look, settled = group.rebalance(change.what)
        looks.append(look)
    more = 0 if settled else _looks_to_come(looks, change.joining * size.tasks // (size.workers + change.joining))
    every = [*looks, *looks[-1:] * more]
    task_s = costs.seconds_to_restore(size.task_mb)
    awaited = sum(look.most_fetched for look in every)
    return {
        "what": change.what,
        "standbys": change.standbys,
        "looks": len(every),
        "leader_s": max(look.seconds for look in looks),
        "moved": sum(look.moved for look in every),
        "fetched_gb": sum(look.fetched for look in every) * size.task_mb / 1000,
        "settled_s": None if task_s is None else awaited * task_s + len(every) * DEFAULTS.heartbeat_interval_ms / 1000,
        "stalled": sum(look.cold for look in every),
        "stalled_s": None if task_s is None else max(look.most_cold for look in every) * task_s,
        "computed": settled,
    }


def _looks_to_come(looks: list[Look], wanted: int) -> int:
    """How many more it takes until newcomers have `wanted` tasks, at the pace of the last look."""
    return math.ceil((wanted - sum(look.moved for look in looks)) / max(looks[-1].moved, 1))


def figures(size: Installation, costs: Costs) -> Iterator[dict[str, Any]]:
    """What the whole costs, from one worker's costs. Shape of a row: name, what, value, unit."""
    task_s, rate, sent = costs.seconds_to_restore(size.task_mb), costs.restore_mb_per_second, costs.broker_mb_per_second
    if task_s is not None and rate is not None:
        each = task_s * size.tasks_each
        yield _row("restore", "A worker that lost its disk restores all of its tasks", each, "s")
        yield _row("restore-all", "All workers do at once: read from the brokers", rate * size.workers / 1000, "GB/s")
        if sent is not None:
            brokers = rate * size.workers / sent
            yield _row("restore-brokers", "Bundled brokers it takes to send that", brokers, "")
    for name, ask in (("commits", costs.commit_share), ("idle", costs.idle_share)):
        said = f"Commits every {1000 // COMMITS_PER_SECOND} ms" if name == "commits" else "Nothing to do"
        if (worker := ask("worker", size.tasks_each)) is not None:
            yield _row(f"{name}-worker", f"{said}: each worker", worker * 100, "% of a core")
        if (broker := ask("broker", size.tasks_each)) is not None:
            yield _row(f"{name}-broker", f"{said}: brokers, for all workers", broker * size.workers, "cores")
    if (memory := costs.worker_mb(size.tasks_each)) is not None:
        yield _row("memory", "Memory of a worker, all stores open, idle", memory, "MB")


def _row(name: str, what: str, value: float, unit: str) -> dict[str, Any]:
    return {"name": name, "what": what, "value": value, "unit": unit}


def messages(size: Installation) -> Iterator[dict[str, Any]]:
    """The group's one record on the broker, against the most that one may have."""
    for name, said, addresses in (
        ("group", "The group's record on the broker", False),
        ("group-addresses", "The same when every worker says its address, where that fits", True),
    ):
        group = Group(size.workers, size.tasks, PlacementRules(1, 10_000, 2), addresses=addresses)
        bytes_each = group.rebalance("start")[0].message_bytes
        yield _row(name, said, bytes_each * size.workers / GROUP_RECORD_BYTES * 100, "% of its limit")


def bends(rows: Sequence[dict[str, Any]], changes: Sequence[dict[str, Any]], size: Installation) -> Iterator[str]:
    """Where the design would bend at this size, and what then; by comparison, so what holds is not said."""
    value = {row["name"]: row["value"] for row in rows}
    if value.get("commits-broker", 0.0) > BUSY:
        cores = value["commits-broker"]
        workers = int(BUSY * size.workers / cores)
        yield (
            f"**Commits.** The bundled broker is one process on one core: at {BUSY:.0%} of it, it carries the commits of "
            f"{workers} of the {size.workers} workers. The cost is per partition and commit, hardly per record: with "
            f"`commit_interval_ms={math.ceil(cores / BUSY) * 1000 // COMMITS_PER_SECOND}` one would do, for so much more "
            "latency; else it takes a cluster of Apache Kafka."
        )
    if value.get("commits-worker", 0.0) > BUSY * 100:
        yield (
            f"**Partitions.** A worker with {size.tasks_each:.0f} tasks spends {value['commits-worker']:.0f} % of its core "
            "on commits alone: fewer partitions, more workers, or a longer `commit_interval_ms`."
        )
    if value.get("restore-brokers", 0.0) > 1:
        yield (
            f"**Everything lost at once.** Workers would restore in {_time(value['restore'])}, but the brokers would have "
            f"to send {value['restore-all']:.1f} GB/s. One bundled broker takes {value['restore-brokers']:.0f} times as "
            "long. State on disks that outlive a worker, or standbys, are what this is avoided with; not more workers."
        )
    slow = [row for row in changes if row["settled_s"] is not None and row["settled_s"] > PATIENCE_S]
    for row in slow:
        yield (
            f"**{row['what']}**: {_time(row['settled_s'])} until all is balanced, over {row['looks']} rebalances. Tasks "
            "go on where they are meanwhile; `max_warmup_replicas` is what bounds it, and more of them load the network."
        )
    for row in changes:
        if row["stalled"] and row["stalled_s"] is not None:
            yield (
                f"**{row['what']}**: {row['stalled']:,} tasks stand still for up to {_time(row['stalled_s'])}, after the "
                f"session of the dead ({DEFAULTS.session_timeout_ms / 1000:g} s): `num_standby_replicas={row['standbys'] + 1}` avoids it."
            )
    if value.get("group", 0.0) > 100:
        yield (
            f"**The group's record** takes {value['group'] / 100:.1f} times what the broker keeps in one (1 MiB): raise its "
            "`message.max.bytes`, or make tasks fewer."
        )
    elif value.get("group-addresses") == value.get("group", 0.0):
        yield (
            "**Addresses of all workers** do not fit into the group's record (1 MiB) beside all tasks: the leader leaves them "
            "out with a warning. Workers then do not know who has which key; queries have to be sent to all, or routed by a "
            "table of one's own."
        )


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def simulate(size: Installation, costs: Costs, churn: int, seed: int) -> dict[str, Any]:
    """The whole of it. Shape: size, about, costs, missing, rebalances, figures, bends."""
    changes = list(rebalances(size, costs, churn, Random(seed)))
    rows = [*figures(size, costs), *messages(size)]
    return {
        "size": size._asdict(),
        "about": machine.describe(),
        "costs": costs.used(),
        "restore_mb_per_second": costs.restore_mb_per_second,
        "record_bytes": costs.changelog_record_bytes,
        "missing": costs.missing,
        "rebalances": changes,
        "figures": rows,
        "bends": list(bends(rows, changes, size)),
    }


def main(arguments: list[str] | None = None) -> int:
    """Simulate, print, and keep it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--workers", type=int, default=100, help="default 100")
    parser.add_argument("--partitions", type=int, default=10_000, help="tasks, all with state (default 10,000)")
    parser.add_argument("--state-gb", type=float, default=1_000.0, help="of all tasks together (default 1,000)")
    parser.add_argument("--churn", type=int, default=10, help="workers that die, or join (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="who dies (default 1)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where costs lie, and what comes of them goes")
    options = parser.parse_args(arguments)
    size = Installation(options.workers, options.partitions, options.state_gb)
    found = simulate(size, read(options.results), options.churn, options.seed)
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for row in found["figures"]:
        console.print(f"{row['what']}: {row['value']:,.3g} {row['unit']}")
    for row in found["rebalances"]:
        console.print(row)
    for said in [*found["bends"], *(f"Not known, and left out; measure it with: {each}" for each in found["missing"])]:
        console.print(f"- {said}", markup=False)
    (options.results / NAME).write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
