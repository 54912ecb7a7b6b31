"""The broker's own topics are given more partitions: what coordinators know goes where it belongs, and nothing goes back."""

from collections.abc import Callable
from typing import Any

import pytest

from broker.coordinators.runtime import java_hash, java_magnitude

pytestmark = pytest.mark.broker

OFFSET_COMMIT, OFFSET_FETCH, CREATE, INIT_PRODUCER_ID, GROW, DELETE_GROUPS = 8, 9, 19, 22, 37, 42
BEFORE, AFTER = 2, 5


def name_that_moves() -> str:
    """One of the last partition, that belongs in the first when there are more."""
    hashes = {name: java_magnitude(java_hash(name)) for name in map("name-{}".format, range(100))}
    return next(name for name, value in hashes.items() if value % BEFORE == BEFORE - 1 and value % AFTER == 0)


class Restarted:
    """A broker, asked anew after every restart."""

    def __init__(self, broker: Any, make_wire: Callable[[Any], Any]) -> None:
        self.broker, self.make_wire = broker, make_wire
        self.wire = make_wire(broker)

    def restart(self) -> None:
        self.broker.kill()
        self.broker.start()
        self.wire = self.make_wire(self.broker)

    def grow(self, topic: str) -> None:
        topics = [{"name": topic, "count": AFTER, "assignments": None}]
        assert self.wire.call(GROW, 3, topics=topics).results[0].error_code == 0

    def commit(self, group: str, offset: int) -> None:
        partitions = [{"partition_index": 0, "committed_offset": offset, "committed_leader_epoch": -1}]
        values = {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": ""}
        answer = self.wire.call(OFFSET_COMMIT, 8, **values, topics=[{"name": "t", "partitions": partitions}])
        assert answer.topics[0].partitions[0].error_code == 0

    def committed(self, group: str) -> int:
        topics = [{"name": "t", "partition_indexes": [0]}]
        answer = self.wire.call(OFFSET_FETCH, 7, group_id=group, topics=topics, require_stable=False)
        return int(answer.topics[0].partitions[0].committed_offset)

    def epoch(self, transactional_id: str) -> int:
        """The epoch a producer is given that starts with the id."""
        values = {"transactional_id": transactional_id, "transaction_timeout": 60_000}
        answer = self.wire.call(INIT_PRODUCER_ID, 4, **values, producer_id=-1, producer_epoch=-1)
        assert answer.error_code == 0
        return int(answer.producer_epoch)


@pytest.fixture
def restarted(make_broker: Callable[..., Any], make_wire: Callable[[Any], Any]) -> Restarted:
    counts = ("offsets.topic.num.partitions", "transaction.state.log.num.partitions")
    return Restarted(make_broker(*(part for name in counts for part in ("--set", f"{name}={BEFORE}"))), make_wire)


def test_offsets_of_a_group_that_moves(restarted: Restarted) -> None:
    """The last commit counts, wherever it and those before it lie; a group that was deleted stays so."""
    group = name_that_moves()
    restarted.wire.call(CREATE, 7, topics=[{"name": "t", "num_partitions": 1, "replication_factor": 1}])
    restarted.commit(group, 100)
    restarted.grow("__consumer_offsets")
    for offset in (200, 300, 400):
        restarted.commit(group, offset)
        restarted.restart()
        assert restarted.committed(group) == offset
    assert restarted.wire.call(DELETE_GROUPS, 2, groups_names=[group]).results[0].error_code == 0
    restarted.restart()
    assert restarted.committed(group) == -1


def test_epochs_of_a_transactional_id_that_moves(restarted: Restarted) -> None:
    """No epoch is given out twice."""
    name = name_that_moves()
    epochs = [restarted.epoch(name)]
    restarted.grow("__transaction_state")
    for _ in range(3):
        epochs.append(restarted.epoch(name))
        restarted.restart()
    assert epochs == [0, 1, 2, 3]
