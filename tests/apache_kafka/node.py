"""Apache Kafka as a process: one node in KRaft mode, killed and started as the bundled broker is."""

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.apache_kafka.libraries import FRUGAL, java

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"
READY_SECONDS = 240
STOP_SECONDS = 30
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
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


class ApacheKafka:
    """One node with its data in `folder`. `settings` are broker settings by Kafka's names, `options` Java's."""

    def __init__(self, folder: Path, settings: dict[str, str] | None = None, options: Sequence[str] = FRUGAL) -> None:
        self.folder = folder
        self._options = options
        self.port, controller = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._properties = folder / "server.properties"
        values = {
            **PROPERTIES,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": f"{folder}/data",
            **(settings or {}),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it wrote on stderr, over all its starts."""
        return (self.folder / "kafka.log").read_text()

    def format(self) -> None:
        """Make the data directory, if it is not there yet. Raises: KafkaMissingError."""
        if not (self.folder / "data").exists():
            options = ("format", "-t", CLUSTER_ID, "-c", str(self._properties))
            with (self.folder / "kafka.log").open("ab") as log:
                subprocess.run(java("kafka.tools.StorageTool", *options), stdout=log, stderr=log, check=True)

    def start(self) -> "ApacheKafka":
        """Returns when it serves. Raises: KafkaMissingError, RuntimeError."""
        self.format()
        with (self.folder / "kafka.log").open("ab") as log:
            command = java("kafka.Kafka", str(self._properties), memory="1g", options=self._options)
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self._serves():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Apache Kafka did not start: {self.log[-3000:]}")
            time.sleep(0.1)  # a pace, not a wait
        return self

    def _serves(self) -> bool:
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
