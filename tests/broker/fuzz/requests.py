"""Random requests of every API and version: well-formed ones with odd values, and what mutation makes of them.

Well-formed requests come from kio's schemas, filled with names and numbers from small pools, so that they meet each other:
the same topics, groups, members and producers turn up again and again.
"""

import dataclasses
import io
import random
import struct
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from kio.index import load_request_schema
from kio.serial import entity_writer
from kio.serial._introspect import EntityField, EntityTupleField, classify_field, is_optional
from kio.static.primitive import i16

from broker.protocol.apis import APIS, served
from broker.protocol.compression import Codec
from broker.protocol.records import Record, build_batch
from broker.server.dispatch import HANDLERS

REQUESTS = [
    (int(key), version)
    for key, api in APIS.items()
    for version in range(api.min_version, api.max_version + 1)
    if key in HANDLERS and served(key, version)
]
NAMES = (
    *(
        "fuzz-a",
        "fuzz-b",
        "fuzz-c",
        "group",
        "member",
        "consumer",
        "range",
        "txn-1",
        "txn-2",
        "cleanup.policy",
        "compact",
    ),
    *("retention.ms", "1", "-1", "", ".", "a" * 300, "no/such", "ünïcode", "__consumer_offsets", "__transaction_state"),
)
NUMBERS = (-2, -1, 0, 1, 2, 3, 4, 5, 10, 100)
LIMITS = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}
IDS = (None, UUID(int=1), UUID(int=7 << 64))
HELD_BACK_MS = 20
"""Longest wait a request asks for: answers come in order, and nobody shall wait for a long poll."""


class Requests:
    """An endless source of request frames, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.correlation_id = 0

    def frame(self) -> bytes:
        """One request with its length; two of three are damaged."""
        key, version = self.random.choice(REQUESTS)
        body = self.request(key, version)
        return self.random.choice((self.whole, self.whole, self.cut, self.flipped, self.spliced, self.noise))(body)

    def request(self, key: int, version: int) -> bytes:
        schema = load_request_schema(key, i16(version))
        self.correlation_id += 1
        out = io.BytesIO()
        header = schema.__header_schema__
        fields = {"request_api_key": key, "request_api_version": version, "correlation_id": self.correlation_id}
        entity_writer(header)(out, header(**fields, client_id=self.random.choice((None, "", "fuzz"))))
        entity_writer(schema)(out, self.entity(schema))
        return out.getvalue()

    # ---- damage

    def whole(self, body: bytes) -> bytes:
        return struct.pack(">i", len(body)) + body

    def cut(self, body: bytes) -> bytes:
        return self.whole(body[: self.random.randrange(8, max(len(body), 9))])

    def flipped(self, body: bytes) -> bytes:
        changed = bytearray(body)
        for _ in range(self.random.randrange(1, 5)):
            changed[self.random.randrange(len(changed))] = self.random.choice((0, 1, 0x7F, 0x80, 0xFF))
        return self.whole(bytes(changed))

    def spliced(self, body: bytes) -> bytes:
        at = self.random.randrange(8, max(len(body), 9))
        return self.whole(body[:at] + self.random.randbytes(self.random.randrange(1, 9)) + body[at:])

    def noise(self, body: bytes) -> bytes:
        junk = self.random.randbytes(self.random.randrange(1, 40))
        return self.random.choice((self.whole(body[:8] + junk), junk, struct.pack(">i", -len(body)) + body))

    # ---- values

    def entity(self, schema: Any) -> Any:
        return schema(**{field.name: self.field(field) for field in dataclasses.fields(schema)})

    def field(self, field: Any) -> Any:
        shape = classify_field(field)
        if is_optional(field) and self.random.random() < 0.2:
            return None
        if isinstance(shape, EntityTupleField):
            return tuple(self.entity(shape.type_) for _ in range(self.random.choice((0, 1, 1, 2))))
        if isinstance(shape, EntityField):
            return self.entity(shape.type_)
        kind = field.metadata["kafka_type"]
        if shape.is_array:
            return tuple(self.value(kind, field.name) for _ in range(self.random.choice((0, 1, 1, 3))))
        return self.value(kind, field.name)

    def value(self, kind: str, name: str) -> Any:
        if kind.startswith("timedelta") or name.endswith("_ms"):
            wait = self.random.randrange(HELD_BACK_MS)
            return timedelta(milliseconds=wait) if kind.startswith("timedelta") else wait
        if kind in LIMITS:
            return self.number(LIMITS[kind])
        makers: dict[str, Callable[[], Any]] = {
            "string": lambda: self.random.choice(NAMES),
            "bool": lambda: self.random.random() < 0.5,
            "bytes": lambda: self.random.randbytes(self.random.randrange(30)),
            "float64": self.random.random,
            "uint16": lambda: self.random.randrange(1 << 16),
            "uuid": lambda: self.random.choice(IDS),
            "records": self.records,
        }
        return makers[kind]()

    def number(self, bits: int) -> int:
        if self.random.random() < 0.1:
            return self.random.choice(((1 << bits) - 1, -(1 << bits)))
        return self.random.choice(NUMBERS)

    def records(self) -> bytes:
        codec = self.random.choice(list(Codec))
        records = [Record(offset, 1_700_000_000_000, b"k", b"v" * 9) for offset in range(self.random.randrange(1, 4))]
        batch = bytearray(
            build_batch(
                records,
                codec=codec,
                producer_id=self.random.choice((-1, 0, 1)),
                producer_epoch=0,
                base_sequence=self.random.choice((0, 1, 2)),
                attributes=self.random.choice((0, 0, 0x10, 0x20)),
            )
        )
        if self.random.random() < 0.3:
            batch[self.random.randrange(len(batch))] ^= 1 << self.random.randrange(8)
        return bytes(batch)
