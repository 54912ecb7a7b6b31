"""Topics over the wire: created, looked up, grown, altered, deleted, each with Kafka's codes."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

pytestmark = pytest.mark.broker

METADATA, CREATE, DELETE, DELETE_RECORDS, DESCRIBE, ALTER, GROW = 3, 19, 20, 21, 32, 44, 37
TOPIC = 2


def create(wire, name: str, **values: Any) -> Any:
    wanted = {"name": name, "num_partitions": 1, "replication_factor": 1, **values}
    return wire.call(CREATE, 7, topics=[wanted]).topics[0]


def exists(wire, name: str) -> bool:
    """Whether there is such a topic; asking does not make it."""
    (topic,) = wire.call(METADATA, 12, topics=[{"name": name}], allow_auto_topic_creation=False).topics
    return topic.error_code == 0


def setting(wire, topic: str, name: str) -> Any:
    resource = {"resource_type": TOPIC, "resource_name": topic, "configuration_keys": [name]}
    (found,) = wire.call(DESCRIBE, 4, resources=[resource], include_synonyms=True).results[0].configs
    return found


def alter(wire, topic: str, operation: int, name: str, value: str | None) -> int:
    change = {"name": name, "config_operation": operation, "value": value}
    resource = {"resource_type": TOPIC, "resource_name": topic, "configs": [change]}
    return wire.call(ALTER, 1, resources=[resource]).responses[0].error_code


def test_created_topic_is_described(wire) -> None:
    """A new topic has an id, its partitions one leader, and Metadata by name and by id agree."""
    created = create(wire, "made", num_partitions=3)
    (by_name,) = wire.call(METADATA, 12, topics=[{"name": "made"}]).topics
    (by_id,) = wire.call(METADATA, 12, topics=[{"topic_id": created.topic_id, "name": None}]).topics
    assert by_name == by_id
    assert by_name.topic_id == created.topic_id
    assert [partition.partition_index for partition in by_name.partitions] == [0, 1, 2]
    assert {partition.leader_id for partition in by_name.partitions} == {0}


def test_created_topics_settings_stand_by_name(wire) -> None:
    """A new topic's settings come in the order of their names, as Kafka answers them."""
    names = [each.name for each in create(wire, "by-name").configs]
    assert names == sorted(names)
    assert names


def test_topics_are_described_once(wire) -> None:
    """A topic asked for twice has one answer; names beside ids are passed over, and not created, as in Kafka."""
    by_id = {"name": None, "topic_id": create(wire, "once").topic_id}
    also = {**by_id, "name": "other"}
    assert [topic.name for topic in wire.call(METADATA, 9, topics=[{"name": "once"}] * 2).topics] == ["once"]
    for topics in ([by_id, by_id], [by_id, also], [{"name": "once"}, by_id], [{"name": "never-made"}, by_id]):
        answer = wire.call(METADATA, 12, topics=topics, allow_auto_topic_creation=True)
        assert [topic.name for topic in answer.topics] == ["once"]
    assert not exists(wire, "never-made")


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("bad/name", {}, 17),
        ("", {}, 17),
        ("x" * 250, {}, 17),
        ("__consumer_offsets", {}, 36),
        ("fine", {"num_partitions": 0}, 37),
        ("fine", {"replication_factor": 3}, 38),
        ("fine", {"configs": [{"name": "retention.mss", "value": "1"}]}, 40),
        ("fine", {"configs": [{"name": "retention.ms", "value": "soon"}]}, 40),
        ("fine", {"assignments": [{"partition_index": 0, "broker_ids": [0]}]}, 42),
        (
            "fine",
            {
                "num_partitions": -1,
                "replication_factor": -1,
                "assignments": [{"partition_index": 0, "broker_ids": [7]}],
            },
            39,
        ),
    ],
)
def test_topics_that_cannot_be(wire, name: str, values: dict[str, Any], code: int) -> None:
    """Every wrong topic gets its code, and no topic comes of it."""
    assert create(wire, name, **values).error_code == code
    assert not exists(wire, "fine")


def test_same_or_colliding_name(wire) -> None:
    """A name is taken once; one that differs in '.' and '_' only collides."""
    assert create(wire, "a.b").error_code == 0
    assert create(wire, "a.b").error_code == 36
    assert create(wire, "a_b").error_code == 17


def test_validate_only_creates_nothing(wire) -> None:
    """A dry run says whether it would work."""
    wanted = {"name": "dry", "num_partitions": 2, "replication_factor": -1}
    assert wire.call(CREATE, 7, topics=[wanted], validate_only=True).topics[0].error_code == 0
    assert not exists(wire, "dry")


def test_auto_creation_is_the_clients_choice(wire) -> None:
    """Metadata creates a missing topic only where the request allows it."""
    assert wire.call(METADATA, 12, topics=[{"name": "auto"}], allow_auto_topic_creation=False).topics[0].error_code == 3
    assert wire.call(METADATA, 12, topics=[{"name": "auto"}], allow_auto_topic_creation=True).topics[0].error_code == 0
    assert wire.call(METADATA, 12, topics=[{"name": "a b"}], allow_auto_topic_creation=True).topics[0].error_code == 17


def test_deleted_topic_is_gone_and_comes_back_new(wire) -> None:
    """Deletion is seen at once, and a topic of the same name has another id."""
    first = create(wire, "doomed")
    assert wire.call(DELETE, 6, topics=[{"name": "doomed"}]).responses[0].error_code == 0
    assert wire.call(DELETE, 6, topics=[{"name": "doomed"}]).responses[0].error_code == 3
    assert wire.call(DELETE, 6, topics=[{"name": None, "topic_id": first.topic_id}]).responses[0].error_code == 100
    assert create(wire, "doomed").topic_id != first.topic_id


def deleted(wire, *wanted: dict[str, Any]) -> list[tuple[Any, Any, int]]:
    answers = wire.call(DELETE, 6, topics=list(wanted)).responses
    return sorted(((topic.name, topic.topic_id, topic.error_code) for topic in answers), key=str)


def test_topics_named_twice_are_not_deleted(wire) -> None:
    """One answer (42) to a name, an id, or both of one topic; the others of the request are deleted, as in Kafka."""
    ids = {name: create(wire, name).topic_id for name in ("twice", "other", "both")}
    names = [{"name": name} for name in ("twice", "other", "twice")]
    assert deleted(wire, *names) == [("other", ids["other"], 0), ("twice", None, 42)]
    by_id = {"name": None, "topic_id": ids["twice"]}
    assert deleted(wire, by_id, by_id) == [(None, ids["twice"], 42)]
    both = {"name": None, "topic_id": ids["both"]}
    for wanted in ([both, {"name": "both"}], [{"name": "both"}, both]):
        assert deleted(wire, *wanted) == [("both", ids["both"], 42)]
    assert [exists(wire, name) for name in ids] == [True, False, True]
    assert [topic.error_code for topic in wire.call(DELETE, 5, topic_names=["twice", "twice"]).responses] == [42]
    assert deleted(wire, {"name": "twice"}, {"name": "twice"}, by_id)[-1] == ("twice", ids["twice"], 0)


def test_topics_to_delete_need_a_name_or_an_id(wire) -> None:
    """Neither is refused (42), and so are both at once, as often as they are named, as in Kafka."""
    created = create(wire, "named")
    for times in (1, 2):
        assert deleted(wire, *[{"name": None}] * times) == [(None, None, 42)] * times
        both = {"name": "named", "topic_id": created.topic_id}
        assert deleted(wire, *[both] * times) == [("named", created.topic_id, 42)] * times
    assert exists(wire, "named")


def test_records_of_the_brokers_own_topics_stay(wire) -> None:
    """DeleteRecords refuses internal topics (17), even where their policy would allow it; partitions unknown come first."""

    def delete(topic: str, partition: int) -> tuple[int, int]:
        topics = [{"name": topic, "partitions": [{"partition_index": partition, "offset": -1}]}]
        answer = wire.call(DELETE_RECORDS, 2, topics=topics, timeout=1_000).topics[0].partitions[0]
        return answer.error_code, answer.low_watermark

    assert alter(wire, "__consumer_offsets", 0, "cleanup.policy", "delete") == 0
    assert delete("__consumer_offsets", 0) == (17, -1)
    assert delete("__consumer_offsets", 9_999) == (3, -1)
    assert delete("__transaction_state", 0) == (17, -1)
    assert alter(wire, "__consumer_offsets", 0, "cleanup.policy", "compact") == 0


def test_partitions_only_grow(wire) -> None:
    """More partitions are added; fewer are refused (37)."""
    create(wire, "grown", num_partitions=2)
    assert wire.call(GROW, 3, topics=[{"name": "grown", "count": 5, "assignments": None}]).results[0].error_code == 0
    assert wire.call(GROW, 3, topics=[{"name": "grown", "count": 5, "assignments": None}]).results[0].error_code == 37
    assert len(wire.call(METADATA, 12, topics=[{"name": "grown"}]).topics[0].partitions) == 5


def test_settings_change_and_return_to_their_default(wire) -> None:
    """Set, append and delete act on one setting and say where its value comes from."""
    create(wire, "tuned")
    assert setting(wire, "tuned", "retention.ms").config_source == 5
    assert alter(wire, "tuned", 0, "retention.ms", "60000") == 0
    assert alter(wire, "tuned", 2, "cleanup.policy", "compact") == 0
    assert (setting(wire, "tuned", "retention.ms").value, setting(wire, "tuned", "retention.ms").config_source) == (
        "60000",
        1,
    )
    assert setting(wire, "tuned", "cleanup.policy").value == "delete,compact"
    assert alter(wire, "tuned", 1, "retention.ms", None) == 0
    assert setting(wire, "tuned", "retention.ms").value == "604800000"
    assert alter(wire, "tuned", 0, "retention.ms", "soon") == 40
    assert alter(wire, "tuned", 0, "no.such.setting", "1") == 40


@pytest.mark.parametrize(
    ("name", "steps", "answers", "value"),
    [
        ("cleanup.policy", [(0, "delete,")], [40], "delete"),
        ("cleanup.policy", [(0, "delete,delete")], [0], "delete"),
        ("cleanup.policy", [(2, "")], [40], "delete"),
        ("cleanup.policy", [(2, " compact ")], [0], "delete,compact"),
        ("cleanup.policy", [(2, "delete,,compact")], [40], "delete"),
        ("cleanup.policy", [(2, ",")], [0], "delete"),
        ("cleanup.policy", [(0, "compact,delete"), (3, "compact, delete")], [0, 0], "delete"),
        ("cleanup.policy", [(3, "nonsense")], [0], "delete"),
        ("cleanup.policy", [(3, "delete")], [0], ""),
        ("leader.replication.throttled.replicas", [(0, "0:1"), (2, "")], [0, 0], "0:1,"),
        ("leader.replication.throttled.replicas", [(0, "*"), (2, "0:1")], [0, 40], "*"),
        ("leader.replication.throttled.replicas", [(2, "0:1,0:1"), (2, "0:1,0:2")], [0, 0], "0:1,0:2"),
    ],
)
def test_lists_change_as_in_kafka(wire, name: str, steps: list, answers: list[int], value: str) -> None:
    """Parts are added once and taken away as they are written, without a look at them; what comes of it is looked at."""
    topic = f"listed-{uuid4()}"
    create(wire, topic)
    assert [alter(wire, topic, operation, name, given) for operation, given in steps] == answers
    assert setting(wire, topic, name).value == value


def test_settings_that_contradict_each_other(wire) -> None:
    """A record cannot be kept from compaction for longer than it may go without, however the two are set."""
    create(wire, "lagging")
    assert alter(wire, "lagging", 0, "max.compaction.lag.ms", "5") == 0
    assert alter(wire, "lagging", 0, "min.compaction.lag.ms", "10") == 40
    assert alter(wire, "lagging", 0, "min.compaction.lag.ms", "5") == 0
    configs = [{"name": "min.compaction.lag.ms", "value": "6"}, {"name": "max.compaction.lag.ms", "value": "5"}]
    topics = [{"name": "never", "num_partitions": 1, "replication_factor": 1, "configs": configs}]
    assert wire.call(CREATE, 7, topics=topics).topics[0].error_code == 40


def test_topics_survive_a_kill(broker, tmp_path: Path, make_wire) -> None:
    """Topics, ids and settings are there after a crash, and producer ids are not given out again."""
    wire = make_wire(broker)
    created = create(wire, "kept", num_partitions=2, configs=[{"name": "retention.ms", "value": "77777"}])
    first = wire.call(22, 4, transactional_id=None).producer_id
    broker.kill()
    broker.start()
    wire = make_wire(broker)
    (topic,) = wire.call(METADATA, 12, topics=[{"name": "kept"}]).topics
    assert (topic.topic_id, len(topic.partitions)) == (created.topic_id, 2)
    assert setting(wire, "kept", "retention.ms").value == "77777"
    assert wire.call(22, 4, transactional_id=None).producer_id > first


@pytest.mark.parametrize("arguments", [("--set", "auto.create.topics.enable=false")])
def test_auto_creation_off(make_broker, make_wire, arguments: tuple[str, ...]) -> None:
    """With auto-creation off a missing topic stays missing, whatever the client asks."""
    wire = make_wire(make_broker(*arguments))
    assert wire.call(METADATA, 12, topics=[{"name": "t"}], allow_auto_topic_creation=True).topics[0].error_code == 3


def test_replication_factor_clamp(make_broker, make_wire) -> None:
    """With the clamp on, tools that hard-code three replicas are served."""
    wire = make_wire(make_broker("--set", "replication.factor.clamp=true"))
    assert create(wire, "three", replication_factor=3).error_code == 0


@pytest.mark.parametrize(
    ("wanted", "codes"),
    [
        ((("twice", 1), ("twice", 20_000)), {"twice": 42}),
        ((("large", 20_000), ("small", 1), ("double", 1), ("double", 1)), {"large": 44, "small": 44, "double": 44}),
    ],
)
def test_too_many_partitions(wire, wanted: tuple[tuple[str, int], ...], codes: dict[str, int]) -> None:
    """A request for more than 10,000 new partitions is refused as a whole; topics that are named twice do not count."""
    topics = [{"name": name, "num_partitions": count, "replication_factor": 1} for name, count in wanted]
    answer = wire.call(CREATE, 7, topics=topics)
    assert {topic.name: topic.error_code for topic in answer.topics} == codes


@pytest.mark.parametrize("validate_only", [True, False])
def test_a_topic_grows_by_so_many_partitions_at_once(wire, validate_only: bool) -> None:
    """By no more than 10,000, and a request that only asks hears of it too."""
    name = create(wire, f"grows-{validate_only}").name
    for count in (10_002, 2**31 - 1):
        topics = [{"name": name, "count": count, "assignments": None}]
        assert wire.call(GROW, 3, topics=topics, validate_only=validate_only).results[0].error_code == 44
    assert len(wire.call(METADATA, 12, topics=[{"name": name}]).topics[0].partitions) == 1
