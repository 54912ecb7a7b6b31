"""A campaign: systems x workloads x guarantees, measured row by row and kept in one file, so that it can be resumed.

Rules: a row is one workload under one guarantee: all systems in turn against the same broker and the same input, each
with fresh output topics. Every run is written to the file as soon as it is over; a run that is in the file is not made
again, one that failed is, if asked for. The file says with what it was made.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.load import Input
from benchmarks.measure import connect, load, measure
from benchmarks.processes import BenchmarkError, Watched
from benchmarks.systems import Job, System
from benchmarks.workloads import Workload
from streams.clients.base import Clients
from streams.errors import StreamsError

GONE_SECONDS = 30.0
BrokerOf = Callable[[Path], AbstractContextManager[tuple[Watched, str]]]


class Key(NamedTuple):
    """Which run of a campaign it is."""

    system: str
    workload: str
    guarantee: str
    turn: int


def _made_by(about: Mapping[str, Any]) -> dict[str, str]:
    """What each run tells of who made it, of the machine that a file tells of."""
    return {name: about["machine"][name] for name in ("commit", "python", "cpu") if name in about["machine"]}


class Ledger:
    """The file of a campaign.

    Shape: {"about": ..., "runs": [{system, workload, guarantee, turn, commit, python, cpu, result | error}]}.
    Rules: systems may be measured one after the other, days apart, and with more or fewer records: `about` tells of all of
    them, with the machine of the last, and each run of itself.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._path = path
        self._made_by = _made_by(about)
        self._runs: dict[Key, dict[str, Any]] = {}
        if path.exists():
            kept = json.loads(path.read_text())
            if kept["about"]["broker"] != about["broker"]:
                raise BenchmarkError(
                    f"{path} was made with broker {kept['about']['broker']}, asked for {about['broker']}: "
                    "go on with the same, or write --into another file"
                )
            both = {name: {**kept["about"][name], **about[name]} for name in ("versions", "caveats")}
            runs = [{**_made_by(kept["about"]), **run} for run in kept["runs"]]
            about = {**kept["about"], **both, "machine": about["machine"]}
            self._runs = {Key(*(run[name] for name in Key._fields)): run for run in runs}
        self._about = about

    def wants(self, key: Key, *, retry: bool) -> bool:
        """Whether the run is still to be made."""
        return key not in self._runs or (retry and "error" in self._runs[key])

    def forget(self, plan: Plan) -> None:
        """Drop what a plan makes and another commit made, so that it is made anew, also when that is cut and resumed."""
        made = {
            (system.name, workload.name, guarantee)
            for workload, guarantee, _turn, able in plan.rows()
            for system in able
        }
        self._runs = {
            key: run
            for key, run in self._runs.items()
            if key[:3] not in made or run.get("commit") == self._made_by["commit"]
        }

    def add(self, key: Key, outcome: dict[str, Any]) -> None:
        """Keep a run's outcome, at once and whole: the old file stays until the new one is written."""
        self._runs[key] = {**key._asdict(), **self._made_by, **outcome}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".part")
        fresh.write_text(json.dumps({"about": self._about, "runs": list(self._runs.values())}, indent=1))
        fresh.replace(self._path)


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and with how much."""

    systems: Sequence[System]
    workloads: Sequence[Workload]
    guarantees: Sequence[str]
    records: int
    repeat: int = 1
    timeout_seconds: float = 300.0
    idle_seconds: float = 0.0
    retry: bool = False

    def rows(self) -> Iterator[tuple[Workload, str, int, list[System]]]:
        """Each workload under each guarantee, with the systems that can do both; the whole of it once per turn."""
        for turn in range(self.repeat):
            for workload in self.workloads:
                for guarantee in self.guarantees:
                    able = [
                        system
                        for system in self.systems
                        if guarantee in system.guarantees and workload.name not in system.without
                    ]
                    yield workload, guarantee, turn, able


def carry_out(plan: Plan, ledger: Ledger, broker: BrokerOf, tell: Callable[[Key, dict[str, Any]], None]) -> int:
    """Make all runs that are not in the ledger. Returns how many failed."""
    failed = 0
    for workload, guarantee, turn, systems in plan.rows():
        wanted = {Key(system.name, workload.name, guarantee, turn): system for system in systems}
        wanted = {key: system for key, system in wanted.items() if ledger.wants(key, retry=plan.retry)}
        if not wanted:
            continue
        with _row(broker) as (folder, watched, address):
            row = _Row(plan, workload, guarantee, folder, watched, address)
            try:
                for key, system in wanted.items():
                    outcome = row.run(system)
                    failed += "error" in outcome
                    ledger.add(key, outcome)
                    tell(key, outcome)
                    if row.broken:
                        break  # what is left of the row is made when the campaign is resumed
            finally:
                row.close()
    return failed


class _Row:
    """One broker with the inputs of one workload, loaded when first wanted."""

    def __init__(
        self, plan: Plan, workload: Workload, guarantee: str, folder: Path, broker: Watched, address: str
    ) -> None:
        self._plan, self._workload, self._guarantee = plan, workload, guarantee
        self._folder, self._broker, self._address = folder, broker, address
        self._clients = connect(address)
        self._loaded: set[str] = set()
        self._made: dict[int, list[Input]] = {}
        self.broken = False

    def run(self, system: System) -> dict[str, Any]:
        """Shape: {"result": ...} or {"error": text}."""
        inputs = self._inputs(system.share)
        fresh = [source for source in inputs if source.topic not in self._loaded]
        with tempfile.TemporaryDirectory(prefix=f"{system.name}-", dir=self._folder) as scratch:
            job = Job(self._workload, inputs, self._address, Path(scratch), self._guarantee)
            try:
                load(self._clients, fresh)
                self._loaded |= {source.topic for source in fresh}
                result = measure(
                    system,
                    job,
                    self._clients,
                    self._broker,
                    idle_seconds=self._plan.idle_seconds,
                    timeout_seconds=self._plan.timeout_seconds,
                )
            except (BenchmarkError, StreamsError) as error:
                return {"error": str(error)}
            finally:
                self._clear()
        return {"result": asdict(result)}

    def close(self) -> None:
        """Let go of the connection."""
        self._clients.close()

    def _inputs(self, share: float) -> list[Input]:
        """The first records of the same input, in topics of their own where it is not all of it."""
        whole = self._plan.records
        records = round(whole * share)
        if records not in self._made:
            self._made[records] = [
                source if records == whole or source.compacted else replace(source, topic=f"{source.topic}-{records}")
                for source in self._workload.inputs(records)
            ]
        return self._made[records]

    def _clear(self) -> None:
        """Delete every topic but the inputs, and wait until they are gone; a broker that keeps them ends the row."""
        deadline = time.monotonic() + GONE_SECONDS
        try:
            while made := [topic for topic in _topics(self._clients) if topic not in self._loaded]:
                if time.monotonic() > deadline:
                    self.broken = True
                    return
                admin = self._clients.admin()
                admin.delete(made)
                admin.close()
                time.sleep(0.2)
        except StreamsError:
            self.broken = True


def _topics(clients: Clients) -> Iterable[str]:
    admin = clients.admin()
    try:
        return [topic for topic in admin.topics() if not topic.startswith("__")]
    finally:
        admin.close()


@contextmanager
def _row(broker: BrokerOf) -> Iterator[tuple[Path, Watched, str]]:
    with tempfile.TemporaryDirectory(prefix="headrace-peers-") as folder, broker(Path(folder)) as (watched, address):
        yield Path(folder), watched, address
