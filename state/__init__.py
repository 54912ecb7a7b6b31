"""Where Headrace keeps state: stores over ordered bytes, live values in front, positions inside.

Read `stores` for what a store does, `layers` for how, `engine` for what lies below. This package knows nothing of
topologies, tasks, topics or clients; changes leave it through `ChangelogWriter`. Names are imported when they are first
used, so that who only describes a store (`state.stores`) does not load RocksDB; `__init__.pyi` tells type checkers what
they are.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "ChangelogWriter": "state.stores",
    "CorruptStore": "state.errors",
    "Engine": "state.engine",
    "Flushed": "state.stores",
    "RecordCacheBudget": "state.cache",
    "RocksDBResources": "state.rocksdb",
    "StateDirectory": "state.directory",
    "StateError": "state.errors",
    "StateStore": "state.custom",
    "StoreClosed": "state.errors",
    "StoreKind": "state.stores",
    "StoreLocked": "state.errors",
    "StoreSpec": "state.stores",
    "TaskDirectory": "state.directory",
    "ValueAndTimestamp": "state.stores",
    "open_store": "state.opening",
    "set_aside": "state.directory",
}

__all__ = [
    "ChangelogWriter",
    "CorruptStore",
    "Engine",
    "Flushed",
    "RecordCacheBudget",
    "RocksDBResources",
    "StateDirectory",
    "StateError",
    "StateStore",
    "StoreClosed",
    "StoreKind",
    "StoreLocked",
    "StoreSpec",
    "TaskDirectory",
    "ValueAndTimestamp",
    "open_store",
    "set_aside",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'state' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
