"""A broker in memory, and the pipeline's connection to it."""

import pytest

from examples.taxi.topics import onlooker
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.connection import Connection


def connect(broker: MemoryBroker) -> Connection:
    """The pipeline's connection, topics made, to a broker in memory."""
    app = onlooker()
    connection = Connection(MemoryClients(broker), app.config, app._topics)
    connection.create(app._new_topics.values())
    return connection


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def connection(broker: MemoryBroker) -> Connection:
    return connect(broker)


@pytest.fixture
def another_connection() -> Connection:
    """One to a broker of its own."""
    return connect(MemoryBroker())
