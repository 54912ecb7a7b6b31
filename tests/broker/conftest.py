"""The real broker as a process of its own, on a free port, and a disk that is full, for tests of all parts of the broker."""

import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.broker.process import BrokerProcess


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., BrokerProcess]]:
    """Starts brokers with arguments of their own."""
    started: list[BrokerProcess] = []

    def start(*arguments: str) -> BrokerProcess:
        folder = tmp_path / f"broker{len(started)}"
        folder.mkdir()
        started.append(BrokerProcess(folder / "data", *arguments).start())
        return started[-1]

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def broker(make_broker: Callable[..., BrokerProcess]) -> BrokerProcess:
    """A broker of its own for a test."""
    return make_broker()


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """One broker for all tests of a file that only need topics of their own."""
    process = BrokerProcess(tmp_path_factory.mktemp("broker") / "data").start()
    yield process
    process.stop()


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Limits how large a file may grow, as a full disk does: writes stop half-way, then fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)
