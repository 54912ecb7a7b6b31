"""What administrators ask of a one-node cluster: quorum, features, leaders, pages of topics, quotas, dynamic settings."""

from typing import Any

import pytest

pytestmark = pytest.mark.broker

CREATE, DESCRIBE_CONFIGS, REPLACE_CONFIGS, MOVE, ALTER_CONFIGS = 19, 32, 33, 34, 44
ELECT, REASSIGN, LIST_REASSIGNMENTS, QUOTAS, ALTER_QUOTAS = 43, 45, 46, 48, 49
QUORUM, FEATURES, RESOURCES, PAGES = 55, 57, 74, 75
TOPIC, BROKER, LOGGER, GROUP = 2, 4, 8, 32
TOPIC_SETTINGS_IN_ORDER = [
    "compression.type",
    "remote.log.delete.on.disable",
    "leader.replication.throttled.replicas",
    "remote.storage.enable",
    "min.insync.replicas",
    "segment.jitter.ms",
    "remote.log.copy.disable",
    "local.retention.ms",
    "cleanup.policy",
    "flush.ms",
    "follower.replication.throttled.replicas",
    "compression.lz4.level",
    "segment.bytes",
    "retention.ms",
    "compression.gzip.level",
    "flush.messages",
    "compression.zstd.level",
    "max.compaction.lag.ms",
    "file.delete.delay.ms",
    "max.message.bytes",
    "min.compaction.lag.ms",
    "message.timestamp.type",
    "local.retention.bytes",
    "preallocate",
    "index.interval.bytes",
    "min.cleanable.dirty.ratio",
    "unclean.leader.election.enable",
    "retention.bytes",
    "delete.retention.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "segment.ms",
    "segment.index.bytes",
]


def make_topic(wire, name: str, partitions: int = 1) -> str:
    topics = [{"name": name, "num_partitions": partitions, "replication_factor": 1}]
    assert wire.call(CREATE, 7, topics=topics).topics[0].error_code == 0
    return name


def alter(wire, kind: int, resource: str, **values: str | None) -> int:
    """Sets settings, removes those that are None; the error code."""
    configs = [
        {"name": name.replace("_", "."), "value": value, "config_operation": int(value is None)}
        for name, value in values.items()
    ]
    resources = [{"resource_type": kind, "resource_name": resource, "configs": configs}]
    return int(wire.call(ALTER_CONFIGS, 1, resources=resources).responses[0].error_code)


def setting(wire, kind: int, resource: str, name: str) -> tuple[str | None, int]:
    """Value and source."""
    wanted = {"resource_type": kind, "resource_name": resource, "configuration_keys": [name]}
    (found,) = wire.call(DESCRIBE_CONFIGS, 4, resources=[wanted]).results[0].configs
    return found.value, found.config_source


@pytest.mark.parametrize(
    ("kind", "resource", "names"),
    [
        (
            BROKER,
            "0",
            ["message.max.bytes", "node.id", "default.replication.factor", "num.partitions", "fetch.max.bytes"],
        ),
        (
            BROKER,
            "0",
            ["group.consumer.max.session.timeout.ms", "num.recovery.threads.per.data.dir", "ssl.keystore.type"],
        ),
        (BROKER, "0", ["offset.metadata.max.bytes", "ssl.truststore.location"]),
        (BROKER, "0", ["group.coordinator.append.linger.ms", "ssl.keystore.location"]),
        (BROKER, "0", ["delete.topic.enable", "quota.window.size.seconds"]),
        (TOPIC, "ordered", TOPIC_SETTINGS_IN_ORDER),
        (GROUP, "anyone", ["consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"]),
    ],
)
def test_settings_are_described_in_kafkas_order(wire, kind: int, resource: str, names: list[str]) -> None:
    """The order is that of Apache Kafka 4.3.1, whether some settings are asked for, in any order, or all."""
    if kind == TOPIC:
        make_topic(wire, resource)
    for keys in (sorted(names), None):
        wanted = {"resource_type": kind, "resource_name": resource, "configuration_keys": keys}
        found = wire.call(DESCRIBE_CONFIGS, 4, resources=[wanted]).results[0].configs
        assert [each.name for each in found if each.name in names] == names


def test_quorum_of_one(wire) -> None:
    """One voter leads; other partitions than the metadata's are unknown."""
    topics = [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}, {"partition_index": 1}]}]
    first, second = wire.call(QUORUM, 2, topics=topics).topics[0].partitions
    assert (first.leader_id, [voter.replica_id for voter in first.current_voters]) == (0, [0])
    assert second.error_code == 3


def test_range_of_features(wire) -> None:
    """Each feature is given with its lowest level, but in version 3 none whose lowest is 0."""

    def lowest(version: int) -> dict[str, int]:
        answer = wire.call(18, version, client_software_name="test", client_software_version="1")
        return {feature.name: feature.min_version for feature in answer.supported_features}

    assert lowest(3) == {"metadata.version": 7}
    names = ("eligible.leader.replicas.version", "group.version", "transaction.version")
    assert lowest(4) == {"metadata.version": 7, **dict.fromkeys(names, 0)}


@pytest.mark.parametrize(
    ("feature", "level", "code"), [("group.version", 1, 0), ("group.version", 0, 95), ("x", 1, 95)]
)
def test_features_stay(wire, feature: str, level: int, code: int) -> None:
    """A feature can be set to the level it has, and to no other."""
    updates = [{"feature": feature, "max_version_level": level}]
    assert wire.call(FEATURES, 1, feature_updates=updates).error_code == code
    assert wire.call(FEATURES, 2, feature_updates=updates).error_code == code


def test_no_election_is_needed(wire) -> None:
    """Each partition is led already; one that does not exist is unknown; of all partitions none is told of, as by Kafka."""
    topic = make_topic(wire, "elect")
    asked = [{"topic": topic, "partitions": [0, 1]}]
    (answer,) = wire.call(ELECT, 2, topic_partitions=asked).replica_election_results
    assert [result.error_code for result in answer.partition_result] == [84, 3]
    everything = wire.call(ELECT, 2, topic_partitions=None)
    assert {topic.topic: topic.partition_result for topic in everything.replica_election_results}[topic] == ()
    assert wire.call(ELECT, 2, topic_partitions=None, election_type=7).error_code == 42
    none = wire.call(ELECT, 2, topic_partitions=[], election_type=7)
    assert (none.error_code, none.replica_election_results) == (0, ())


def test_reassignments(wire) -> None:
    """A partition may be put where it is; elsewhere there is nothing, and nothing is ever under way."""
    topic = make_topic(wire, "reassign", 3)
    wanted = [
        {"partition_index": 0, "replicas": [0]},
        {"partition_index": 1, "replicas": [0, 1]},
        {"partition_index": 2, "replicas": None},
    ]
    (answer,) = wire.call(REASSIGN, 0, topics=[{"name": topic, "partitions": wanted}]).responses
    assert [partition.error_code for partition in answer.partitions] == [0, 39, 85]
    assert wire.call(LIST_REASSIGNMENTS, 0, topics=None).topics == ()


@pytest.mark.parametrize(("length", "code"), [(213, 57), (214, 17)])
def test_partitions_cannot_move(wire, length: int, code: int) -> None:
    """Another data directory is not there; a name too long to be moved is told so first, as by Kafka."""
    asked = [{"path": "elsewhere", "topics": [{"name": "a" * length, "partitions": [1]}]}]
    (answer,) = wire.call(MOVE, 1, dirs=asked).results
    assert answer.partitions[0].error_code == code


def test_topics_page_by_page(wire) -> None:
    """Pages follow each other by their cursors and together hold every partition once."""
    names = [make_topic(wire, f"page-{letter}", 3) for letter in "ab"]
    cursor, seen, pages = None, [], 0
    while pages == 0 or cursor is not None:
        answer = wire.call(
            PAGES, 0, topics=[{"name": name} for name in [*names, "page-x"]], response_partition_limit=2, cursor=cursor
        )
        seen += [(topic.name, p.partition_index) for topic in answer.topics for p in topic.partitions]
        at, pages = answer.next_cursor, pages + 1
        cursor = at and {"topic_name": at.topic_name, "partition_index": at.partition_index}
    assert seen == [(name, index) for name in names for index in range(3)]
    assert (answer.topics[-1].name, answer.topics[-1].error_code) == ("page-x", 3)


def quotas(wire, *components: Any, strict: bool = False) -> list[tuple[Any, Any]]:
    asked = [{"entity_type": kind, "match_type": how, "match": name} for kind, how, name in components]
    entries = wire.call(QUOTAS, 1, components=asked, strict=strict).entries
    return [
        ({item.entity_type: item.entity_name for item in entry.entity}, {v.key: v.value for v in entry.values})
        for entry in entries
    ]


def test_quotas_and_settings_survive_a_kill(broker, make_wire) -> None:
    """What was set while running is there after a crash, and what was removed is not."""
    wire = make_wire(broker)
    entity = [{"entity_type": "user", "entity_name": "bob"}]
    for key, remove in (("producer_byte_rate", False), ("consumer_byte_rate", False), ("consumer_byte_rate", True)):
        ops = [{"key": key, "value": 9.0, "remove": remove}]
        assert wire.call(ALTER_QUOTAS, 1, entries=[{"entity": entity, "ops": ops}]).entries[0].error_code == 0
    assert alter(wire, BROKER, "0", log_retention_ms="1234") == 0
    broker.kill()
    broker.start()
    wire = make_wire(broker)
    assert quotas(wire, ("user", 0, "bob")) == [({"user": "bob"}, {"producer_byte_rate": 9.0})]
    assert quotas(wire, ("user", 1, None)) == []
    assert setting(wire, BROKER, "0", "log.retention.ms") == ("1234", 2)


def test_wrong_quotas(wire) -> None:
    """A quota for nobody, of an unknown kind or without a limit is refused."""
    for kind, key, value in (("host", "producer_byte_rate", 1.0), ("user", "bytes", 1.0), ("ip", "x", 1.0)):
        entry = {"entity": [{"entity_type": kind, "entity_name": "x"}], "ops": [{"key": key, "value": value}]}
        assert wire.call(ALTER_QUOTAS, 1, entries=[entry]).entries[0].error_code == 42


def test_quotas_of_any_name_can_be_removed(wire) -> None:
    """What is not a quota cannot be set, but removing it does no harm, as in Kafka."""
    entity = [{"entity_type": "user", "entity_name": "x"}]
    quota = {"entity": entity, "ops": [{"key": "x", "value": 1.0, "remove": True}]}
    assert wire.call(ALTER_QUOTAS, 1, entries=[quota]).entries[0].error_code == 0


def test_dynamic_settings_of_the_broker(wire) -> None:
    """A setting of this broker beats that of all brokers, both beat the default, and topics follow."""
    topic = make_topic(wire, "follows")
    assert alter(wire, BROKER, "", log_retention_bytes="1000") == 0
    assert setting(wire, TOPIC, topic, "retention.bytes") == ("1000", 3)
    assert alter(wire, BROKER, "0", log_retention_bytes="2000") == 0
    assert setting(wire, TOPIC, topic, "retention.bytes") == ("2000", 2)
    assert alter(wire, BROKER, "0", log_retention_bytes=None) == 0
    assert alter(wire, BROKER, "", log_retention_bytes=None) == 0
    assert setting(wire, TOPIC, topic, "retention.bytes") == ("-1", 5)
    assert alter(wire, BROKER, "0", node_id="7") == 42
    appended = [{"name": "log.dirs", "value": "elsewhere", "config_operation": 2}]
    resources = [{"resource_type": BROKER, "resource_name": "0", "configs": appended}]
    assert wire.call(ALTER_CONFIGS, 1, resources=resources).responses[0].error_code == 42
    replaced = [{"resource_type": BROKER, "resource_name": "", "configs": [{"name": "node.id", "value": "7"}]}]
    assert wire.call(REPLACE_CONFIGS, 2, resources=replaced).responses[0].error_code == 42
    assert alter(wire, BROKER, "0", log_retention_bytes="many") == 42


def test_limits_of_moving_replicas_are_there_while_they_are_set(wire) -> None:
    """`kafka-reassign-partitions --throttle` sets them and takes them away; 0 is one, and -1 none."""
    name = "leader.replication.throttled.rate"
    resources = [{"resource_type": BROKER, "resource_name": "0", "configuration_keys": [name]}]

    def shown() -> list[tuple[str, str]]:
        (result,) = wire.call(DESCRIBE_CONFIGS, 4, resources=resources).results
        return [(item.name, item.value) for item in result.configs]

    assert shown() == []
    assert alter(wire, BROKER, "0", leader_replication_throttled_rate="-1") == 42
    assert alter(wire, BROKER, "0", leader_replication_throttled_rate="0") == 0
    assert shown() == [(name, "0")]
    assert alter(wire, BROKER, "0", leader_replication_throttled_rate=None) == 0
    assert shown() == []


def test_connections_are_limited_while_it_runs(make_broker, make_wire) -> None:
    """max.connections can be changed without a restart, as in Kafka, and is obeyed; so can producer.id.expiration.ms."""
    broker = make_broker()
    wire = make_wire(broker)
    assert alter(wire, BROKER, "0", producer_id_expiration_ms="60000", max_connections="1") == 0
    assert setting(wire, BROKER, "0", "producer.id.expiration.ms") == ("60000", 2)
    with pytest.raises(ConnectionError):
        make_wire(broker).call(QUOTAS, 1)
    assert alter(wire, BROKER, "0", max_connections=None) == 0
    assert make_wire(broker).call(QUOTAS, 1).error_code == 0


def test_replicas_in_sync_are_not_for_one_broker(wire) -> None:
    """min.insync.replicas is set for the whole cluster or a topic: for a single broker it is refused, as by Kafka."""
    assert alter(wire, BROKER, "0", min_insync_replicas="1") == 40
    assert alter(wire, BROKER, "0", min_insync_replicas=None) == 40
    assert alter(wire, BROKER, "", min_insync_replicas="1") == 0


@pytest.mark.parametrize(("name", "code"), [("", 17), ("a b", 17), ("no-such-topic", 3)])
def test_settings_of_a_topic_that_cannot_be(wire, name: str, code: int) -> None:
    """What no topic can be called is told from a topic that is not there."""
    wanted = {"resource_type": TOPIC, "resource_name": name, "configuration_keys": None}
    assert wire.call(DESCRIBE_CONFIGS, 4, resources=[wanted]).results[0].error_code == code


def test_hours_behind_milliseconds(wire) -> None:
    """Where a time in ms is set for brokers, the default in hours that it takes the place of is shown behind it, as by Kafka."""
    topic = make_topic(wire, "hours")
    wanted = {"resource_type": TOPIC, "resource_name": topic, "configuration_keys": ["segment.ms"]}

    def synonyms() -> list[tuple[str, str, int]]:
        answer = wire.call(DESCRIBE_CONFIGS, 4, resources=[wanted], include_synonyms=True)
        (found,) = answer.results[0].configs
        return [(each.name, each.value, each.source) for each in found.synonyms]

    assert synonyms() == []
    assert alter(wire, BROKER, "", log_roll_ms="7000000") == 0
    assert synonyms() == [("log.roll.ms", "7000000", 3), ("log.roll.hours", "168", 5)]
    assert alter(wire, BROKER, "", log_roll_ms=None) == 0


def test_wrong_settings_of_no_topic(wire) -> None:
    """A setting that is wrong for any topic is told so before one that there is no such topic."""
    assert alter(wire, TOPIC, "no-such-topic", retention_ms="soon") == 40
    assert alter(wire, TOPIC, "no-such-topic", retention_ms="1000") == 3


def test_settings_of_all_topics(wire) -> None:
    """There are none: a name is asked for, before anything else is, and a wrong one is another mistake."""
    for values in ({}, {"retention_ms": "soon"}):
        assert alter(wire, TOPIC, "", **values) == 42
    replaced = [{"resource_type": TOPIC, "resource_name": "", "configs": []}]
    assert wire.call(REPLACE_CONFIGS, 2, resources=replaced).responses[0].error_code == 42
    assert alter(wire, TOPIC, "a b", retention_ms="soon") == 17


def test_settings_of_groups(wire) -> None:
    """A group has settings before it has members, over the broker's own; they are listed among the resources."""
    name = "consumer.session.timeout.ms"
    assert setting(wire, GROUP, "settled", name) == ("45000", 5)
    assert alter(wire, GROUP, "settled", consumer_session_timeout_ms="50000") == 0
    assert setting(wire, GROUP, "settled", name) == ("50000", 8)
    found = wire.call(RESOURCES, 1, resource_types=[GROUP]).config_resources
    assert [resource.resource_name for resource in found] == ["settled"]
    assert alter(wire, GROUP, "settled", consumer_session_timeout_ms="soon") == 40
    interval = "consumer.assignment.interval.ms"
    assert setting(wire, GROUP, "settled", interval) == ("1000", 5)
    assert alter(wire, GROUP, "settled", consumer_assignment_interval_ms="500") == 0
    assert setting(wire, GROUP, "settled", interval) == ("500", 8)
    assert alter(wire, GROUP, "settled", consumer_assignment_interval_ms="99999") == 40
    assert wire.call(RESOURCES, 1, resource_types=[3]).error_code == 35


def test_settings_that_tools_look_for(wire) -> None:
    """Kafka's settings without meaning here are shown with its defaults; those it can change are kept, others refused."""
    assert setting(wire, BROKER, "0", "num.network.threads") == ("3", 5)
    assert alter(wire, BROKER, "0", num_network_threads="4") == 0
    assert setting(wire, BROKER, "0", "num.network.threads") == ("4", 2)
    assert alter(wire, BROKER, "0", num_network_threads="0") == 42
    assert alter(wire, BROKER, "0", request_timeout_ms="1") == 42
    assert alter(wire, BROKER, "0", num_network_threads=None) == 0
    assert setting(wire, BROKER, "0", "num.network.threads") == ("3", 5)
    assert setting(wire, BROKER, "0", "broker.rack") == (None, 5)


def test_times_of_kerberos(wire) -> None:
    """They mean nothing without SASL and are kept all the same: librdkafka's own test of AlterConfigs sets one."""
    name = "sasl.kerberos.min.time.before.relogin"
    assert setting(wire, BROKER, "0", name) == ("60000", 5)
    given = [{"name": name, "value": "58000"}]
    resources = [{"resource_type": BROKER, "resource_name": "0", "configs": given}]
    assert wire.call(REPLACE_CONFIGS, 2, resources=resources).responses[0].error_code == 0
    assert setting(wire, BROKER, "0", name) == ("58000", 2)
    assert alter(wire, BROKER, "0", sasl_kerberos_ticket_renew_jitter="0.1") == 0
    assert setting(wire, BROKER, "0", "sasl.kerberos.ticket.renew.jitter") == ("0.1", 2)
    assert setting(wire, BROKER, "0", "sasl.kerberos.ticket.renew.window.factor") == ("0.8", 5)


def test_levels_of_loggers(wire) -> None:
    """A logger's level is shown, set in Kafka's words, and deleted; unknown loggers and levels are refused."""

    def change(name: str, value: str | None, operation: int = 0, broker: str = "0") -> int:
        configs = [{"name": name, "value": value, "config_operation": operation}]
        resources = [{"resource_type": LOGGER, "resource_name": broker, "configs": configs}]
        return int(wire.call(ALTER_CONFIGS, 1, resources=resources).responses[0].error_code)

    name = "broker.log.flusher"
    before = setting(wire, LOGGER, "0", name)
    assert before == setting(wire, LOGGER, "0", "root") == ("INFO", 6)
    assert change(name, "WARN") == 0
    assert setting(wire, LOGGER, "0", name) == ("WARN", 6)
    assert (change(name, "LOUD"), change("no.such.logger", "WARN"), change("no.such.logger", None, 1)) == (40, 40, 40)
    assert (change(name, "WARN", 2), change("root", None, 1), change(name, "WARN", broker="9")) == (42, 42, 42)
    assert change(name, None, 1) == 0
    assert setting(wire, LOGGER, "0", name) == before


@pytest.mark.parametrize(
    ("name", "code"), [("127.0.0.1", 0), ("::1", 0), ("localhost", 0), ("no.such.host.invalid", 42)]
)
def test_quotas_of_hosts(wire, name: str, code: int) -> None:
    """A quota of an ip is for an address or for a host that is known; others are refused, as by Kafka."""
    quota = {"entity": [{"entity_type": "ip", "entity_name": name}], "ops": []}
    (answer,) = wire.call(ALTER_QUOTAS, 1, entries=[quota], validate_only=True).entries
    assert answer.error_code == code


@pytest.mark.parametrize("kind", [16, GROUP, TOPIC])
def test_no_list_to_append_to(wire, kind: int) -> None:
    """What is no list is told so before anybody looks at the resource's name, as by Kafka."""
    configs = [{"name": "consumer.heartbeat.interval.ms", "value": "6000", "config_operation": 3}]
    resources = [{"resource_type": kind, "resource_name": "", "configs": configs}]
    assert wire.call(ALTER_CONFIGS, 1, resources=resources).responses[0].error_code == 40


def test_settings_of_client_metrics(wire) -> None:
    """There are none here: one can be removed, since it is not there, and none be set."""
    assert alter(wire, 16, "some", segment_bytes=None) == 0
    assert alter(wire, 16, "some") == 0
    assert alter(wire, 16, "some", segment_bytes="1000") == 42
    assert alter(wire, 16, "", segment_bytes=None) == 42
