"""Transactions of dead workers: ended by the leader, and nobody else's."""

from __future__ import annotations

from uuid import UUID

import pytest

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.errors import ClientError, ProducerFenced
from streams.runtime.orphans import Orphans

DEAD, LIVING = f"{UUID(int=1)}-0", f"{UUID(int=2)}-0"


@pytest.fixture
def clients() -> MemoryClients:
    broker = MemoryBroker()
    broker.create(NewTopic("out", 1))
    return MemoryClients(broker)


def test_only_those_of_the_dead_are_ended(clients: MemoryClients) -> None:
    """Members go on, and so do other applications, also one whose id begins alike."""
    ids = [f"app-{DEAD}", f"app-{LIVING}", f"app-more-{DEAD}", "app-inputs"]
    producers = {name: clients.producer(transactional_id=name) for name in ids}
    for producer in producers.values():
        producer.begin()
        producer.send("out", 0, [b"k"], [b"v"], [0])
    assert clients.admin().open_transactions() == sorted(ids)
    Orphans.of("app", clients, clients.admin()).end({LIVING}).join()
    assert clients.admin().open_transactions() == sorted(ids[1:])
    with pytest.raises(ProducerFenced):
        producers[ids[0]].commit_transaction()
    for name in ids[1:]:
        producers[name].commit_transaction()


def test_what_cannot_be_ended_is_left_to_its_timeout(caplog: pytest.LogCaptureFixture) -> None:
    """The group goes on without."""

    def away() -> list[str]:
        raise ClientError("no broker")

    with caplog.at_level("INFO"):
        Orphans("app", away, lambda _name: None).end(set()).join()
    assert "left to their timeout: no broker" in caplog.text
