"""How Kafka orders its answers where a request names partitions by topic: commits of offsets, their deletion, markers."""

from collections.abc import Iterable
from typing import TypeVar

from broker.errors import ErrorCode
from broker.protocol.bodies import Body

Where = TypeVar("Where")
"""A topic's name, or its id."""
Partition = tuple[int, ErrorCode]
MISSING = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID})


def joined(topics: Iterable[tuple[Where, bool, list[Partition]]]) -> list[tuple[Where, list[Partition]]]:
    """Topics as they were named, whether there are such, and what became of each partition: in the order of Kafka's answer.

    Where nothing is missing each topic stands as it was named, twice if it was, but for those without partitions. Where
    anything is, each topic stands once, with what is missing of it first.
    """
    missing: dict[Where, list[Partition]] = {}
    there: list[tuple[Where, list[Partition]]] = []
    for where, exists, partitions in topics:
        absent = [partition for partition in partitions if partition[1] in MISSING]
        if absent or not exists:
            missing.setdefault(where, []).extend(absent)
        if len(absent) < len(partitions):
            there.append((where, [partition for partition in partitions if partition[1] not in MISSING]))
    if not missing:
        return there
    for where, partitions in there:
        missing.setdefault(where, []).extend(partitions)
    return list(missing.items())


def by_topic(topics: Iterable[tuple[str, list[Partition]]]) -> Body:
    """The body of such an answer, where it names topics."""
    return {
        "topics": [
            {"name": name, "partitions": [{"partition_index": index, "error_code": code} for index, code in partitions]}
            for name, partitions in topics
        ]
    }
