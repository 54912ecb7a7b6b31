"""Kafka's settings that have no setting of the same name here: what there is in their place, or why there is nothing.

For who brings a configuration of Kafka Streams with him, and gives one of its names: the error says what to do. Rules: a
name that Kafka Streams, its clients or their security have is a setting of the same name, or stands here; those of clients
are the same with Kafka's prefixes (`consumer.`, `producer.`, ...), for one setting has one name here. The page of the
settings is made from this table too.
"""

from __future__ import annotations

from collections.abc import Collection

CLIENT_PREFIXES = ("main.consumer.", "restore.consumer.", "global.consumer.", "consumer.", "producer.", "admin.")

_ASSIGNED = (
    "the group's leader assigns tasks, by `num_standby_replicas`, `rack_aware_assignment_tags`, `acceptable_recovery_lag` "
    "and `max_warmup_replicas`"
)
_RACKS = (
    "tasks are assigned without regard to the racks of brokers; with `client_rack` a worker reads the nearest replica, "
    "and `rack_aware_assignment_tags` spreads standbys"
)
_METRICS = "Kafka's metrics are not kept: see `run.health()`, `app.metrics` and `streams run --json`"
_WRITES = "every write waits for all replicas in sync, and comes once"
_TRIES = (
    "pauses between tries have lengths of their own; `request_timeout_ms`, `delivery_timeout_ms` and `task_timeout_ms` say "
    "when tries end"
)
_SOCKETS = "the buffers of sockets are the system's"
_TYPES = "types are declared where topics are read and written: `key=`, `value=`"
_PARTITIONER = "keys go where Kafka's default sends them, or where `partitioner=` of `to` and `repartition` says"
_OFFSETS = "offsets are committed with state and results, every `commit_interval_ms`"
_GROUPS = "groups are those of the classic protocol"
_TOKENS = "`sasl_oauth_token_provider`, a function that gives tokens"
_TLS = "`ssl_context`, an ssl.SSLContext of your own"
_CODECS = "`compression_type` alone; each codec has its default level"
_ALLOWED = "an interceptor is a step of the program, or an `on_error=`"

INSTEAD = {
    "application.id": 'the first argument of App: `App("taxi")`',
    "bootstrap.servers": "`broker=kafka://host:port`, several separated by commas",
    "num.stream.threads": "workers are processes: `--workers N`, or start the program again",
    "cache.max.bytes.buffering": "`statestore_cache_max_bytes`",
    "buffered.records.per.partition": "`buffered_max_bytes`, of all partitions of a worker together",
    "default.deserialization.exception.handler": "`deserialization_on_error`, or `on_error` for all kinds",
    "deserialization.exception.handler": "`deserialization_on_error`, or `on_error` for all kinds",
    "processing.exception.handler": "`processing_on_error`, or `on_error` for all kinds",
    "default.production.exception.handler": "`production_on_error`, or `on_error` for all kinds",
    "production.exception.handler": "`production_on_error`, or `on_error` for all kinds",
    "dsl.store.suppliers.class": "`dsl_store_engine`, or `default_dsl_store`",
    "processor.wrapper.class": "`processor_wrapper`",
    "task.assignor.class": _ASSIGNED,
    "rack.aware.assignment.strategy": _RACKS,
    "rack.aware.assignment.traffic_cost": _RACKS,
    "rack.aware.assignment.non_overlap_cost": _RACKS,
    "allow.os.group.write.access": "files have the rights that the process's umask leaves; one user runs all workers of a state_dir",
    "default.client.supplier": "there is one kind of clients; in a TopologyTestDriver they are in memory",
    "log.summary.interval.ms": "`streams run` logs rate and lag every 30 s, as `status` events with `--json`",
    "window.size.ms": _TYPES,
    "windowed.inner.class.serde": _TYPES,
    "group.protocol": _GROUPS,
    "group.remote.assignor": _GROUPS,
    "partition.assignment.strategy": _ASSIGNED,
    "group.id": "the group has the application's name",
    "enable.auto.commit": _OFFSETS,
    "auto.commit.interval.ms": _OFFSETS,
    "allow.auto.create.topics": "a topic to be made is declared with `partitions=`, `app.topic(name, partitions=4)`",
    "default.api.timeout.ms": "`request_timeout_ms`",
    "fetch.min.bytes": "a fetch is answered as soon as there is a record",
    "fetch.max.wait.ms": "a fetch waits for a record for 500 ms, Kafka's default",
    "check.crcs": "checksums of what is read are checked",
    "exclude.internal.topics": "a pattern matches no internal topics, Kafka's default",
    "interceptor.classes": _ALLOWED,
    "key.serializer": _TYPES,
    "value.serializer": _TYPES,
    "key.deserializer": _TYPES,
    "value.deserializer": _TYPES,
    "acks": _WRITES,
    "enable.idempotence": _WRITES,
    "max.in.flight.requests.per.connection": _WRITES,
    "retries": _TRIES,
    "retry.backoff.ms": _TRIES,
    "retry.backoff.max.ms": _TRIES,
    "reconnect.backoff.ms": _TRIES,
    "reconnect.backoff.max.ms": _TRIES,
    "max.block.ms": "a full `buffer_memory` is waited for as long as `delivery_timeout_ms` lets its writes try",
    "compression.gzip.level": _CODECS,
    "compression.lz4.level": _CODECS,
    "compression.zstd.level": _CODECS,
    "partitioner.class": _PARTITIONER,
    "partitioner.ignore.keys": _PARTITIONER,
    "partitioner.adaptive.partitioning.enable": _PARTITIONER,
    "partitioner.availability.timeout.ms": _PARTITIONER,
    "transactional.id": "`exactly_once_v2` has ids of the application's name and its state_dir",
    "transaction.two.phase.commit.enable": "transactions are those of `exactly_once_v2`",
    "bootstrap.controllers": "`broker=kafka://host:port` names brokers",
    "client.dns.lookup": "all addresses of a name are tried",
    "connections.max.idle.ms": "connections that nobody uses are closed after 9 minutes, Kafka's default",
    "metadata.max.idle.ms": "`metadata_max_age_ms`",
    "metadata.recovery.strategy": "brokers that are all gone are looked for at the addresses of `broker` again",
    "metadata.recovery.rebootstrap.trigger.ms": "brokers that are all gone are looked for at the addresses of `broker` again",
    "socket.connection.setup.timeout.ms": "`request_timeout_ms`; at a start `connect_timeout_ms`",
    "socket.connection.setup.timeout.max.ms": "`request_timeout_ms`; at a start `connect_timeout_ms`",
    "receive.buffer.bytes": _SOCKETS,
    "send.buffer.bytes": _SOCKETS,
    "enable.metrics.push": _METRICS,
    "built.in.metrics.version": _METRICS,
    "metric.reporters": _METRICS,
    "metrics.num.samples": _METRICS,
    "metrics.recording.level": _METRICS,
    "metrics.sample.window.ms": _METRICS,
    "security.providers": _TLS,
    "sasl.jaas.config": "`sasl_username` and `sasl_password`",
    "sasl.kerberos.*": "there is no login by Kerberos: PLAIN, SCRAM, OAUTHBEARER, or a client's certificate",
    "sasl.login.*": _TOKENS,
    "sasl.oauthbearer.*": _TOKENS,
    "sasl.client.callback.handler.class": _TOKENS,
    "ssl.truststore.*": "`ssl_ca_location`, a file in PEM",
    "ssl.keystore.*": "`ssl_certificate_location` and `ssl_key_location`, files in PEM",
    "ssl.cipher.suites": _TLS,
    "ssl.enabled.protocols": _TLS,
    "ssl.engine.factory.class": _TLS,
    "ssl.keymanager.algorithm": _TLS,
    "ssl.protocol": _TLS,
    "ssl.provider": _TLS,
    "ssl.secure.random.implementation": _TLS,
    "ssl.trustmanager.algorithm": _TLS,
}
"""By Kafka's name; one that ends with `*` speaks of all that begin so. Names of settings here stand in backticks."""


def instead_of(name: str, settings: Collection[str]) -> str | None:
    """What a name of Kafka's is here, the end of a sentence; None when it is none of Kafka's.

    Kafka's dots may be underscores already, as on a command line or in the environment.
    """
    dotted = name.lower().replace("_", ".")
    if name not in settings and (here := dotted.replace(".", "_")) in settings:
        return f"it is `{here}` here"
    for prefix, setting in (("topic.", "topic_settings"), ("client.tag.", "client_tags")):
        rest = dotted.removeprefix(prefix)
        if rest != dotted and ("." in rest or prefix != "topic."):  # all settings of topics have a dot
            return f"it is part of `{setting}` here: {setting}={rest}=..."
    for prefix in CLIENT_PREFIXES:
        if (rest := dotted.removeprefix(prefix)) != dotted:
            here = rest.replace(".", "_")
            found = f"it is `{here}` here" if here in settings else _told(rest)
            return None if found is None else f"{found} (all clients of an application have the same settings)"
    return _told(dotted)


def _told(dotted: str) -> str | None:
    for each, told in INSTEAD.items():
        name = each.replace("_", ".")
        if dotted == name or (name.endswith("*") and dotted.startswith(name.rstrip("*"))):
            return told
    return None
