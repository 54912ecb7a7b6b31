"""What the tests of stores share: some serdes, a changelog that remembers, and a bench to open stores on."""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from state import RecordCacheBudget, RocksDBResources, StoreKind, StoreSpec, open_store


class Text:
    """UTF-8."""

    by_value = True

    def serialize(self, value):
        return value.encode()

    def deserialize(self, data):
        return data.decode()


class Name(Text):
    """The same, and it says so."""

    type = str


class Number:
    """Eight bytes, big endian, signed."""

    by_value = True

    def serialize(self, value):
        return value.to_bytes(8, "big", signed=True)

    def deserialize(self, data):
        return int.from_bytes(data, "big", signed=True)


class Long(Number):
    """The same, and it says so."""

    size_bytes = 8
    type = certain = int


class Real:
    """Eight bytes of a float."""

    by_value = False
    size_bytes = 8
    type = certain = float

    def serialize(self, value):
        return struct.pack(">d", value)

    def deserialize(self, data):
        return struct.unpack(">d", data)[0]


class Document:
    """JSON with sorted keys: objects that are no dictionary keys."""

    by_value = False

    def serialize(self, value):
        return json.dumps(value, sort_keys=True).encode()

    def deserialize(self, data):
        return json.loads(data)


class Changelog:
    """A changelog partition in memory: (key, value, timestamp) in order."""

    def __init__(self):
        self.rows = []

    def write(self, keys, values, timestamps, headers=None):
        self.rows += zip(keys, values, timestamps, strict=True)

    def columns(self, start=0):
        return tuple(map(list, zip(*self.rows[start:], strict=True))) if self.rows[start:] else ([], [], [])


@dataclass
class Bench:
    """Opens stores: on RocksDB below `folder`, each in a task of its own, or in memory."""

    folder: Path
    resources: RocksDBResources = field(default_factory=lambda: RocksDBResources(total_bytes=16 << 20))
    opened: int = 0

    text, name, number, long, real, document = Text(), Name(), Number(), Long(), Real(), Document()
    changelog = Changelog

    def spec(self, kind=StoreKind.TIMESTAMPED_KEY_VALUE, **settings):
        return StoreSpec(**{"name": "s", "kind": kind, "key_serde": Text(), "value_serde": Number(), **settings})

    def task(self):
        """A directory that no store has used."""
        self.opened += 1
        return self.folder / f"0_{self.opened}"

    def open(self, spec=None, *, directory=None, changelog=None, cache_bytes=None):
        cache = None if cache_bytes is None else RecordCacheBudget(cache_bytes)
        return open_store(
            spec or self.spec(), directory=directory, changelog=changelog, cache=cache, resources=self.resources
        )


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("state"))


@pytest.fixture(params=["memory", "rocksdb"])
def directory(request, bench):
    """None for stores in memory, else a fresh task directory."""
    return bench.task() if request.param == "rocksdb" else None
