"""Faust's settings, and what they are here.

Rules: a setting means what it means in Faust or is an error; what only shapes Faust's own insides is accepted and has no
effect. The environment (`STREAMS_<NAME>`) stands over what the application says, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.addresses import EMBEDDED, KAFKA
from streams.compat.faust import credentials
from streams.compat.faust.errors import ImproperlyConfigured
from streams.compat.faust.windows import Seconds, seconds
from streams.config import StreamsConfig
from streams.settings import nearest

GUARANTEES = {"at_least_once": "at_least_once", "exactly_once": "exactly_once_v2"}

WITHOUT_EFFECT: tuple[str, ...] = (
    *("web_", "stream_", "consumer_", "producer_", "broker_", "logging_", "loghandlers", "worker_", "debug", "quiet"),
    *("agent_supervisor", "cache", "canonical_url", "livecheck_", "tabledir", "url", "Monitor", "reply_"),
    *("node_hostname", "recovery_", "topic_allow_declare", "topic_disable_leader", "blocking_timeout"),
    *("table_key_index_size", "table_standby_replicas", "env_prefix", "store_check_exists"),
)
"""Settings, or beginnings of their names, that shape only how Faust itself works."""


class Conf:
    """The settings of an application: Faust's `app.conf`."""

    def __init__(
        self,
        id: str,  # noqa: A002  Faust's name
        *,
        version: int = 1,
        broker: Any = "kafka://localhost:9092",
        store: Any = "memory://",
        datadir: Any = None,
        processing_guarantee: str = "at_least_once",
        broker_commit_interval: Seconds = 2.8,
        topic_partitions: int = 8,
        topic_replication_factor: int = 1,
        key_serializer: Any = "raw",
        value_serializer: Any = "json",
        consumer_auto_offset_reset: str = "earliest",
        table_cleanup_interval: Seconds = 30.0,
        timezone: str | tzinfo | None = None,
        reply_to: str | None = None,
        reply_create_topic: bool = False,
        autodiscover: Any = False,
        origin: str | None = None,
        broker_credentials: Any = None,
        ssl_context: Any = None,
        **others: Any,
    ) -> None:
        for name, value in others.items():
            _accept(name)
            setattr(self, name, value)
        _guarantee(processing_guarantee)
        self.id = f"{id}-v{version}" if version > 1 else id
        self.name = id
        self.version = version
        self.broker = broker
        self.store = store
        self.datadir = datadir
        self.processing_guarantee = processing_guarantee
        self.broker_commit_interval = seconds(broker_commit_interval)
        self.topic_partitions = topic_partitions
        self.topic_replication_factor = topic_replication_factor
        self.key_serializer = key_serializer
        self.value_serializer = value_serializer
        self.consumer_auto_offset_reset = consumer_auto_offset_reset
        self.table_cleanup_interval = seconds(table_cleanup_interval)
        self.timezone = UTC if timezone is None else zone(timezone)
        self.reply_to = reply_to
        self.reply_create_topic = reply_create_topic
        self.autodiscover = autodiscover
        self.origin = origin
        self.broker_credentials = broker_credentials
        self.ssl_context = ssl_context

    def streams_config(self) -> StreamsConfig:
        """The same for the runtime. Raises: ConfigError."""
        settings: dict[str, Any] = {
            "broker": address(self.broker),
            "processing_guarantee": _guarantee(self.processing_guarantee),
            "commit_interval_ms": max(1, round(seconds(self.broker_commit_interval) * 1000)),
            "replication_factor": self.topic_replication_factor,
            "auto_offset_reset": self.consumer_auto_offset_reset,
            "deserialization_on_error": "continue",
            "processing_on_error": "continue",
            **credentials.settings_of(self.broker_credentials, self.ssl_context),
        }
        if self.datadir is not None:
            settings["state_dir"] = str(Path(self.datadir))
        return StreamsConfig.of(self.id, settings)


def _guarantee(given: Any) -> str:
    """The runtime's word for a guarantee, from Faust's. Raises: ImproperlyConfigured."""
    try:
        return GUARANTEES[getattr(given, "value", given)]
    except KeyError:
        raise ImproperlyConfigured(
            f"processing_guarantee: expected one of {', '.join(GUARANTEES)}, got {given!r}"
        ) from None


def zone(timezone: str | tzinfo) -> tzinfo:
    """A time zone, from what Faust takes: one, or the name of one. Raises: ImproperlyConfigured."""
    if isinstance(timezone, tzinfo):
        return timezone
    try:
        return UTC if timezone.upper() == "UTC" else ZoneInfo(timezone)
    except (AttributeError, ValueError, OSError, ZoneInfoNotFoundError):
        raise ImproperlyConfigured(f"timezone: expected a zone such as Europe/Berlin, got {timezone!r}") from None


def address(broker: Any) -> str:
    """The runtime's address of a broker, from what Faust takes: a URL, several in a list or with `;`, any scheme of it."""
    given = (
        [str(each) for each in broker]
        if isinstance(broker, Sequence) and not isinstance(broker, str)
        else [str(broker)]
    )
    if len(given) == 1 and given[0].startswith(EMBEDDED):
        return given[0]
    hosts = [part for each in given for part in each.replace(",", ";").split(";") if part]
    plain = []
    for host in hosts:
        scheme, separator, rest = host.rpartition("://")
        if separator and scheme not in {"kafka", "aiokafka", "confluent"}:
            raise ImproperlyConfigured(f"broker: expected kafka://host:port, got {host!r}")
        if not rest or rest.startswith(":"):  # as for Faust, aiokafka:// is a whole address
            rest = f"127.0.0.1{rest}"
        plain.append(rest if ":" in rest else f"{rest}:9092")
    return KAFKA + ",".join(plain)


def _accept(name: str) -> None:
    if not name.startswith(WITHOUT_EFFECT):
        known = [*Conf.__init__.__annotations__, *WITHOUT_EFFECT]
        raise ImproperlyConfigured(f"App has no setting {name!r}{nearest(name, known)}")
