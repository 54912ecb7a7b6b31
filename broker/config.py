"""The broker's settings: Kafka's names, types, defaults, ranges and what each means, as one table.

A setting is a field of `BrokerConfig`; its Kafka name has dots where the field has underscores. The documentation, the
command line and DescribeConfigs are made from the table. Topic settings are `broker.log`'s (`LogConfig`); `TOPIC_DEFAULTS`
says which broker setting is the default of which topic setting. This module reads no file but a properties file it is
given, and knows nothing of the network.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from broker.credentials import MECHANISMS, SCRAMS
from broker.errors import ConfigError, unknown
from broker.log.config import TopicSetting as Setting

MAX_INT = 2**31 - 1
MAX_LONG = 2**63 - 1


_KINDS: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str", tuple: "list"}


def _setting(
    default: Any,
    doc: str,
    *,
    low: float = -1,
    high: float = MAX_LONG,
    choices: tuple[str, ...] = (),
    kind: str | None = None,
) -> Any:
    said = {"doc": doc, "low": low, "high": high, "choices": choices, "kind": kind or _KINDS[type(default)]}
    return field(default=default, metadata=said)


@dataclass(frozen=True, kw_only=True)
class BrokerConfig:
    """What one broker was started with. Times in ms, sizes in bytes, -1 for no limit where a range allows it."""

    node_id: int = _setting(0, "Id of this broker, and of the only node of its cluster.", low=0, high=MAX_INT)
    listeners: str = _setting(
        "localhost:9092",
        "[PROTOCOL://]HOST:PORT to listen on, with or without TLS and logins (PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL); port "
        "0 picks a free one.",
    )
    advertised_listeners: str = _setting("", "HOST:PORT clients are told to connect to; empty means the listener's.")
    log_dirs: str = _setting("", "The data directory; --data-dir on the command line.")

    ssl_keystore_type: str = _setting("PEM", "Form of the key and its certificates.", choices=("PEM",))
    ssl_keystore_location: str = _setting("", "File with the private key of a listener with TLS, and its certificates.")
    ssl_key_password: str = _setting("", "Password of that key, where it is encrypted.", kind="password")
    ssl_truststore_type: str = _setting("PEM", "Form of the trusted certificates.", choices=("PEM",))
    ssl_truststore_location: str = _setting("", "File with the certificates that clients' must be signed by.")
    ssl_client_auth: str = _setting(
        "none", "Whether clients are asked for a certificate.", choices=("none", "requested", "required")
    )
    sasl_enabled_mechanisms: tuple[str, ...] = _setting(
        tuple(SCRAMS), "How clients may log in to a listener with SASL.", choices=MECHANISMS
    )

    num_partitions: int = _setting(1, "Partitions of a topic created without a number.", low=1, high=100_000)
    default_replication_factor: int = _setting(1, "Replication factor of a topic created without one.", low=1, high=1)
    replication_factor_clamp: bool = _setting(
        False, "Take any replication factor as 1 instead of refusing more than one."
    )
    min_insync_replicas: int = _setting(
        1, "Replicas that acks=all waits for; of more than a topic has, as many as it has: one.", low=1, high=MAX_INT
    )
    auto_create_topics_enable: bool = _setting(True, "Create a topic when a client that allows it asks for metadata.")
    delete_topic_enable: bool = _setting(True, "Allow DeleteTopics.")

    log_flush: str = _setting(
        "group-commit",
        "When appends reach the disk: group-commit answers after a shared fdatasync, interval syncs every "
        "log.flush.interval.ms without waiting, os leaves it to the operating system.",
        choices=("group-commit", "interval", "os"),
    )
    log_flush_interval_ms: int = _setting(1_000, "Time between syncs when log.flush=interval.", low=1, high=MAX_INT)
    log_flush_offset_checkpoint_interval_ms: int = _setting(
        60_000, "Time between two notes of how far the logs are synced; a crash has what is behind checked.", low=1
    )
    log_segment_bytes: int = _setting(1 << 30, "Size at which a segment is closed.", low=14, high=MAX_INT)
    log_roll_ms: int = _setting(604_800_000, "Age at which a segment is closed.", low=1)
    log_index_interval_bytes: int = _setting(4_096, "Bytes of log between two index entries.", low=0, high=MAX_INT)
    log_index_size_max_bytes: int = _setting(10 << 20, "Largest index of a segment.", low=4, high=MAX_INT)
    log_retention_ms: int = _setting(604_800_000, "Age at which a closed segment is deleted.")
    log_retention_bytes: int = _setting(-1, "Size of a partition above which its oldest segments are deleted.")
    log_retention_check_interval_ms: int = _setting(300_000, "Time between two retention checks.", low=1)
    log_cleanup_policy: tuple[str, ...] = _setting(
        ("delete",), "delete, compact, or both.", choices=("delete", "compact")
    )
    log_cleaner_enable: bool = _setting(True, "Run compaction.")
    log_cleaner_backoff_ms: int = _setting(15_000, "Time between two looks for something to compact.", low=1)
    log_cleaner_delete_retention_ms: int = _setting(86_400_000, "Time a tombstone stays in a compacted topic.", low=0)
    log_cleaner_min_cleanable_ratio: float = _setting(0.5, "Uncompacted share that starts compaction.", low=0, high=1)
    log_cleaner_min_compaction_lag_ms: int = _setting(0, "Time a record stays uncompacted at least.", low=0)
    log_cleaner_max_compaction_lag_ms: int = _setting(MAX_LONG, "Time a record stays uncompacted at most.", low=1)
    log_message_timestamp_type: str = _setting(
        "CreateTime", "Whose timestamp a record carries.", choices=("CreateTime", "LogAppendTime")
    )
    log_message_timestamp_after_max_ms: int = _setting(3_600_000, "How far ahead a timestamp may be.", low=0)
    log_message_timestamp_before_max_ms: int = _setting(MAX_LONG, "How far back a timestamp may be.", low=0)
    message_max_bytes: int = _setting(1_048_588, "Largest record batch.", low=0, high=MAX_INT)
    compression_type: str = _setting(
        "producer",
        "Codec of stored batches; producer keeps the client's.",
        choices=("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"),
    )

    socket_request_max_bytes: int = _setting(104_857_600, "Largest request.", low=1, high=MAX_INT)
    connections_max_idle_ms: int = _setting(600_000, "Time after which a silent connection is closed.")
    connections_max_reauth_ms: int = _setting(
        0, "Time after which a client that has logged in has to do so again, and is let go if it does not; 0 is never."
    )
    max_connections: int = _setting(10_000, "Connections accepted at the same time.", low=1, high=MAX_INT)
    queued_max_requests: int = _setting(500, "Unanswered requests of one connection before it is read no more.", low=1)
    quota_window_num: int = _setting(
        11, "Windows over which use of client quotas is averaged, the one under way among them.", low=1, high=MAX_INT
    )
    quota_window_size_seconds: int = _setting(1, "Length of such a window.", low=1, high=MAX_INT)
    controller_quota_window_num: int = _setting(
        11, "Windows whose quota of changes to topics may be used at once.", low=1, high=MAX_INT
    )
    controller_quota_window_size_seconds: int = _setting(1, "Length of such a window.", low=1, high=MAX_INT)
    fetch_max_bytes: int = _setting(57_671_680, "Most bytes of one Fetch response.", low=1_024, high=MAX_INT)

    offsets_topic_num_partitions: int = _setting(4, "Partitions of __consumer_offsets.", low=1, high=1_000)
    offsets_topic_segment_bytes: int = _setting(104_857_600, "Segment size of __consumer_offsets.", low=1, high=MAX_INT)
    offset_metadata_max_bytes: int = _setting(4_096, "Largest metadata beside a committed offset.", low=0, high=MAX_INT)
    offsets_retention_minutes: int = _setting(10_080, "Time committed offsets outlive their group's members.", low=1)
    offsets_retention_check_interval_ms: int = _setting(600_000, "Time between two looks for old offsets.", low=1)
    group_min_session_timeout_ms: int = _setting(6_000, "Shortest session timeout.", low=1, high=MAX_INT)
    group_max_session_timeout_ms: int = _setting(1_800_000, "Longest session timeout.", low=1, high=MAX_INT)
    group_initial_rebalance_delay_ms: int = _setting(0, "Wait for more members before a first rebalance.", low=0)
    group_max_size: int = _setting(MAX_INT, "Most members of one group.", low=1, high=MAX_INT)
    group_consumer_session_timeout_ms: int = _setting(
        45_000, "Time a member of a consumer group may be silent.", low=1, high=MAX_INT
    )
    group_consumer_heartbeat_interval_ms: int = _setting(
        5_000, "Time between heartbeats that members of consumer groups are told.", low=1, high=MAX_INT
    )
    group_consumer_min_session_timeout_ms: int = _setting(
        45_000, "Shortest session timeout a consumer group may be given of its own.", low=1, high=MAX_INT
    )
    group_consumer_max_session_timeout_ms: int = _setting(
        60_000, "Longest session timeout a consumer group may be given of its own.", low=1, high=MAX_INT
    )
    group_consumer_min_heartbeat_interval_ms: int = _setting(
        5_000, "Shortest heartbeat interval a consumer group may be given of its own.", low=1, high=MAX_INT
    )
    group_consumer_max_heartbeat_interval_ms: int = _setting(
        15_000, "Longest heartbeat interval a consumer group may be given of its own.", low=1, high=MAX_INT
    )
    group_consumer_max_size: int = _setting(MAX_INT, "Most members of one consumer group.", low=1, high=MAX_INT)

    transaction_state_log_num_partitions: int = _setting(4, "Partitions of __transaction_state.", low=1, high=1_000)
    transaction_max_timeout_ms: int = _setting(900_000, "Longest transaction timeout.", low=1, high=MAX_INT)
    transactional_id_expiration_ms: int = _setting(604_800_000, "Time an idle transactional id is kept.", low=1)
    transaction_abort_timed_out_transaction_cleanup_interval_ms: int = _setting(
        10_000, "Time between two looks for transactions that took too long.", low=1
    )
    producer_id_expiration_ms: int = _setting(86_400_000, "Time an idle producer id is remembered.", low=1)

    @classmethod
    def from_mapping(cls, values: Mapping[str, str]) -> "BrokerConfig":
        """The configuration with `values` (Kafka name -> text) over the defaults; ConfigError names what is wrong."""
        typed = {}
        for name, text in values.items():
            if name not in SETTINGS:
                raise ConfigError(unknown("broker setting", name, SETTINGS))
            typed[_field_name(name)] = SETTINGS[name].parse(text)
        return cls(**typed)

    def value(self, name: str) -> Any:
        """The typed value of the setting with Kafka's `name`."""
        return getattr(self, _field_name(name))

    def changed(self) -> dict[str, Any]:
        """Kafka name -> value of every setting that is not at its default."""
        return {name: self.value(name) for name, setting in SETTINGS.items() if self.value(name) != setting.default}

    def topic_defaults(self) -> dict[str, str]:
        """Topic setting -> text, as this broker's own settings give them."""
        return {topic: SETTINGS[name].shown(self.value(name)) for topic, name in TOPIC_DEFAULTS.items()}

    def with_values(self, values: Mapping[str, str]) -> "BrokerConfig":
        """A copy with settings changed; ConfigError as in `from_mapping`."""
        changed = self
        for name, text in values.items():
            changed = changed.with_value(name, text)
        return changed

    def with_value(self, name: str, text: str) -> "BrokerConfig":
        """A copy with one setting changed; ConfigError as in `from_mapping`."""
        if name not in SETTINGS:
            raise ConfigError(unknown("broker setting", name, SETTINGS))
        return dataclasses.replace(self, **{_field_name(name): SETTINGS[name].parse(text)})


def _field_name(name: str) -> str:
    return name.replace(".", "_")


SETTINGS: dict[str, Setting] = {
    item.name.replace("_", "."): Setting(name=item.name.replace("_", "."), default=item.default, **item.metadata)
    for item in fields(BrokerConfig)
}

TOPIC_DEFAULTS = {
    "cleanup.policy": "log.cleanup.policy",
    "compression.type": "compression.type",
    "delete.retention.ms": "log.cleaner.delete.retention.ms",
    "index.interval.bytes": "log.index.interval.bytes",
    "max.compaction.lag.ms": "log.cleaner.max.compaction.lag.ms",
    "max.message.bytes": "message.max.bytes",
    "message.timestamp.after.max.ms": "log.message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms": "log.message.timestamp.before.max.ms",
    "message.timestamp.type": "log.message.timestamp.type",
    "min.cleanable.dirty.ratio": "log.cleaner.min.cleanable.ratio",
    "min.compaction.lag.ms": "log.cleaner.min.compaction.lag.ms",
    "min.insync.replicas": "min.insync.replicas",
    "retention.bytes": "log.retention.bytes",
    "retention.ms": "log.retention.ms",
    "segment.bytes": "log.segment.bytes",
    "segment.index.bytes": "log.index.size.max.bytes",
    "segment.ms": "log.roll.ms",
}
"""Topic setting -> broker setting that is its default."""

DYNAMIC = frozenset(
    {"log.cleaner.backoff.ms", "max.connections", "producer.id.expiration.ms", *TOPIC_DEFAULTS.values()}
)
"""Settings that AlterConfigs may change while the broker runs."""

GROUP_DEFAULTS = {
    "consumer.assignment.interval.ms": "group.consumer.assignment.interval.ms",
    "consumer.heartbeat.interval.ms": "group.consumer.heartbeat.interval.ms",
    "consumer.session.timeout.ms": "group.consumer.session.timeout.ms",
}
"""Group setting -> broker setting that is its default, and says what is allowed."""


GROUP_BOUNDS = {
    "consumer.assignment.interval.ms": (
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ),
    "consumer.heartbeat.interval.ms": (
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ),
    "consumer.session.timeout.ms": ("group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
}
"""Group setting -> broker settings it must lie between."""


PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


def protocol_of(text: str) -> str:
    """How a listener is talked to, PLAINTEXT unless it says so. Raises: ConfigError."""
    protocol, separator, _ = text.partition("://")
    if not separator:
        return PROTOCOLS[0]
    if protocol not in PROTOCOLS:
        raise ConfigError(f"a listener's protocol must be one of {', '.join(PROTOCOLS)}, not {protocol!r}: {text}")
    return protocol


def parse_listener(text: str) -> tuple[str, int]:
    """(host, port) of `HOST:PORT`, `[IPV6]:PORT` or Kafka's `PROTOCOL://HOST:PORT`; an empty host is every interface."""
    address = text.rpartition("://")[2]
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"a listener must be HOST:PORT, for example localhost:9092, not {text!r}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  an empty host means every interface, as in Kafka
