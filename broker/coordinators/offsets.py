"""Committed offsets of all groups, in memory as the records of `__consumer_offsets` left them.

Written only by `replay` and `end`; commits, deletions and expiry are made as records here and come back through them. What
was committed inside a transaction is pending until its marker, and counts then unless a later record of the same partition
counts already: so memory says what the log says once it is compacted. A deletion takes what is pending with it. Whether
somebody may commit is `membership`'s and the coordinator's business.

Source: Kafka's OffsetMetadataManager.
"""

from collections.abc import Callable, Collection, Iterable, Iterator

from broker.coordinators.group_records import CommittedOffset, OffsetKey, offset_key, offset_value
from broker.coordinators.runtime import Origin, StateRecord

TopicPartition = tuple[str, int]


class Offsets:
    """group -> (topic, partition) -> offset."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[TopicPartition, CommittedOffset]] = {}
        self._pending: dict[str, dict[TopicPartition, dict[Origin, CommittedOffset | None]]] = {}
        """Of open transactions, those of a partition in the order of their records; None where a later one counts already."""
        self._open: dict[Origin, dict[OffsetKey, None]] = {}

    def replay(self, key: OffsetKey, offset: CommittedOffset | None, origin: Origin) -> None:
        """One stored change; None forgets."""
        if offset is None:
            self._forget(key)
        elif origin.producer_id >= 0:
            transactions = self._pending.setdefault(key.group, {}).setdefault((key.topic, key.partition), {})
            transactions.pop(origin, None)
            transactions[origin] = offset
            self._open.setdefault(origin, {})[key] = None
        else:
            self._supersede(self._transactions(key))
            self._apply(key, offset)

    def end(self, origin: Origin, commit: bool) -> None:
        """A transaction has ended: what it committed counts, or never was."""
        for key in self._open.pop(origin, ()):
            transactions = self._transactions(key)
            if origin not in transactions:
                continue
            if commit and (offset := transactions[origin]) is not None:
                self._supersede(transactions, before=origin)
                self._apply(key, offset)
            del transactions[origin]
            if not transactions:
                self._forget_pending(key)

    def forget_groups(self, is_theirs: Callable[[str], bool]) -> None:
        """Drop all that is known of some groups, to be told anew."""
        self._groups = {group: offsets for group, offsets in self._groups.items() if not is_theirs(group)}
        self._pending = {group: pending for group, pending in self._pending.items() if not is_theirs(group)}
        self._open = {
            origin: keys for origin, all_keys in self._open.items() if (keys := _without(all_keys, is_theirs))
        }

    def pending(self, group: str) -> Collection[TopicPartition]:
        """Partitions for which a transaction that is still open has offsets of a group."""
        return self._pending.get(group, {}).keys()

    def knows(self, group: str) -> bool:
        """Whether there are offsets of a group, if only in an open transaction."""
        return group in self._groups or group in self._pending

    def all_of(self, group: str) -> list[TopicPartition]:
        """Every partition of which a group has offsets, if only in an open transaction: what goes with the group."""
        return list(dict.fromkeys([*self.of_group(group), *self.pending(group)]))

    def _transactions(self, key: OffsetKey) -> dict[Origin, CommittedOffset | None]:
        return self._pending.get(key.group, {}).get((key.topic, key.partition), {})

    @staticmethod
    def _supersede(transactions: dict[Origin, CommittedOffset | None], before: Origin | None = None) -> None:
        for origin in transactions:
            if origin == before:
                return
            transactions[origin] = None

    def _apply(self, key: OffsetKey, offset: CommittedOffset) -> None:
        self._groups.setdefault(key.group, {})[key.topic, key.partition] = offset

    def _forget(self, key: OffsetKey) -> None:
        self._forget_pending(key)
        of_group = self._groups.get(key.group, {})
        of_group.pop((key.topic, key.partition), None)
        if not of_group:
            self._groups.pop(key.group, None)

    def _forget_pending(self, key: OffsetKey) -> None:
        of_group = self._pending.get(key.group, {})
        of_group.pop((key.topic, key.partition), None)
        if not of_group:
            self._pending.pop(key.group, None)

    def of_group(self, group: str) -> dict[TopicPartition, CommittedOffset]:
        """Everything a group has committed; not to be changed."""
        return self._groups.get(group, {})

    def groups(self) -> Iterable[str]:
        """Groups with at least one offset, if only in an open transaction."""
        return self._groups.keys() | self._pending.keys()

    @staticmethod
    def commit(group: str, offsets: Iterable[tuple[TopicPartition, CommittedOffset]]) -> list[StateRecord]:
        """The records of a commit."""
        return [StateRecord(offset_key(group, *where), offset_value(offset)) for where, offset in offsets]

    @staticmethod
    def forget(group: str, where: Iterable[TopicPartition]) -> list[StateRecord]:
        """The records that delete offsets."""
        return [StateRecord(offset_key(group, *partition), None) for partition in where]

    def of_topic(self, topic: str) -> Iterator[tuple[str, TopicPartition]]:
        """(group, partition) of every offset of a topic, pending ones too, for when the topic is deleted."""
        for group in self.groups():
            yield from ((group, where) for where in self.all_of(group) if where[0] == topic)

    def expired(self, group: str, now_ms: int, empty_since_ms: int, retention_ms: int) -> list[TopicPartition]:
        """What a group without members has kept long enough.

        An offset lives `retention_ms` from the later of its commit and the group's becoming empty; one that was given an
        expiry of its own lives until then. One with a pending successor stays: the transaction may be aborted.
        """
        pending = self.pending(group)
        return [
            where
            for where, offset in self.of_group(group).items()
            if where not in pending
            and now_ms
            >= (offset.expire_ms if offset.expire_ms >= 0 else max(offset.commit_ms, empty_since_ms) + retention_ms)
        ]


def _without(keys: Iterable[OffsetKey], is_theirs: Callable[[str], bool]) -> dict[OffsetKey, None]:
    return {key: None for key in keys if not is_theirs(key.group)}
