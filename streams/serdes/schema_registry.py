"""Schema registries: where the schemas of typed values have their numbers, so that bytes carry four bytes instead of one.

`registry_at("http://host:8081")` is a registry with Confluent's HTTP API, through Confluent's own client;
`registry_at("file://DIR")` keeps the same in one file, for one machine: DIR/schemas.jsonl, one registration a line;
`registry_at("memory://NAME")` for one process, as Confluent's mock://NAME, for tests.

Rules: an id means one schema for ever; a subject's schemas are versions, and a new one must fit its latest by the
registry's compatibility (Confluent's word and default: backward, new readers read old values). In the file a line counts
from its line break on: what a killed process left half written is not there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO, Any, NamedTuple, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from streams.errors import ClientError, ConfigError, SchemaError, StreamsError
from streams.serdes.schema_evolution import problems
from streams.settings import nearest

AVRO, JSON, PROTOBUF = "AVRO", "JSON", "PROTOBUF"
COMPATIBILITIES = ("none", "backward", "forward", "full")


class Schema(NamedTuple):
    """A schema as registries know it: its text, and its kind (AVRO, JSON or PROTOBUF)."""

    text: str
    kind: str


class SchemaRegistry(Protocol):
    """What typed serdes need of a registry."""

    def register(self, subject: str, schema: Schema) -> int:
        """The id of a schema, which becomes the subject's latest version unless it is one already.

        Raises: SchemaError when it does not fit the subject's latest version.
        """
        ...

    def schema(self, schema_id: int) -> Schema:
        """The schema with this id. Raises: SchemaError when there is none."""
        ...


@cache
def registry_at(url: str) -> SchemaRegistry:
    """The registry at an address. Raises: ConfigError."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"}:
        return ConfluentRegistry(url)
    if parts.scheme == "file" and (parts.netloc or parts.path):
        return FileRegistry(Path(parts.netloc + parts.path), _compatibility(parts.query))
    if parts.scheme == "memory":
        return MemoryRegistry(_compatibility(parts.query))
    raise ConfigError(
        f"schema_registry: expected http://host:port, https://host:port, file://DIR or memory://NAME, got {url!r}"
    )


def _compatibility(query: str) -> str:
    return parse_qs(query).get("compatibility", ["backward"])[-1].lower()


class _Line(msgspec.Struct):
    """One registration in the file."""

    id: int
    subject: str
    version: int
    type: str
    schema: str


class _Registrations:
    """What a registry of our own decides: ids, versions, and what fits."""

    def __init__(self, compatibility: str) -> None:
        if compatibility not in COMPATIBILITIES:
            raise ConfigError(
                f"schema_registry: compatibility is one of {', '.join(COMPATIBILITIES)}, got {compatibility!r}"
                f"{nearest(compatibility, COMPATIBILITIES)}"
            )
        self._compatibility = compatibility

    def _registered(self, lines: list[_Line], subject: str, schema: Schema) -> _Line:
        """The registration of a schema: one of `lines`, or a new one. Raises: SchemaError when it does not fit."""
        versions = [line for line in lines if line.subject == subject]
        for line in versions:
            if Schema(line.schema, line.type) == schema:
                return line
        if versions:
            self._expect_fit(subject, versions[-1], schema)
        same = (line.id for line in lines if Schema(line.schema, line.type) == schema)
        found = next(same, 1 + max((line.id for line in lines), default=0))
        return _Line(found, subject, len(versions) + 1, schema.kind, schema.text)

    def _expect_fit(self, subject: str, latest: _Line, schema: Schema) -> None:
        if latest.type != schema.kind:
            raise SchemaError(
                f"the schema of {subject} cannot evolve from {latest.type} to {schema.kind}: write to another topic"
            )
        found: list[str] = []
        if self._compatibility in {"backward", "full"}:
            found += problems(schema.kind, reader=schema.text, writer=latest.schema)
        if self._compatibility in {"forward", "full"}:
            found += problems(schema.kind, reader=latest.schema, writer=schema.text)
        if found:
            raise cannot_evolve(subject, latest.version, self._compatibility, "; ".join(dict.fromkeys(found)))


class MemoryRegistry(_Registrations):
    """See the module."""

    def __init__(self, compatibility: str = "backward") -> None:
        super().__init__(compatibility)
        self._lines: list[_Line] = []
        self._lock = Lock()

    def register(self, subject: str, schema: Schema) -> int:
        """See `SchemaRegistry`."""
        with self._lock:
            found = self._registered(self._lines, subject, schema)
            if found not in self._lines:
                self._lines.append(found)
        return found.id

    def schema(self, schema_id: int) -> Schema:
        """See `SchemaRegistry`."""
        for line in self._lines:
            if line.id == schema_id:
                return Schema(line.schema, line.type)
        raise SchemaError(f"this registry in memory has no schema {schema_id}: was it written with another registry?")


class FileRegistry(_Registrations):
    """See the module."""

    def __init__(self, directory: Path, compatibility: str = "backward") -> None:
        super().__init__(compatibility)
        self._path = directory / "schemas.jsonl"
        self._known: dict[int, Schema] = {}

    def register(self, subject: str, schema: Schema) -> int:
        """See `SchemaRegistry`."""
        with self._locked() as file:
            lines, whole = _read(file)
            found = self._registered(lines, subject, schema)
            if found not in lines:
                file.truncate(whole)
                file.seek(whole)
                file.write(msgspec.json.encode(found) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        return found.id

    def schema(self, schema_id: int) -> Schema:
        """See `SchemaRegistry`."""
        if schema_id not in self._known and self._path.exists():
            with self._path.open("rb") as file:
                self._known = {line.id: Schema(line.schema, line.type) for line in _read(file)[0]}
        if schema_id not in self._known:
            raise SchemaError(
                f"the registry {self._path} has no schema {schema_id}: was the topic written with another registry? "
                "say schema_registry="
            )
        return self._known[schema_id]

    def versions(self, subject: str) -> list[tuple[int, int, Schema]]:
        """Shape: (version, id, schema) of a subject, ascending."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            return [
                (line.version, line.id, Schema(line.schema, line.type))
                for line in _read(file)[0]
                if line.subject == subject
            ]

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _read(file: IO[bytes]) -> tuple[list[_Line], int]:
    """The registrations, and where the last whole line ends."""
    file.seek(0)
    text = file.read()
    whole = text.rfind(b"\n") + 1
    try:
        return [msgspec.json.decode(line, type=_Line) for line in text[:whole].splitlines()], whole
    except ValueError as problem:
        raise SchemaError(f"{file.name} is no file of schemas: {problem}") from None


class ConfluentRegistry:
    """A registry with Confluent's HTTP API; user and password may stand in the address, with %40 for an @ as in any."""

    def __init__(self, url: str) -> None:
        try:
            from confluent_kafka import schema_registry
        except ImportError:
            raise StreamsError("a schema registry needs its client: pip install 'headrace[registry]'") from None
        parts = urlsplit(url)
        settings: dict[str, Any] = {"url": parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()}
        if parts.username:
            settings["basic.auth.user.info"] = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        self._url = settings["url"]
        self._library: Any = schema_registry
        self._client: Any = schema_registry.SchemaRegistryClient(settings)

    def register(self, subject: str, schema: Schema) -> int:
        """See `SchemaRegistry`."""
        with self._translated(subject):
            return int(self._client.register_schema(subject, self._library.Schema(schema.text, schema.kind)))

    def schema(self, schema_id: int) -> Schema:
        """See `SchemaRegistry`."""
        with self._translated(f"the schema {schema_id}"):
            found = self._client.get_schema(schema_id)
            return Schema(found.schema_str, found.schema_type)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except self._library.SchemaRegistryError as error:
            if error.http_status_code == 409:
                raise cannot_evolve(what, None, "its", error.error_message) from None
            raise SchemaError(
                f"the schema registry {self._url} refuses {what}: {error.error_message} ({error.error_code})"
            ) from None
        except OSError as error:
            raise ClientError(f"the schema registry {self._url} cannot be reached: {error}") from None
        except Exception as error:
            if "httpx" not in type(error).__module__:
                raise
            raise ClientError(f"the schema registry {self._url} cannot be reached: {error}") from None


def cannot_evolve(subject: str, version: int | None, compatibility: str, problem: str) -> SchemaError:
    """The error for a schema that does not fit the one before."""
    before = "its latest version" if version is None else f"version {version}"
    return SchemaError(
        f"the schema of {subject} cannot evolve from {before} ({compatibility} compatibility): {problem}\n"
        "  give new fields a default, keep names and types, or write to another topic"
    )
