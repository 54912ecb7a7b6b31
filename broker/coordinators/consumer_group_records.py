"""The records of consumer groups in `__consumer_offsets`, in Kafka's own schemas: keys 3 and 5 to 8, flexible values.

What a group noted as changed becomes records, a tombstone where the thing is gone; `replay` is the way back. Bytes only:
knows neither the log nor the group's rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from broker.coordinators.consumer_group import (
    ClassicSide,
    ConsumerGroup,
    ConsumerMember,
    Kind,
    MemberState,
    Place,
    Subscription,
)
from broker.coordinators.fields import FieldReader, FieldWriter
from broker.coordinators.runtime import StateRecord

KINDS = frozenset(kind.value for kind in Kind)
OF_MEMBERS = frozenset({Kind.MEMBER, Kind.TARGET, Kind.CURRENT})
HASH_TAG = 0
CLASSIC_TAG = 0
EPOCHS_TAG = 0
PRESENT = 1


def key_of(group_id: str, kind: Kind, member_id: str) -> bytes:
    """The key of a record."""
    writer = FieldWriter().int16(kind.value).string(group_id)
    return (writer.string(member_id) if kind in OF_MEMBERS else writer).done()


def records_of(group: ConsumerGroup, changes: Iterable[tuple[Kind, str]]) -> list[StateRecord]:
    """The records of what has changed, as the group is now."""
    return [
        StateRecord(key_of(group.group_id, kind, member_id), _value(group, kind, member_id))
        for kind, member_id in changes
    ]


def tombstones(group: ConsumerGroup) -> list[StateRecord]:
    """The records that delete a group without members."""
    return [StateRecord(key_of(group.group_id, kind, ""), None) for kind in (Kind.TARGET_EPOCH, Kind.GROUP)]


def _value(group: ConsumerGroup, kind: Kind, member_id: str) -> bytes | None:
    if kind is Kind.GROUP:
        return _group_value(group)
    if kind is Kind.TARGET_EPOCH:
        return FieldWriter().int16(0).int32(group.assignment_epoch).no_tags().done()
    member = group.members.get(member_id)
    if member is None:
        return None
    if kind is Kind.TARGET:
        writer = FieldWriter().int16(0)
        _write_places(writer, group.targets.get(member_id, frozenset()))
        return writer.no_tags().done()
    return _current_value(member) if kind is Kind.CURRENT else _member_value(member)


def _group_value(group: ConsumerGroup) -> bytes:
    writer = FieldWriter().int16(0).int32(group.epoch)
    return writer.varint(1).varint(HASH_TAG).varint(8).int64(group.metadata_hash).done()


def _member_value(member: ConsumerMember) -> bytes:
    said = member.subscription
    writer = FieldWriter().int16(0).compact_string(said.instance_id).compact_string(said.rack_id)
    writer.compact_string(said.client_id).compact_string(said.client_host).varint(len(said.topics) + 1)
    for topic in sorted(said.topics):
        writer.compact_string(topic)
    writer.compact_string(said.regex).int32(said.rebalance_timeout_ms).compact_string(said.assignor)
    if member.classic is None:
        return writer.no_tags().done()
    side = _classic_value(member.classic)
    return writer.varint(1).varint(CLASSIC_TAG).varint(len(side)).raw(side).done()


def _classic_value(side: ClassicSide) -> bytes:
    writer = FieldWriter().int8(PRESENT).int32(side.session_timeout_ms).varint(len(side.protocols) + 1)
    for name, metadata in side.protocols.items():
        writer.compact_string(name).varint(len(metadata) + 1).raw(metadata).no_tags()
    return writer.no_tags().done()


def _current_value(member: ConsumerMember) -> bytes:
    writer = FieldWriter().int16(0).int32(member.epoch).int32(member.previous_epoch).int8(member.state.value)
    _write_places(writer, member.assigned, member.assignment_epochs)
    _write_places(writer, member.pending_revocation, member.assignment_epochs)
    return writer.no_tags().done()


def _write_places(writer: FieldWriter, places: Iterable[Place], since: Mapping[Place, int] | None = None) -> None:
    """Partitions; those that a member holds with the epochs `since` when."""
    by_topic: dict[UUID, list[int]] = {}
    for topic_id, partition in sorted(places):
        by_topic.setdefault(topic_id, []).append(partition)
    writer.varint(len(by_topic) + 1)
    for topic_id, partitions in by_topic.items():
        _write_numbers(writer.raw(topic_id.bytes), partitions)
        if since is None:
            writer.no_tags()
        else:
            epochs = _write_numbers(FieldWriter(), [since[topic_id, partition] for partition in partitions]).done()
            writer.varint(1).varint(EPOCHS_TAG).varint(len(epochs)).raw(epochs)


def _write_numbers(writer: FieldWriter, numbers: Sequence[int]) -> FieldWriter:
    writer.varint(len(numbers) + 1)
    for number in numbers:
        writer.int32(number)
    return writer


# ---- the way back


def parse_consumer_key(data: bytes) -> tuple[str, Kind, str] | None:
    """(group, kind, member or "") of a key; None for other keys."""
    reader = FieldReader(data)
    version = reader.int16()
    if version not in KINDS:
        return None
    kind = Kind(version)
    return reader.string(), kind, reader.string() if kind in OF_MEMBERS else ""


def replay(group: ConsumerGroup, kind: Kind, member_id: str, value: bytes | None) -> None:
    """Take in one stored change of a group; a group that is deleted as a whole is its keeper's business."""
    if value is None:
        if kind is Kind.MEMBER:
            group.members.pop(member_id, None)
        elif kind is Kind.TARGET:
            group.targets.pop(member_id, None)
        return
    reader = FieldReader(value)
    reader.int16()
    if kind is Kind.GROUP:
        _read_group(group, reader)
    elif kind is Kind.TARGET_EPOCH:
        group.assignment_epoch = reader.int32()
    elif kind is Kind.TARGET:
        group.targets[member_id] = frozenset(_read_places(reader))
    else:
        member = group.members.setdefault(member_id, ConsumerMember(member_id))
        if kind is Kind.MEMBER:
            member.subscription = _read_member(reader)
            member.classic = _read_classic(reader)
        else:
            _read_current(member, reader)


def _read_group(group: ConsumerGroup, reader: FieldReader) -> None:
    group.epoch = reader.int32()
    for _ in range(reader.varint()):
        tag, size = reader.varint(), reader.varint()
        if tag == HASH_TAG:
            group.metadata_hash = reader.int64()
        else:
            reader.skip(size)


def _read_member(reader: FieldReader) -> Subscription:
    instance_id, rack_id = reader.nullable_compact_string(), reader.nullable_compact_string()
    client_id, client_host = reader.compact_string(), reader.compact_string()
    topics = frozenset(reader.compact_string() for _ in range(max(reader.varint() - 1, 0)))
    regex, rebalance_timeout_ms = reader.nullable_compact_string(), reader.int32()
    assignor = reader.nullable_compact_string()
    return Subscription(
        instance_id, rack_id, client_id, client_host, topics, regex or None, rebalance_timeout_ms, assignor
    )


def _read_classic(reader: FieldReader) -> ClassicSide | None:
    found = None
    for _ in range(reader.varint()):
        tag, size = reader.varint(), reader.varint()
        if tag != CLASSIC_TAG:
            reader.skip(size)
        elif reader.int8() == PRESENT:
            session_timeout_ms, protocols = reader.int32(), {}
            for _ in range(max(reader.varint() - 1, 0)):
                name = reader.compact_string()
                protocols[name] = reader.raw(max(reader.varint() - 1, 0))
                reader.tags()
            reader.tags()
            found = ClassicSide(session_timeout_ms, protocols)
    return found


def _read_current(member: ConsumerMember, reader: FieldReader) -> None:
    member.epoch, member.previous_epoch = reader.int32(), reader.int32()
    number = reader.int8()
    states = {state.value: state for state in MemberState}
    member.state = states.get(number, MemberState.UNRELEASED_PARTITIONS)
    unsaid = max(member.epoch, 0)
    assigned, pending = _read_places(reader, unsaid), _read_places(reader, unsaid)
    member.assigned, member.pending_revocation = frozenset(assigned), frozenset(pending)
    member.assignment_epochs = {**pending, **assigned}


def _read_places(reader: FieldReader, unsaid: int = 0) -> dict[Place, int]:
    """Partitions, each with the epoch since when it is held, or with `unsaid` where the record does not say."""
    places: dict[Place, int] = {}
    for _ in range(max(reader.varint() - 1, 0)):
        topic_id = UUID(bytes=reader.raw(16))
        partitions = _read_numbers(reader)
        epochs: list[int] = []
        for _ in range(reader.varint()):
            tag, size = reader.varint(), reader.varint()
            if tag == EPOCHS_TAG:
                epochs = _read_numbers(reader)
            else:
                reader.skip(size)
        if len(epochs) != len(partitions):
            epochs = [unsaid] * len(partitions)
        places.update(((topic_id, partition), epoch) for partition, epoch in zip(partitions, epochs, strict=True))
    return places


def _read_numbers(reader: FieldReader) -> list[int]:
    return [reader.int32() for _ in range(max(reader.varint() - 1, 0))]
