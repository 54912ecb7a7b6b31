"""Aiokafka's client, as the clients here need it: what it knows of the cluster, and its connections.

Rules: connections to nodes of the cluster are read by `Frames`; who only reads makes no topic by asking for it.
"""

from __future__ import annotations

import random
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from streams.clients.kafka.frames import Frames

BOOTSTRAP = "bootstrap"
"""What aiokafka calls the node that it met first, while it knows no other."""


def cluster_client(*, creates_topics: bool, **settings: Any) -> AIOKafkaClient:
    """Such a client; if it `creates_topics`, the broker may make those that it asks for, if it is set up so."""
    client: Any = _ClusterClient
    made: AIOKafkaClient = client(creates_topics=creates_topics, **settings)
    return made


class _ClusterClient(AIOKafkaClient):
    def __init__(self, *, creates_topics: bool, **settings: Any) -> None:
        initialize: Any = super().__init__
        initialize(**settings)
        self._creates_topics = creates_topics

    def _frames(self, node_id: int, group: ConnectionGroup) -> Frames | None:
        """How to talk to a node, where there is a connection that is read by `Frames`."""
        connection: Any = self._conns.get((node_id, group))
        if connection is None or type(connection._protocol) is not Frames or not connection.connected():
            return None
        return connection._protocol

    async def ready(self, node_id: int, *, group: ConnectionGroup = ConnectionGroup.DEFAULT) -> bool:
        """Whether there is a connection to a node, which is made if need be."""
        if self._frames(node_id, group) is not None:
            return True
        ready: Any = super().ready
        return bool(await ready(node_id, group=group))

    async def send(self, node_id: int, request: Any, *, group: ConnectionGroup = ConnectionGroup.DEFAULT) -> Any:
        """Send a request, and wait for its answer; see aiokafka's."""
        frames = self._frames(node_id, group)
        if frames is None:
            send: Any = super().send
            return await send(node_id, request, group=group)
        return await frames.send(request)

    async def _metadata_update(self, cluster_metadata: ClusterMetadata, topics: set[str] | None) -> bool:
        """Ask one node after the other what the cluster is, until one knows; whether one does.

        aiokafka's lets the broker make every topic that it is asked for, and so makes those anew that are deleted while
        somebody reads them, with the broker's defaults. Kafka Streams sets allow.auto.create.topics=false for consumers.
        """
        request = MetadataRequest(list(topics) if topics else None, allow_auto_topic_creation=self._creates_topics)
        for node_id in self._nodes_to_ask():
            connection = await self._get_conn(node_id)
            if connection is None:
                continue
            try:
                metadata = await connection.send(request)
            except (KafkaError, TimeoutError):
                continue
            return self._learned(cluster_metadata, metadata)
        cluster_metadata.failed_update(None)
        return False

    def _nodes_to_ask(self) -> list[Any]:
        nodes: list[Any] = [broker.nodeId for broker in self.cluster.brokers()]
        if (BOOTSTRAP, ConnectionGroup.DEFAULT) in self._conns:
            nodes.append(BOOTSTRAP)
        random.shuffle(nodes)
        return nodes

    def _learned(self, cluster_metadata: ClusterMetadata, metadata: Any) -> bool:
        """Take an answer; one without brokers is of a cluster that only starts, and not to be believed."""
        if not metadata.brokers:
            return False
        cluster_metadata.update_metadata(metadata)
        first = self._conns.pop((BOOTSTRAP, ConnectionGroup.DEFAULT), None)  # needed while no node is known
        if first is not None:
            first.close()
        return True

    async def _get_conn(
        self, node_id: int, *, group: ConnectionGroup = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        get_connection: Any = super()._get_conn
        connection = await get_connection(node_id, group=group, no_hint=no_hint)
        if connection is not None and not isinstance(connection._protocol, Frames):
            Frames.take_over(connection)
        return connection
