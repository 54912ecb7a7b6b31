"""How many files a broker may open: as many as the system allows, and clients leave the logs their part."""

import resource
import sys
from pathlib import Path

import pytest

from tests.broker.process import BrokerProcess
from tests.broker.wire import Wire

pytestmark = pytest.mark.broker

API_VERSIONS = 18


def limited(folder: Path, limits: str) -> BrokerProcess:
    """A broker that is started with other limits."""
    broker = BrokerProcess(folder / "data")
    broker.command = ("sh", "-c", f'{limits}; exec "$0" -m broker "$@"', sys.executable)
    return broker.start()


def test_the_soft_limit_is_raised(tmp_path: Path) -> None:
    """The broker takes what the hard limit allows, as Java's virtual machine does for Kafka."""
    broker = limited(tmp_path, "ulimit -Sn 128")
    assert broker.process is not None
    soft, hard = resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE)
    broker.stop()
    assert soft == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_connections_leave_descriptors_to_the_logs(tmp_path: Path) -> None:
    """A connection too many is refused with a line that says why, and those there are, are served on."""
    broker = limited(tmp_path, "ulimit -n 128")
    wires: list[Wire] = []
    try:
        with pytest.raises(ConnectionError):
            while len(wires) < 128:
                wires.append(Wire(broker.port))
                wires[-1].call(API_VERSIONS, 0)
        assert 40 < len(wires) < 60
        wires[0].call(API_VERSIONS, 0)
    finally:
        for wire in wires:
            wire.socket.close()
        broker.stop()
    assert "refusing a connection: 48 are open, all that a limit of 128 open files (ulimit -n) leaves" in broker.log
