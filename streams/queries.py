"""Reading an application's stores from outside its operators: `app.store(name)`.

A view joins the stores of that name of all tasks in this process; it reads live values, those not yet committed too.
Rules: read only; values come without their timestamps, as Kafka's read-only stores give them; windowed keys come as
`Windowed`. Call it on the processing thread (timers, agents' results, processors) or while nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from state.stores import Store, StoreKind, ValueAndTimestamp
from streams.errors import StreamsError
from streams.frames import WINDOW, column, key_columns, pandas, value_columns
from streams.record import Windowed

_WINDOWS = {StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW}


class StoreView:
    """The entries of one store over all local tasks. `stores` is asked on every call, since tasks come and go."""

    def __init__(self, name: str, stores: Callable[[], Sequence[Store]]) -> None:
        self.name = name
        self._stores = stores

    def get(self, key: Any) -> Any:
        """The value of a key, or of a `Windowed` key; None when there is none."""
        for store in self._stores():
            value = _get(store, key)
            if value is not None:
                return value
        return None

    def fetch(self, key: Any, from_ms: int = 0, to_ms: int = 2**62) -> Iterator[tuple[Windowed, Any]]:
        """One key's windows that start (sessions: that overlap) within [from_ms, to_ms], ascending."""
        for store in self._stores():
            yield from _fetch(store, key, from_ms, to_ms)

    def range(self, first: Any, last: Any) -> Iterator[tuple[Any, Any]]:
        """Entries with first <= key <= last in the order of their bytes, task by task."""
        for store in self._stores():
            _expect(store, StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE)
            yield from ((key, _plain(value)) for key, value in _any(store).range(first, last))

    def all(self) -> Entries:
        """Every entry, task by task: iterate, or `to_pandas()`."""
        return Entries(lambda: (entry for store in self._stores() for entry in _all(store)))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self.all())

    def __len__(self) -> int:
        return sum(1 for _ in self.all())

    def to_pandas(self) -> Any:
        """All entries as a DataFrame; see `Entries.to_pandas`."""
        return self.all().to_pandas()


class Entries:
    """Entries of a store, read anew on each iteration. Shape: (key, value), keys of windows as `Windowed`."""

    def __init__(self, read: Callable[[], Iterator[tuple[Any, Any]]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._read()

    def to_pandas(self) -> Any:
        """A DataFrame of one row per entry.

        Shape: `key`, `window_start` and `window_end` (UTC) for windowed keys, then the fields of the value if it has
        some, else `value`.
        Raises: StreamsError when pandas is not installed.
        """
        pd = pandas()
        rows = [{**key_columns(key), **value_columns(value)} for key, value in self]
        names = list(dict.fromkeys(name for row in rows for name in row))
        frame = pd.DataFrame({name: column(pd, [row.get(name) for row in rows]) for name in names})
        for name in WINDOW:
            if name in frame:
                frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True)
        return frame


def _any(store: Store) -> Any:
    """The verbs of a store depend on its kind, which the callers have looked at."""
    return store


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, ValueAndTimestamp) else value


def _expect(store: Store, *kinds: StoreKind) -> None:
    if store.spec.kind not in kinds:
        raise StreamsError(
            f"{store.name} is a {store.spec.kind.value} store, which has no such query; "
            "windowed stores have fetch(key, from_ms, to_ms) and all(), others get, range and all"
        )


def _get(store: Store, key: Any) -> Any:
    kind = store.spec.kind
    if kind in _WINDOWS:
        _expect_windowed(store, key)
        return _plain(_any(store).fetch(key.key, key.start_ms))
    if kind is StoreKind.SESSION:
        _expect_windowed(store, key)
        return _any(store).fetch_session(key.key, key.start_ms, key.end_ms)
    return _plain(_any(store).get(key))


def _expect_windowed(store: Store, key: Any) -> None:
    if not isinstance(key, Windowed):
        raise StreamsError(
            f"{store.name} holds windows: get(Windowed(key, start_ms, end_ms)), or fetch(key); got {key!r}"
        )


def _fetch(store: Store, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[Windowed, Any]]:
    _expect(store, *_WINDOWS, StoreKind.SESSION)
    if store.spec.kind is StoreKind.SESSION:
        for start_ms, end_ms, value in _any(store).find_sessions(key, from_ms, to_ms):
            yield Windowed(key, start_ms, end_ms), value
        return
    for start_ms, value in _any(store).fetch_range(key, from_ms, to_ms):
        yield Windowed(key, start_ms, start_ms + store.spec.window_size_ms), _plain(value)


def _all(store: Store) -> Iterator[tuple[Any, Any]]:
    kind = store.spec.kind
    if kind in _WINDOWS:
        for (key, start_ms), value in _any(store).all():
            yield Windowed(key, start_ms, start_ms + store.spec.window_size_ms), _plain(value)
    elif kind is StoreKind.SESSION:
        for key, start_ms, end_ms, value in _any(store).all():
            yield Windowed(key, start_ms, end_ms), value
    else:
        for key, value in _any(store).all():
            yield key, _plain(value)
