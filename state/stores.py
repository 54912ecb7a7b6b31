"""The stores as operators and tasks see them: their description, their verbs, and the changelog they write to.

Layers, outside in: record cache (Kafka's, visible) -> live values -> changelog and engine (at commit).
Values live as objects until a commit; the engine holds only committed state, and in the same write batch its
position in the changelog, so that it is never ahead of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from msgspec import Struct, field

from state.engine import Engine
from state.position import Positioned
from state.serde import Serde

Headers = tuple[tuple[str, bytes | None], ...]

Cause = tuple[Headers, str | None, int, int]
"""The record that made an update: its headers, topic, partition and offset; no topic: a punctuation. Kafka's context."""

OpenEngine = Callable[[str, Path | None], Engine]
"""(name of the store, its path or None) -> what keeps its bytes."""


class CustomStore(Protocol):
    """A store of a user's own class, as the runtime sees it; see `state.custom`."""

    def init(self, log: Callable[[bytes, bytes | None], None]) -> None:
        """Begin empty. `log(key, value)` writes a change to the changelog; None deletes."""
        ...

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take in a change that was logged before."""
        ...

    def flush(self) -> None:
        """Log what was held back: a commit follows."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class StoreKind(Enum):
    """What a store is indexed by, and what it keeps beside the value."""

    KEY_VALUE = "key-value"
    TIMESTAMPED_KEY_VALUE = "timestamped-key-value"
    VERSIONED_KEY_VALUE = "versioned-key-value"
    WINDOW = "window"
    TIMESTAMPED_WINDOW = "timestamped-window"
    SESSION = "session"
    CUSTOM = "custom"


class StoreSpec(Struct, frozen=True, kw_only=True):
    """All that is needed to open a store. Times are in ms.

    `cached` is Kafka's record cache: updates of a key replace each other until commit or eviction, and only then are
    forwarded. `retention_ms` bounds window and session stores, and is the history of versioned ones.
    `time_ordered`: a window store for emit on close, in which Kafka reads 1 ms further back than in others.
    `max_entries`: a key-value store in memory that drops what was not used for longest.
    `persistent=False` keeps the store in memory. `logged=False` gives it no changelog; `changelog_topic` is its full name
    where it is not the one that follows from the application's and the store's (not logged: the source topic that the
    store is kept from); `changelog_headers` go with
    its records, deletions excepted; with `logs_headers` they have those of the record that caused them. `headers`: headers are kept beside values
    (`state.headed`); `format_bytes` are those that Kafka's format of such a store has where there are none, which a record
    cache counts. `engine` opens what lies below, from the store's name and its path (None: in
    memory), in the place of RocksDB and of a dictionary; `custom` makes a store of the user's own class.
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
    time_ordered: bool = False
    max_entries: int | None = None
    topic_config: Mapping[str, str] = field(default_factory=dict)
    changelog_topic: str | None = None
    changelog_headers: Headers = ()
    logs_headers: bool = False
    headers: bool = False
    format_bytes: int = 0
    engine: OpenEngine | None = None
    custom: Callable[[], CustomStore] | None = None


class ValueAndTimestamp(NamedTuple):
    """A value and the time of the record that made it, in ms."""

    value: Any
    timestamp: int


class Version(NamedTuple):
    """A value of a versioned store, and the times in ms from which and until which it is valid (None: it still is)."""

    value: Any
    valid_from_ms: int
    valid_to_ms: int | None


class Flushed(NamedTuple):
    """Columns of what a record cache lets go, in Kafka's order, handed to the flush listener.

    `keys` are plain keys, or (key, window start) in window stores, or (key, start, end) in session stores;
    `old_values` are those the store below had (all None unless asked for); `causes` is None where none is known.
    """

    keys: list[Any]
    new_values: list[Any]
    old_values: list[Any]
    timestamps: list[int]
    causes: list[Cause | None] | None


FlushListener = Callable[[Flushed], None]


class ChangelogWriter(Protocol):
    """Where a store logs its changes: one partition of one topic, columns at a time."""

    def write(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Append changes; None deletes."""
        ...


class GatheredFlushes(Protocol):
    """`with` it a batch is processed: the flush listener is told at its end what was evicted (`state.flushes`)."""

    together: bool
    """Set by who knows: nobody can tell when the listener is told, as long as it is in order."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def tell(self) -> None:
        """Tell the listener what was gathered so far."""
        ...


class Store(Positioned, Protocol):
    """What a task does with any store; the order of the calls at a commit is `flush`, `drain`, `seal`, `commit`."""

    name: str
    spec: StoreSpec
    cached: bool
    """Whether a record cache is in front: then results are forwarded by the flush listener alone. False without
    `spec.cached`, and with a cache of no bytes."""
    record_timestamp: int
    """Time in ms logged for writes that carry none: that of the record in process."""
    read_behind: bool
    """Set by who knows: those who are told of flushes look into this store then. What they must not see yet waits."""
    causes_seen: bool
    """Set by who knows: those who are told of flushes can tell what record caused an update."""
    expired_writes: int
    """Writes that came too late for what the store keeps, and were lost; who has counted them sets it back to 0."""

    @property
    def flushes(self) -> GatheredFlushes:
        """On their way to the flush listener."""
        ...

    @property
    def uncommitted_bytes(self) -> int:
        """Roughly the memory that `commit` would free."""
        ...

    @property
    def dirty(self) -> bool:
        """Whether the record cache holds updates that `flush` would let go; False for uncached stores."""
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

    def seal(self) -> None:
        """A commit begins: what changes from now on belongs to the next one. Only when the one before has ended."""
        ...

    def unseal(self) -> None:
        """The commit is put off: what was sealed belongs to the next one, if anything was."""
        ...

    def commit(self, position: int | None) -> None:
        """Write what was sealed, or else all that changed, and the new position, to the engine in one write batch."""
        ...

    def discard(self) -> None:
        """Forget what changed since the last commit (an aborted transaction)."""
        ...

    @property
    def for_users(self) -> Any:
        """The store as users' own processors see it."""
        ...

    def as_stored(self, values: Sequence[bytes | None], headers: Sequence[Headers] | None) -> Sequence[bytes | None]:
        """Values of changelog records as `restore` takes them."""
        ...

    def restore(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], position: int
    ) -> None:
        """Apply changelog records straight to the engine, complete up to `position`."""
        ...

    @property
    def fills(self) -> bool:
        """Whether a restore of many records is under way, which writes cheaply, and reads at a price."""
        ...

    def begin_restore(self, records: int) -> None:
        """So many changelog records will come by `restore`; nobody reads before `end_restore`."""
        ...

    def restore_is_over(self) -> bool:
        """Nothing more comes; whether `end_restore` would not wait. What it would wait for goes on meanwhile."""
        ...

    def end_restore(self) -> None:
        """The restore is over, or given up."""
        ...

    def hand_over(self) -> Engine:
        """Close without a commit, but leave the engine open: another store of the same kind goes on with it."""
        ...

    def close(self) -> None:
        """Close without a commit."""
        ...


class _Keyed(Store, Protocol):
    """What stores with one value per key share. Ranges are by key bytes, unsigned; None is open."""

    lookup: Callable[[Any], Any]
    """`get` for callers that put the same key next: a C-level call where possible, and no use in the cache's eyes."""

    def get(self, key: Any) -> Any:
        """The value of a key, or None."""
        ...

    def values_of(self, keys: Sequence[Any]) -> list[Any]:
        """The values alone that `get` gives for each of the keys."""
        ...

    def range(self, start: Any, end: Any) -> Iterator[tuple[Any, Any]]:
        """(key, value) with start <= key <= end."""
        ...

    def reverse_range(self, start: Any, end: Any) -> Iterator[tuple[Any, Any]]:
        """As `range`, descending."""
        ...

    def prefix_scan(self, prefix: bytes) -> Iterator[tuple[Any, Any]]:
        """(key, value) of the keys whose bytes start with `prefix`."""
        ...

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Every (key, value)."""
        ...

    def reverse_all(self) -> Iterator[tuple[Any, Any]]:
        """Every (key, value), descending."""
        ...

    def approximate_num_entries(self) -> int:
        """Roughly how many keys there are."""
        ...


class KeyValueStore(_Keyed, Protocol):
    """Plain values by key (the Processor API's store)."""

    def put(self, key: Any, value: Any, timestamp: int | None = None, cause: Cause | None = None) -> None:
        """Set a value; None deletes. Logged with `timestamp`, else `record_timestamp`."""
        ...

    def put_if_absent(self, key: Any, value: Any) -> Any:
        """Set a value if there is none; returns the one that was there."""
        ...

    def put_all(self, entries: Iterable[tuple[Any, Any]]) -> None:
        """Set (key, value) in their order; a value of None deletes."""
        ...

    def delete(self, key: Any) -> Any:
        """Remove a key; returns the value it had."""
        ...


class TimestampedKeyValueStore(_Keyed, Protocol):
    """Values with the time of the record that made them: what tables and aggregates use.

    Everything read is a ValueAndTimestamp or None.
    """

    def put(self, key: Any, value: Any, timestamp: int, cause: Cause | None = None) -> None:
        """None deletes. `cause` travels with the update through the record cache only."""
        ...

    def put_if_absent(self, key: Any, value: Any, timestamp: int) -> ValueAndTimestamp | None:
        """Set a value if there is none; returns what was there."""
        ...

    def put_all(self, entries: Iterable[tuple[Any, ValueAndTimestamp | None]]) -> None:
        """Set (key, (value, its time)) in their order; None in the place of both deletes."""
        ...

    def delete(self, key: Any, timestamp: int | None = None) -> ValueAndTimestamp | None:
        """Remove a key; returns what it had."""
        ...


class VersionedKeyValueStore(Store, Protocol):
    """Values by key and time, as far back as the history (`retention_ms`) reaches."""

    def get(self, key: Any, as_of: int | None = None) -> ValueAndTimestamp | None:
        """The latest value, or the one valid at `as_of`, with the time it is valid from."""
        ...

    def put(self, key: Any, value: Any, timestamp: int, cause: Cause | None = None) -> int:
        """Returns the time of the next version, `versioned.LATEST` (-1) if none, `versioned.NOT_PUT` if too old."""
        ...

    def versions(self, key: Any, from_ms: int, to_ms: int) -> list[Version]:
        """The values valid at some time in [from, to], ascending."""
        ...

    def delete(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """Say that there is no value from `timestamp` on; returns what was valid then, None if that is too long ago to say."""
        ...

    def all(self) -> Iterator[tuple[Any, ValueAndTimestamp]]:
        """(key, latest value) by key bytes."""
        ...

    def approximate_num_entries(self) -> int:
        """Roughly how many keys there are."""
        ...


class WindowStore(Store, Protocol):
    """Values by key and window start; the `TIMESTAMPED_WINDOW` kind yields ValueAndTimestamp."""

    def fetch(self, key: Any, start_ms: int) -> Any:
        """The value of one window, or None."""
        ...

    def put(self, key: Any, value: Any, start_ms: int, timestamp: int = -1, cause: Cause | None = None) -> None:
        """Set the value of a window; None deletes (nothing, where duplicates are kept)."""
        ...

    def fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, Any]]:
        """(window start, value) of one key with from <= start <= to, ascending."""
        ...

    def backward_fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, Any]]:
        """As `fetch_range`, descending."""
        ...

    def fetch_keys(self, first: Any, last: Any, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]:
        """((key, window start), value) of keys between two, by bytes, in a time range."""
        ...

    def backward_fetch_keys(
        self, first: Any, last: Any, from_ms: int, to_ms: int
    ) -> Iterator[tuple[tuple[Any, int], Any]]:
        """As `fetch_keys`, the other way round."""
        ...

    def fetch_all(self, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]:
        """((key, window start), value) with from <= start <= to, by segment and then by key bytes."""
        ...

    def backward_fetch_all(self, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]:
        """As `fetch_all`, the other way round."""
        ...

    def fetch_by_start(self, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], Any]]:
        """As `fetch_all`, but by window start, then key bytes: for windows that close."""
        ...

    def all(self) -> Iterator[tuple[tuple[Any, int], Any]]:
        """Everything that can be read, in the order of `fetch_all`."""
        ...

    def backward_all(self) -> Iterator[tuple[tuple[Any, int], Any]]:
        """As `all`, the other way round."""
        ...


class SessionStore(Store, Protocol):
    """Values by key and session (start, end), both inclusive."""

    def find_sessions(self, key: Any, earliest_end_ms: int, latest_start_ms: int) -> Iterator[tuple[int, int, Any]]:
        """(start, end, value) of one key's sessions that overlap, in store order (by end)."""
        ...

    def backward_find_sessions(
        self, key: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[int, int, Any]]:
        """As `find_sessions`, the other way round."""
        ...

    def find_sessions_of_keys(
        self, first: Any, last: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[Any, int, int, Any]]:
        """(key, start, end, value) of keys between two, by bytes, whose sessions overlap."""
        ...

    def backward_find_sessions_of_keys(
        self, first: Any, last: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[Any, int, int, Any]]:
        """As `find_sessions_of_keys`, the other way round."""
        ...

    def fetch_session(self, key: Any, start_ms: int, end_ms: int) -> Any:
        """The value of one session, or None."""
        ...

    def put(
        self,
        key: Any,
        start_ms: int,
        end_ms: int,
        value: Any,
        cause: Cause | None = None,
        *,
        timestamp: int | None = None,
    ) -> None:
        """`timestamp` is the record's, for the changelog; without it, `record_timestamp`."""
        ...

    def remove(
        self, key: Any, start_ms: int, end_ms: int, cause: Cause | None = None, *, timestamp: int | None = None
    ) -> None:
        """Remove a session."""
        ...

    def fetch(self, key: Any) -> Iterator[tuple[int, int, Any]]:
        """(start, end, value) of all sessions of a key, by end."""
        ...

    def backward_fetch(self, key: Any) -> Iterator[tuple[int, int, Any]]:
        """As `fetch`, the other way round."""
        ...

    def fetch_keys(self, first: Any, last: Any) -> Iterator[tuple[Any, int, int, Any]]:
        """(key, start, end, value) of all sessions of keys between two, by bytes."""
        ...

    def backward_fetch_keys(self, first: Any, last: Any) -> Iterator[tuple[Any, int, int, Any]]:
        """As `fetch_keys`, the other way round."""
        ...

    def fetch_by_end(self, earliest_end_ms: int, latest_end_ms: int) -> Iterator[tuple[Any, int, int, Any]]:
        """(key, start, end, value) by end, start and key bytes: for sessions that close."""
        ...

    def all(self) -> Iterator[tuple[Any, int, int, Any]]:
        """(key, start, end, value) of everything that can be read, by segment and then by key bytes."""
        ...

    def backward_all(self) -> Iterator[tuple[Any, int, int, Any]]:
        """As `all`, the other way round."""
        ...
