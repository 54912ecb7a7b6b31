"""The bytes on internal topics: changelogs, repartitions, subscriptions, responses; ours, and compared with Kafka's.

Shape: by topic, a list of [key, value, timestamp, headers], bytes in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from streams.record import Record
from streams.testing import TopologyTestDriver

Topics = Mapping[str, list[Any]]
SUBSCRIPTIONS, NO_PARTITION = "FK-JOIN-SUBSCRIPTION", "ffffffff"


def internal_topics(driver: TopologyTestDriver) -> dict[str, list[Any]]:
    """All that was written to internal topics: [key, value, timestamp, headers], bytes in hexadecimal."""
    topics = sorted(topic for topic in driver.produced_topics() if topic.startswith("oracle-"))
    return {topic: [raw_entry(record) for record in driver.written(topic, 0)] for topic in topics}


def raw_entry(record: Record) -> list[Any]:
    headers = [[name, hexadecimal(value)] for name, value in record.headers]
    return [hexadecimal(record.key), hexadecimal(record.value), record.timestamp, headers]


def hexadecimal(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def first_difference(kafkas: Topics, ours: Topics) -> tuple[str, int, Any, Any] | None:
    """(topic, number, Kafka's record, ours) of the first records that differ.

    Of a suppress buffer Kafka logs what a commit changed in the order of a HashSet: there each key's records count.
    """
    for topic in sorted({*kafkas, *ours}):
        theirs, own = kafkas.get(topic, []), ours.get(topic, [])
        if "KTABLE-SUPPRESS" in topic:
            theirs, own = (sorted(records, key=lambda record: record[0]) for records in (theirs, own))
        for number, (one, other) in enumerate(zip_longest(theirs, own)):
            if timed(one, other) != other and not (SUBSCRIPTIONS in topic and answerable(one, other)):
                return topic, number, one, other
    return None


def timed(theirs: list[Any] | None, ours: list[Any] | None) -> list[Any] | None:
    """Kafka's record; where it leaves the time to its producer, with ours, which is that of the driver's clock."""
    if theirs is None or ours is None or theirs[2] is not None:
        return theirs
    return [*theirs[:2], ours[2], theirs[3]]


def answerable(theirs: list[Any] | None, ours: list[Any] | None) -> bool:
    """Whether a subscription differs in the partition alone that its answer goes to, and Kafka has named none.

    It does so for rows that a punctuator put out, and fails when it is to answer them; ours name the row's partition.
    """
    if not theirs or not ours or not theirs[1] or not ours[1] or not theirs[1].endswith(NO_PARTITION):
        return False
    own = ours[1][: -len(NO_PARTITION)] + NO_PARTITION
    return timed(theirs, ours) == [ours[0], own, *ours[2:]]
