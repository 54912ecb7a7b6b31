"""What topics there are: names, ids, partitions and settings, kept in one file that is replaced atomically.

The file (`topics.json` in the data directory) is the truth about which topics exist; the partition directories hold their
data. A topic is written down before its partitions are made and struck out before they are deleted, and `open` finishes
what a crash cut short: missing partitions are made, and partitions of a topic the file does not know are taken in, with the
id their `partition.metadata` carries, because data are never deleted to make a start succeed. One file is enough: it
changes when topics change, not when records come.

Also hands out producer ids, in blocks that are reserved in the file before the first of them is used.
Must not know requests or connections.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from broker.config import BrokerConfig
from broker.errors import BrokerError, ConfigError, CorruptLog, DataDirectoryError, ErrorCode
from broker.log.checkpoints import RECOVERY_POINTS, write_atomically
from broker.log.cluster_metadata import Inherited, read_cluster_metadata
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.partition_log import PartitionLog

logger = logging.getLogger(__name__)

FILE_NAME = "topics.json"
PRODUCER_ID_BLOCK = 1_000
MAX_NEW_PARTITIONS = 10_000
MAX_NAME_LENGTH = 249
OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTIONS_TOPIC = "__transaction_state"
INTERNAL_TOPICS = frozenset({OFFSETS_TOPIC, TRANSACTIONS_TOPIC})
_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]+")


@dataclass(eq=False)
class Topic:
    """One topic of `count` partitions. `settings` are those somebody set, as text; defaults are not repeated here."""

    name: str
    topic_id: UUID
    settings: dict[str, str]
    count: int
    partitions: list[PartitionLog] = field(default_factory=list)

    @property
    def internal(self) -> bool:
        """Whether the broker keeps its own state in it."""
        return self.name in INTERNAL_TOPICS


class Catalog:
    """All topics of one data directory. `version` counts changes, for those who cache what they derive from it."""

    def __init__(self, config: BrokerConfig, directory: LogDirectory) -> None:
        self.config = config
        self.directory = directory
        self.topics: dict[str, Topic] = {}
        self.by_id: dict[UUID, Topic] = {}
        self.version = 0
        self._path = Path(directory.path) / FILE_NAME
        self._next_producer_id = 0
        self._producer_ids: range = range(0)
        self._producer_id_at = 0
        self._inherited = Inherited()
        self.on_deleted: list[Callable[[Topic], None]] = []

    # ---- the file

    def open(self) -> None:
        """Read the file and bring the partition directories in line with it."""
        stored = self._read()
        self._inherited = Inherited() if stored else read_cluster_metadata(self.directory.path)
        self._next_producer_id = stored.get("next_producer_id", self._inherited.next_producer_id)
        for entry in stored.get("topics", []):
            topic = Topic(entry["name"], UUID(entry["id"]), entry["settings"], entry["partitions"])
            self._check_present(topic)
            self._add(topic)
            self._make_partitions(topic)
        if self._adopt():
            self._write()

    def _read(self) -> dict[str, Any]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        try:
            stored: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise CorruptLog(f"{self._path} is not readable ({error}); restore it from a backup") from error
        if stored.get("version") != 1:
            raise CorruptLog(
                f"{self._path} has version {stored.get('version')}, this broker knows 1; use a newer broker"
            )
        if stored.get("cluster_id", self.directory.cluster_id) != self.directory.cluster_id:
            raise DataDirectoryError(
                f"{self._path} belongs to cluster {stored['cluster_id']}, but meta.properties beside it to "
                f"{self.directory.cluster_id}: put back the file that belongs there"
            )
        return stored

    def _check_present(self, topic: Topic) -> None:
        """Refuse to begin a partition anew whose data somebody took away. Raises: DataDirectoryError."""
        for partition in range(topic.count):
            offset = self.directory.missing.get((topic.name, partition))
            if offset:
                raise DataDirectoryError(
                    f"{self.directory.path / f'{topic.name}-{partition}'} is missing, though it had reached offset "
                    f"{offset}: restore it from a copy, or, to begin it anew, remove its line from {RECOVERY_POINTS}"
                )

    def _write(self) -> None:
        stored = {
            "version": 1,
            "cluster_id": self.directory.cluster_id,
            "next_producer_id": self._next_producer_id,
            "topics": [
                {"name": t.name, "id": str(t.topic_id), "partitions": t.count, "settings": t.settings}
                for t in self.topics.values()
            ],
        }
        write_atomically(self._path, json.dumps(stored, indent=1))

    def _adopt(self) -> bool:
        """Take in partitions whose topic the file does not know: written by Apache Kafka, or left by a crash."""
        strangers: dict[str, list[PartitionLog]] = {}
        for log in self.directory.logs():
            if log.topic not in self.topics:
                strangers.setdefault(log.topic, []).append(log)
        for name, logs in strangers.items():
            count = 1 + max(log.partition for log in logs)
            settings = self._internal_settings(name) or self._inherited.settings.get(name, {})
            topic = Topic(name, logs[0].topic_id, settings, count)
            self._add(topic)
            self._make_partitions(topic)
            logger.info("topic %s: found %d partitions nobody had written down", name, len(logs))
        return bool(strangers)

    # ---- reading

    def get(self, name: str) -> Topic:
        """The topic. Raises: BrokerError."""
        topic = self.topics.get(name)
        if topic is None:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name!r}")
        return topic

    def log(self, name: str, partition: int) -> PartitionLog:
        """The log of a partition. Raises: BrokerError."""
        topic = self.topics.get(name)
        if topic is None or not 0 <= partition < len(topic.partitions):
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {name}-{partition}")
        return topic.partitions[partition]

    def log_by_id(self, topic_id: UUID | None, partition: int) -> PartitionLog:
        """The log of a partition of the topic with this id. Raises: BrokerError."""
        topic = self.by_id.get(topic_id) if topic_id is not None else None
        if topic is None:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_ID)
        return self.log(topic.name, partition)

    def log_config(self, settings: Mapping[str, str]) -> LogConfig:
        """Settings of a topic over the broker's own defaults. Raises: BrokerError."""
        try:
            return LogConfig.from_mapping({**self.config.topic_defaults(), **settings})
        except ConfigError as error:
            raise BrokerError(ErrorCode.INVALID_CONFIG, str(error)) from error

    def check_settings(self, settings: Mapping[str, str]) -> None:
        """Whether a topic may be given these settings: each by itself, and beside each other. Raises: BrokerError."""
        found = self.log_config(settings)
        if found.min_compaction_lag_ms > found.max_compaction_lag_ms:
            raise BrokerError(
                ErrorCode.INVALID_CONFIG,
                f"min.compaction.lag.ms ({found.min_compaction_lag_ms}) must not be above max.compaction.lag.ms "
                f"({found.max_compaction_lag_ms})",
            )

    def name_error(self, name: str) -> ErrorCode | None:
        """INVALID_TOPIC for what no topic can be called."""
        try:
            check_name(name)
        except BrokerError as error:
            return error.code
        return None

    # ---- changing

    def check_new(self, name: str, partitions: int, settings: Mapping[str, str]) -> None:
        """Whether such a topic could be created now. Raises: BrokerError."""
        self.check_free(name)
        if partitions < 1:
            raise BrokerError(ErrorCode.INVALID_PARTITIONS, f"a topic has at least one partition, not {partitions}")
        check_growth(partitions)
        self.check_settings(settings)

    def check_free(self, name: str) -> None:
        """Whether a topic of this name could be created now. Raises: BrokerError."""
        check_name(name)
        if name in self.topics:
            raise BrokerError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        clash = next((other for other in self.topics if _metric_name(other) == _metric_name(name)), None)
        if clash is not None:
            raise BrokerError(ErrorCode.INVALID_TOPIC, f"topic {name!r} collides with existing topic {clash!r}")

    def create(self, name: str, partitions: int, settings: Mapping[str, str] | None = None) -> Topic:
        """A new topic with empty partitions. Raises: BrokerError."""
        settings = self._internal_settings(name) | dict(settings or {})
        self.check_new(name, partitions, settings)
        topic = Topic(name, uuid4(), settings, partitions)
        self._add(topic)
        self._write()
        self._make_partitions(topic)
        logger.info("topic %s: created with %d partitions", name, partitions)
        return topic

    def create_internal(self, counts: Mapping[str, int]) -> None:
        """The broker's own topics with so many partitions, where they are absent: written down at once, as a start waits."""
        absent = [
            Topic(name, uuid4(), self._internal_settings(name), count)
            for name, count in counts.items()
            if name not in self.topics
        ]
        for topic in absent:
            self._add(topic)
        if absent:
            self._write()
        for topic in absent:
            self._make_partitions(topic)

    def delete(self, name: str) -> None:
        """Forget a topic and delete its data. Raises: BrokerError."""
        topic = self.get(name)
        del self.topics[name], self.by_id[topic.topic_id]
        self.version += 1
        self._write()
        self.directory.delete_many(name, [log.partition for log in topic.partitions])
        for notify in self.on_deleted:
            notify(topic)
        logger.info("topic %s: deleted", name)

    def add_partitions(self, name: str, count: int) -> None:
        """Let a topic have `count` partitions, more than it has. Raises: BrokerError."""
        topic = self.get(name)
        check_growth(count - topic.count)
        topic.count = count
        self._write()
        self._make_partitions(topic)

    def alter(self, name: str, settings: Mapping[str, str]) -> None:
        """Replace a topic's settings. Raises: BrokerError."""
        topic = self.get(name)
        config = self.log_config(settings)
        topic.settings = dict(settings)
        for log in topic.partitions:
            log.config = config
        self._write()

    def reconfigure(self, config: BrokerConfig) -> None:
        """The broker's settings changed, and with them the defaults of every topic."""
        self.config = config
        for topic in self.topics.values():
            log_config = self.log_config(topic.settings)
            for log in topic.partitions:
                log.config = log_config

    def _add(self, topic: Topic) -> None:
        self.topics[topic.name] = topic
        self.by_id[topic.topic_id] = topic
        self.version += 1

    def _make_partitions(self, topic: Topic) -> None:
        config = self.log_config(topic.settings)
        wanted = range(len(topic.partitions), topic.count)
        absent = [partition for partition in wanted if self.directory.get(topic.name, partition) is None]
        if absent:
            self.directory.create_many(topic.name, absent, topic.topic_id, config)
        for partition in wanted:
            log = self.directory.get(topic.name, partition)
            assert log is not None
            log.config = config
            topic.partitions.append(log)
        self.version += 1

    def _internal_settings(self, name: str) -> dict[str, str]:
        """What Kafka gives the topics of its coordinators."""
        if name not in INTERNAL_TOPICS:
            return {}
        settings = {"cleanup.policy": "compact", "segment.bytes": str(self.config.offsets_topic_segment_bytes)}
        if name == OFFSETS_TOPIC:
            return {**settings, "compression.type": "producer"}
        return {
            **settings,
            "compression.type": "uncompressed",
            "min.insync.replicas": "1",
            "unclean.leader.election.enable": "false",
        }

    # ---- producer ids

    def next_producer_id(self) -> int:
        """An id no producer of this cluster ever had."""
        if self._producer_id_at >= len(self._producer_ids):
            first = self._next_producer_id
            self._next_producer_id += PRODUCER_ID_BLOCK
            self._write()
            self._producer_ids = range(first, first + PRODUCER_ID_BLOCK)
            self._producer_id_at = 0
        producer_id = self._producer_ids[self._producer_id_at]
        self._producer_id_at += 1
        return producer_id


def check_name(name: str) -> None:
    """Raises: BrokerError for what cannot be a topic's name."""
    problem = ""
    if not name or name in {".", ".."}:
        problem = "it must not be empty, '.' or '..'"
    elif len(name) > MAX_NAME_LENGTH:
        problem = f"it is longer than {MAX_NAME_LENGTH} characters"
    elif not _LEGAL_NAME.fullmatch(name):
        problem = "only ASCII letters, digits, '.', '_' and '-' are allowed"
    if problem:
        raise BrokerError(ErrorCode.INVALID_TOPIC, f"{name!r} is not a topic name: {problem}")


def check_growth(partitions: int) -> None:
    """Raises: BrokerError for more new partitions than Kafka's controller takes in one request."""
    if partitions > MAX_NEW_PARTITIONS:
        raise BrokerError(
            ErrorCode.POLICY_VIOLATION,
            f"{partitions} new partitions are more than the {MAX_NEW_PARTITIONS} of a request",
        )


def _metric_name(name: str) -> str:
    return name.replace(".", "_")
