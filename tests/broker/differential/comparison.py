"""Two answers to one request, made comparable and compared field by field.

Masked are ids each broker draws itself, times, hosts, ports, sizes of disks, throttling, and the wording of messages (that
there is one, or none, is compared). Arrays are put in the order of what their items are about, which no client may rely on.
Record batches are read and compared record by record.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from broker.protocol.record_batch import BatchHeader, headers_in
from broker.protocol.records import decode_marker, decode_records
from tests.broker.differential.requests import Symbol

ALWAYS = frozenset(
    ("throttle_time", "host", "port", "cluster_id", "log_dir", "total_bytes", "usable_bytes", "documentation")
)
TIMES = frozenset(
    (
        "last_timestamp",
        "last_fetch_timestamp",
        "last_caught_up_timestamp",
        "transaction_start_time",
        "log_append_time",
        "session_id",
        "replica_directory_id",
        "high_watermark_of_metadata",
    )
)
MESSAGES = frozenset(("error_message", "batch_index_error_message"))
IDENTITIES = (
    *("name", "topic_name", "topic", "topic_id", "resource_name", "group_id", "member_id", "transactional_id"),
    *(
        "partition_index",
        "partition",
        "partition_id",
        "index",
        "key",
        "api_key",
        "error_code",
        "feature",
        "producer_id",
    ),
    *("node_id", "broker_id", "replica_id", "entity", "user", "config_source", "resource_type"),
)
NOBODY = "nobody we know"
UUID_CHARACTERS = 22  # of an id of 16 bytes as Kafka writes it
DRAWN = re.compile(r".*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The id that a broker draws for a member of a classic group. One whose join waits for others has not been told of it."""


class Difference(NamedTuple):
    """A field that is not the same."""

    path: str
    ours: Any
    theirs: Any


class View:
    """One broker's answers as they are compared. `known` is what it has handed out."""

    def __init__(self, known: Mapping[Symbol, Any]) -> None:
        self._names = {value: f"<{symbol.kind} {symbol.name}>" for symbol, value in known.items() if _is_id(value)}
        self._producers = {
            value: f"<producer {symbol.name}>" for symbol, value in known.items() if symbol.kind == "producer"
        }

    def of(self, value: Any, field: str = "") -> Any:
        """An answer, or a part of it, with everything masked that need not be equal."""
        if isinstance(value, dict):
            failed = bool(value.get("error_code"))  # then a producer's id is the 0 of an empty answer, and nobody's
            return {n: i if failed and n == "producer_id" else self.of(i, n) for n, i in value.items()}
        if isinstance(value, list):
            return sorted((self.of(item, field) for item in _by_topic(value)), key=_identity)
        if field in ALWAYS:
            return "masked"
        if field in MESSAGES:
            return value if not value else "a message"
        if field in TIMES and isinstance(value, int) and value > 0:
            return "a time"
        if field == "records" and value:
            return [self._batch(value, position, header) for position, header in headers_in(value)]
        if field == "producer_id":
            return self._producers.get(value, value if value < 0 else NOBODY)
        if isinstance(value, UUID):
            return self._names.get(value, f"<{NOBODY}>" if value.int % (1 << 64) not in {0, 999} else value)
        if isinstance(value, str):
            return self._names.get(value, f"<{NOBODY}>" if field == "member_id" and DRAWN.fullmatch(value) else value)
        return value

    def _batch(self, records: bytes, position: int, header: BatchHeader) -> dict[str, Any]:
        body: dict[str, Any] = header._asdict()
        body.update(length=0, crc=0, producer_id=self.of(header.producer_id, "producer_id"))
        if header.is_control:
            body.update(base_timestamp=0, max_timestamp=0, content=decode_marker(records, header, position))
        elif header.has_log_append_time:
            content = decode_records(records, header, position)
            body.update(max_timestamp=0, content=[record._replace(timestamp=0) for record in content])
        else:
            body["content"] = decode_records(records, header, position)
        return body


def _is_id(value: Any) -> bool:
    return isinstance(value, UUID) or (isinstance(value, str) and len(value) >= UUID_CHARACTERS)


def _by_topic(items: list[Any]) -> list[Any]:
    """Partitions of a fetched topic together: it is named again where others stand between them."""
    if not all(isinstance(item, dict) and "partitions" in item and "topic_id" in item for item in items):
        return items
    merged: dict[Any, dict[str, Any]] = {}
    for item in items:
        topic = merged.setdefault(item["topic_id"], {**item, "partitions": []})
        topic["partitions"] = [*topic["partitions"], *item["partitions"]]
    return list(merged.values())


def _identity(item: Any) -> str:
    if not isinstance(item, dict):
        return repr(item)
    return repr([str(item[name]) for name in IDENTITIES if name in item]) + repr(sorted(item.items(), key=str))


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[Difference]:
    """Where two masked answers differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in ours.keys() | theirs.keys():
            yield from differences(ours.get(name, "absent"), theirs.get(name, "absent"), f"{path}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for mine, other in zip(ours, theirs, strict=True):
            yield from differences(mine, other, f"{path}[]")
    elif ours != theirs:
        yield Difference(path, ours, theirs)
