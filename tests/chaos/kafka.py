"""Apache Kafka itself as the broker of a run: nodes in KRaft mode, killed and started as the bundled broker is.

Of three nodes one falls at a time, now and then two, and a fault does not wait until they serve again: the next fault
of the broker does. Two that serve are enough for the application to go on.
"""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random

from tests.apache_kafka.cluster import ApacheKafkaCluster
from tests.apache_kafka.node import ApacheKafka

ONE_FALLS = 0.75
SETTINGS = {"group.min.session.timeout.ms": "500", "broker.session.timeout.ms": "3000"}


class KafkaBroker:
    """See the module. `random` says who falls."""

    def __init__(self, folder: Path, nodes: int, random: Random) -> None:
        self._cluster = ApacheKafkaCluster(folder / "kafka", nodes, SETTINGS)
        self._random = random
        self._frozen: ApacheKafka | None = None
        self.url = f"kafka://{self._cluster.address}"

    def start(self) -> None:
        """One node, or a cluster that starts for the first time: returns when it serves."""
        dead = [node for node in self._cluster.nodes if not node.running]
        if len(dead) == len(self._cluster.nodes):
            self._cluster.start()
            return
        for node in dead:
            node.launch()

    def kill(self) -> None:
        """SIGKILL to one node or two."""
        nodes = self._served()
        falling = 1 if self._random.random() < ONE_FALLS else 2
        for node in self._random.sample(nodes, min(falling, len(nodes))):
            node.kill()

    def roll(self) -> None:
        """A rolling restart: one node after the other, each when the one before serves again."""
        for node in self._served():
            node.stop()
            node.start()

    def freeze(self) -> None:
        """SIGSTOP to one node."""
        self._frozen = self._random.choice(self._served())
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT to that node."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """SIGKILL to all."""
        self._cluster.kill()

    def _served(self) -> list[ApacheKafka]:
        """All nodes, once all have come back from what befell them last."""
        for node in self._cluster.nodes:
            node.wait()
        return self._cluster.nodes

    def _signal(self, number: signal.Signals) -> None:
        if self._frozen is not None and self._frozen.process is not None:
            self._frozen.process.send_signal(number)
