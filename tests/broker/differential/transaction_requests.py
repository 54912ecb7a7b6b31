"""Producer ids and transactions, in both versions of the protocol."""

from typing import Any

from broker.protocol.apis import ApiKey
from tests.broker.differential.drawing import Draw, Kind
from tests.broker.differential.record_requests import TRANSACTIONAL, plain_batch, produce_values
from tests.broker.differential.requests import Request, Symbol


def _who(draw: Draw, name: str) -> dict[str, Any]:
    """A producer as its broker knows it, or not quite."""
    return {
        "producer_id": draw.often(Symbol("producer", name), Symbol("producer", "of-nobody"), -1),
        "producer_epoch": draw.often(Symbol("epoch", name), 7, -1),
    }


def init_idempotent(draw: Draw) -> Request:
    values = {"transactional_id": None, "transaction_timeout": draw.one(60_000, 0, -1)}
    values |= {"producer_id": -1, "producer_epoch": -1}
    return draw.request(ApiKey.INIT_PRODUCER_ID, values, label=draw.producer())


def init(draw: Draw) -> Request:
    name = draw.random.choice(draw.transactional)
    fresh = draw.chance(0.6)
    values = {
        "transactional_id": draw.often(name, ""),
        "transaction_timeout": draw.often(60_000, 0, -1, 900_001),
        **({"producer_id": -1, "producer_epoch": -1} if fresh else _who(draw, name)),
    }
    return draw.request(ApiKey.INIT_PRODUCER_ID, values, label=name)


def add_partitions(draw: Draw) -> Request:
    name = draw.random.choice(draw.transactional)
    who = _who(draw, name)
    topics = [{"name": topic, "partitions": draw.each(draw.partition)} for topic in draw.each(draw.topic)]
    values = {
        "v3_and_below_transactional_id": draw.often(name, "", "nobodys"),
        "v3_and_below_producer_id": who["producer_id"],
        "v3_and_below_producer_epoch": who["producer_epoch"],
        "v3_and_below_topics": topics,
    }
    return draw.request(ApiKey.ADD_PARTITIONS_TO_TXN, values, high=3)


def add_offsets(draw: Draw) -> Request:
    name = draw.random.choice(draw.transactional)
    values = {"transactional_id": draw.often(name, "", "nobodys"), **_who(draw, name), "group_id": draw.group()}
    return draw.request(ApiKey.ADD_OFFSETS_TO_TXN, values)


def commit_offsets(draw: Draw) -> Request:
    name = draw.random.choice(draw.transactional)
    label = f"{draw.random.choice(draw.groups)}/a"
    known = draw.chance(0.4)
    values = {
        "transactional_id": draw.often(name, "nobodys"),
        "group_id": draw.often(label.partition("/")[0], "", draw.nobodys_group),
        **_who(draw, name),
        "generation_id": draw.often(Symbol("generation", label), 9) if known else -1,
        "member_id": draw.often(Symbol("member", label), "stranger") if known else "",
        "group_instance_id": None,
        "topics": [
            {
                "name": draw.topic(),
                "partitions": [
                    {
                        "partition_index": draw.partition(),
                        "committed_offset": draw.random.randrange(9),
                        "committed_leader_epoch": -1,
                        "committed_metadata": draw.often(None, "here", "m" * 4097),
                    }
                ],
            }
        ],
    }
    return draw.request(ApiKey.TXN_OFFSET_COMMIT, values)


def produce(draw: Draw) -> Request:
    name, topic, partition = draw.random.choice(draw.transactional), draw.topic(), draw.one(0, 1)
    key = (name, topic, partition)
    expected = draw.sequences.get(key, 0)
    batch = plain_batch(draw, producer=name, sequence=draw.often(expected, 0), attributes=TRANSACTIONAL)
    draw.sequences[key] = expected + len(batch.records)
    values = produce_values(draw, topic, partition, batch, transactional_id=draw.often(name, None, "nobodys"))
    return draw.request(ApiKey.PRODUCE, values, low=3)


def end(draw: Draw) -> Request:
    name = draw.random.choice(draw.transactional)
    values = {"transactional_id": draw.often(name, "", "nobodys"), **_who(draw, name), "committed": draw.chance(0.5)}
    for key in [key for key in draw.sequences if key[0] == name]:
        del draw.sequences[key]
    return draw.request(ApiKey.END_TXN, values, label=name)


def describe(draw: Draw) -> Request:
    ids = draw.each(lambda: draw.one(*draw.transactional, "", "nobodys"))
    return draw.request(ApiKey.DESCRIBE_TRANSACTIONS, {"transactional_ids": ids})


def list_transactions(draw: Draw) -> Request:
    values = {
        "state_filters": draw.one([], ["Ongoing"], ["Empty", "CompleteCommit"], ["nonsense"]),
        "producer_id_filters": [Symbol("producer", name) for name in draw.transactional],
        "duration_filter": draw.often(-1, 0, 1_000_000),
        "transactional_id_pattern": draw.often(None, f"{draw.transactional[0]}.*", "", "("),
    }
    return draw.request(ApiKey.LIST_TRANSACTIONS, values)


def write_marker(draw: Draw) -> Request:
    name = draw.random.choice(draw.transactional)
    marker = {
        **_who(draw, name),
        "transaction_result": draw.chance(0.2),
        "topics": [{"name": draw.topic(), "partition_indexes": [draw.partition()]}],
        "coordinator_epoch": 0,
        "transaction_version": draw.one(0, 1, 2),
    }
    return draw.request(ApiKey.WRITE_TXN_MARKERS, {"markers": [marker]})


TRANSACTIONS: list[tuple[int, Kind]] = [
    (2, init_idempotent),
    (5, init),
    (5, add_partitions),
    (2, add_offsets),
    (4, commit_offsets),
    (8, produce),
    (6, end),
    (3, describe),
    (2, list_transactions),
    (1, write_marker),
]
