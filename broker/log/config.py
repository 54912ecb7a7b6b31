"""A topic's settings: Kafka's names in Python's case, their types, ranges and defaults, as one table.

Every topic setting of Kafka is accepted, so that tools which set them all work; those that mean nothing on one node
(throttled replicas, remote storage) are kept and shown, not obeyed.

Rules: data and checks only. Must not know a file or a log. Values are those of Kafka's TopicConfig.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from broker.errors import ConfigError, unknown

MAX_INT = 2**31 - 1
MAX_LONG = 2**63 - 1
DAY_MS = 24 * 60 * 60 * 1000
THROTTLED = r"(\d+:\d+)?(,(\d+:\d+)?)*|,*\*,*"


@dataclass(frozen=True, slots=True)
class TopicSetting:
    """One row: Kafka's name, kind (bool, int, float, str, password, list), default, what it does, bounds,
    choices, and the form of a list.
    """

    name: str
    kind: str
    default: Any
    doc: str
    low: float
    high: float
    choices: tuple[str, ...]
    form: str = ""

    @property
    def attribute(self) -> str:
        """The field of LogConfig that carries it."""
        return self.name.replace(".", "_")

    def parse(self, text: str) -> Any:
        """The typed value of a setting's text.

        Raises: ConfigError that says what was expected.
        """
        value = self._typed(text.strip())
        if isinstance(value, int | float) and not isinstance(value, bool) and not self.low <= value <= self.high:
            raise ConfigError(f"{self.name} must lie between {self.low:,} and {self.high:,}, not {text}")
        given = value if self.kind == "list" else (value,)
        if self.choices and not set(given) <= set(self.choices):
            raise ConfigError(f"{self.name} must be one of {', '.join(self.choices)}, not {text!r}")
        if self.form and not re.fullmatch(self.form, ",".join(given)):
            raise ConfigError(f"{self.name} must be * or PARTITION:BROKER pairs, not {text!r}")
        return value

    def _typed(self, text: str) -> Any:
        if self.kind == "bool":
            if text.lower() not in {"true", "false"}:
                raise ConfigError(f"{self.name} must be true or false, not {text!r}")
            return text.lower() == "true"
        if self.kind == "list":
            parts = re.split(r"\s*,\s*", text) if text else ()
            return tuple(dict.fromkeys(parts) if self.choices else parts)
        if self.kind in {"str", "password"}:
            return text
        try:
            return int(text) if self.kind == "int" else float(text)
        except ValueError:
            raise ConfigError(f"{self.name} must be a number, not {text!r}") from None

    def shown(self, value: Any) -> str:
        """A typed value as Kafka's tools print it."""
        if isinstance(value, bool):
            return str(value).lower()
        return ",".join(value) if isinstance(value, tuple) else str(value)


def _setting(
    default: Any, doc: str, *, low: float = 0, high: float = MAX_LONG, choices: tuple[str, ...] = (), form: str = ""
) -> Any:
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices, "form": form})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """What one topic's partitions obey. Times in ms, sizes in bytes, -1 for no limit."""

    cleanup_policy: tuple[str, ...] = _setting(
        ("delete",), "What happens to old segments.", choices=("delete", "compact")
    )
    compression_type: str = _setting(
        "producer",
        "The codec batches are stored with; 'producer' keeps what came.",
        choices=("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"),
    )
    compression_gzip_level: int = _setting(-1, "Level of gzip, -1 for its default.", low=-1, high=9)
    compression_lz4_level: int = _setting(9, "Level of lz4.", low=1, high=17)
    compression_zstd_level: int = _setting(3, "Level of zstd.", low=-131072, high=22)
    delete_retention_ms: int = _setting(DAY_MS, "How long compaction keeps tombstones and markers.")
    file_delete_delay_ms: int = _setting(60_000, "Kept for tools; files go at once.")
    flush_messages: int = _setting(MAX_LONG, "Kept for tools; log.flush decides.", low=1)
    flush_ms: int = _setting(MAX_LONG, "Kept for tools; log.flush decides.")
    follower_replication_throttled_replicas: tuple[str, ...] = _setting(
        (), "Kept for tools: there are no followers.", form=THROTTLED
    )
    index_interval_bytes: int = _setting(4096, "Bytes of log between two index entries.", high=MAX_INT)
    leader_replication_throttled_replicas: tuple[str, ...] = _setting(
        (), "Kept for tools: there are no followers.", form=THROTTLED
    )
    local_retention_bytes: int = _setting(-2, "Kept for tools: there is no remote storage.", low=-2)
    local_retention_ms: int = _setting(-2, "Kept for tools: there is no remote storage.", low=-2)
    max_compaction_lag_ms: int = _setting(MAX_LONG, "Latest time after which a record is compacted.", low=1)
    max_message_bytes: int = _setting(1_048_588, "Largest record batch.", high=MAX_INT)
    message_timestamp_after_max_ms: int = _setting(3_600_000, "How far a timestamp may lie ahead of the broker.")
    message_timestamp_before_max_ms: int = _setting(MAX_LONG, "How far a timestamp may lie behind the broker.")
    message_timestamp_type: str = _setting(
        "CreateTime", "Whose clock stamps records.", choices=("CreateTime", "LogAppendTime")
    )
    min_cleanable_dirty_ratio: float = _setting(0.5, "Share of uncompacted bytes that starts compaction.", high=1)
    min_compaction_lag_ms: int = _setting(0, "Time a record stays uncompacted at least.")
    min_insync_replicas: int = _setting(1, "Replicas an acks=all write waits for.", low=1, high=MAX_INT)
    preallocate: bool = _setting(False, "Kept for tools; segments grow as they are written.")
    remote_log_copy_disable: bool = _setting(False, "Kept for tools: there is no remote storage.")
    remote_log_delete_on_disable: bool = _setting(False, "Kept for tools: there is no remote storage.")
    remote_storage_enable: bool = _setting(False, "Kept for tools: there is no remote storage.")
    retention_bytes: int = _setting(-1, "Size beyond which a partition's oldest segments go.", low=-1)
    retention_ms: int = _setting(7 * DAY_MS, "Age beyond which segments go.", low=-1)
    segment_bytes: int = _setting(1 << 30, "Size of a segment.", low=14, high=MAX_INT)
    segment_index_bytes: int = _setting(10 << 20, "Size of a segment's offset index.", low=4, high=MAX_INT)
    segment_jitter_ms: int = _setting(0, "Kept for tools; one node needs no jitter.")
    segment_ms: int = _setting(7 * DAY_MS, "Age of a segment's first record at which the next is begun.", low=1)
    unclean_leader_election_enable: bool = _setting(False, "Kept for tools: there is one leader.")

    @classmethod
    def from_mapping(cls, settings: Mapping[str, str], base: "LogConfig | None" = None) -> "LogConfig":
        """`base`, or the defaults, with settings by Kafka's names (`retention.ms`) put on top.

        Raises: ConfigError for an unknown name (with the nearest known one) or a value out of range.
        """
        values: dict[str, Any] = {}
        for name, text in settings.items():
            setting = TOPIC_SETTINGS.get(name)
            if setting is None:
                raise ConfigError(unknown_setting(name))
            values[setting.attribute] = setting.parse(text)
        if values.get("remote_storage_enable"):
            raise ConfigError("remote.storage.enable must be false: this broker keeps its logs on its own disk alone")
        return replace(base or cls(), **values)

    @property
    def compacts(self) -> bool:
        """Whether the latest record per key is kept."""
        return "compact" in self.cleanup_policy

    @property
    def deletes(self) -> bool:
        """Whether old segments go by age and size."""
        return "delete" in self.cleanup_policy

    def shown(self) -> dict[str, str]:
        """Every setting by Kafka's name, as text."""
        return {name: setting.shown(getattr(self, setting.attribute)) for name, setting in TOPIC_SETTINGS.items()}


def unknown_setting(name: str) -> str:
    """The sentence for a topic setting that does not exist."""
    return unknown("topic setting", name, TOPIC_SETTINGS)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {int: "int", float: "float", str: "str", tuple: "list"}[type(value)]


TOPIC_SETTINGS: dict[str, TopicSetting] = {
    item.name.replace("_", "."): TopicSetting(
        name=item.name.replace("_", "."), kind=_kind(item.default), default=item.default, **item.metadata
    )
    for item in fields(LogConfig)
}
