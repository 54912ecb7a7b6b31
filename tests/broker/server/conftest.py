"""Connections that speak bare messages to a broker."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.broker.wire import Wire


@pytest.fixture
def make_wire() -> Iterator[Callable[[Any], Wire]]:
    """Opens connections to any broker."""
    opened: list[Wire] = []

    def open_one(broker: Any) -> Wire:
        opened.append(Wire(broker.port))
        return opened[-1]

    yield open_one
    for wire in opened:
        wire.socket.close()


@pytest.fixture
def connect(shared_broker: Any, make_wire: Callable[[Any], Wire]) -> Callable[[], Wire]:
    """Opens connections to the shared broker."""
    return lambda: make_wire(shared_broker)


@pytest.fixture
def wire(connect: Callable[[], Wire]) -> Wire:
    """One connection to the shared broker."""
    return connect()
