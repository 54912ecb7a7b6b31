"""Committed offsets of all groups, in memory as the records of `__consumer_offsets` left them.

Written only by `replay` and `end`; commits, deletions and expiry are made as records here and come back through them. What
was committed inside a transaction is pending until its marker. Whether somebody may commit is `membership`'s and the
coordinator's business.
"""

from collections.abc import Callable, Iterable, Iterator

from broker.coordinators.group_records import CommittedOffset, OffsetKey, offset_key, offset_value
from broker.coordinators.runtime import Origin, StateRecord

TopicPartition = tuple[str, int]


class Offsets:
    """group -> (topic, partition) -> offset."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[TopicPartition, CommittedOffset]] = {}
        self._pending: dict[Origin, list[tuple[OffsetKey, CommittedOffset | None]]] = {}

    def replay(self, key: OffsetKey, offset: CommittedOffset | None, origin: Origin) -> None:
        """One stored change; None forgets."""
        if origin.producer_id >= 0:
            self._pending.setdefault(origin, []).append((key, offset))
        else:
            self._apply(key, offset)

    def end(self, origin: Origin, commit: bool) -> None:
        """A transaction has ended: what it committed counts, or never was."""
        for key, offset in self._pending.pop(origin, ()):
            if commit:
                self._apply(key, offset)

    def forget_groups(self, is_theirs: Callable[[str], bool]) -> None:
        """Drop all that is known of some groups, to be told anew."""
        self._groups = {group: offsets for group, offsets in self._groups.items() if not is_theirs(group)}

    def forget_pending(self, partition: int) -> None:
        """Drop what open transactions have in a partition, to be told anew."""
        self._pending = {origin: kept for origin, kept in self._pending.items() if origin.partition != partition}

    def pending(self, group: str) -> frozenset[TopicPartition]:
        """Partitions for which a transaction that is still open has offsets of a group."""
        return frozenset(
            (key.topic, key.partition) for changes in self._pending.values() for key, _ in changes if key.group == group
        )

    def _apply(self, key: OffsetKey, offset: CommittedOffset | None) -> None:
        if offset is not None:
            self._groups.setdefault(key.group, {})[key.topic, key.partition] = offset
            return
        of_group = self._groups.get(key.group, {})
        of_group.pop((key.topic, key.partition), None)
        if not of_group:
            self._groups.pop(key.group, None)

    def of_group(self, group: str) -> dict[TopicPartition, CommittedOffset]:
        """Everything a group has committed; not to be changed."""
        return self._groups.get(group, {})

    def groups(self) -> Iterable[str]:
        """Groups with at least one offset."""
        return self._groups.keys()

    @staticmethod
    def commit(group: str, offsets: Iterable[tuple[TopicPartition, CommittedOffset]]) -> list[StateRecord]:
        """The records of a commit."""
        return [StateRecord(offset_key(group, *where), offset_value(offset)) for where, offset in offsets]

    @staticmethod
    def forget(group: str, where: Iterable[TopicPartition]) -> list[StateRecord]:
        """The records that delete offsets."""
        return [StateRecord(offset_key(group, *partition), None) for partition in where]

    def of_topic(self, topic: str) -> Iterator[tuple[str, TopicPartition]]:
        """(group, partition) of every offset of a topic, for when the topic is deleted."""
        for group, offsets in self._groups.items():
            yield from ((group, where) for where in offsets if where[0] == topic)

    def expired(self, group: str, now_ms: int, empty_since_ms: int, retention_ms: int) -> list[TopicPartition]:
        """What a group without members has kept long enough.

        An offset lives `retention_ms` from the later of its commit and the group's becoming empty; one that was given an
        expiry of its own lives until then.
        """
        return [
            where
            for where, offset in self.of_group(group).items()
            if now_ms
            >= (offset.expire_ms if offset.expire_ms >= 0 else max(offset.commit_ms, empty_since_ms) + retention_ms)
        ]
