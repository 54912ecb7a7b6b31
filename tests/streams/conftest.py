"""A builder, and topologies of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.topology.topology import Topology


@pytest.fixture
def builder() -> StreamsBuilder:
    """An empty program."""
    return StreamsBuilder()


@pytest.fixture
def build(builder: StreamsBuilder) -> Callable[..., Topology]:
    """The topology of the program, under settings; keys that no test declares are JSON."""

    def of(**settings: Any) -> Topology:
        return builder.build(StreamsConfig.of("app", {"default_key_serde": "json", **settings}, environment={}))

    return of
