"""How many files a broker may open: as many as the system allows, and clients leave the logs their part."""

import resource
import socket
import sys
from contextlib import ExitStack
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
    assert "refusing connections: 48 are open, all that a limit of 128 open files (ulimit -n) leaves" in broker.log


def test_a_burst_of_connections(tmp_path: Path) -> None:
    """Hundreds at once are refused with a line or two, no more, and who comes when they are gone is served."""
    broker = limited(tmp_path, "ulimit -n 128")
    try:
        for _ in range(3):
            with ExitStack() as burst:
                for _ in range(300):
                    client = burst.enter_context(socket.socket())
                    client.setblocking(False)
                    client.connect_ex(("127.0.0.1", broker.port))
                last = Wire(broker.port)
                burst.callback(last.socket.close)
                with pytest.raises(ConnectionError):  # it is behind all of them, so that they were looked at
                    last.call(API_VERSIONS, 0)
        wire = Wire(broker.port)
        wire.call(API_VERSIONS, 0)
        wire.socket.close()
    finally:
        broker.stop()
    assert "Traceback" not in broker.log
    assert 1 <= broker.log.count("\n") < 20
    assert "ulimit -n" in broker.log


def test_connections_wait_for_descriptors(broker: BrokerProcess) -> None:
    """When the system gives none, that is told once, with what to do; who waited is served when there are some again."""
    assert broker.process is not None
    pid = broker.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = max(int(name.name) for name in Path(f"/proc/{pid}/fd").iterdir()) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (taken, limits[1]))
    waiting = Wire(broker.port)
    schema = waiting.send(API_VERSIONS, 0)
    while "Too many open files" not in broker.log:  # whoever says it
        assert broker.process.poll() is None
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    assert waiting.receive(schema).error_code == 0
    waiting.socket.close()
    assert "Traceback" not in broker.log
    assert broker.log.count("(ulimit -n)") == 1
