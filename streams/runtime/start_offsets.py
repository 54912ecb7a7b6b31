"""Where reading begins: at the committed offset, else where the source says.

Rules: a source's `offset_reset` goes before the application's `auto_offset_reset`: earliest, latest, none (an error),
or a number of ms counted back from now. Internal topics have the rule earliest, for what lies in them unread is work that
was begun. The same rule answers an offset that exists no longer, with a warning that says what was skipped.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping

from streams.clients.base import Clock, Consumer, OffsetAndMetadata
from streams.errors import ClientError
from streams.record import TopicPartition
from streams.topology.topology import Topology

log = logging.getLogger(__name__)

Reset = str | int


class StartOffsets:
    """Places a consumer. `resets` has the topics whose source has a rule of its own, `patterns` those of patterns."""

    def __init__(
        self, resets: Mapping[str, Reset], default: Reset, clock: Clock, patterns: Mapping[str, Reset] = {}
    ) -> None:
        self._resets = dict(resets)
        self._patterns = patterns
        self._default = default
        self._clock = clock

    def place(
        self, consumer: Consumer, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """Have the consumer read these from where they stand; the answer is what was committed, None for nothing.

        Partitions that are absent are not placed: the transaction of their last owner is not decided yet, or their topic
        matched a pattern and is gone, of which the next assignment tells.
        """
        wanted = list(partitions)
        if not wanted:
            return {}
        committed = consumer.decided(wanted)
        for partition, entry in committed.items():
            if entry is not None:
                consumer.seek(partition, entry.offset)
        fresh = [partition for partition, entry in committed.items() if entry is None]
        found = self._found(consumer, fresh)
        for partition, offset in found.items():
            consumer.seek(partition, offset)
        return {partition: entry for partition, entry in committed.items() if entry is not None or partition in found}

    def reset(self, consumer: Consumer, partition: TopicPartition, offset: int) -> None:
        """Go on although `offset` is gone. Raises: ClientError when the rule is none."""
        found = self._found(consumer, [partition]).get(partition)
        if found is None:
            return
        log.warning("%s has no offset %d any more: going on at %d, skipping what was between", partition, offset, found)
        consumer.seek(partition, found)

    def _found(self, consumer: Consumer, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        by_reset: dict[Reset, list[TopicPartition]] = {}
        for partition in partitions:
            by_reset.setdefault(self._reset_of(partition.topic), []).append(partition)
        offsets: dict[TopicPartition, int] = {}
        for reset, chosen in by_reset.items():
            offsets |= self._resolve(consumer, reset, chosen)
        return offsets

    def _reset_of(self, topic: str) -> Reset:
        if topic not in self._resets:
            found = (reset for pattern, reset in self._patterns.items() if re.fullmatch(pattern, topic))
            self._resets[topic] = next(found, self._default)
        return self._resets[topic]

    def _resolve(self, consumer: Consumer, reset: Reset, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        if reset == "earliest":
            return consumer.beginning_offsets(partitions)
        if reset == "latest":
            return consumer.end_offsets(partitions)
        if isinstance(reset, int):
            return consumer.offsets_at(partitions, self._clock() - reset)
        raise ClientError(
            f"{partitions[0]} has no committed offset to begin at, and auto_offset_reset is {reset!r}: "
            "set it to 'earliest' or 'latest'"
        )


def reset_rules(topology: Topology) -> dict[str, Reset]:
    """By full name, the rules of the topics whose source has one of its own."""
    return {
        topology.full_name(topic): source.offset_reset
        for part in topology.subtopologies
        for source in part.sources
        for topic in source.topics
        if source.offset_reset is not None
    }


def pattern_rules(topology: Topology) -> dict[str, Reset]:
    """By pattern, the rules of those sources with a pattern that have one of their own."""
    return {
        source.pattern: source.offset_reset
        for part in topology.subtopologies
        for source in part.sources
        if source.pattern is not None and source.offset_reset is not None
    }
