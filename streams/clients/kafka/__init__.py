"""The clients over aiokafka: its connections, metadata, record batches and group coordinator, and nothing above them.

    processing thread                       network loop (asyncio)
    KafkaConsumer.poll   <-- one queue ---  Fetcher, GroupMember
    KafkaProducer.send   --- batches ---->  Sender
    KafkaAdmin           --- calls ------>  requests

Fetching and sending are our own, on aiokafka's connections: its Fetcher makes an object per record and has no fetch in
flight while a partition is undrained; its producer awaits per batch. Nothing else in `streams` imports aiokafka.
"""

from __future__ import annotations

import logging

from aiokafka.client import AIOKafkaClient

from streams.clients.base import OnRefused
from streams.clients.kafka.admin import KafkaAdmin
from streams.clients.kafka.consumer import KafkaConsumer
from streams.clients.kafka.contact import connect, security_of
from streams.clients.kafka.fetcher import FetchSettings
from streams.clients.kafka.group_states import GroupSettings
from streams.clients.kafka.lease import Lease
from streams.clients.kafka.network_loop import NetworkLoop
from streams.clients.kafka.producer import KafkaProducer
from streams.clients.kafka.producer_settings import ProducerSettings, SendSettings
from streams.config import StreamsConfig
from streams.errors import StreamsError
from streams.tuning import turn_s

log = logging.getLogger(__name__)

__all__ = ["KafkaAdmin", "KafkaClients", "KafkaConsumer", "KafkaProducer"]

LINGER_SHARE = 4
"""Output that is seen when it is written lingers for a quarter of a commit interval at most."""
TOPIC_WAIT_S = 5.0
MARGIN_S = 20.0
CLOSE_S = 5.0
DOUBT_S = 1.0
"""How much longer than two heartbeats take a worker waits to hear whether it still is a member of its group."""


class KafkaClients:
    """Makes the clients of one worker, all on one network loop. Satisfies `Clients`.

    Raises: ConfigError for TLS files that are not there or cannot be used.
    """

    def __init__(self, config: StreamsConfig) -> None:
        _quiet()
        self._config = config
        self._security = security_of(config)
        self._network = NetworkLoop(config.client_id, attended_every_s=turn_s(config.commit_interval_ms))
        self._lease = Lease(
            config.session_timeout_ms / 1000, patience_s=2 * config.heartbeat_interval_ms / 1000 + DOUBT_S
        )
        self._given_up = False
        self._made: list[KafkaConsumer | KafkaProducer | KafkaAdmin] = []

    def consumer(
        self, *, group: str | None, read_committed: bool = False, returns_as: str | None = None
    ) -> KafkaConsumer:
        """A consumer of its own; without a group it can only `assign`. Raises: ClientError when no broker answers.

        `returns_as` makes it a static member of that name, unless `group_instance_id` names it; see `Clients.consumer`.
        """
        config = self._config
        fetching = FetchSettings(
            config.fetch_max_bytes,
            config.max_partition_fetch_bytes,
            config.buffered_max_bytes,
            read_committed,
            rack=config.client_rack or "",
            replica_s=config.metadata_max_age_ms / 1000,
        )
        consumer = KafkaConsumer(
            self._network,
            self._connect(),
            fetching,
            self._group(group, returns_as) if group else None,
            self._lease,
            timeout_s=self._timeout_s,
        )
        self._keep(consumer)
        return consumer

    def producer(
        self,
        *,
        transactional_id: str | None = None,
        transaction_timeout_ms: int | None = None,
        refused: OnRefused | None = None,
        exclusive: frozenset[str] = frozenset(),
    ) -> KafkaProducer:
        """An idempotent producer (acks=all); with an id, one that writes in transactions. Raises: ClientError."""
        config = self._config
        settings = ProducerSettings(
            batch_bytes=min(config.batch_size, config.max_request_size),
            record_bytes=config.max_request_size,
            buffer_bytes=config.buffer_memory,
            linger_s=self._linger_ms(transactional=transactional_id is not None) / 1000,
            compression=config.compression_type,
            sending=SendSettings(
                config.request_timeout_ms,
                config.delivery_timeout_ms / 1000,
                TOPIC_WAIT_S,
                refused,
                exclusive,
                self._lease,
            ),
            transactional_id=transactional_id,
            transaction_timeout_ms=transaction_timeout_ms or config.transaction_timeout_ms,
        )
        producer = KafkaProducer(self._network, self._connect(creates_topics=True), settings)
        self._keep(producer)
        return producer

    def admin(self) -> KafkaAdmin:
        """An admin client."""
        admin = KafkaAdmin(self._network, self._connect(), timeout_s=self._timeout_s)
        self._keep(admin)
        return admin

    def give_up(self) -> None:
        """End all waiting for the broker that is under way, with BrokerUnreachable; from any thread."""
        self._given_up = True
        for client in self._made:
            if isinstance(client, KafkaProducer):
                client.give_up()
        self._network.give_up()

    def close(self) -> None:
        """Disconnect what is still connected, without a flush, and end the network loop."""
        for client in self._made:
            try:
                self._network.call(client.disconnect(), CLOSE_S)
            except StreamsError as error:
                log.warning("while disconnecting: %s", error)
        self._made.clear()
        self._network.close()

    def _keep(self, client: KafkaConsumer | KafkaProducer | KafkaAdmin) -> None:
        """Have one more to close, and forget those that are closed: they hold what they were last given."""
        self._made = [*(each for each in self._made if not each.closed), client]

    def _linger_ms(self, *, transactional: bool) -> float:
        """How long output waits for company: no longer than a small part of the time in which it is to be seen.

        What is written in a transaction is seen with its end, so it may as well wait for that.
        """
        config = self._config
        return config.linger_ms if transactional else min(config.linger_ms, config.commit_interval_ms / LINGER_SHARE)

    @property
    def _timeout_s(self) -> float:
        """How long a call that retries by itself may take: one request, and some time to find a new leader."""
        return self._config.request_timeout_ms / 1000 + MARGIN_S

    def _group(self, group: str, returns_as: str | None) -> GroupSettings:
        config = self._config
        return GroupSettings(
            group,
            config.group_instance_id or returns_as,
            config.group_instance_id is not None,
            config.session_timeout_ms,
            config.heartbeat_interval_ms,
            config.max_poll_interval_ms,
        )

    def _connect(self, *, creates_topics: bool = False) -> AIOKafkaClient:
        config = self._config
        return self._network.call(
            connect(
                config.bootstrap_servers.split(","),
                timeout_s=config.connect_timeout_ms / 1000,
                given_up=lambda: self._given_up,
                security=self._security,
                creates_topics=creates_topics,
                client_id=config.client_id,
                metadata_max_age_ms=config.metadata_max_age_ms,
                request_timeout_ms=config.request_timeout_ms,
            )
        )


def _quiet() -> None:
    """Keep aiokafka from logging what is told, or retried, here; a level that somebody has set stays."""
    logger = logging.getLogger("aiokafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
