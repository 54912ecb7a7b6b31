"""A broker of its own for a test whose program says itself what its topics are called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker.process import BrokerProcess


@pytest.fixture
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a new and empty broker serves, as `--broker` takes it. Programs and help name `rides`, and so do others."""
    process = BrokerProcess(tmp_path_factory.mktemp("own-broker") / "data").start()
    yield f"kafka://{process.address}"
    process.stop()
