"""How long results stopped, from the times at which they came."""

from __future__ import annotations

import pytest

from benchmarks.handover import PARTITIONS, Flow, stage, wait
from streams.clients.memory import MemoryBroker, MemoryClients


def flow(*arrivals: list[float]) -> Flow:
    made = Flow(MemoryClients(MemoryBroker()), 1)
    made.arrivals = [*arrivals, *[[]] * (PARTITIONS - len(arrivals))]
    return made


def test_the_longest_pause_counts_from_edge_to_edge() -> None:
    """Of the partitions that are asked for: a result that never came is a pause until the end."""
    seen = flow([1.0, 2.0, 3.5], [1.0, 2.5, 3.9], [0.5])
    assert seen.longest([0, 1], 1.0, 4.0) == 1.5
    assert seen.longest([0], 0.0, 10.0) == 6.5
    assert seen.longest([2], 1.0, 4.0) == 3.0
    assert seen.longest([], 1.0, 4.0) == 0.0


def test_all_are_back_when_the_last_is() -> None:
    """What came before counts for nothing."""
    seen = flow([1.0, 7.0], [2.0, 9.0])
    assert seen.first_after([0, 1], 3.0) == 9.0
    assert seen.first_after([0], 8.0) == 1e12


@pytest.mark.broker
def test_what_was_aborted_is_no_result() -> None:
    """Its end moves the reader on, but shows nothing: a dead worker's transaction was taken for its tasks' return."""
    with stage([]) as (clients, _), Flow(clients, 1) as seen:
        producer = clients.producer(transactional_id="worker")

        def written(partition: int, *, commit: bool) -> None:
            producer.begin()
            producer.send("counts", partition, [b"key"], [b"value"], [0])
            producer.flush()
            producer.commit_transaction() if commit else producer.abort_transaction()

        def read(least: int) -> bool:
            written(0, commit=False)
            written(1, commit=True)
            return len(seen.arrivals[1]) >= least

        wait(lambda: read(3), "no results")
        producer.close()
        assert not seen.arrivals[0]
