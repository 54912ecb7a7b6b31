"""Apache Kafka itself as the broker: one node in KRaft mode from a folder of jars, killed and started as the bundled one.

The folder has what Maven copies for `org.apache.kafka:kafka_2.13` with its dependencies.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.errors import ClientError
from tests.chaos.processes import free_port

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"
JAVA = ("java", "-Xmx1g")
READY_S = 60.0
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
group.min.session.timeout.ms=500
"""


class KafkaBroker:
    """See the module. `libraries` is the folder of jars."""

    def __init__(self, folder: Path, libraries: Path) -> None:
        self._folder = folder / "kafka"
        self._folder.mkdir()
        port, controller = free_port(), free_port()
        self.url = f"kafka://127.0.0.1:{port}"
        self._properties = self._folder / "server.properties"
        self._properties.write_text(PROPERTIES.format(port=port, controller=controller, folder=self._folder))
        self._java = [*JAVA, "-cp", f"{libraries}/*"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it serves."""
        with (self._folder / "kafka.log").open("ab") as log:
            if not (self._folder / "data").exists():
                options = ["format", "-t", CLUSTER_ID, "-c", str(self._properties)]
                command = [*self._java, "kafka.tools.StorageTool", *options]
                subprocess.run(command, stdout=log, stderr=log, check=True)
            command = [*self._java, "kafka.Kafka", str(self._properties)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            clients = KafkaClients(StreamsConfig.of("chaos-wait", {"broker": self.url, "connect_timeout_ms": 1_000}))
            try:
                clients.admin().topics()
            except ClientError:
                if time.monotonic() > deadline:
                    raise
            else:
                return
            finally:
                clients.close()
