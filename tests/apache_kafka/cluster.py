"""Apache Kafka as a cluster: nodes that are broker and controller at once, every topic on all of them.

With three nodes two must have a record before it is acknowledged, so one may be away and two may have been killed.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.apache_kafka.libraries import FRUGAL
from tests.apache_kafka.node import ApacheKafka, Place


class ApacheKafkaCluster:
    """Nodes with their data in folders of `folder`; `settings` are broker settings by Kafka's names."""

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        settings: dict[str, str] | None = None,
        options: Sequence[str] = FRUGAL,
        *,
        memory: str = "256m",
    ) -> None:
        places = [Place.of(number) for number in range(1, nodes + 1)]
        values = replicated(nodes) | (settings or {})
        self.nodes = [
            ApacheKafka(
                folder / f"node-{place.number}",
                values,
                options,
                memory=memory,
                place=place,
                places=places,
            )
            for place in places
        ]

    @property
    def address(self) -> str:
        """All nodes, with commas between them."""
        return ",".join(node.address for node in self.nodes)

    def start(self) -> None:
        """Returns when all serve. Raises: KafkaMissingError, RuntimeError."""
        for node in self.nodes:
            if not node.running:
                node.launch()
        for node in self.nodes:
            node.wait()

    def kill(self) -> None:
        """SIGKILL to all that run."""
        for node in self.nodes:
            node.kill()


def replicated(nodes: int) -> dict[str, str]:
    """Settings by which all nodes have every topic, and one of them may be away."""
    in_sync = str(max(nodes - 1, 1))
    return {
        "default.replication.factor": str(nodes),
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": str(nodes),
        "transaction.state.log.replication.factor": str(nodes),
        "transaction.state.log.min.isr": in_sync,
    }
