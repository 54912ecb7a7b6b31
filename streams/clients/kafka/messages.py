"""Requests of our own on aiokafka's connections, for versions that aiokafka does not speak.

One version each: the lowest that says all we need, in the notation of aiokafka's schemas; where a newer one says more, a
`Choice` takes it if the broker has it. A `Message` is what a connection asks of a request, and no more. It must not know what the requests are for.
"""

from __future__ import annotations

from typing import Any

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import Schema


class MessageType:
    """A request and its response in one version; `flexible` as Kafka's definitions say (compact types, tags)."""

    def __init__(
        self, name: str, *, key: int, version: int, request: Schema, response: Schema, flexible: bool = False
    ) -> None:
        numbers = {"API_KEY": key, "API_VERSION": version}
        answer = type(f"{name}Response", (Response,), {**numbers, "SCHEMA": response})
        members = {**numbers, "SCHEMA": request, "RESPONSE_TYPE": answer, "FLEXIBLE_VERSION": flexible}
        self.name = name
        self.key = key
        self.version = version
        self.struct: type[RequestStruct] = type(f"{name}Request", (RequestStruct,), members)

    def __call__(self, *fields: Any) -> Message:
        """A request with these fields, in the order of the schema."""
        return Message(self, fields)


class Message:
    """A request that can be sent by `AIOKafkaClient.send`."""

    def __init__(self, kind: MessageType, fields: tuple[Any, ...]) -> None:
        self._kind = kind
        self._fields = fields

    def prepare(self, versions: dict[int, tuple[int, int]]) -> RequestStruct:
        """What goes over a connection to a broker with these versions. Raises: IncompatibleBrokerVersion."""
        kind = self._kind
        lowest, highest = versions.get(kind.key, (0, -1))
        if not self.fits(versions):
            raise IncompatibleBrokerVersion(
                f"version {kind.version} of {kind.name} is needed, and the broker has {lowest} to {highest}: "
                "use Apache Kafka 2.7 or newer"
            )
        return kind.struct(*self._fields)

    def fits(self, versions: dict[int, tuple[int, int]]) -> bool:
        """Whether a broker with these versions has this one."""
        lowest, highest = versions.get(self._kind.key, (0, -1))
        return lowest <= self._kind.version <= highest


class Choice:
    """A request in the newer of two versions where the broker has it, else in the older."""

    def __init__(self, newer: Message, older: Message) -> None:
        self._newer = newer
        self._older = older

    def prepare(self, versions: dict[int, tuple[int, int]]) -> RequestStruct:
        """See `Message`."""
        return (self._newer if self._newer.fits(versions) else self._older).prepare(versions)
