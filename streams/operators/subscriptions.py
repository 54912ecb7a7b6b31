"""What foreign-key joins send through their two topics, and keep in their store; equal to Kafka's bytes.

Subscription: version 1 (top bit: the hash is null) ‖ instruction ‖ hash (16, unless null) ‖ primary key ‖ partition (4).
Response: version 0 (top bit: the hash is null) ‖ hash (16, unless null) ‖ right value, nothing for null.
Stored under: length of foreign key (4) ‖ foreign key ‖ primary key. Source: Kafka's SubscriptionWrapperSerde,
SubscriptionResponseWrapperSerde, CombinedKeySchema.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

__all__ = ["Instruction", "Response", "Subscription", "combined_key", "combined_prefix", "primary_key_of"]

NULL_HASH = 0x80
HASH_BYTES = 16
INT = Struct(">i")


class Instruction(IntEnum):
    """What the right side is to do for a changed row of the left."""

    DELETE = 0
    """forget the subscription"""
    DELETE_AND_ANSWER = 1
    """forget it, and answer that there is nothing"""
    ANSWER = 2
    """subscribe, and answer in any case"""
    ANSWER_IF_PRESENT = 3
    """subscribe, and answer if the right row exists"""


class Subscription(NamedTuple):
    """A row of the left table that wants a row of the right. `hash` is of the left value; None: the row is gone."""

    hash: bytes | None
    instruction: Instruction
    primary_key: bytes
    partition: int

    def to_bytes(self) -> bytes:
        """As it travels and is stored."""
        return headed(1, self.hash, bytes([self.instruction])) + self.primary_key + INT.pack(self.partition)

    @classmethod
    def from_bytes(cls, data: bytes) -> Subscription:
        """Raises: ValueError for a version that is not known."""
        version = data[0] & ~NULL_HASH
        if version > 1:
            raise ValueError(f"expected a subscription of version 0 or 1, got {version}: a newer program wrote it")
        start = 2 if data[0] & NULL_HASH else 2 + HASH_BYTES
        end = len(data) - INT.size if version else len(data)
        return cls(
            data[2:start] or None,
            Instruction(data[1]),
            data[start:end],
            INT.unpack_from(data, end)[0] if version else -1,
        )


class Response(NamedTuple):
    """A row of the right table for a row of the left; `value` None: there is none."""

    hash: bytes | None
    value: bytes | None

    def to_bytes(self) -> bytes:
        """As it travels."""
        return headed(0, self.hash, b"") + (self.value or b"")

    @classmethod
    def from_bytes(cls, data: bytes) -> Response:
        """Raises: ValueError for a version that is not known."""
        if data[0] & ~NULL_HASH:
            raise ValueError(f"expected a response of version 0, got {data[0] & ~NULL_HASH}: a newer program wrote it")
        start = 1 if data[0] & NULL_HASH else 1 + HASH_BYTES
        return cls(data[1:start] or None, data[start:] or None)


def headed(version: int, hash_: bytes | None, between: bytes) -> bytes:
    """Version, what stands between, and the hash unless it is null."""
    first = version | NULL_HASH if hash_ is None else version
    return bytes([first]) + between + (hash_ or b"")


def combined_prefix(foreign_key: bytes) -> bytes:
    """What the stored keys of all subscribers of a foreign key begin with."""
    return INT.pack(len(foreign_key)) + foreign_key


def combined_key(foreign_key: bytes, primary_key: bytes) -> bytes:
    """The key a subscription is stored under."""
    return combined_prefix(foreign_key) + primary_key


def primary_key_of(combined: bytes) -> bytes:
    """The primary key in a stored key."""
    return combined[INT.size + INT.unpack_from(combined)[0] :]
