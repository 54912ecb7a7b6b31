"""The settings of an application: Kafka Streams' names in snake_case, with its defaults unless a row says otherwise.

Sources, each over the one before: defaults, keyword arguments of `App`, the environment (`STREAMS_<NAME>`), the command
line (`--set name=value`). Rules: a StreamsConfig is complete, checked and frozen; nothing else reads the environment.
The table is the dataclass itself; documentation is generated from it (`python -m streams.settings_page`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from streams.addresses import EMBEDDED, KAFKA, broker_address, check_application_id, check_place
from streams.errors import ConfigError
from streams.kafka_names import instead_of
from streams.on_error import FAIL, OnError, on_error_of
from streams.security import MECHANISMS, PROTOCOLS, check_security
from streams.settings import Setting, described, nearest, parse, setting

log = logging.getLogger(__name__)

AT_LEAST_ONCE = "at_least_once"
EXACTLY_ONCE = "exactly_once_v2"
READ_UNCOMMITTED, READ_COMMITTED = "read_uncommitted", "read_committed"
DEFAULT_BROKER = "embedded://.streams"
ENVIRONMENT_PREFIX = "STREAMS_"
ERROR_KINDS = ("deserialization", "processing", "production")
_told: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsConfig:
    """All settings of one application, checked. Make one with `StreamsConfig.of`; times are in ms, sizes in bytes."""

    application_id: str
    broker: str = setting(
        DEFAULT_BROKER,
        "Where the broker is: kafka://host:port[,host:port...], or embedded://DIR for the bundled one with its data in DIR.",
    )
    security_protocol: str = setting(
        "PLAINTEXT",
        "How to connect to a broker at kafka://: with TLS or in the clear, with a login (SASL) or without. The bundled broker is always reached in "
        "the clear.",
        choices=PROTOCOLS,
    )
    sasl_mechanism: str | None = setting(None, "How to log in.", kind=str, choices=MECHANISMS)
    sasl_username: str | None = setting(None, "The user name for PLAIN and SCRAM.", kind=str)
    sasl_password: str | None = setting(
        None, "That user's password; best in the environment, as STREAMS_SASL_PASSWORD.", kind=str, secret=True
    )
    sasl_oauth_token_provider: Any = setting(  # noqa: RUF009  makes a field
        None,
        "Function () -> token, or a coroutine function, for OAUTHBEARER. It is called for every connection, in a thread of its own unless it is a "
        "coroutine function, and should keep a token for as long as it is valid.",
        kind="function",
    )
    sasl_oauthbearer_extensions: Mapping[str, str] = setting(
        {}, "Extensions that some clusters want beside a token, such as logicalCluster=lkc-1,identityPoolId=pool-2."
    )
    ssl_ca_location: str | None = setting(
        None, "File (PEM) of the authorities to trust; default: those that the system trusts.", kind=str
    )
    ssl_certificate_location: str | None = setting(
        None, "File (PEM) with this client's certificate, for brokers that ask for one.", kind=str
    )
    ssl_key_location: str | None = setting(
        None, "File (PEM) with the key of that certificate; default: it is in the same file.", kind=str
    )
    ssl_key_password: str | None = setting(None, "The password of that key, if it is encrypted.", kind=str, secret=True)
    ssl_endpoint_identification_algorithm: str = setting(
        "https",
        "Whether the broker's certificate must name the host that was connected to (`https`), or need not (`none`).",
        choices=("https", "none"),
    )
    ssl_context: Any = setting(  # noqa: RUF009  makes a field
        None, "An ssl.SSLContext of your own, instead of the five settings above.", kind=object
    )
    embedded_idle_ms: int = setting(
        10_000, "How long the bundled broker stays after its last client has left.", kind="ms", minimum=500
    )
    processing_guarantee: str = setting(
        AT_LEAST_ONCE,
        "How often an input may count: at least once, or exactly once.",
        choices=(AT_LEAST_ONCE, EXACTLY_ONCE),
    )
    isolation_level: str = setting(
        READ_UNCOMMITTED,
        "Whether to read records of transactions that are not committed yet, or never will be. Under exactly_once_v2 it is always read_committed.",
        choices=(READ_UNCOMMITTED, READ_COMMITTED),
    )
    commit_interval_ms: int = setting(
        None, "Time between commits. Default: 30,000, and 100 under exactly_once_v2.", kind="ms", minimum=1
    )
    state_dir: str = setting(
        None, "The directory of the stores. Default: DIR/state with embedded://DIR, else .streams/state.", kind=str
    )
    schema_registry: str = setting(
        None,
        "Where the schemas of Avro, JSON Schema and Protobuf values are kept: http://host:port is a registry with Confluent's API, file://DIR a file, "
        "and memory://NAME is for tests within one process. Default: file://DIR/schemas with embedded://DIR, else none; a TopologyTestDriver has one "
        "of its own in memory.",
        kind=str,
    )
    on_error: OnError = setting(  # noqa: RUF009  makes a field, as those below
        "fail",
        "What happens to a record that cannot be read, processed or written: `fail` stops the task, `continue` skips the record with a warning, "
        "`dead_letter:TOPIC` writes it to a topic. In Python also `dead_letter(TOPIC)`, `retry(ERROR, ...)` or a function (error, record). The three "
        "settings below override it for one kind of error; a topic or step with an `on_error` of its own overrides them all.",
        kind=on_error_of,
    )
    deserialization_on_error: OnError = setting(None, "The same, for bytes that cannot be read.", kind=on_error_of)  # noqa: RUF009
    processing_on_error: OnError = setting(None, "The same, for errors that user code raises.", kind=on_error_of)  # noqa: RUF009
    production_on_error: OnError = setting(None, "The same, for results that cannot be written.", kind=on_error_of)  # noqa: RUF009
    errors_dead_letter_queue_topic_name: str | None = setting(
        None,
        "A topic that gets a dead letter for every record that `continue` would skip, and for the record that a task fails for. If a transaction is "
        "open at such a failure, the letter is taken back with it, as in Kafka.",
        kind=str,
    )
    processing_exception_handler_global_enabled: bool = setting(
        False,
        "Whether `processing_on_error` also applies to the processors that fill global stores. Otherwise an error in one of them ends the worker. No "
        "dead letters are written for them in either case.",
    )
    uncaught: str = setting(
        "stop_worker",
        "What happens when a worker ends with an error: `stop_worker` leaves it at that, `replace_worker` starts another one in this process, "
        "`stop_application` stops all workers of the application, on all machines. `@app.on_uncaught` decides per error.",
        choices=("replace_worker", "stop_worker", "stop_application"),
    )
    topology_optimization: str = setting(
        "none",
        "How the graph may be rewritten: none, all, or some of reuse.ktable.source.topics, merge.repartition.topics, single.store.self.join, "
        "separated by commas.",
    )
    ensure_explicit_internal_resource_naming: bool = setting(
        False,
        "Whether it is an error if the program does not name a store, changelog or repartition topic. Generated names change when the program does.",
    )
    default_dsl_store: str = setting(
        "rocksDB", "Where tables and aggregates are kept, unless they say otherwise.", choices=("rocksDB", "in_memory")
    )
    dsl_store_engine: Any = setting(  # noqa: RUF009  makes a field
        None,
        "Function (store name, path or None) -> Engine that opens the storage of tables, aggregates and joins, instead of RocksDB; see `Engine`. A "
        "store's own `engine` or `persistent` comes first; versioned stores only have their own.",
        kind="function",
    )
    dsl_store_format: str = setting(
        "DEFAULT",
        "The format of the stores of tables and aggregates, `HEADERS` or `DEFAULT`. As of Kafka Streams 4.3, neither has headers written into it; the "
        "differences are a byte per entry in the record cache, the headers of logged deletions, and that results of cached sessions have no headers. "
        "Stores of processors have `headers=True` of their own.",
        choices=("DEFAULT", "HEADERS"),
    )
    processor_wrapper: Any = setting(  # noqa: RUF009  makes a field
        None,
        "Function (node name, supplier) -> supplier that is applied to every processor of the Processor API when the topology is built.",
        kind="function",
    )
    statestore_cache_max_bytes: int = setting(
        10 * 1024**2,
        "Size of the record caches of all stores together; 0 forwards every update of a table.",
        kind="bytes",
        minimum=0,
    )
    statestore_uncommitted_max_bytes: int = setting(
        64 * 1024**2, "Uncommitted changes; reaching it brings the commit forward.", kind="bytes", minimum=1
    )
    rocksdb_total_bytes: int = setting(
        64 * 1024**2,
        "Size of the block cache and write buffers of all stores of a process together. Stores of numbers by number or by name use up to as much "
        "again for what they have read and written.",
        kind="bytes",
        minimum=1024**2,
    )
    rocksdb_config_setter: Any = setting(  # noqa: RUF009  makes a field
        None,
        "Function (store name, options) that changes the RocksDB options of a store before it is opened. The options are rocksdict's; block cache and "
        "write buffers are already shared.",
        kind="function",
    )
    state_cleanup_delay_ms: int = setting(
        600_000, "How long the state of a task that moved away is kept.", kind="ms", minimum=0
    )
    state_cleanup_dir_max_age_ms: int = setting(
        -1,
        "At a start, state that nobody has used for so long is removed, because changelogs may have forgotten deletions that "
        "it missed (`delete.retention.ms`); -1 keeps it.",
        kind="ms",
        minimum=-1,
    )
    num_standby_replicas: int = setting(
        0, "How many warm copies of each stateful task there are on other workers.", minimum=0
    )
    acceptable_recovery_lag: int = setting(
        10_000, "How many records a copy may be behind and still take over a task.", minimum=0
    )
    max_warmup_replicas: int = setting(2, "How many copies may warm up at the same time.", minimum=1)
    probing_rebalance_interval_ms: int = setting(
        600_000,
        "How long tasks wait for copies that warm up before the group looks again. When the copies are warm, it looks at once.",
        kind="ms",
        minimum=1_000,
    )
    client_tags: Mapping[str, str] = setting({}, "Where this worker is, such as zone=eu-1a,cluster=k8s-1.")
    rack_aware_assignment_tags: str = setting(
        "", "The client tags, separated by commas, in which a task and its standbys should differ."
    )
    application_server: str = setting(
        "", "host:port at which other workers and clients can reach this worker; `metadata_for_key` tells it."
    )
    max_task_idle_ms: int = setting(
        0,
        "How long a task waits for a partition that is empty but not caught up; -1 never waits.",
        kind="ms",
        minimum=-1,
    )
    max_poll_records: int = setting(
        1_000, "How many records of a task are processed between two looks at the clock.", minimum=1
    )
    buffered_max_bytes: int = setting(
        16 * 1024**2, "Fetched records waiting in a worker; beyond it, fetching pauses.", kind="bytes", minimum=1
    )
    poll_ms: int = setting(100, "The longest wait for records in one turn of the loop.", kind="ms", minimum=0)
    auto_offset_reset: str = setting(
        "earliest",
        "Where reading starts if there is no committed offset. Topics between sub-topologies are always read from their beginning.",
        choices=("earliest", "latest", "none"),
    )
    default_key_serde: str | None = setting(
        None,
        "Serde of keys whose type is not declared. Without it, such keys are JSON in steps that keep nothing, and an error where records are kept or "
        "brought together by key.",
        kind="type",
        choices=("json", "str", "bytes", "int", "float", "bool", "uuid"),
    )
    default_value_serde: str = setting(
        "json",
        "Serde of values whose type is not declared.",
        kind="type",
        choices=("json", "str", "bytes", "int", "float", "bool", "uuid"),
    )
    default_timestamp_extractor: Any = setting(  # noqa: RUF009  makes a field
        None,
        "Function (record, partition time) -> ms; default: the record's own timestamp, which must not be negative.",
        kind="function",
    )
    upgrade_from: str | None = setting(
        None,
        "Version of Kafka Streams (such as 3.4) of instances that still run in the group: what is written stays readable for them.",
        kind=str,
    )
    replication_factor: int = setting(
        -1, "Replication factor of internal topics; -1 is the broker's default.", minimum=-1
    )
    topic_settings: Mapping[str, str] = setting({}, "Kafka's topic settings, for all internal topics.")
    windowstore_changelog_additional_retention_ms: int = setting(
        86_400_000, "How much longer than its store a windowed changelog keeps its records.", kind="ms", minimum=0
    )
    repartition_purge_interval_ms: int = setting(
        30_000, "Time between two deletions of processed records from repartition topics.", kind="ms", minimum=1
    )
    compression_type: str = setting(
        "none", "Compression of what this application writes.", choices=("none", "gzip", "snappy", "lz4", "zstd")
    )
    linger_ms: int = setting(
        100,
        "How long output waits for more to share a batch with: at most a quarter of `commit_interval_ms`, except in transactions. Where that quarter "
        "is 5 ms or less, it waits until the worker has nothing more to process.",
        kind="ms",
        minimum=0,
    )
    buffer_memory: int = setting(
        32 * 1024**2, "Output waiting to be acknowledged; beyond it, processing waits.", kind="bytes", minimum=1024
    )
    # Large enough for a broker that syncs before it answers, small enough to be decoded at once by a reader.
    batch_size: int = setting(
        256 * 1024,
        "Size of a record batch; one that has no room for the next record is sent without lingering. Kafka's default is 16 KiB.",
        kind="bytes",
        minimum=1,
    )
    max_request_size: int = setting(
        1024**2, "Size of the largest record batch that is written.", kind="bytes", minimum=1024
    )
    delivery_timeout_ms: int = setting(
        120_000,
        "How long a write is retried before it is an error; Kafka Streams sets no limit under exactly_once_v2, where the broker ends "
        "transactions that stay open.",
        kind="ms",
        minimum=1,
    )
    request_timeout_ms: int = setting(40_000, "How long one request may take.", kind="ms", minimum=1)
    connect_timeout_ms: int = setting(
        10_000, "How long a start waits for a broker that does not answer.", kind="ms", minimum=0
    )
    close_timeout_ms: int = setting(
        10_000, "How long a stop waits for a broker that does not answer.", kind="ms", minimum=0
    )
    fetch_max_bytes: int = setting(50 * 1024**2, "The most that one fetch brings.", kind="bytes", minimum=1024)
    max_partition_fetch_bytes: int = setting(
        1024**2, "The most that one fetch brings from one partition.", kind="bytes", minimum=1024
    )
    transaction_timeout_ms: int = setting(
        10_000, "How long a transaction may stay open; must not be below commit_interval_ms.", kind="ms", minimum=1
    )
    task_timeout_ms: int = setting(
        300_000, "How long a task is retried on timeouts before it is an error.", kind="ms", minimum=0
    )
    session_timeout_ms: int = setting(
        45_000, "How long a worker may be silent before its tasks move to others.", kind="ms", minimum=1
    )
    heartbeat_interval_ms: int = setting(
        3_000, "Time between two heartbeats of a worker to its group.", kind="ms", minimum=1
    )
    max_poll_interval_ms: int = setting(
        300_000,
        "How long processing may take between two polls before the worker gives its tasks away.",
        kind="ms",
        minimum=1,
    )
    metadata_max_age_ms: int = setting(
        300_000, "How soon new partitions, and new topics that match a pattern, are noticed.", kind="ms", minimum=1
    )
    group_instance_id: str | None = setting(
        None,
        "Name of a static member, which must be different for each worker. With `--workers N`, each adds a number to it, as "
        "threads do in Kafka Streams.",
        kind=str,
    )
    client_rack: str | None = setting(
        None, "The rack of this worker: it reads from the nearest replica, if the brokers tell which that is.", kind=str
    )
    client_id: str = setting(None, "The name in the broker's logs; default: the application id.", kind=str)
    notices: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """What is to be told of where they came from, when they are used: a log may be set up by then."""

    @classmethod
    def of(
        cls,
        application_id: str,
        settings: Mapping[str, Any] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        command_line: Mapping[str, str] | None = None,
    ) -> StreamsConfig:
        """The configuration of an application from its three sources; `environment` defaults to the process's.

        Raises: ConfigError for an unknown name, a wrong type or a value out of range.
        """
        check_application_id(application_id)
        variables, notices = _from_environment(os.environ if environment is None else environment)
        sources = (
            ("", settings or {}),
            (ENVIRONMENT_PREFIX, variables),
            ("--set ", command_line or {}),
        )
        values: dict[str, Any] = {}
        for prefix, source in sources:
            for name, value in source.items():
                values[name] = _parsed(prefix, name, value)
        values.setdefault("client_id", application_id)
        notices += _derive(values)
        return cls(application_id=application_id, **values, notices=tuple(notices))

    def changed(self, settings: Mapping[str, Any]) -> StreamsConfig:
        """The same with other settings, as `of` takes them. Raises: ConfigError."""
        values = {name: _parsed("", name, value) for name, value in settings.items()}
        if "on_error" in values:
            values = {f"{kind}_on_error": values["on_error"] for kind in ERROR_KINDS} | values
        return replace(self, **values)

    def tell(self) -> None:
        """Warn of what is to be told, once per process."""
        for notice in self.notices:
            if notice not in _told:
                _told.add(notice)
                log.warning("%s", notice)

    @property
    def exactly_once(self) -> bool:
        """Whether transactions are used."""
        return self.processing_guarantee == EXACTLY_ONCE

    @property
    def read_committed(self) -> bool:
        """Whether all consumers of the application skip what is not committed."""
        return self.isolation_level == READ_COMMITTED

    @property
    def rack_tags(self) -> tuple[str, ...]:
        """The names in `rack_aware_assignment_tags`."""
        return tuple(name.strip() for name in self.rack_aware_assignment_tags.split(",") if name.strip())

    @property
    def embedded_dir(self) -> str | None:
        """The directory of the embedded broker, None when the broker is somewhere else."""
        return self.broker.removeprefix(EMBEDDED) if self.broker.startswith(EMBEDDED) else None

    @property
    def registry_url(self) -> str:
        """Where schemas are. Raises: ConfigError when nothing says it."""
        if self.schema_registry:
            return self.schema_registry
        if self.embedded_dir is None:
            raise ConfigError(
                f"values with a schema on {self.broker} need a registry: say schema_registry=, http://host:port or file://DIR"
            )
        return f"file://{self.embedded_dir}/schemas"

    @property
    def bootstrap_servers(self) -> str:
        """host:port[,host:port...] of a broker given as kafka://; an assertion for the embedded one."""
        assert self.broker.startswith(KAFKA), "the embedded broker is resolved before clients are made"
        return self.broker.removeprefix(KAFKA)


SETTINGS: Mapping[str, Setting] = {
    entry.name: found for entry in fields(StreamsConfig) if (found := described(entry)) is not None
}


def meant(name: str) -> str:
    """The end of a sentence that says what to do instead of a name that is no setting; empty when nobody can tell."""
    instead = instead_of(name, SETTINGS)
    return nearest(name, SETTINGS) if instead is None else f": {instead}"


def _parsed(prefix: str, name: str, value: Any) -> Any:
    if name not in SETTINGS:
        raise ConfigError(f"there is no setting {prefix}{name}{meant(name)}")
    label = name.upper() if prefix == ENVIRONMENT_PREFIX else name
    return parse(f"{prefix}{label}", value, SETTINGS[name])


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Variables that begin with STREAMS_, by setting name; others may use the prefix too, so unknown ones are only told of."""
    found: dict[str, str] = {}
    notices = []
    for variable, value in environment.items():
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if variable.startswith(ENVIRONMENT_PREFIX) and name in SETTINGS:
            found[name] = value
        elif variable.startswith(ENVIRONMENT_PREFIX):
            notices.append(f"the environment variable {variable} is no setting{meant(name)}")
    return found, notices


def _derive(values: dict[str, Any]) -> list[str]:
    """Fill in what depends on other settings, and check what must agree. Shape: what is to be told."""
    notices = []
    broker = values["broker"] = broker_address(values.get("broker") or DEFAULT_BROKER)
    if values.get("state_dir") is None:
        values["state_dir"] = f"{broker.removeprefix(EMBEDDED) if broker.startswith(EMBEDDED) else '.streams'}/state"
    exactly_once = values.get("processing_guarantee") == EXACTLY_ONCE
    if values.get("commit_interval_ms") is None:
        values["commit_interval_ms"] = 100 if exactly_once else 30_000
    if exactly_once:
        if values.get("isolation_level") == READ_UNCOMMITTED:
            notices.append("isolation_level=read_uncommitted is ignored: exactly_once_v2 reads what is committed only")
        values["isolation_level"] = READ_COMMITTED
    letters = values.get("errors_dead_letter_queue_topic_name")
    values.setdefault("on_error", FAIL)
    for kind in ERROR_KINDS:
        name = f"{kind}_on_error"
        policy = values.get(name) or values["on_error"]
        values[name] = policy.with_letters(letters) if letters else policy
    check_place(values)
    check_security(values)
    timeout_ms = values.get("transaction_timeout_ms", 10_000)
    if exactly_once and timeout_ms < values["commit_interval_ms"]:
        raise ConfigError(
            f"transaction_timeout_ms ({timeout_ms:,}) must not be below commit_interval_ms "
            f"({values['commit_interval_ms']:,}): a transaction would end before it is committed; raise the first or lower the second"
        )
    return notices
