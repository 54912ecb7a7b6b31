"""Classic groups, consumer groups and their offsets."""

import struct
from typing import Any

from broker.protocol.apis import ApiKey
from tests.broker.differential.drawing import Draw, Kind
from tests.broker.differential.requests import Request, Symbol

SESSION_MS = 30_000


def subscription(*topics: str) -> bytes:
    """A consumer's subscription, version 0."""
    names = b"".join(struct.pack(">h", len(name)) + name.encode() for name in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


# ---- classic groups


def _member(draw: Draw) -> str:
    """Who speaks: a group and one of its two members."""
    return f"{draw.random.choice(draw.groups)}/{draw.one('a', 'b')}"


def _group_of(draw: Draw, label: str) -> str:
    return draw.often(label.partition("/")[0], "", draw.nobodys_group, *draw.consumers)


def _instance(draw: Draw, label: str) -> str | None:
    return draw.often(None, f"instance-{label[-1]}", "")


def join(draw: Draw) -> Request:
    label = _member(draw)
    values = {
        "group_id": _group_of(draw, label),
        "session_timeout": draw.often(SESSION_MS, 5, 0, -1, 10_000_000),
        "rebalance_timeout": draw.often(60_000, 0),
        "member_id": draw.often(Symbol("member", label), "", "", "stranger"),
        "group_instance_id": _instance(draw, label),
        "protocol_type": draw.often("consumer", "connect", ""),
        "protocols": [
            {"name": name, "metadata": draw.often(subscription(*draw.topics[:2]), b"", b"junk")}
            for name in draw.one(("range",), ("range",), ("range", "roundrobin"), ("sticky",), ())
        ],
        "reason": None,
    }
    return draw.request(ApiKey.JOIN_GROUP, values, connection=label, label=label)


def sync(draw: Draw) -> Request:
    label = _member(draw)
    values = {
        "group_id": _group_of(draw, label),
        "generation_id": draw.often(Symbol("generation", label), 0, 9, -1),
        "member_id": draw.often(Symbol("member", label), "", "stranger"),
        "group_instance_id": _instance(draw, label),
        "protocol_type": draw.often("consumer", None, "connect"),
        "protocol_name": draw.often("range", None, "sticky"),
        "assignments": [{"member_id": Symbol("member", label), "assignment": b"mine"}] if draw.chance(0.7) else [],
    }
    return draw.request(ApiKey.SYNC_GROUP, values, connection=label)


def heartbeat(draw: Draw) -> Request:
    label = _member(draw)
    values = {
        "group_id": _group_of(draw, label),
        "generation_id": draw.often(Symbol("generation", label), 0, 9, -1),
        "member_id": draw.often(Symbol("member", label), "", "stranger"),
        "group_instance_id": _instance(draw, label),
    }
    return draw.request(ApiKey.HEARTBEAT, values)


def leave(draw: Draw) -> Request:
    label = _member(draw)
    member = draw.often(Symbol("member", label), "", "stranger")
    one = {"member_id": member, "group_instance_id": _instance(draw, label), "reason": None}
    members = draw.one([one], [one], [], [one, {**one, "member_id": "stranger"}])
    return draw.request(
        ApiKey.LEAVE_GROUP, {"group_id": _group_of(draw, label), "member_id": member, "members": members}
    )


# ---- offsets


def commit(draw: Draw) -> Request:
    label = draw.one(*(f"{group}/a" for group in (*draw.groups, *draw.consumers)))
    alone = draw.chance(0.5)
    epoch = Symbol("member epoch" if "consumers" in label else "generation", label)
    names = draw.some(draw.topic)  # of those that do not exist one, as they have no ids to tell them apart
    values = {
        "group_id": draw.often(label.partition("/")[0], "", draw.simple_group),
        "generation_id_or_member_epoch": -1 if alone else draw.often(epoch, 0, 9, -2, Symbol("epoch before", label)),
        "member_id": "" if alone else draw.often(Symbol("member", label), "stranger"),
        "group_instance_id": None if alone else draw.often(None, "instance-a"),
        "retention_time": -1,
        "topics": [
            {
                "name": name,
                "topic_id": draw.by_id(name),
                "partitions": [
                    {
                        "partition_index": draw.partition(),
                        "committed_offset": draw.often(draw.random.randrange(9), -1, -2, 2**40),
                        "committed_leader_epoch": draw.often(-1, 0, 3),
                        "commit_timestamp": -1,
                        "committed_metadata": draw.often("here", None, "", "m" * 4096, "m" * 4097),
                    }
                ],
            }
            for name in {
                draw.by_id(name) if name in (*draw.topics, draw.compacted) else None: name for name in names
            }.values()
        ],
    }
    return draw.request(ApiKey.OFFSET_COMMIT, values)


def fetch_offsets(draw: Draw) -> Request:
    def topics() -> list[dict[str, Any]] | None:
        if draw.chance(0.2):
            return None
        return [
            {"name": name, "topic_id": draw.by_id(name), "partition_indexes": draw.one([0], [0, 1], [7], [], [1, 1])}
            for name in draw.each(draw.topic)
        ]

    def group() -> dict[str, Any]:
        label = f"{draw.one(*draw.groups, *draw.consumers)}/a"
        known = draw.chance(0.3)
        return {
            "group_id": draw.often(label.partition("/")[0], "", draw.simple_group, draw.nobodys_group),
            "member_id": draw.often(Symbol("member", label), "stranger", "") if known else None,
            "member_epoch": draw.often(Symbol("member epoch", label), 0, 9, Symbol("epoch before", label))
            if known
            else -1,
            "topics": topics(),
        }

    stable = draw.chance(0.4)
    if draw.chance(0.4):
        values = {"group_id": draw.group(), "topics": topics(), "require_stable": stable}
        request = draw.request(ApiKey.OFFSET_FETCH, values, high=7)
        if request.version < 2 and values["topics"] is None:
            values["topics"] = []
        return request
    groups = {item["group_id"]: item for item in draw.some(group)}
    return draw.request(ApiKey.OFFSET_FETCH, {"groups": list(groups.values()), "require_stable": stable}, low=8)


def delete_offsets(draw: Draw) -> Request:
    topics = [
        {"name": name, "partitions": [{"partition_index": index} for index in draw.each(draw.partition)]}
        for name in draw.each(draw.topic)
    ]
    return draw.request(ApiKey.OFFSET_DELETE, {"group_id": draw.group(), "topics": topics})


# ---- consumer groups


def consumer_heartbeat(draw: Draw) -> Request:
    label = f"{draw.random.choice(draw.consumers)}/{draw.one('a', 'b')}"
    joins = draw.chance(0.35)
    leaves = not joins and draw.chance(0.15)
    owned = [{"topic_id": draw.by_id(draw.topics[0]), "partitions": [0, 1]}]
    values: dict[str, Any] = {
        "group_id": draw.often(label.partition("/")[0], "", draw.nobodys_group, *draw.groups),
        "member_id": draw.often(f"member-{label[-1]}", "", "stranger"),
        "member_epoch": 0
        if joins
        else draw.one(-1, -2)
        if leaves
        else draw.often(Symbol("member epoch", label), 9, -3, Symbol("epoch before", label)),
        "instance_id": draw.often(None, f"instance-{label[-1]}", ""),
        "rack_id": draw.often(None, "rack", "rack", ""),
        "rebalance_timeout": draw.often(60_000, -1) if joins else draw.often(-1, 60_000),
        "subscribed_topic_names": draw.often(draw.topics[:2], None, [], [draw.missing]) if joins else None,
        "subscribed_topic_regex": draw.often(
            None, "", "(", "a{1,2}b"
        ),  # of those that match Kafka tells by chance when
        "server_assignor": draw.often(None, "range", "uniform", "none-such"),
        "topic_partitions": draw.often([], None, owned)
        if joins
        else draw.one(None, None, [], owned, Symbol("owned", label)),
    }
    return draw.request(ApiKey.CONSUMER_GROUP_HEARTBEAT, values, label=label)


def describe_consumer_groups(draw: Draw) -> Request:
    ids = draw.each(lambda: draw.one(*draw.consumers, *draw.groups, "", draw.nobodys_group))
    values = {"group_ids": ids, "include_authorized_operations": draw.chance(0.3)}
    return draw.request(ApiKey.CONSUMER_GROUP_DESCRIBE, values)


# ---- administration


def describe_groups(draw: Draw) -> Request:
    groups = draw.each(draw.group, 0, 2)
    values = {"groups": groups, "include_authorized_operations": draw.chance(0.3)}
    return draw.request(ApiKey.DESCRIBE_GROUPS, values)


def list_groups(draw: Draw) -> Request:
    values = {
        "states_filter": draw.one([], ["Stable"], ["empty"], ["Empty", "PreparingRebalance"], ["nonsense"], ["Dead"]),
        "types_filter": draw.one([], ["classic"], ["Consumer"], ["consumer", "classic"], ["nonsense"], ["share"]),
    }
    return draw.request(ApiKey.LIST_GROUPS, values)


def delete_groups(draw: Draw) -> Request:
    return draw.request(ApiKey.DELETE_GROUPS, {"groups_names": draw.each(draw.group, 0, 2)})


def find_coordinator(draw: Draw) -> Request:
    kind = draw.often(draw.one(0, 1), 2, 3, -1)
    values = {"key": draw.group(), "key_type": kind, "coordinator_keys": draw.some(draw.group, 0, 2)}
    return draw.request(ApiKey.FIND_COORDINATOR, values)


GROUPS: list[tuple[int, Kind]] = [
    (8, join),
    (6, sync),
    (3, heartbeat),
    (3, leave),
    (5, commit),
    (5, fetch_offsets),
    (2, delete_offsets),
    (8, consumer_heartbeat),
    (3, describe_consumer_groups),
    (3, describe_groups),
    (2, list_groups),
    (2, delete_groups),
    (1, find_coordinator),
]
