"""One run of chaos: rounds of inputs and faults, then quiet, then everything compared.

Rules: all chance comes from the seed. Inputs are written by a thread of their own while faults happen; a round ends
when its fault is over. Nothing is retried to make a comparison pass: after the last round results have a minute to
become complete.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Thread
from typing import NamedTuple

from streams.clients.base import Consumer, NewTopic
from streams.clients.kafka import KafkaClients
from streams.config import EXACTLY_ONCE, StreamsConfig
from streams.record import TopicPartition
from tests.chaos.application import INPUTS, ORDERS, OUTPUTS, configured, topology
from tests.chaos.faults import FAULTS, Victims
from tests.chaos.inputs import Input, Inputs, Totals, send
from tests.chaos.outputs import Outputs
from tests.chaos.processes import SETTINGS, BrokerProcess, WorkerProcess
from tests.chaos.recomputed import recomputation_problems
from tests.chaos.stores import changelog_problems, disk_problems

PARTITIONS = 3
WORKERS = 3
SETTLE_S = 60.0
COMPARE_EVERY = 20
UNREACHABLE = "ClientError: the connection to the broker failed"


class Plan(NamedTuple):
    """What a run does. `settings` go to the workers; after `seconds` no further round begins."""

    seed: int
    rounds: int
    guarantee: str = EXACTLY_ONCE
    orders_per_round: int = 2_000
    settings: dict[str, str] = {}  # noqa: RUF012  never changed
    faults: tuple[Callable[[Victims], None], ...] = tuple(FAULTS)
    seconds: float = math.inf


class Failed(Exception):  # noqa: N818  it says what happened
    """What came out is not what should have; the message has the seed and the differences."""


class Run:
    """See the module."""

    def __init__(self, plan: Plan, broker: BrokerProcess, folder: Path, say: Callable[[str], None]) -> None:
        self._plan, self._broker, self._folder, self._say = plan, broker, folder, say
        self._random = Random(plan.seed)
        self._name = f"chaos-{plan.seed}"
        settings = {"processing_guarantee": plan.guarantee, **plan.settings}
        self._workers = [WorkerProcess(broker.url, self._name, folder, number, settings) for number in range(WORKERS)]
        self._config = configured(broker.url, self._name, str(folder / "none"), SETTINGS | settings)
        self._inputs, self._totals = Inputs(self._random), Totals()
        self._written: list[Input] = []
        self._failure: BaseException | None = None

    def run(self) -> int:
        """Do it all. Shape: how many rounds that were. Raises: Failed."""
        until, number = time.monotonic() + self._plan.seconds, 0
        self._broker.start()
        self._clients = KafkaClients(StreamsConfig.of(f"{self._name}-test", {"broker": self._broker.url}))
        try:
            self._prepare()
            while number < self._plan.rounds and time.monotonic() < until:
                number += 1
                self._round(number)
                if number % COMPARE_EVERY == 0:
                    self._settle()
            self._settle()
            self._compare_stores()
            return number
        finally:
            for worker in self._workers:
                worker.kill()
            self._clients.close()
            self._broker.close()

    def _prepare(self) -> None:
        admin = self._clients.admin()
        admin.create([NewTopic(name, PARTITIONS) for name in (*INPUTS, *OUTPUTS)])
        admin.close()
        self._producer = self._clients.producer()
        exactly_once = self._plan.guarantee == EXACTLY_ONCE
        reader = self._clients.consumer(group=None, read_committed=True)
        self._outputs = Outputs(reader, PARTITIONS, exactly_once=exactly_once)
        customers = self._inputs.customers()
        self._note(customers)
        send(self._producer, customers, PARTITIONS)
        for worker in self._workers:
            worker.start()

    def _round(self, number: int) -> None:
        """Inputs and a fault at the same time."""
        fault = self._random.choice(self._plan.faults)
        inputs = self._inputs.next(self._plan.orders_per_round)
        self._note(inputs)
        victims = Victims(self._broker, self._workers, Random(self._random.random()))
        self._say(f"round {number}: {fault.__name__.replace('_', ' ')}")
        writer = Thread(target=self._write, args=(inputs,))
        writer.start()
        victims.pause(0.8)
        fault(victims)
        writer.join()
        self._read()
        self._check_alive()

    def _note(self, inputs: list[Input]) -> None:
        """What goes in counts from now on."""
        self._totals.add(inputs)
        self._written += inputs

    def _write(self, inputs: list[Input]) -> None:
        try:
            for start in range(0, len(inputs), 100):
                send(self._producer, inputs[start : start + 100], PARTITIONS)
        except BaseException as error:
            self._failure = error

    def _read(self) -> None:
        while self._outputs.read(0):
            pass
        if self._failure is not None:
            raise self._failure
        self._raise(self._outputs.problems)

    def _check_alive(self) -> None:
        """A worker may give up at its start while the broker is away, and is started again, as a supervisor would.

        Any other end of a worker is a failure of the run.
        """
        for worker in self._workers:
            if worker.exit_code is None:
                continue
            if UNREACHABLE in worker.log_tail(1):
                self._say(f"  worker {worker.number} gave up without a broker, and is started again")
                worker.start()
            else:
                raise Failed(f"seed {self._plan.seed}: worker {worker.number} ended:\n{worker.log_tail()}")

    def _settle(self) -> None:
        """Wait until every result is there."""
        deadline = time.monotonic() + SETTLE_S
        while self._outputs.missing(self._totals):
            if time.monotonic() > deadline:
                self._raise(self._outputs.missing(self._totals))
            if self._outputs.read(0.5):
                deadline = time.monotonic() + SETTLE_S
            self._raise(self._outputs.problems)
            self._check_alive()
        self._say(f"all {len(self._totals.enriched):,} orders are right")

    def _compare_stores(self) -> None:
        """Workers leave when all is committed, what was done twice too; then offsets, changelogs and RocksDB are looked at."""
        deadline = time.monotonic() + SETTLE_S
        while self._offset_problems() and time.monotonic() < deadline:
            time.sleep(0.1)
        for worker in self._workers:
            if worker.leave() != 0:
                raise Failed(f"seed {self._plan.seed}: worker {worker.number} did not end well:\n{worker.log_tail()}")
        self._read()
        if self._plan.guarantee == EXACTLY_ONCE:
            self._raise(recomputation_problems(self._written, self._outputs))
        self._raise(self._offset_problems())
        program = topology(self._config)
        committed_only = self._plan.guarantee == EXACTLY_ONCE

        def reader() -> Consumer:
            return self._clients.consumer(group=None, read_committed=committed_only)

        if self._plan.guarantee == EXACTLY_ONCE:
            self._raise(changelog_problems(program, reader, PARTITIONS, self._totals))
        folders = [worker.state_dir for worker in self._workers]
        compared, problems = disk_problems(program, reader, self._name, folders)
        self._raise(problems)
        self._say(f"changelogs are right, and {compared} stores on disk agree with them")

    def _offset_problems(self) -> list[str]:
        """Inputs whose committed offset is not the end."""
        consumer = self._clients.consumer(group=self._name)
        partitions = [TopicPartition(ORDERS, number) for number in range(PARTITIONS)]
        ends, committed = consumer.end_offsets(partitions), consumer.committed(partitions)
        consumer.close()
        return [
            f"{partition} is committed up to {committed.get(partition)}, not {ends[partition]}"
            for partition in partitions
            if partition not in committed or committed[partition].offset != ends[partition]
        ]

    def _raise(self, problems: list[str]) -> None:
        if problems:
            shown = "\n".join(problems[:20])
            raise Failed(f"seed {self._plan.seed}, {self._plan.rounds} rounds, in {self._folder}:\n{shown}")
