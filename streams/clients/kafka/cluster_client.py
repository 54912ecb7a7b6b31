"""Aiokafka's client, as the clients here need it: what it knows of the cluster, and its connections.

Rules: connections to nodes of the cluster are read by `Frames`, and made each by itself, in a time of their own; who only
reads makes no topic by asking for it; what any node can answer is asked of one that does answer, for a node that has gone
silently, as a machine does that loses its power, would have it wait for as long as a request may take; when no node that
is known answers, the addresses of the settings are tried again.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError, StaleMetadata
from aiokafka.protocol.metadata import MetadataRequest

from streams.clients.kafka.frames import Frames
from streams.clients.kafka.login_connection import connected
from streams.clients.kafka.network import Line

CONNECTING_MS = 10_000
"""Kafka's socket.connection.setup.timeout.ms."""
SILENT_S = 2.0
"""For how long a node may owe an answer, or a connection, before others are asked; a fetch waits for half a second at most."""
UNREACHED_S = 5.0
"""For how long others are asked in place of a node that could not be reached."""


class Unmet(Exception):  # noqa: N818  the name says what happened
    """No address of the settings answers: each, as host:port, with why."""

    def __init__(self, failures: Sequence[tuple[str, Exception]]) -> None:
        super().__init__(", ".join(f"{address}: {error}" for address, error in failures))
        self.failures = failures


def cluster_client(*, creates_topics: bool, connecting_ms: int = CONNECTING_MS, **settings: Any) -> AIOKafkaClient:
    """Such a client; if it `creates_topics`, the broker may make those that it asks for, if it is set up so.

    Each step of connecting may take `connecting_ms`, and no longer than a request.
    """
    client: Any = _ClusterClient
    made: AIOKafkaClient = client(creates_topics=creates_topics, connecting_ms=connecting_ms, **settings)
    return made


def ask_for_all_topics(client: AIOKafkaClient) -> None:
    """From now on have such a client know all topics that its user may see, whichever else it is asked for."""
    assert isinstance(client, _ClusterClient), "clients are made here"
    client.all_topics = True


def knows_it_is_gone(client: AIOKafkaClient, topic: str) -> bool:
    """Whether such a client knows all topics, and this one is not among them."""
    return getattr(client, "all_topics", False) and client.cluster.partitions_for_topic(topic) is None


class _ClusterClient(AIOKafkaClient):
    all_topics = False

    def __init__(self, *, creates_topics: bool, connecting_ms: int, **settings: Any) -> None:
        initialize: Any = super().__init__
        initialize(**settings)
        self._creates_topics = creates_topics
        self._connecting_ms = min(connecting_ms, self._request_timeout_ms)
        self._connecting: dict[tuple[Any, ConnectionGroup], asyncio.Task[Any]] = {}
        """Who wants a connection that is being made waits for it."""
        self._begun: dict[tuple[Any, ConnectionGroup], float] = {}
        """Since when those are being made."""
        self._unreached: dict[Any, float] = {}
        """When connecting to a node failed, if it has not worked since."""

    async def bootstrap(self) -> None:
        """Meet the cluster by the addresses of the settings. Raises: Unmet.

        aiokafka's gives each address as long as a request may take, and does not say why it failed.
        """
        self.cluster.update_metadata(await self._ask_configured(MetadataRequest([])))
        if self._sync_task is None:
            synchronizer: Any = self._md_synchronizer
            self._sync_task = asyncio.create_task(synchronizer())

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
        """Ask one node after the other what the cluster is, and then the addresses of the settings, until one knows.

        The answer is whether one does.

        aiokafka's lets the broker make every topic that it is asked for, and so makes those anew that are deleted while
        somebody reads them, with the broker's defaults. Kafka Streams sets allow.auto.create.topics=false for consumers.
        """
        wanted = list(topics) if topics and not self.all_topics else None
        request = MetadataRequest(wanted, allow_auto_topic_creation=self._creates_topics)
        for node_id in self._nodes_to_ask():
            if await self._get_conn(node_id) is None:
                continue
            try:
                metadata = await self.send(node_id, request)
            except (KafkaError, TimeoutError):
                continue
            return self._learned(cluster_metadata, metadata)
        try:
            return self._learned(cluster_metadata, await self._ask_configured(request))
        except Unmet as unmet:
            cluster_metadata.failed_update(unmet)
            return False

    async def _ask_configured(self, request: MetadataRequest) -> Any:
        """What the first address of the settings says that knows of brokers. Raises: Unmet.

        So a client comes back when all brokers have other addresses: Kafka's metadata.recovery.strategy=rebootstrap.
        """
        failures: list[tuple[str, Exception]] = []
        for host, port, _family in self.hosts:
            try:
                connection = await self._connected(host, port)
                try:
                    metadata = await connection.send(request)
                finally:
                    connection.close()
                if metadata.brokers:
                    return metadata
                raise StaleMetadata("it only starts, and knows of no broker yet")
            except (OSError, TimeoutError, KafkaError) as error:
                failures.append((f"{host}:{port}", error))
        raise Unmet(failures)

    def get_random_node(self) -> Any:
        """A node for what any can answer, None while none is known; see the module."""
        nodes = [broker.nodeId for broker in self.cluster.brokers()]
        random.shuffle(nodes)
        return min(nodes, key=self._is_silent, default=None)

    def _nodes_to_ask(self) -> list[Any]:
        """Those that answer first, and of them those that there is a connection to, so that nobody waits in vain."""
        nodes = [broker.nodeId for broker in self.cluster.brokers()]
        random.shuffle(nodes)
        return sorted(nodes, key=lambda node: (self._is_silent(node), not self._is_connected(node)))

    def _is_silent(self, node_id: Any) -> bool:
        """Whether a node owes an answer for long, or could not be reached a moment ago. A join may wait for others."""
        now = self._loop.time()
        if now - self._unreached.get(node_id, -math.inf) < UNREACHED_S:
            return True
        if any(node == node_id and now - begun >= SILENT_S for (node, _), begun in self._begun.items()):
            return True
        lines: Any = (Line.FETCHING, Line.FETCHING_BESIDE, Line.REQUESTS)
        of_node = (self._frames(node_id, line) for line in lines)
        return any(frames is not None and frames.owed_s >= SILENT_S for frames in of_node)

    def _is_connected(self, node_id: Any) -> bool:
        connection: Any = self._conns.get((node_id, ConnectionGroup.DEFAULT))
        return connection is not None and connection.connected()

    def _learned(self, cluster_metadata: ClusterMetadata, metadata: Any) -> bool:
        """Take an answer; one without brokers is of a cluster that only starts, and not to be believed."""
        if not metadata.brokers:
            return False
        cluster_metadata.update_metadata(metadata)
        return True

    async def _get_conn(
        self, node_id: Any, *, group: ConnectionGroup = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        """The connection to a node by a line, which is made if need be; None if it cannot be.

        Nodes do not wait for each other: aiokafka makes one connection at a time, and a node that is gone silently, and
        takes all the time there is, would keep a client from all the others.
        """
        del no_hint
        way = (node_id, group)
        connection = self._conns.get(way)
        if connection is not None and connection.connected():
            return connection
        connecting = self._connecting.get(way)
        if connecting is None:
            self._conns.pop(way, None)
            connecting = self._connecting[way] = asyncio.create_task(self._connect(node_id, group))
            connecting.add_done_callback(lambda _: self._connecting.pop(way))
        await asyncio.wait([connecting])  # who gives up waiting leaves it to the others
        return None if connecting.cancelled() else connecting.result()

    async def _connect(self, node_id: Any, group: ConnectionGroup) -> Any:
        broker = self.cluster.broker_metadata(node_id)
        self._begun[node_id, group] = self._loop.time()
        try:
            if broker is None:
                raise StaleMetadata(f"node {node_id} is not known")
            connection = await self._connected(broker.host, broker.port, on_close=self._on_connection_closed)
        except (OSError, TimeoutError, KafkaError):
            self._unreached[node_id] = self._loop.time()
            renew: Any = self.force_metadata_update
            renew()
            return None
        finally:
            del self._begun[node_id, group]
        self._unreached.pop(node_id, None)
        Frames.take_over(connection)
        self._conns[node_id, group] = connection
        return connection

    async def _connected(self, host: str, port: int, **settings: Any) -> Any:
        """A new connection, with TLS and a login as configured. Raises: OSError, TimeoutError, KafkaError."""
        connection: Any = await connected(
            host,
            port,
            client_id=self._client_id,
            request_timeout_ms=self._connecting_ms,
            ssl_context=self._ssl_context,
            security_protocol=self._security_protocol,
            max_idle_ms=self._connections_max_idle_ms,
            sasl_mechanism=self._sasl_mechanism,
            sasl_plain_username=self._sasl_plain_username,
            sasl_plain_password=self._sasl_plain_password,
            sasl_oauth_token_provider=self._sasl_oauth_token_provider,
            **settings,
        )
        connection._request_timeout = self._request_timeout_ms / 1000
        return connection

    async def close(self) -> None:
        """Disconnect, and connect no more."""
        under_way = list(self._connecting.values())
        for connecting in under_way:
            connecting.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        close: Any = super().close
        await close()
