"""`python -m benchmarks.placement`: the assignor over a large group that exists in memory only.

A leader's whole work per rebalance is timed: reading what members say, the plan, the messages to all of them. The group
starts, stands still, loses members at random, and takes new ones in, over as many rebalances as warm-ups need.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from streams.clients.base import Assignment, Subscription
from streams.record import TopicPartition
from streams.runtime.assignor import TaskAssignor, TaskInputs
from streams.runtime.member_info import GroupInfo, MemberInfo, decode_group, encode
from streams.runtime.placement import PlacementRules

INPUT, LOG = "input", "app-store-changelog"
END = 1_000_000
"""What every changelog holds; a warm copy is a few records behind."""
ZONES = 3


class Look(NamedTuple):
    """One rebalance as it is reported.

    `fetched` are tasks whose state somebody must fetch, owned or copied, `most_fetched` the most on one worker; `cold`
    are those that are owned and so stand still until it is there, `most_cold` the most on one worker.
    """

    what: str
    seconds: float
    moved: int
    copied: int
    loads: tuple[int, int]
    standby_loads: tuple[int, int]
    message_bytes: int
    fetched: int
    most_fetched: int
    cold: int
    most_cold: int


class Group:
    """Workers by name, each with what it was told last."""

    def __init__(self, workers: int, partitions: int, rules: PlacementRules, *, addresses: bool) -> None:
        self._partitions = partitions
        self._addresses = addresses
        self._assignor = TaskAssignor([TaskInputs(0, (INPUT,), (LOG,))], MemberInfo, ends=_ends, rules=rules)
        self._owned: dict[str, tuple[TopicPartition, ...]] = {}
        self._copies: dict[str, list[str]] = {}
        self._started = 0
        self.join(workers)

    def join(self, count: int) -> None:
        """So many new workers, without state."""
        for _ in range(count):
            self._owned[name := f"worker-{self._started:05}"] = ()
            self._copies[name] = []
            self._started += 1

    def die(self, count: int, chance: Random) -> None:
        """So many of them are gone."""
        for name in chance.sample(sorted(self._owned), count):
            del self._owned[name], self._copies[name]

    def rebalance(self, what: str) -> tuple[Look, bool]:
        """One generation; the answer says also whether nothing waits for warm-ups."""
        members = [self._subscription(name) for name in self._owned]
        begun = time.process_time()
        given = self._assignor.assign({INPUT: self._partitions}, members)
        seconds = time.process_time() - begun
        before = {name: (set(owned), set(self._copies[name])) for name, owned in self._owned.items()}
        infos = {name: decode_group(assignment.user_data) for name, assignment in given.items()}
        self._take(given, infos)
        moved = sum(len(set(owned) - before[name][0]) for name, owned in self._owned.items())
        copied = sum(len(set(copies) - before[name][1]) for name, copies in self._copies.items())
        cold = [len(_names(owned) - _names(before[name][0]) - before[name][1]) for name, owned in self._owned.items()]
        fetched = [
            len((_names(owned) | set(self._copies[name])) - _names(before[name][0]) - before[name][1])
            for name, owned in self._owned.items()
        ]
        standbys = [len(set(infos[name].standbys) - _names(self._owned[name])) for name in self._owned]
        look = Look(
            what,
            seconds,
            moved,
            copied,
            _ends_of(len(owned) for owned in self._owned.values()),
            _ends_of(standbys),
            max(len(assignment.user_data) for assignment in given.values()),
            sum(fetched),
            max(fetched),
            sum(cold),
            max(cold),
        )
        return look, not any(info.probe for info in infos.values())

    def _take(self, given: Mapping[str, Assignment], infos: Mapping[str, GroupInfo]) -> None:
        for name, info in infos.items():
            self._owned[name] = given[name].partitions
            self._copies[name] = sorted({*info.standbys, *info.warmups} - _names(self._owned[name]))

    def _subscription(self, name: str) -> Subscription:
        number = int(name.removeprefix("worker-"))
        info = MemberInfo(
            host=name,
            address=f"{name}.example:7001" if self._addresses else "",
            tags={"zone": f"zone-{number % ZONES}"},
            running=sorted(_names(self._owned[name])),
            positions=dict.fromkeys(self._copies[name], END - 5),
        )
        # What is owned is left out: the group would withhold it for one generation, and it is the plan that counts.
        return Subscription(name, (INPUT,), encode(info))


def looks(group: Group, churn: int, chance: Random) -> Iterable[Look]:
    """The life of a group, rebalance by rebalance."""
    yield group.rebalance("start")[0]
    yield group.rebalance("nothing changes")[0]
    group.die(churn, chance)
    yield from _until_settled(group, f"{churn} die")
    group.join(churn)
    yield from _until_settled(group, f"{churn} join")


def _until_settled(group: Group, what: str) -> Iterable[Look]:
    number, settled = 1, False
    while not settled:
        look, settled = group.rebalance(f"{what}, look {number}")
        yield look
        number += 1


def main(arguments: list[str] | None = None) -> int:
    """Simulate and print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.placement", description=__doc__)
    parser.add_argument("--workers", type=int, default=1_000, help="in the group (default 1,000)")
    parser.add_argument("--partitions", type=int, default=10_000, help="tasks, all with state (default 10,000)")
    parser.add_argument("--churn", type=int, default=10, help="workers that die and that join (default 10)")
    parser.add_argument("--standbys", type=int, default=1, help="per task (default 1)")
    parser.add_argument("--warmups", type=int, default=50, help="at a time (default 50)")
    parser.add_argument("--seed", type=int, default=1, help="who dies (default 1)")
    parser.add_argument("--addresses", action="store_true", help="workers say where they can be reached")
    options = parser.parse_args(arguments)
    rules = PlacementRules(options.standbys, 10_000, options.warmups, ("zone",))
    group = Group(options.workers, options.partitions, rules, addresses=options.addresses)
    table = Table(
        title=f"{options.workers:,} workers, {options.partitions:,} tasks, {options.standbys} standby(s) each"
    )
    for heading in ("", "CPU s", "tasks moved", "copies made", "tasks each", "standbys each", "largest message"):
        table.add_column(heading, justify="right" if heading else "left")
    for look in looks(group, options.churn, Random(options.seed)):
        spans = (f"{low}-{high}" for low, high in (look.loads, look.standby_loads))
        counts = (f"{look.seconds:.2f}", f"{look.moved:,}", f"{look.copied:,}")
        table.add_row(look.what, *counts, *spans, f"{look.message_bytes:,} B")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0


def _ends(partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
    return dict.fromkeys(partitions, END)


def _names(partitions: Iterable[TopicPartition]) -> set[str]:
    return {f"0_{partition.partition}" for partition in partitions}


def _ends_of(numbers: Iterable[int]) -> tuple[int, int]:
    counted = Counter(numbers)
    return min(counted), max(counted)


if __name__ == "__main__":
    sys.exit(main())
