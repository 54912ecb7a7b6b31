"""Apache Kafka as the broker of a run: one node in KRaft mode, watched as the bundled broker is."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.environments import JavaEnvironment
from benchmarks.processes import BenchmarkError, Watched, running

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"
READY_SECONDS = 90.0
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
"""


@contextmanager
def apache_kafka(folder: Path, environment: JavaEnvironment) -> Iterator[tuple[Watched, str]]:
    """The broker for the time of the block, and its address. Raises: BenchmarkError when it does not start."""
    environment.prepare()
    port, controller = _free_ports(2)
    properties = folder / "server.properties"
    properties.write_text(PROPERTIES.format(port=port, controller=controller, folder=folder))
    java = [environment.java[0], "-Xmx1g", *environment.java[1:]]
    format_it = [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)]
    done = subprocess.run(format_it, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"Apache Kafka's folder was not made: {(done.stdout + done.stderr)[-2000:]}")
    with running("kafka", [*java, "kafka.Kafka", str(properties)], folder) as watched:
        _wait(watched, port)
        yield watched, f"127.0.0.1:{port}"


def _wait(watched: Watched, port: int) -> None:
    """Until it takes connections; what it answers at first is waited for by every client."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        watched.check()
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"Apache Kafka was not ready within {READY_SECONDS:.0f} s") from None
            time.sleep(0.2)
        else:
            return


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
