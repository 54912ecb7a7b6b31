"""Topics, settings, quotas and the cluster as administrators meet them."""

from typing import Any

from broker.protocol.apis import ApiKey
from tests.broker.differential.drawing import NODE, WAIT_MS, Draw, Kind
from tests.broker.differential.requests import Request, Symbol

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SETTINGS: tuple[tuple[str, str | None], ...] = (
    ("retention.ms", "1000"),
    ("retention.ms", "-1"),
    ("retention.ms", "-2"),
    ("retention.ms", "soon"),
    ("retention.ms", None),
    ("cleanup.policy", "compact"),
    ("cleanup.policy", "compact,delete"),
    ("cleanup.policy", "nonsense"),
    ("cleanup.policy", ""),
    ("segment.bytes", "2000000"),
    ("segment.bytes", "13"),
    ("min.insync.replicas", "2"),
    ("min.insync.replicas", "0"),
    ("compression.type", "zstd"),
    ("compression.type", "brotli"),
    ("compression.gzip.level", "10"),
    ("compression.gzip.level", "5"),
    ("compression.lz4.level", "0"),
    ("max.message.bytes", "100000"),
    ("max.message.bytes", "-1"),
    ("message.timestamp.type", "LogAppendTime"),
    ("message.timestamp.type", "Sometime"),
    ("min.cleanable.dirty.ratio", "1.5"),
    ("min.cleanable.dirty.ratio", "0.3"),
    ("preallocate", "true"),
    ("preallocate", "maybe"),
    ("flush.ms", "0"),
    ("flush.messages", "1"),
    ("retention.bytes", "99999999999"),
    ("retention.bytes", "many"),
    ("local.retention.ms", "5000"),
    ("remote.storage.enable", "true"),
    ("unclean.leader.election.enable", "true"),
    ("leader.replication.throttled.replicas", "*"),
    ("leader.replication.throttled.replicas", "x"),
    ("no.such.setting", "1"),
    ("", "1"),
    ("message.format.version", "3.0"),
    ("min.compaction.lag.ms", "10"),
    ("max.compaction.lag.ms", "5"),
)
BROKER_SETTINGS: tuple[tuple[str, str | None], ...] = (
    ("log.retention.ms", "700000"),
    ("log.cleaner.backoff.ms", "20000"),
    ("log.cleaner.threads", "0"),
    ("message.max.bytes", "2000000"),
    ("message.max.bytes", "x"),
    ("node.id", "5"),
    ("log.dirs", "elsewhere"),
    ("no.such.setting", "1"),
    ("log.cleanup.policy", "compact"),
    ("background.threads", "8"),
)
GROUP_SETTINGS: tuple[tuple[str, str | None], ...] = (
    ("consumer.session.timeout.ms", "50000"),
    ("consumer.session.timeout.ms", "1"),
    ("consumer.heartbeat.interval.ms", "6000"),
    ("consumer.heartbeat.interval.ms", "x"),
    ("no.such.setting", "1"),
)


# ---- topics


def metadata(draw: Draw) -> Request:
    topics = [{"name": name, "topic_id": None} for name in draw.each(draw.topic, 0, 3)]
    values: dict[str, Any] = {
        "topics": topics,
        "allow_auto_topic_creation": False,
        "include_cluster_authorized_operations": draw.chance(0.3),
        "include_topic_authorized_operations": draw.chance(0.3),
    }
    if draw.chance(0.3):
        values["topics"] = [{"name": None, "topic_id": draw.by_id(name)} for name in draw.each(draw.topic)]
        return draw.request(ApiKey.METADATA, values, low=12)
    if not topics:
        return draw.request(ApiKey.METADATA, values, low=4)
    return draw.request(ApiKey.METADATA, values, low=4)


def create_topics(draw: Draw) -> Request:
    def topic() -> dict[str, Any]:
        manual = draw.chance(0.15)
        assignments = draw.one(
            [{"partition_index": 0, "broker_ids": [NODE]}],
            [{"partition_index": 0, "broker_ids": [NODE]}, {"partition_index": 1, "broker_ids": [NODE]}],
            [{"partition_index": 1, "broker_ids": [NODE]}],
            [{"partition_index": 0, "broker_ids": [NODE, NODE]}],
            [{"partition_index": 0, "broker_ids": [9]}],
            [{"partition_index": 0, "broker_ids": []}],
        )
        settings = dict(draw.some(lambda: draw.one(*SETTINGS), 0, 2))
        return {
            "name": draw.often(f"{draw.missing}-{draw.random.randrange(30)}", draw.topic()),
            "num_partitions": draw.often(-1, 1, 3) if manual else draw.often(draw.one(1, 2, -1), 0, -2, 20_000),
            "replication_factor": draw.often(-1, 1) if manual else draw.often(draw.one(1, -1), 0, 2, -2),
            "assignments": assignments if manual else [],
            "configs": [{"name": name, "value": value} for name, value in settings.items()],
        }

    values = {"topics": draw.some(topic), "timeout": WAIT_MS, "validate_only": draw.chance(0.4)}
    return draw.request(ApiKey.CREATE_TOPICS, values)


def delete_topics(draw: Draw) -> Request:
    def name() -> str:
        return draw.often(f"{draw.missing}-{draw.random.randrange(30)}", "")  # never internal ones: Kafka deletes them

    names = draw.each(name)
    by_name = [{"name": name, "topic_id": None} for name in names]
    by_id = [{"name": None, "topic_id": Symbol("topic", draw.often(name, "nothing"))} for name in names]
    both = [{"name": names[0], "topic_id": Symbol("topic", "nothing")}]
    values = {"topics": draw.one(by_name, by_id, by_name + by_id, both), "topic_names": names, "timeout": WAIT_MS}
    return draw.request(ApiKey.DELETE_TOPICS, values)


def create_partitions(draw: Draw) -> Request:
    def topic() -> dict[str, Any]:
        one = [{"broker_ids": [NODE]}]
        return {
            "name": draw.topic(),
            "count": draw.one(1, 2, 3, 4, 0, -1),
            "assignments": draw.often(None, one, [{"broker_ids": [9]}], [{"broker_ids": []}], []),
        }

    values = {"topics": draw.some(topic), "timeout": WAIT_MS, "validate_only": draw.chance(0.7)}
    return draw.request(ApiKey.CREATE_PARTITIONS, values)


def describe_topic_partitions(draw: Draw) -> Request:
    names = [name or draw.missing for name in draw.some(draw.topic, 1, 3)]  # an empty one is an accident to Kafka (-1)
    cursor = {"topic_name": draw.topic(), "partition_index": draw.one(0, 1, 5, -1)}
    values = {
        "topics": [{"name": name} for name in names],
        "response_partition_limit": draw.often(2_000, 1, 2, 0, -1),
        "cursor": draw.often(None, cursor),
    }
    return draw.request(ApiKey.DESCRIBE_TOPIC_PARTITIONS, values)


# ---- settings


def _resource(draw: Draw) -> tuple[int, str]:
    return draw.one(
        (TOPIC, draw.topic()),
        (TOPIC, draw.random.choice(draw.topics)),
        (BROKER, draw.often(str(NODE), "", "9", "x")),
        (GROUP, draw.often(draw.groups[0], "")),
        (draw.one(LOGGER, METRICS, 0, 1, 3, 64), draw.often(str(NODE), "x", "")),
    )


def describe_configs(draw: Draw) -> Request:
    def resource(one: tuple[int, str]) -> dict[str, Any]:
        kind, name = one
        keys = [pair[0] for pair in _settings(draw, kind)]
        wanted = None if kind == TOPIC and draw.chance(0.5) else draw.some(lambda: draw.one(*keys), 0, 3)
        return {"resource_type": kind, "resource_name": name, "configuration_keys": wanted}

    values = {
        "resources": [resource(one) for one in draw.each(lambda: _resource(draw))],
        "include_synonyms": draw.chance(0.5),
        "include_documentation": draw.chance(0.3),
    }
    return draw.request(ApiKey.DESCRIBE_CONFIGS, values)


def _settings(draw: Draw, kind: int) -> tuple[tuple[str, str | None], ...]:
    return {BROKER: BROKER_SETTINGS, GROUP: GROUP_SETTINGS}.get(kind, SETTINGS)


def alter_configs(draw: Draw) -> Request:
    def resource(one: tuple[int, str]) -> dict[str, Any]:
        kind, name = one
        pairs = draw.each(lambda: draw.one(*_settings(draw, kind)), 0, 2)
        configs = [{"name": key, "value": value} for key, value in pairs]
        return {"resource_type": kind, "resource_name": name, "configs": configs}

    resources = [resource(_resource(draw))]  # if all of several are refused, Kafka does not answer
    return draw.request(ApiKey.ALTER_CONFIGS, {"resources": resources, "validate_only": draw.chance(0.6)})


def alter_incrementally(draw: Draw) -> Request:
    def resource(one: tuple[int, str]) -> dict[str, Any]:
        kind, name = one
        configs = [
            {"name": key, "config_operation": draw.often(0, 1, 2, 3), "value": draw.often(value, None)}
            for key, value in draw.some(lambda: draw.one(*_settings(draw, kind)), 0, 3)
        ]
        return {"resource_type": kind, "resource_name": name, "configs": configs}

    resources = [resource(one) for one in draw.each(lambda: _resource(draw))]
    return draw.request(ApiKey.INCREMENTAL_ALTER_CONFIGS, {"resources": resources, "validate_only": draw.chance(0.4)})


def list_config_resources(draw: Draw) -> Request:
    values = {"resource_types": draw.one([BROKER], [LOGGER, BROKER], [METRICS], [99], [1], [0], [-1])}
    return draw.request(ApiKey.LIST_CONFIG_RESOURCES, values)


# ---- the cluster


def describe_cluster(draw: Draw) -> Request:
    values = {
        "include_cluster_authorized_operations": draw.chance(0.5),
        "endpoint_type": draw.often(1, 2, 0, 9),
        "include_fenced_brokers": draw.chance(0.5),
    }
    return draw.request(ApiKey.DESCRIBE_CLUSTER, values)


def describe_quorum(draw: Draw) -> Request:
    topic = draw.often("__cluster_metadata", "other")
    topics = [{"topic_name": topic, "partitions": [{"partition_index": draw.often(0, 1)}]}]
    return draw.request(ApiKey.DESCRIBE_QUORUM, {"topics": draw.often(topics, [])})


def update_features(draw: Draw) -> Request:
    def update() -> dict[str, Any]:
        return {
            "feature": draw.one("transaction.version", "group.version", "no.such.feature", "metadata.version", ""),
            "max_version_level": draw.one(0, 1, 2, 3, 99, -1),
            "upgrade_type": draw.one(1, 1, 2, 3, 0, 9),
            "allow_downgrade": draw.chance(0.3),
        }

    updates = {item["feature"]: item for item in draw.some(update, 0, 2)}
    values = {"timeout": WAIT_MS, "feature_updates": list(updates.values()), "validate_only": True}
    return draw.request(ApiKey.UPDATE_FEATURES, values, low=1)


def elect_leaders(draw: Draw) -> Request:
    topics = [{"topic": name, "partitions": draw.each(draw.partition)} for name in draw.each(draw.topic)]
    values = {"election_type": draw.often(draw.one(0, 1), 2, -1), "topic_partitions": draw.often(topics, [])}
    return draw.request(ApiKey.ELECT_LEADERS, {**values, "timeout": WAIT_MS})


def reassign(draw: Draw) -> Request:
    replicas = draw.one(None, [NODE], [9], [], [NODE, NODE], [NODE, 9])
    partitions = [{"partition_index": draw.partition(), "replicas": replicas}]
    topics = draw.often([{"name": draw.topic(), "partitions": partitions}], [])
    values = {"timeout": WAIT_MS, "allow_replication_factor_change": draw.chance(0.5), "topics": topics}
    return draw.request(ApiKey.ALTER_PARTITION_REASSIGNMENTS, values)


def list_reassignments(draw: Draw) -> Request:
    topics = [{"name": name, "partition_indexes": draw.each(draw.partition)} for name in draw.each(draw.topic)]
    return draw.request(ApiKey.LIST_PARTITION_REASSIGNMENTS, {"timeout": WAIT_MS, "topics": draw.one(None, topics)})


def move_replicas(draw: Draw) -> Request:
    topics = [{"name": draw.topic(), "partitions": [draw.partition()]}]
    return draw.request(ApiKey.ALTER_REPLICA_LOG_DIRS, {"dirs": [{"path": "elsewhere", "topics": topics}]})


# ---- quotas, and what needs security


def describe_quotas(draw: Draw) -> Request:
    def component() -> dict[str, Any]:
        kind = draw.often(0, 1, 2, 3, -1)
        name = draw.topics[0] if kind == 0 else draw.often(None, "x")
        return {"entity_type": draw.often(draw.one("user", "client-id"), "ip", "x"), "match_type": kind, "match": name}

    values = {"components": draw.some(component), "strict": draw.chance(0.5)}
    return draw.request(ApiKey.DESCRIBE_CLIENT_QUOTAS, values)


def alter_quotas(draw: Draw) -> Request:
    def entity() -> dict[str, Any]:
        kind = draw.often(draw.one("user", "client-id"), "ip", "x")
        return {"entity_type": kind, "entity_name": draw.often(draw.topics[0], "", "127.0.0.1", draw.topics[1])}

    def op() -> dict[str, Any]:
        key = draw.often(
            draw.one("producer_byte_rate", "consumer_byte_rate"), "request_percentage", "connection_creation_rate", "x"
        )
        return {"key": key, "value": draw.often(1024.0, 0.0, -1.0, 0.5), "remove": draw.chance(0.2)}

    entry = {"entity": draw.some(entity), "ops": draw.some(op, 0, 2)}
    return draw.request(ApiKey.ALTER_CLIENT_QUOTAS, {"entries": [entry], "validate_only": draw.chance(0.3)})


def security(draw: Draw) -> Request:
    """What a cluster without an authorizer, and a listener without SASL, refuse."""
    acl = {"resource_type_filter": 2, "pattern_type_filter": 1, "operation": 2, "permission_type": 2}
    creation = {
        "resource_type": 2,
        "resource_name": "x",
        "resource_pattern_type": 3,
        "principal": "User:x",
        "host": "*",
        "operation": 3,
        "permission_type": 3,
    }
    choices: list[tuple[ApiKey, dict[str, Any]]] = [
        (ApiKey.DESCRIBE_ACLS, acl),
        (ApiKey.CREATE_ACLS, {"creations": draw.one([creation], [])}),
        (ApiKey.DELETE_ACLS, {"filters": draw.one([acl], [])}),
        (ApiKey.SASL_HANDSHAKE, {"mechanism": draw.one("PLAIN", "")}),
        (ApiKey.SASL_AUTHENTICATE, {"auth_bytes": b"x"}),
        (ApiKey.CREATE_DELEGATION_TOKEN, {"max_lifetime": -1, "renewers": []}),
        (ApiKey.RENEW_DELEGATION_TOKEN, {"hmac": b"x", "renew_period": 1}),
        (ApiKey.EXPIRE_DELEGATION_TOKEN, {"hmac": b"x", "expiry_time_period": 1}),
        (ApiKey.DESCRIBE_DELEGATION_TOKEN, {"owners": draw.one(None, [])}),
        (ApiKey.UNREGISTER_BROKER, {"broker_id": draw.one(9, -1)}),
        (ApiKey.ADD_RAFT_VOTER, {"cluster_id": None, "timeout": 100, "voter_id": 9, "listeners": []}),
        (ApiKey.REMOVE_RAFT_VOTER, {"cluster_id": None, "voter_id": 9}),
    ]
    api_key, values = draw.random.choice(choices)
    return draw.request(api_key, values)


def scram(draw: Draw) -> Request:
    if draw.chance(0.5):
        users = draw.one(None, [], [{"name": draw.topics[0]}], [{"name": ""}], [{"name": "x"}, {"name": "x"}])
        return draw.request(ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS, {"users": users})

    def user() -> str:
        return draw.often(draw.topics[0], draw.topics[1], "")

    def upsertion() -> dict[str, Any]:
        return {
            "name": user(),
            "mechanism": draw.often(draw.one(1, 2), 0, 3),
            "iterations": draw.often(8192, 1, 20_000),
            "salt": b"salt",
            "salted_password": draw.often(b"password" * 4, b""),
        }

    def deletion() -> dict[str, Any]:
        return {"name": draw.often(user(), "nobody"), "mechanism": draw.one(1, 2)}

    values = {"upsertions": draw.some(upsertion, 0, 2), "deletions": draw.some(deletion, 0, draw.one(0, 1, 2))}
    return draw.request(ApiKey.ALTER_USER_SCRAM_CREDENTIALS, values)


def api_versions(draw: Draw) -> Request:
    name = draw.often("differential", "", "bad name", "-x")
    return draw.request(ApiKey.API_VERSIONS, {"client_software_name": name, "client_software_version": "1"}, low=3)


ADMIN: list[tuple[int, Kind]] = [
    (5, metadata),
    (6, create_topics),
    (2, delete_topics),
    (2, create_partitions),
    (3, describe_topic_partitions),
    (5, describe_configs),
    (3, alter_configs),
    (5, alter_incrementally),
    (1, list_config_resources),
    (1, describe_cluster),
    (1, describe_quorum),
    (1, update_features),
    (1, elect_leaders),
    (2, reassign),
    (1, list_reassignments),
    (1, move_replicas),
    (2, describe_quotas),
    (2, alter_quotas),
    (2, security),
    (2, scram),
    (1, api_versions),
]
