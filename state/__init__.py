"""Where Headrace keeps state: stores over ordered bytes, live values in front, positions inside.

Read `stores` for what a store does, `layers` for how, `engine` for what lies below. This package knows nothing of
topologies, tasks, topics or clients; changes leave it through `ChangelogWriter`.
"""

from state.cache import RecordCacheBudget
from state.custom import StateStore
from state.directory import StateDirectory, TaskDirectory, set_aside
from state.engine import Engine
from state.errors import CorruptStore, StateError, StoreClosed, StoreLocked
from state.opening import open_store
from state.rocksdb import RocksDBResources
from state.stores import ChangelogWriter, Flushed, StoreKind, StoreSpec, ValueAndTimestamp

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
