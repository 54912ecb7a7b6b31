"""The stores as operators and tasks see them: their description, their verbs, and the changelog they write to.

Layers, outside in: record cache (Kafka's, visible) -> live values -> changelog and engine (at commit).
Values live as objects until a commit; the engine holds only committed state, and in the same write batch its
position in the changelog, so that it is never ahead of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol

from state.serde import Serde


class StoreKind(Enum):
    """What a store is indexed by, and what it keeps beside the value."""

    KEY_VALUE = "key-value"
    TIMESTAMPED_KEY_VALUE = "timestamped-key-value"
    VERSIONED_KEY_VALUE = "versioned-key-value"
    WINDOW = "window"
    TIMESTAMPED_WINDOW = "timestamped-window"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSpec:
    """All that is needed to open a store. Times are in ms.

    `cached` is Kafka's record cache: updates of a key replace each other until commit or eviction, and only then are
    forwarded. `retention_ms` bounds window and session stores, and is the history of versioned ones.
    `persistent=False` keeps the store in memory. `logged=False` gives it no changelog.
    """

    name: str
    kind: StoreKind
    key_serde: Serde[Any]
    value_serde: Serde[Any]
    persistent: bool = True
    cached: bool = False
    logged: bool = True
    retention_ms: int = 0
    window_size_ms: int = 0
    retain_duplicates: bool = False
    topic_config: Mapping[str, str] = field(default_factory=dict)


class ValueAndTimestamp(NamedTuple):
    """A value and the time of the record that made it, in ms."""

    value: Any
    timestamp: int


class Flushed(NamedTuple):
    """Columns of what a record cache lets go, in Kafka's order, handed to the flush listener.

    `keys` are plain keys, or (key, window start) in window stores, or (key, start, end) in session stores;
    `old_values` are those the store below had (all None unless asked for); `headers` is None when no record has any.
    """

    keys: list[Any]
    new_values: list[Any]
    old_values: list[Any]
    timestamps: list[int]
    headers: list[Any] | None


FlushListener = Callable[[Flushed], None]


class ChangelogWriter(Protocol):
    """Where a store logs its changes: one partition of one topic, columns at a time."""

    def write(self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]) -> None:
        """Append changes; None deletes."""
        ...


class Store(Protocol):
    """What a task does with any store; the order of the calls at a commit is `flush`, `drain`, `commit`."""

    name: str
    spec: StoreSpec

    @property
    def position(self) -> int | None:
        """The changelog offset up to which the engine is complete (the next to restore); None when it is new."""
        ...

    @property
    def uncommitted_bytes(self) -> int:
        """Roughly the memory that `commit` would free."""
        ...

    def set_flush_listener(self, listener: FlushListener, *, send_old_values: bool) -> None:
        """Who gets what the record cache lets go (cached stores only)."""
        ...

    def flush(self) -> None:
        """Let go of everything in the record cache: write it to the changelog, hand it to the listener."""
        ...

    def drain(self) -> None:
        """Hand changelog entries that are still collected here to the writer; called after every batch."""
        ...

    def commit(self, position: int | None) -> None:
        """Write what changed since the last commit, and the new position, to the engine in one write batch."""
        ...

    def discard(self) -> None:
        """Forget what changed since the last commit (an aborted transaction)."""
        ...

    def restore(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], position: int
    ) -> None:
        """Apply changelog records straight to the engine, complete up to `position`."""
        ...

    def close(self) -> None:
        """Close without a commit."""
        ...


class KeyValueStore(Store, Protocol):
    """Plain values by key (the Processor API's store)."""

    def get(self, key: Any) -> Any: ...
    def put(self, key: Any, value: Any) -> None: ...
    def put_if_absent(self, key: Any, value: Any) -> Any: ...
    def delete(self, key: Any) -> Any: ...
    def range(self, start: Any, end: Any) -> Iterator[tuple[Any, Any]]: ...
    def reverse_range(self, start: Any, end: Any) -> Iterator[tuple[Any, Any]]: ...
    def prefix_scan(self, prefix: bytes) -> Iterator[tuple[Any, Any]]: ...
    def all(self) -> Iterator[tuple[Any, Any]]: ...
    def reverse_all(self) -> Iterator[tuple[Any, Any]]: ...
    def approximate_num_entries(self) -> int: ...


class TimestampedKeyValueStore(Store, Protocol):
    """Values with the time of the record that made them: what tables and aggregates use."""

    def get(self, key: Any) -> ValueAndTimestamp | None: ...
    def put(self, key: Any, value: Any, timestamp: int, headers: Any = None) -> None:
        """None deletes. `headers` travel with the update through the record cache only."""
        ...

    def range(self, start: Any, end: Any) -> Iterator[tuple[Any, ValueAndTimestamp]]: ...
    def all(self) -> Iterator[tuple[Any, ValueAndTimestamp]]: ...
    def approximate_num_entries(self) -> int: ...


class WindowStore(Store, Protocol):
    """Values by key and window start; the `TIMESTAMPED_WINDOW` kind yields ValueAndTimestamp."""

    def fetch(self, key: Any, start_ms: int) -> Any: ...
    def put(self, key: Any, value: Any, start_ms: int, timestamp: int = -1, headers: Any = None) -> None: ...
    def fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, Any]]:
        """(window start, value) of one key with from <= start <= to, ascending."""
        ...

    def backward_fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, Any]]: ...
    def fetch_keys(self, first: Any, last: Any, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]: ...
    def fetch_all(self, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]: ...
    def all(self) -> Iterator[tuple[tuple[Any, int], Any]]: ...


class SessionStore(Store, Protocol):
    """Values by key and session (start, end), both inclusive."""

    def find_sessions(self, key: Any, earliest_end_ms: int, latest_start_ms: int) -> Iterator[tuple[int, int, Any]]:
        """(start, end, value) of one key's sessions that overlap, in store order (by end)."""
        ...

    def fetch_session(self, key: Any, start_ms: int, end_ms: int) -> Any: ...
    def put(self, key: Any, start_ms: int, end_ms: int, value: Any, headers: Any = None) -> None: ...
    def remove(self, key: Any, start_ms: int, end_ms: int, headers: Any = None) -> None: ...
    def fetch(self, key: Any) -> Iterator[tuple[int, int, Any]]: ...
    def all(self) -> Iterator[tuple[Any, int, int, Any]]: ...
