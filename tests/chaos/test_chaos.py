"""A short run of chaos, and proof that it would notice: the totals and comparisons on made-up results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.serdes import serde_for
from tests.apache_kafka.libraries import KafkaMissingError, libraries
from tests.chaos.application import COUNTS, ENRICHED, ORDERS, OUTPUTS, SHIPPED, SUMS
from tests.chaos.faults import (
    Victims,
    freeze_the_broker,
    kill_a_worker,
    kill_and_wipe,
    kill_the_broker,
    roll_the_broker,
)
from tests.chaos.inputs import Inputs, Totals
from tests.chaos.kafka import KafkaBroker
from tests.chaos.outputs import Outputs
from tests.chaos.processes import BundledBroker
from tests.chaos.recomputed import recomputation_problems
from tests.chaos.run import Plan, Run

PARTITIONS = 1


@pytest.mark.broker
@pytest.mark.crash
@pytest.mark.slow
def test_every_input_counts_once_whatever_is_killed(tmp_path: Path) -> None:
    """Workers and broker killed, state wiped, three workers under load: outputs, changelogs and disks are right."""
    plan = Plan(seed=5, rounds=4, orders_per_round=500, faults=(kill_a_worker, kill_and_wipe, kill_the_broker))
    said: list[str] = []
    Run(plan, BundledBroker(tmp_path), tmp_path, said.append).run()
    assert said[-1].startswith("changelogs are right")


@pytest.mark.kafka
@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("faults", [(kill_a_worker, kill_the_broker), (freeze_the_broker, roll_the_broker)])
def test_every_input_counts_once_on_three_nodes(tmp_path: Path, faults: tuple[Callable[[Victims], None], ...]) -> None:
    """The same on Apache Kafka, whose nodes fall one or two at a time; or one is frozen, and all are restarted in turn."""
    try:
        libraries()
    except KafkaMissingError as missing:
        pytest.skip(str(missing))
    broker = KafkaBroker(tmp_path, nodes=3, random=Random(6))
    plan = Plan(seed=6, rounds=3, orders_per_round=500, faults=faults)
    said: list[str] = []
    Run(plan, broker, tmp_path, said.append).run()
    assert said[-1].startswith("changelogs are right")


class Results:
    """Outputs over a broker in memory, right until a test meddles with them."""

    def __init__(self) -> None:
        inputs = Inputs(Random(1))
        self.made = [*inputs.customers(), *inputs.next(200)]
        self.totals = Totals(self.made)
        broker = MemoryBroker()
        for topic in OUTPUTS:
            broker.create(NewTopic(topic, PARTITIONS))
        clients = MemoryClients(broker)
        self._producer = clients.producer()
        self.outputs = Outputs(clients.consumer(group=None), PARTITIONS, exactly_once=True)

    def send(self, topic: str, key: str, value: object) -> None:
        data = serde_for(int).serialize(value) if topic in {COUNTS, SUMS} else json.dumps(value).encode()
        self._producer.send(topic, 0, [key.encode()], [data], [0])

    def send_all(self) -> None:
        for key, count in self.totals.counts.items():
            for number in range(1, count + 1):
                self.send(COUNTS, key, number)
        for key, total in self.totals.sums.items():
            self.send(SUMS, key, total)
        for number, segment in self.totals.enriched.items():
            self.send(ENRICHED, "", {"id": number, "segment": segment})
        for key, value in self.totals.shipped.items():
            self.send(SHIPPED, key, value)

    def read(self) -> list[str]:
        while self.outputs.read(0):
            pass
        return self.outputs.problems


def test_right_results_have_no_problem() -> None:
    """All four results as they should be."""
    results = Results()
    results.send_all()
    assert results.read() == []
    assert results.outputs.missing(results.totals) == []
    assert recomputation_problems(results.made, results.outputs) == []


def test_what_is_missing_is_noticed() -> None:
    """One more order went in than came out: three results differ."""
    results = Results()
    results.send_all()
    results.read()
    results.totals.add([next(each for each in results.made if each.topic == ORDERS)._replace(value=LATE)])
    assert [line.partition(":")[0] for line in results.outputs.missing(results.totals)] == [COUNTS, SUMS, ENRICHED]
    results.made.append(results.made[-1]._replace(topic=ORDERS, key="c1", value=LATE))
    assert [line.partition(":")[0] for line in recomputation_problems(results.made, results.outputs)] == [
        COUNTS,
        SUMS,
        ENRICHED,
    ]


LATE = {"id": 9_999, "product": "p1", "amount": 1}


@pytest.mark.parametrize(
    ("topic", "key", "value", "problem"),
    [
        (COUNTS, "c1", 1, "c1 goes from"),
        (COUNTS, "c1", 1_000, "c1 goes from"),
        (ENRICHED, "", {"id": 1, "segment": "s1"}, "order 1 comes twice"),
    ],
)
def test_what_comes_twice_is_noticed(topic: str, key: str, value: object, problem: str) -> None:
    """A count that goes back or leaps, and an order that is joined again."""
    results = Results()
    results.send_all()
    results.send(topic, key, value)
    (found,) = results.read()
    assert problem in found
