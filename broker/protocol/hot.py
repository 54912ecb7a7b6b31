"""The answers that are written most, by hand: Produce, Fetch, ListOffsets, OffsetCommit, Heartbeat.

Each function writes a whole frame of any version this broker serves, some ten times faster than a schema-driven writer.
Fetch gives a list of buffers in which stored bytes stand as they were read, for `writelines`: nothing is copied.

Rules: bytes only. A property test compares every function with kio's own writer, in every version.
Source: Kafka's message definitions; topic names give way to topic ids in Produce 13, Fetch 13 and OffsetCommit 10.
"""

from collections.abc import Callable, Iterable, Sequence, Sized
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

from broker.protocol.apis import APIS, ApiKey
from broker.protocol.primitives import (
    INT16,
    INT32,
    Buffer,
    write_compact_string,
    write_string,
    write_unsigned_varint,
)

_PRODUCE_PARTITION = Struct(">ihqq")
_PRODUCE_PARTITION_5 = Struct(">ihqqq")
_FETCH_PARTITION_4 = Struct(">ihqq")
_FETCH_PARTITION_5 = Struct(">ihqqq")
_ABORTED = Struct(">qq")
_EPOCH_END = Struct(">iq")
_LEADER = Struct(">ii")
_LIST_OFFSETS = Struct(">ihqq")
_LIST_OFFSETS_4 = Struct(">ihqqi")
_INDEX_ERROR = Struct(">ih")
_FETCH_HEAD = Struct(">ihi")
_HEARTBEAT = Struct(">ih")
_INT64 = Struct(">q")
_NIL = UUID(int=0)


class ProducedPartition(NamedTuple):
    """A partition's answer to Produce; `record_errors`: (index in the batch, message)."""

    partition: int
    error: int = 0
    base_offset: int = -1
    log_append_time_ms: int = -1
    log_start_offset: int = -1
    record_errors: Sequence[tuple[int, str | None]] = ()
    error_message: str | None = None


class FetchedPartition(NamedTuple):
    """A partition's answer to Fetch; `records` are whole batches, or parts of files; `aborted` is None for read_uncommitted.

    `diverging`: (epoch, end offset) if the client's log does not follow ours; `leader`: (id, epoch) if it asks a wrong one.
    """

    partition: int
    error: int = 0
    high_watermark: int = -1
    last_stable_offset: int = -1
    log_start_offset: int = -1
    aborted: Sequence[tuple[int, int]] | None = None
    records: Sequence[Sized] = ()
    diverging: tuple[int, int] | None = None
    leader: tuple[int, int] | None = None


class ListedOffset(NamedTuple):
    """A partition's answer to ListOffsets."""

    partition: int
    error: int = 0
    timestamp: int = -1
    offset: int = -1
    leader_epoch: int = -1


class TopicPart(NamedTuple):
    """One topic of an answer: name or id, as the version has it, and its partitions' answers."""

    name: str
    partitions: Sequence[tuple[object, ...]]
    topic_id: UUID = _NIL


_Array = Callable[[bytearray, int], None]


def _compact_count(out: bytearray, count: int) -> None:
    write_unsigned_varint(out, count + 1)


def _legacy_count(out: bytearray, count: int) -> None:
    out += INT32.pack(count)


class _Form(NamedTuple):
    """How one version writes arrays, strings and topics."""

    flexible: bool
    length: _Array
    string: Callable[[bytearray, str | None], None]
    by_id: bool


def _forms(api_key: ApiKey, ids_from: int = 1 << 15) -> list[_Form]:
    api = APIS[api_key]
    return [
        _Form(True, _compact_count, write_compact_string, version >= ids_from)
        if version >= api.flexible_from
        else _Form(False, _legacy_count, write_string, version >= ids_from)
        for version in range(api.max_version + 1)
    ]


_PRODUCE = _forms(ApiKey.PRODUCE, ids_from=13)
_FETCH = _forms(ApiKey.FETCH, ids_from=13)
_OFFSETS = _forms(ApiKey.LIST_OFFSETS)
_COMMIT = _forms(ApiKey.OFFSET_COMMIT, ids_from=10)
_BEAT = _forms(ApiKey.HEARTBEAT)


def _begin(correlation_id: int, form: _Form) -> bytearray:
    out = bytearray(4)
    out += INT32.pack(correlation_id)
    if form.flexible:
        out.append(0)
    return out


def _finish(out: bytearray) -> bytes:
    INT32.pack_into(out, 0, len(out) - 4)
    return bytes(out)


def _topic(out: bytearray, form: _Form, topic: TopicPart) -> None:
    if form.by_id:
        out += topic.topic_id.bytes
    else:
        form.string(out, topic.name)
    form.length(out, len(topic.partitions))


def produce_response(version: int, correlation_id: int, topics: Sequence[TopicPart], throttle_ms: int = 0) -> bytes:
    """An answer to Produce 3 to 13; partitions are `ProducedPartition`."""
    form = _PRODUCE[version]
    out = _begin(correlation_id, form)
    form.length(out, len(topics))
    for topic in topics:
        _topic(out, form, topic)
        for partition in topic.partitions:
            _produced(out, version, form, partition)
        if form.flexible:
            out.append(0)
    out += INT32.pack(throttle_ms)
    if form.flexible:
        out.append(0)
    return _finish(out)


def _produced(out: bytearray, version: int, form: _Form, partition: tuple[object, ...]) -> None:
    if version < 5:
        out += _PRODUCE_PARTITION.pack(*partition[:4])
        return
    out += _PRODUCE_PARTITION_5.pack(*partition[:5])
    if version >= 8:
        answer = ProducedPartition(*partition)  # type: ignore[arg-type]
        form.length(out, len(answer.record_errors))
        for index, message in answer.record_errors:
            out += INT32.pack(index)
            form.string(out, message)
            if form.flexible:
                out.append(0)
        form.string(out, answer.error_message)
    if form.flexible:
        out.append(0)


def fetch_response(
    version: int,
    correlation_id: int,
    topics: Sequence[TopicPart],
    *,
    error: int = 0,
    session_id: int = 0,
    throttle_ms: int = 0,
) -> list[Any]:
    """An answer to Fetch 4 to 17 as buffers to be sent one after the other; partitions are `FetchedPartition`."""
    form = _FETCH[version]
    out = _begin(correlation_id, form)
    out += _FETCH_HEAD.pack(throttle_ms, error, session_id) if version >= 7 else INT32.pack(throttle_ms)
    form.length(out, len(topics))
    buffers: list[Any] = [out]
    size = 0
    for topic in topics:
        _topic(out, form, topic)
        for partition in topic.partitions:
            answer: FetchedPartition = partition  # type: ignore[assignment]
            length = _fetched(out, version, form, answer)
            if length:
                buffers += answer.records
                size += length + len(out)
                out = bytearray()
                buffers.append(out)
            if form.flexible:
                _partition_tags(out, answer)
        if form.flexible:
            out.append(0)
    if form.flexible:
        out.append(0)
    first = buffers[0]
    assert isinstance(first, bytearray)
    INT32.pack_into(first, 0, size + len(out) - 4)
    return buffers


def _fetched(out: bytearray, version: int, form: _Form, answer: FetchedPartition) -> int:
    """Everything before the records; how many bytes of them follow."""
    out += (_FETCH_PARTITION_5.pack(*answer[:5])) if version >= 5 else _FETCH_PARTITION_4.pack(*answer[:4])
    if answer.aborted is None:
        out += b"\0" if form.flexible else b"\xff\xff\xff\xff"
    else:
        form.length(out, len(answer.aborted))
        for producer_id, first_offset in answer.aborted:
            out += _ABORTED.pack(producer_id, first_offset)
            if form.flexible:
                out.append(0)
    if version >= 11:
        out += b"\xff\xff\xff\xff"  # no preferred read replica
    length = sum(map(len, answer.records))
    form.length(out, length)
    return length


def _partition_tags(out: bytearray, answer: FetchedPartition) -> None:
    if answer.diverging is None and answer.leader is None:
        out.append(0)
        return
    sections = []
    if answer.diverging is not None:
        sections.append(b"\x00\x0d" + _EPOCH_END.pack(*answer.diverging) + b"\0")
    if answer.leader is not None:
        sections.append(b"\x01\x09" + _LEADER.pack(*answer.leader) + b"\0")
    out.append(len(sections))
    out += b"".join(sections)


def list_offsets_response(
    version: int, correlation_id: int, topics: Sequence[TopicPart], throttle_ms: int = 0
) -> bytes:
    """An answer to ListOffsets 1 to 10; partitions are `ListedOffset`."""
    form = _OFFSETS[version]
    width, layout = (5, _LIST_OFFSETS_4) if version >= 4 else (4, _LIST_OFFSETS)
    out = _begin(correlation_id, form)
    if version >= 2:
        out += INT32.pack(throttle_ms)
    return _simple(out, form, topics, (layout.pack, width))


def offset_commit_response(
    version: int, correlation_id: int, topics: Sequence[TopicPart], throttle_ms: int = 0
) -> bytes:
    """An answer to OffsetCommit 2 to 10; partitions are (index, error)."""
    form = _COMMIT[version]
    out = _begin(correlation_id, form)
    if version >= 3:
        out += INT32.pack(throttle_ms)
    return _simple(out, form, topics, (_INDEX_ERROR.pack, 2))


def _simple(
    out: bytearray, form: _Form, topics: Sequence[TopicPart], layout: tuple[Callable[..., bytes], int]
) -> bytes:
    """Topics whose partitions are numbers only."""
    pack, width = layout
    form.length(out, len(topics))
    for topic in topics:
        _topic(out, form, topic)
        for partition in topic.partitions:
            out += pack(*partition[:width])
            if form.flexible:
                out.append(0)
        if form.flexible:
            out.append(0)
    if form.flexible:
        out.append(0)
    return _finish(out)


def heartbeat_response(version: int, correlation_id: int, error: int, throttle_ms: int = 0) -> bytes:
    """An answer to Heartbeat 0 to 4."""
    form = _BEAT[version]
    out = _begin(correlation_id, form)
    out += _HEARTBEAT.pack(throttle_ms, error) if version >= 1 else INT16.pack(error)
    if form.flexible:
        out.append(0)
    return _finish(out)


def total_size(buffers: Iterable[Buffer]) -> int:
    """Bytes of a list of buffers."""
    return sum(map(len, buffers))
