"""What one broker consists of: data directory, topics, coordinators, and those who wait.

Built once at start and handed to every handler. Knows nothing of sockets or messages; `listener` puts it on the network.
"""

import asyncio
import logging
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.config import SETTINGS, BrokerConfig, parse_listener
from broker.coordinators.group_coordinator import GroupCoordinator
from broker.coordinators.runtime import Done, Marker
from broker.coordinators.transaction import MAX_EPOCH
from broker.coordinators.transaction_coordinator import TransactionCoordinator
from broker.dynamic import Dynamic
from broker.errors import BrokerError, ErrorCode
from broker.log.cleaner import Cleaner
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.flusher import Flusher
from broker.log.partition_log import PartitionLog
from broker.metadata import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, Catalog, Topic
from broker.protocol.records import build_marker
from broker.server.delayed import Delayed
from broker.server.fetch_sessions import FetchSessions
from broker.server.housekeeping import Housekeeping
from broker.server.meters import Windows
from broker.server.quotas import Quotas

logger = logging.getLogger(__name__)

EXPIRY_INTERVAL_MS = 600_000
MARKER_RETRY_SECONDS = 1.0
RETRIED_MARKERS = frozenset({ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.COORDINATOR_NOT_AVAILABLE})
EVERY_INTERFACE = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not bound to


def now_ms() -> int:
    """Wall-clock time in ms."""
    return time.time_ns() // 1_000_000


@dataclass
class FrameCache:
    """Answers kept as bytes for one version of the catalog."""

    version: int = -1
    frames: dict[Any, bytes] = field(default_factory=dict)

    def start(self, version: int) -> None:
        """Forget everything; from now on `version` counts."""
        self.version = version
        self.frames = {}


class Broker:
    """Everything a handler may ask for. `host` and `port` are what clients are told to connect to."""

    def __init__(self, config: BrokerConfig, data_directory: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.static_config = config
        self.loop = loop
        self.host = ""
        self.port = 0
        self.metadata_frames = FrameCache()
        self.delayed = Delayed(loop)
        self.fetch_sessions = FetchSessions(loop.time)
        defaults = LogConfig.from_mapping(config.topic_defaults())
        self.directory = LogDirectory.open(data_directory, defaults, on_message=logger.warning, node_id=config.node_id)
        self.dynamic = Dynamic(data_directory)
        self.dynamic.open()
        self.config = config = config.with_values(self._dynamic_settings(config.node_id))
        self.quotas = self._quotas()
        self.directory.on_advance = self.delayed.advanced
        self.directory.on_taken_back = self._taken_back
        self.flusher = Flusher(self.directory, loop, mode=config.log_flush, interval_ms=config.log_flush_interval_ms)
        self.catalog = Catalog(config, self.directory)
        self.catalog.open()
        self.catalog.create_internal(
            {
                OFFSETS_TOPIC: config.offsets_topic_num_partitions,
                TRANSACTIONS_TOPIC: config.transaction_state_log_num_partitions,
            }
        )
        self.groups = self._group_coordinator()
        self.transactions = self._transaction_coordinator()
        self._abort_hanging()
        self.catalog.on_deleted.append(self._topic_deleted)
        self._cleaner = Cleaner(self.directory, loop)
        self._compaction: asyncio.Future[Any] | None = None
        self._housekeeping = Housekeeping(loop)
        self._keep_house()

    def advertise(self, host: str, port: int) -> None:
        """Settle what clients are told: the advertised listener, or the one we listen on, by host name if on all."""
        self.host, self.port = socket.gethostname() if host in EVERY_INTERFACE else host, port
        if self.config.advertised_listeners:
            self.host, advertised_port = parse_listener(self.config.advertised_listeners)
            self.port = advertised_port or port

    def reconfigure(self, name: str, settings: dict[str, str]) -> None:
        """Change the dynamic settings of all brokers ("") or of this one (its id), which were found to be right."""
        self.dynamic.brokers[name] = settings
        self.dynamic.write()
        before = self.config
        self.config = self.static_config.with_values(self._dynamic_settings(before.node_id))
        self.catalog.reconfigure(self.config)
        if self.config.log_cleaner_enable and before.log_cleaner_backoff_ms != self.config.log_cleaner_backoff_ms:
            self._housekeeping.every(self.config.log_cleaner_backoff_ms, "compaction", self._compact)

    def _dynamic_settings(self, node_id: int) -> dict[str, str]:
        """Those that mean something here."""
        return {name: text for name, text in self.dynamic.settings_of(node_id).items() if name in SETTINGS}

    def _quotas(self) -> Quotas:
        config = self.config
        return Quotas(
            self.dynamic.quotas,
            lambda: int(self.loop.time() * 1000),
            Windows(config.quota_window_num, config.quota_window_size_seconds * 1000),
            Windows(config.controller_quota_window_num, config.controller_quota_window_size_seconds * 1000),
        )

    def _group_coordinator(self) -> GroupCoordinator:
        topic = self.catalog.topics[OFFSETS_TOPIC]
        groups = GroupCoordinator(
            self.config,
            topic.partitions,
            self.loop,
            now_ms,
            self.delayed.when_committed,
            topics=self.catalog.topics,
            settings_of=lambda group_id: self.dynamic.groups.get(group_id, {}),
        )
        groups.load()
        return groups

    def _transaction_coordinator(self) -> TransactionCoordinator:
        topic = self.catalog.topics[TRANSACTIONS_TOPIC]
        transactions = TransactionCoordinator(
            self.config,
            topic.partitions,
            now_ms,
            self.delayed.when_committed,
            new_producer_id=self.catalog.next_producer_id,
            write_marker=self.write_marker,
        )
        transactions.load()
        return transactions

    def write_marker(self, where: tuple[str, int], marker: Marker, done: Done) -> None:
        """End a transaction in one partition; tried again until the disk takes it, given up if the topic is gone."""

        def written(error: ErrorCode) -> None:
            if error in RETRIED_MARKERS:
                self.loop.call_later(MARKER_RETRY_SECONDS, self.write_marker, where, marker, done)
            else:
                done(error)

        topic, partition = where
        if topic == OFFSETS_TOPIC:
            self.groups.end_transaction(partition, marker, written)
            return
        batch = build_marker(
            marker.producer_id,
            marker.epoch,
            commit=marker.commit,
            coordinator_epoch=marker.coordinator_epoch,
            timestamp_ms=now_ms(),
        )
        try:
            log = self.catalog.log(topic, partition)
            result = log.append(batch, now_ms=now_ms(), client=False)
        except BrokerError as error:
            logger.warning("%s-%d: a transaction marker could not be written: %s", topic, partition, error)
            written(error.code)
            return
        self.delayed.when_committed(log, result.last_offset + 1, written)

    def _abort_hanging(self) -> None:
        """Abort what is open in a partition and no transactional id knows of, under a new epoch: nobody could end it.

        Data reach the disk beside the record that says whose they are; a power failure may keep the one without the other.
        """
        known = self.transactions.under_way()
        for log in self.directory.logs():
            where = (log.topic, log.partition)
            for producer_id in log.producers.open_transactions:
                if (producer_id, where) not in known:
                    producer = log.producers.producers[producer_id]
                    logger.warning("%s: aborting a transaction of producer %d nobody knows", log.name, producer_id)
                    epoch = min(producer.epoch + 1, MAX_EPOCH + 1)
                    coordinator_epoch = max(self.transactions.coordinator_epoch, producer.coordinator_epoch)
                    self.write_marker(where, Marker(producer_id, epoch, False, coordinator_epoch), lambda _: None)

    def _taken_back(self, log: PartitionLog) -> None:
        """Coordinators must not know more than their log, before anybody hears that the disk refused."""
        if log.topic == OFFSETS_TOPIC:
            self.groups.taken_back(log)
        elif log.topic == TRANSACTIONS_TOPIC:
            self.transactions.taken_back(log)

    def _topic_deleted(self, topic: Topic) -> None:
        self.groups.forget_topic(topic.name)
        for log in topic.partitions:
            self.delayed.forget(log)

    def _keep_house(self) -> None:
        config, every = self.config, self._housekeeping.every
        every(config.log_retention_check_interval_ms, "retention", self._apply_retention)
        every(config.log_flush_offset_checkpoint_interval_ms, "checkpoint", self.flusher.checkpoint)
        every(config.offsets_retention_check_interval_ms, "expiry of offsets", self.groups.expire)
        every(
            config.transaction_abort_timed_out_transaction_cleanup_interval_ms,
            "transaction timeouts",
            self.transactions.abort_timed_out,
        )
        every(EXPIRY_INTERVAL_MS, "expiry of producers", self._expire_producers)
        every(EXPIRY_INTERVAL_MS, "expiry of what clients used", self.quotas.expire)

        if config.log_cleaner_enable:
            every(config.log_cleaner_backoff_ms, "compaction", self._compact)

    def _compact(self) -> None:
        compaction = self._cleaner.look(now_ms())
        if compaction is not None:
            self._compaction = compaction

    def _expire_producers(self) -> None:
        self.transactions.expire()
        before_ms = now_ms() - self.config.producer_id_expiration_ms
        for log in self.directory.logs():
            log.producers.expire(before_ms)

    def _apply_retention(self) -> None:
        for log in self.directory.logs():
            if not log.config.deletes:
                continue
            before = log.log_start_offset
            log.apply_retention(now_ms())
            if log.log_start_offset > before:  # and not where only what was deleted already gave its room back
                logger.info("%s: retention removed what was before offset %d", log.name, log.log_start_offset)

    async def stop(self) -> None:
        """Everything to disk; the directory is clean when this returns."""
        self._housekeeping.stop()
        if self._compaction is not None:
            await asyncio.wait([self._compaction])
        await self.flusher.close()
        self.directory.close()
