"""Moving the offsets of a group: `streams groups NAME --to PLACE`.

Rules: only partitions that the group has committed are moved, or all of the topics that are named; never past what is
there; never while the group has members, whose positions would overwrite it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.cli.topic_tools import Row, groups_of
from streams.clients.base import Consumer, OffsetAndMetadata
from streams.connection import Connection
from streams.errors import ConfigError, StreamsError
from streams.reading import described, time_ms
from streams.record import TopicPartition

Offsets = Mapping[TopicPartition, int]


def move(connection: Connection, group: str, place: str, topics: Sequence[str], *, dry_run: bool) -> list[Row]:
    """Move a group. Shape: a row per partition, where it was (None: nowhere) and where it is now.

    Raises: ConfigError for a topic or place that is none; StreamsError while the group has members.
    """
    members = groups_of(connection).describe(group).members
    if members and not dry_run:
        raise StreamsError(f"the group {group} has members ({', '.join(members)}): stop them, then move it")
    consumer = connection.clients.consumer(group=group)
    try:
        admin = connection.admin
        every = described(admin, topics) if topics else admin.describe(admin.topics())
        partitions = [TopicPartition(name, number) for name in every for number in range(every[name].partitions)]
        committed = {each: found.offset for each, found in consumer.committed(partitions).items()}
        wanted = [each for each in partitions if topics or each in committed]
        targets = _targets(consumer, wanted, committed, place)
        if targets and not dry_run:
            consumer.commit({partition: OffsetAndMetadata(offset) for partition, offset in targets.items()})
    finally:
        consumer.close()
    return [
        {"topic": each.topic, "partition": each.partition, "from": committed.get(each), "to": targets[each]}
        for each in sorted(targets)
    ]


def _targets(consumer: Consumer, partitions: Sequence[TopicPartition], committed: Offsets, place: str) -> Offsets:
    if not partitions:
        return {}
    begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    if place in {"earliest", "beginning"}:
        found: Offsets = begins
    elif place in {"latest", "end"}:
        found = ends
    elif place.lstrip("+-").isdigit():
        by = int(place)
        relative = place[0] in "+-"
        found = {each: committed.get(each, begins[each]) + by if relative else by for each in partitions}
    else:
        try:
            found = consumer.offsets_at(partitions, time_ms(place))
        except ConfigError:
            raise ConfigError(
                f"--to: expected earliest, latest, an offset, +N, -N or a time such as 2026-01-31T12:00, got {place!r}"
            ) from None
    return {each: min(max(begins[each], found[each]), ends[each]) for each in partitions}
