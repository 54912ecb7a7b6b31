"""A client of bare messages: any API in any version, requests and answers in kio's own reading and writing."""

import dataclasses
import io
import select
import socket
import struct
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from kio.serial._introspect import EntityField, EntityTupleField, classify_field, is_optional
from kio.static.primitive import TZAware

DEFAULTS = {"string": "", "bytes": b"", "bool": False, "uuid": None, "records": None}


def build(schema: Any, values: dict[str, Any]) -> Any:
    """An entity from plain values: nested dicts and lists for structs, milliseconds for durations, defaults for the rest.

    Names the version does not have are left out, so that one call serves all versions.
    """
    return schema(**{field.name: field_value(field, values) for field in dataclasses.fields(schema)})


def field_value(field: Any, values: dict[str, Any]) -> Any:
    shape = classify_field(field)
    if field.name not in values:
        return default_of(field, shape)
    value = values[field.name]
    if isinstance(shape, EntityTupleField) and value is not None:
        return tuple(build(shape.type_, item) for item in value)
    if isinstance(shape, EntityField) and value is not None:
        return build(shape.type_, value)
    if field.metadata.get("kafka_type", "").startswith("timedelta"):
        return timedelta(milliseconds=value)
    return tuple(value) if shape.is_array and value is not None else value


def default_of(field: Any, shape: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if shape.is_array:
        return ()
    if isinstance(shape, EntityField):
        return build(shape.type_, {})
    kafka_type = field.metadata["kafka_type"]
    if kafka_type.startswith("timedelta"):
        return timedelta(0)
    if kafka_type == "datetime_i64":
        return None if is_optional(field) else TZAware.fromtimestamp(0)
    return DEFAULTS.get(kafka_type, 0)


class Wire:
    """One connection; `call` sends a request and returns the answer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.correlation_id = 0
        self.client_id: str | None = "wire"

    def send(self, api_key: int, version: int, **values: Any) -> Any:
        """Sends a request; the schema of its answer."""
        self.socket.sendall(self.request(api_key, version, **values))
        return load_response_schema(api_key, version)

    def request(self, api_key: int, version: int, **values: Any) -> bytes:
        """A request as it is sent, with its length."""
        schema = load_request_schema(api_key, version)
        self.correlation_id += 1
        out = io.BytesIO()
        header = schema.__header_schema__
        fields = {
            "request_api_key": api_key,
            "request_api_version": version,
            "correlation_id": self.correlation_id,
            "client_id": self.client_id,
        }
        entity_writer(header)(out, build(header, fields))
        entity_writer(schema)(out, build(schema, values))
        return struct.pack(">i", len(out.getvalue())) + out.getvalue()

    def receive(self, schema: Any) -> Any:
        """The next answer, which must be of this schema to the last byte."""
        return self.read(schema, self.frame())

    def frame(self) -> bytes:
        """The next answer as bytes, without its length."""
        return self._exactly(struct.unpack(">i", self._exactly(4))[0])

    def read(self, schema: Any, data: bytes) -> Any:
        """What an answer says."""
        header, offset = entity_reader(schema.__header_schema__)(data, 0)
        assert header.correlation_id <= self.correlation_id
        body, size = entity_reader(schema)(data, offset)
        assert offset + size == len(data)
        return body

    def call(self, api_key: int, version: int, **values: Any) -> Any:
        """A request and its answer."""
        return self.receive(self.send(api_key, version, **values))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:  # or a reset, which comes as this error by itself
                raise ConnectionResetError("the broker hung up")
            data += piece
        return data

    def waiting(self) -> bool:
        """Whether the broker has sent anything that was not read yet, or has hung up."""
        return bool(select.select([self.socket], [], [], 0)[0])


def plain(value: Any) -> Any:
    """An entity as nested dicts and lists of plain values; durations and instants in ms."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return int(value) if isinstance(value, IntEnum) else value
