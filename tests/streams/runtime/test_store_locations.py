"""Which worker holds a key: told by the leader, found by the key's partition."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker
from streams.clients.partitioner import partitions_for
from streams.errors import StreamsError
from streams.metadata import StreamsMetadata
from tests.streams.runtime.workers import running, until, worker

ONE, TWO = "one:7001", "two:7002"


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(NewTopic("words", 2))
    broker.create(NewTopic("counts", 2))
    return broker


def test_every_worker_knows_who_has_a_key(broker: MemoryBroker, tmp_path: Path) -> None:
    """Two workers answer alike, whichever is asked: who runs the key's task, and who has the standby."""
    settings = {"num_standby_replicas": 1, "poll_ms": 5}
    first = worker(broker, tmp_path / "1", application_server=ONE, **settings)
    second = worker(broker, tmp_path / "2", application_server=TWO, **settings)
    with running(first, second):
        until(broker, lambda: len(first.tasks) == len(second.tasks) == 2)
        for word in ("to", "be", "or", "not"):
            (partition,) = partitions_for([word.encode()], 2)
            found = [each.locations.of_key("counts", word) for each in (first, second)]
            assert found[0][:3] == found[1][:3]
            assert found[0].partition == partition
            assert [each.local for each in found] == [f"1_{partition}" in each.tasks for each in (first, second)]
            here = ONE if found[0].local else TWO
            assert found[0].active == here
            assert set(found[0].standbys) == {ONE, TWO} - {here}
        held = first.locations.of_store("counts")
        assert [each.address for each in held] == [ONE, TWO]
        assert sorted(number for each in held for number in each.partitions) == [0, 1]
        assert [each.standby_partitions for each in held] == [each.partitions for each in held[::-1]]


def test_a_worker_without_an_address_is_not_shown(broker: MemoryBroker, tmp_path: Path) -> None:
    """It still knows what it has itself; unknown stores are named."""
    alone = worker(broker, tmp_path)
    with pytest.raises(StreamsError, match="ask again in a moment"):
        _ = alone.locations
    with running(alone):
        until(broker, lambda: len(alone.tasks) == 4)
        found = alone.locations.of_key("counts", "to")
        assert (found.active, found.standbys, found.local) == (None, (), True)
        assert alone.locations.of_store("counts") == []
        with pytest.raises(StreamsError, match="no store 'count'; did you mean 'counts'"):
            alone.locations.of_key("count", "to")


def test_a_worker_alone_holds_everything(broker: MemoryBroker, tmp_path: Path) -> None:
    """One address for all partitions."""
    alone = worker(broker, tmp_path, application_server=ONE)
    with running(alone):
        until(broker, lambda: len(alone.tasks) == 4)
        assert alone.locations.of_store("counts") == [StreamsMetadata(ONE, (0, 1), ())]
