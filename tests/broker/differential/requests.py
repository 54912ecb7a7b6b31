"""A request as both brokers get it: its values hold symbols where each broker has ids of its own."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from broker.protocol.apis import ApiKey
from broker.protocol.compression import Codec
from broker.protocol.record_batch import seal
from broker.protocol.records import Record, build_batch


@dataclass(frozen=True)
class Symbol:
    """Something each broker hands out itself: `kind` is topic, member, generation, producer, epoch, session, node,
    owned or epoch before.
    """

    kind: str
    name: str


UNKNOWN: Mapping[str, Any] = {
    "topic": UUID(int=999),
    "member": "nobody",
    "generation": 1,
    "producer": 4242,
    "epoch": 0,
    "session": 0,
    "member epoch": 1,
    "epoch before": 0,
    "owned": (),
}
"""What stands for a symbol a broker has not handed out."""


@dataclass(frozen=True)
class Batch:
    """A record batch. `producer` names who sends it; `damage` is put over the finished bytes, (offset, bytes) each."""

    records: tuple[tuple[bytes | None, bytes | None, int], ...]
    codec: Codec = Codec.NONE
    producer: str | None = None
    sequence: int = -1
    epoch_shift: int = 0
    attributes: int = 0
    base_offset: int = 0
    damage: tuple[tuple[int, bytes], ...] = ()
    seal_again: bool = True
    tail: bytes = b""

    def built(self, known: Mapping[Symbol, Any]) -> bytes:
        """The bytes as one broker gets them."""
        producer_id, epoch = -1, -1
        if self.producer is not None:
            producer_id = known.get(Symbol("producer", self.producer), UNKNOWN["producer"])
            epoch = known.get(Symbol("epoch", self.producer), 0) + self.epoch_shift
        batch = bytearray(
            build_batch(
                [
                    Record(self.base_offset + index, time_ms, key, value)
                    for index, (key, value, time_ms) in enumerate(self.records)
                ],
                codec=self.codec,
                producer_id=producer_id,
                producer_epoch=epoch,
                base_sequence=self.sequence,
                attributes=self.attributes,
            )
        )
        for offset, replacement in self.damage:
            batch[offset : offset + len(replacement)] = replacement
        if self.damage and self.seal_again:
            seal(batch)
        return bytes(batch) + self.tail


@dataclass(frozen=True)
class Request:
    """One request. `label` names what its answer hands out; `connection` who sends it."""

    api_key: ApiKey
    version: int
    values: dict[str, Any] = field(default_factory=dict)
    connection: str = "main"
    label: str = ""

    def __str__(self) -> str:
        return f"{self.api_key.name} {self.version} {shown(self.values)}" + (f" ({self.label})" if self.label else "")


def shown(value: Any) -> str:
    """Values on one line, with long ones cut."""
    text = repr(value).replace("Symbol(", "(")
    return text if len(text) < 900 else f"{text[:900]}..."


def _unknown(symbol: Symbol) -> Any:
    """What stands for something nobody has handed out; topics have ids that are told apart."""
    if symbol.kind == "topic":
        return UUID(int=zlib.crc32(symbol.name.encode()) << 64 | UNKNOWN["topic"].int)
    return UNKNOWN[symbol.kind]


def resolved(value: Any, known: Mapping[Symbol, Any]) -> Any:
    """Values with what one broker calls the symbols in them."""
    if isinstance(value, Symbol):
        return known.get(value, _unknown(value))
    if isinstance(value, Batch):
        return value.built(known)
    if isinstance(value, dict):
        return {name: resolved(item, known) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(item, known) for item in value]
    return value


def _remember(known: dict[Symbol, Any], symbol: Symbol, value: Any) -> None:
    """What a symbol means from now on; what it meant before keeps a name, under which it is compared."""
    before = known.get(symbol, value)
    known[symbol] = value
    if before != value:
        number = sum(other.kind == symbol.kind for other in known)
        known[Symbol(symbol.kind, f"{symbol.name}, before {number}")] = before


def learn(request: Request, answer: dict[str, Any], known: dict[Symbol, Any]) -> None:
    """Note what an answer hands out."""
    key = request.api_key
    if key in {ApiKey.METADATA, ApiKey.CREATE_TOPICS}:
        for topic in answer["topics"]:
            if topic.get("topic_id") is not None and topic["error_code"] == 0:
                _remember(known, Symbol("topic", topic["name"]), topic["topic_id"])
    elif key == ApiKey.JOIN_GROUP and answer["member_id"]:
        _remember(known, Symbol("member", request.label), answer["member_id"])
        if answer["error_code"] == 0:
            known[Symbol("generation", request.label)] = answer["generation_id"]
    elif key == ApiKey.CONSUMER_GROUP_HEARTBEAT and answer["error_code"] == 0:
        _remember(known, Symbol("member", request.label), answer["member_id"])
        epoch = Symbol("member epoch", request.label)
        if known.get(epoch, answer["member_epoch"]) != answer["member_epoch"]:
            known[Symbol("epoch before", request.label)] = known[epoch]
        known[epoch] = answer["member_epoch"]
        if answer.get("assignment") is not None:
            known[Symbol("owned", request.label)] = answer["assignment"]["topic_partitions"]
    elif (key == ApiKey.INIT_PRODUCER_ID and answer["error_code"] == 0) or (
        key == ApiKey.END_TXN and answer.get("producer_id", -1) >= 0
    ):
        _remember(known, Symbol("producer", request.label), answer["producer_id"])
        known[Symbol("epoch", request.label)] = answer["producer_epoch"]
    elif key == ApiKey.FETCH and answer.get("session_id"):
        known[Symbol("session", request.label)] = answer["session_id"]
