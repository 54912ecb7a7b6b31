"""What Apache Kafka's own metadata log says of topics, for a directory that Kafka wrote and this broker takes over.

Kafka keeps topic settings and producer ids in `__cluster_metadata-0`: snapshots (`.checkpoint`) and the log behind the
newest of them, record batches whose values are framed as (frame version, record type, record version, fields). Only what a
single node needs is read: settings set on topics, and the first producer id that was never given out.

Rules: reads, never writes; a record it does not know is passed over.
Source: Kafka's MetadataRecordSerde, ConfigRecord, TopicRecord, RemoveTopicRecord, ProducerIdsRecord.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct

from broker.log.scan import Damage, mapped, sound_batches
from broker.protocol.primitives import read_unsigned_varint
from broker.protocol.records import decode_records

_FOLDER = "__cluster_metadata-0"
_TOPIC, _CONFIG, _REMOVE_TOPIC, _PRODUCER_IDS = 2, 4, 9, 15
_TOPIC_RESOURCE = 2
_UUID_BYTES = 16
_PRODUCER_IDS_BODY = Struct(">iqq")


@dataclass
class Inherited:
    """Topic -> settings as text, and where producer ids go on."""

    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    next_producer_id: int = 0
    names: dict[bytes, str] = field(default_factory=dict)


def read_cluster_metadata(directory: Path) -> Inherited:
    """What a Kafka that used this directory left; nothing, if none did."""
    inherited = Inherited()
    folder = directory / _FOLDER
    snapshots = sorted(folder.glob("*.checkpoint"))
    for path in [*snapshots[-1:], *sorted(folder.glob("*.log"))]:
        for kind, body in _records(path):
            _apply(inherited, kind, body)
    return inherited


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    """(record type, its fields) of a file, up to the first damage."""
    data = mapped(path)
    for found in sound_batches(data, 0, 0):
        if isinstance(found, Damage):
            return
        position, header = found
        if header.is_control:
            continue
        for record in decode_records(data, header, position):
            if record.value:
                _, at = read_unsigned_varint(record.value, 0)
                kind, at = read_unsigned_varint(record.value, at)
                _, at = read_unsigned_varint(record.value, at)
                yield kind, record.value[at:]


def _apply(inherited: Inherited, kind: int, body: bytes) -> None:
    if kind == _TOPIC:
        name, at = _string(body, 0)
        inherited.names[body[at : at + _UUID_BYTES]] = name or ""
    elif kind == _REMOVE_TOPIC:
        inherited.settings.pop(inherited.names.pop(body[:_UUID_BYTES], ""), None)
    elif kind == _CONFIG and body[0] == _TOPIC_RESOURCE:
        topic, at = _string(body, 1)
        setting, at = _string(body, at)
        value, _ = _string(body, at)
        settings = inherited.settings.setdefault(topic or "", {})
        if value is None:
            settings.pop(setting or "", None)
        else:
            settings[setting or ""] = value
    elif kind == _PRODUCER_IDS:
        inherited.next_producer_id = max(inherited.next_producer_id, _PRODUCER_IDS_BODY.unpack_from(body)[2])


def _string(body: bytes, at: int) -> tuple[str | None, int]:
    """A compact nullable string, and where it ends."""
    length, at = read_unsigned_varint(body, at)
    return (None, at) if not length else (body[at : at + length - 1].decode(), at + length - 1)
