"""The fixtures that come with the package."""

from collections.abc import Callable
from typing import Any

import pytest

from streams import App
from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.pytest_plugin import RunningBroker


def test_streams_driver_makes_drivers(streams_driver: Callable[..., Any]) -> None:
    """The fixture opens a driver for an App."""
    app = App("words")
    app.stream(app.topic("in", key=str, value=str)).to("out")
    driver = streams_driver(app)
    driver.input("in").send("k", "v", 1)
    assert driver.output("out").read_values() == ["v"]


@pytest.mark.broker
def test_streams_broker_is_a_real_broker(streams_broker: RunningBroker) -> None:
    """The fixture's address is that of a broker that answers."""
    clients = KafkaClients(StreamsConfig.of("test", {"broker": streams_broker.url}, environment={}))
    try:
        assert isinstance(clients.admin().topics(), list)
    finally:
        clients.close()
