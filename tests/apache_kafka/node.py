"""Apache Kafka as a process: a node in KRaft mode, broker and controller in one, killed and started as the bundled broker is.

Alone it is a cluster of one; `cluster` makes several of them one cluster.
"""

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.apache_kafka.libraries import FRUGAL, java

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"
READY_SECONDS = 240
STOP_SECONDS = 30
PROPERTIES = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Place(NamedTuple):
    """A node's number in its cluster and its two ports."""

    number: int
    port: int
    controller_port: int

    @classmethod
    def of(cls, number: int) -> "Place":
        """One with ports that nobody has."""
        return cls(number, free_port(), free_port())


class ApacheKafka:
    """A node with its data in `folder`.

    `settings` are broker settings by Kafka's names, `options` Java's.
    `place` is its own among `places`, which are all nodes of its cluster; without them it is alone.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, str] | None = None,
        options: Sequence[str] = FRUGAL,
        *,
        memory: str = "1g",
        place: Place | None = None,
        places: Sequence[Place] = (),
    ) -> None:
        self.folder = folder
        self._java = (memory, options)
        own = place or Place.of(1)
        self.port = own.port
        self.process: subprocess.Popen[bytes] | None = None
        self._properties = folder / "server.properties"
        voters = [f"{each.number}@127.0.0.1:{each.controller_port}" for each in places or [own]]
        values = {
            **PROPERTIES,
            "node.id": str(own.number),
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"PLAINTEXT://127.0.0.1:{own.port},CONTROLLER://127.0.0.1:{own.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{own.port}",
            "log.dirs": f"{folder}/data",
            **(settings or {}),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        """What it wrote on stderr, over all its starts."""
        return (self.folder / "kafka.log").read_text()

    def format(self) -> None:
        """Make the data directory, if it is not there yet. Raises: KafkaMissingError."""
        if not (self.folder / "data").exists():
            command = self._command("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._properties))
            with (self.folder / "kafka.log").open("ab") as log:
                subprocess.run(command, stdout=log, stderr=log, check=True)

    def start(self) -> "ApacheKafka":
        """Returns when it serves. Raises: KafkaMissingError, RuntimeError."""
        self.launch()
        self.wait()
        return self

    def launch(self) -> None:
        """Start the process. Raises: KafkaMissingError."""
        self.format()
        with (self.folder / "kafka.log").open("ab") as log:
            command = self._command("kafka.Kafka", str(self._properties))
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def wait(self) -> None:
        """Until it serves. Raises: RuntimeError."""
        assert self.process is not None, "launched"
        deadline = time.monotonic() + READY_SECONDS
        while not self.serves():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Apache Kafka did not start: {self.log[-3000:]}")
            time.sleep(0.1)  # a pace, not a wait

    def serves(self) -> bool:
        """Whether it answers ApiVersions, which it does once the broker is unfenced."""
        request = bytes.fromhex("00120000000000070000")  # ApiVersions 0, correlation id 7, an empty client id
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                probe.sendall(len(request).to_bytes(4, "big") + request)
                return len(probe.recv(8)) == 8
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that takes too long."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _command(self, main: str, *arguments: str) -> list[str]:
        memory, options = self._java
        return java(main, *arguments, memory=memory, options=options)
