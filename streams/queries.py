"""Reading an application's stores from outside its operators, from any thread: `app.store(name)`.

A view joins the stores of that name of all tasks in this process. It reads live values, those not yet committed too, or
with `isolation="committed"` what the last commit left, which is what another reader of the outputs may know. Rules:
read only, and no use of a record cache, so that nothing is let go for the sake of a query; values come without their timestamps, as Kafka's read-only stores give them, or with `timestamps=True` as
ValueAndTimestamp; windowed keys come as `Windowed`; a scan shows all tasks as they were when it began, and comes in pages, so that it stops nobody for long.
A task that is still being restored makes the view StoreNotReady, one that leaves during a scan StoreMoved; so does a worker
that has no task with the store, for others have. A view that may be stale answers from all that is open instead: from tasks that are being restored, and from standbys, which lag behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from state.errors import StoreClosed
from state.headed import AggregationWithHeaders, Headed, shown
from state.stores import Store, StoreKind, ValueAndTimestamp, Version
from streams.durations import moment_ms
from streams.errors import StoreMoved, StreamsError
from streams.frames import WINDOW, column, column_fields, in_time, key_columns, pandas, value_columns
from streams.numbers import whole_number
from streams.record import Windowed

T = TypeVar("T")

LIVE, COMMITTED = "live", "committed"
Moment = int | datetime | str
"""A time as reads of topics take it: ms since 1970, a datetime or ISO 8601 text, without a zone UTC."""

PAGE = 2_000
"""Entries read at once: a millisecond or two of the processing thread."""

_KEY_VALUE = (StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE)
_TIMESTAMPED = (StoreKind.TIMESTAMPED_KEY_VALUE, StoreKind.TIMESTAMPED_WINDOW, StoreKind.VERSIONED_KEY_VALUE)
_WINDOWS = (StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW)


class StoreSource(Protocol):
    """Whoever has the open stores."""

    @property
    def store_names(self) -> Collection[str]:
        """The names of all stores of the application."""
        ...

    def stores(self, name: str, *, stale: bool = False, partition: int | None = None) -> list[Store]:
        """The open stores of a name, called from inside `ask` only; of one partition; `stale` ones too.

        Raises: StoreNotReady, StoreMoved.
        """
        ...

    def ask(self, question: Callable[[], T]) -> T:
        """Call a function where the stores may be read. Raises: StoreNotReady."""
        ...


class Newest(Generic[T]):
    """Of several that serve an application, the newest that still does: runs and drivers of one App may overlap."""

    def __init__(self) -> None:
        self._serving: list[tuple[T]] = []

    @property
    def one(self) -> T | None:
        """The newest; None when nobody serves."""
        serving = self._serving[-1:]  # a copy: another thread may take the last away
        return serving[0][0] if serving else None

    def serve(self, one: T) -> Callable[[], None]:
        """Begin; the answer is a function that ends it."""
        entry = (one,)
        self._serving.append(entry)

        def end() -> None:
            self._serving = [each for each in self._serving if each is not entry]

        return end


def no_store(application: str, name: str, known: Collection[str]) -> str:
    """The sentence for whoever asks for a store that an application does not have."""
    stores = ", ".join(sorted(known)) or "none"
    return f"{application} has no store {name!r} (stores: {stores}): they have the name that name= gave them"


class _Scan(NamedTuple):
    """Entries of one store that are being read."""

    store: Store
    entries: Iterator[tuple[Any, Any]]


class StoreView:
    """The entries of one store, over all tasks of this process; read only, from any thread. Made by `App.store`."""

    def __init__(
        self,
        name: str,
        source: StoreSource,
        isolation: str = LIVE,
        *,
        timestamps: bool = False,
        stale: bool = False,
        partition: int | None = None,
    ) -> None:
        if isolation not in {LIVE, COMMITTED}:
            raise StreamsError(f'isolation: expected "{LIVE}" or "{COMMITTED}", got {isolation!r}')
        self.name = name
        self.isolation = isolation
        self._source = source
        self._stale = stale
        self._partition = None if partition is None else whole_number(partition, f"{name}: partition", 0, StreamsError)
        self._timestamps = timestamps
        self._value: Callable[[Any], Any] = _whole if timestamps else _plain

    def get(self, key: Any, *, as_of: Moment | None = None) -> Any:
        """The value of a key, or of a `Windowed` key; None when there is none. `as_of` is a time, for a versioned store."""
        then = None if as_of is None else _ms(as_of, "as_of")
        return self._source.ask(lambda: self._get(key, then))

    def versions(self, key: Any, from_ms: Moment = 0, to_ms: Moment = 2**62, *, reverse: bool = False) -> list[Version]:
        """The versions of a key in a versioned store that are valid within [from_ms, to_ms], ascending unless `reverse`.

        Shape: `Version(value, valid_from_ms, valid_to_ms)`; the latter is None while it is still valid.
        """
        first, last = _ms(from_ms, "from_ms"), _ms(to_ms, "to_ms")
        found = self._source.ask(
            lambda: [version for store in self._open() for version in _versions(store, key, first, last)]
        )
        return found[::-1] if reverse else found

    def each(self, question: Callable[[Any], T]) -> list[T]:
        """What `question(store)` answers about the store of each local task: for stores of your own class.

        It is called on the processing thread, and must not change the store.
        """
        return self._source.ask(lambda: [question(_custom(store)) for store in self._stores()])

    def fetch(
        self, key: Any, from_ms: Moment = 0, to_ms: Moment = 2**62, *, reverse: bool = False
    ) -> Iterator[tuple[Windowed, Any]]:
        """One key's windows that start (sessions: that overlap) within [from_ms, to_ms], ascending unless `reverse`.

        The times are ms, datetimes or ISO 8601 text (without a zone: UTC).
        """
        start, end, value_of = _ms(from_ms, "from_ms"), _ms(to_ms, "to_ms"), self._value
        return self._scan(lambda store: _fetch(store, key, start, end, value_of, reverse=reverse))

    def fetch_keys(
        self, first: Any, last: Any, from_ms: Moment = 0, to_ms: Moment = 2**62, *, reverse: bool = False
    ) -> Iterator[tuple[Windowed, Any]]:
        """Windows of keys with first <= key <= last (None is open), in the times of `fetch`.

        Task by task, by segments of the store's time, and then by the keys' bytes.
        """
        start, end = _ms(from_ms, "from_ms"), _ms(to_ms, "to_ms")
        return self._scan(lambda store: _fetch_keys(store, first, last, start, end, self._value, reverse=reverse))

    def fetch_all(self, from_ms: Moment, to_ms: Moment, *, reverse: bool = False) -> Iterator[tuple[Windowed, Any]]:
        """Windows of all keys, in the times of `fetch` and the order of `fetch_keys`."""
        return self.fetch_keys(None, None, from_ms, to_ms, reverse=reverse)

    def range(self, first: Any, last: Any, *, reverse: bool = False) -> Iterator[tuple[Any, Any]]:
        """Entries with first <= key <= last in the order of their bytes, task by task; None is open."""
        return self._scan(lambda store: _range(store, first, last, self._value, reverse=reverse))

    def prefix_scan(self, prefix: bytes | str) -> Iterator[tuple[Any, Any]]:
        """Entries whose keys' bytes begin with `prefix` (text as UTF-8), in the order of their bytes, task by task."""
        data = prefix.encode() if isinstance(prefix, str) else prefix
        return self._scan(lambda store: _prefixed(store, data, self._value))

    def all(self, *, reverse: bool = False) -> Entries:
        """Every entry, task by task: iterate, or `to_pandas()`."""
        return Entries(lambda: self._scan(lambda store: _all(store, self._value, reverse=reverse)))

    def count(self) -> int:
        """How many entries there are, counted."""
        return sum(1 for _ in self.all())

    def approximate_count(self) -> int:
        """Roughly how many entries there are, at once, without those that the record cache holds back.

        Deleted and overwritten ones may count for a while.
        """
        return self._source.ask(lambda: sum(_approximate(store) for store in self._open()))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self.all())

    def __len__(self) -> int:
        return self.count()

    def to_pandas(self) -> Any:
        """All entries as a DataFrame; see `Entries.to_pandas`."""
        return self.all().to_pandas()

    def _stores(self) -> list[Store]:
        return self._source.stores(self.name, stale=self._stale, partition=self._partition)

    def _open(self) -> list[Store]:
        stores = self._stores()
        for store in stores:
            if store.spec.kind is StoreKind.CUSTOM:
                raise StreamsError(f"{self.name} is a store of your own class: ask it by each(function)")
            if self._timestamps and store.spec.kind not in _TIMESTAMPED:
                raise StreamsError(f"{self.name} is a {store.spec.kind.value} store, whose values have no timestamps")
        committed = self.isolation == COMMITTED
        return [_any(store).committed() if committed else _any(store).queried() for store in stores]

    def _get(self, key: Any, as_of: int | None) -> Any:
        found = (_get(store, key, as_of, self._value) for store in self._open())
        return next((value for value in found if value is not None), None)

    def _scan(self, read: Callable[[Store], Iterator[tuple[Any, Any]]]) -> Iterator[tuple[Any, Any]]:
        for scan in self._source.ask(lambda: self._begun(read)):
            while page := self._source.ask(partial(self._page, scan)):
                yield from page
                if len(page) < PAGE:
                    break

    def _begun(self, read: Callable[[Store], Iterator[tuple[Any, Any]]]) -> list[_Scan]:
        opened = zip(self._stores(), self._open(), strict=True)
        return [_Scan(store, read(view)) for store, view in opened]

    def _page(self, scan: _Scan) -> list[tuple[Any, Any]]:
        if not any(store is scan.store for store in self._stores()):
            raise StoreMoved(f"a task with store {self.name} has left this worker during the scan: begin again")
        try:
            return list(islice(scan.entries, PAGE))
        except StoreClosed:
            raise StoreMoved(f"store {self.name} was complete during the scan, and opened anew: begin again") from None


class Entries:
    """Entries of a store, read anew on each iteration. Shape: (key, value), keys of windows as `Windowed`."""

    def __init__(self, read: Callable[[], Iterator[tuple[Any, Any]]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._read()

    def to_pandas(self) -> Any:
        """A DataFrame of one row per entry.

        Shape: `key`, `window_start` and `window_end` (UTC, NaT for windows without end) for windowed keys, then the fields of the value if it has
        some, else `value`.
        Raises: StreamsError when pandas is not installed.
        """
        pd = pandas()
        entries = list(self)
        rows = [{**key_columns(key), **value_columns(value)} for key, value in entries]
        names = list(dict.fromkeys(name for row in rows for name in row))
        fields = column_fields([value for _, value in entries], names)
        frame = pd.DataFrame({name: column(pd, [row.get(name) for row in rows], fields.get(name)) for name in names})
        return in_time(pd, frame, WINDOW)


def _any(store: Store) -> Any:
    """The verbs of a store depend on its kind, which the callers have looked at."""
    return store


def _ms(moment: Moment, what: str) -> int:
    """A time in ms. Raises: StreamsError for what is none."""
    try:
        return moment_ms(moment, what)
    except ValueError as problem:
        raise StreamsError(str(problem)) from None


def _plain(value: Any) -> Any:
    found = value.value if isinstance(value, ValueAndTimestamp) else value
    return found.value if isinstance(found, Headed) else found


def _whole(value: Any) -> Any:
    if isinstance(value, Headed):
        return AggregationWithHeaders(*value)
    return shown(value) if isinstance(value, ValueAndTimestamp) and isinstance(value.value, Headed) else value


def _versions(store: Store, key: Any, from_ms: int, to_ms: int) -> list[Version]:
    _expect(store, "versions", StoreKind.VERSIONED_KEY_VALUE)
    found: list[Version] = _any(store).versions(key, from_ms, to_ms)
    return found


def _custom(store: Store) -> Any:
    _expect(store, "each", StoreKind.CUSTOM)
    return _any(store).custom


def _expect(store: Store, query: str, *kinds: StoreKind) -> None:
    if store.spec.kind not in kinds:
        raise StreamsError(
            f"{store.name} is a {store.spec.kind.value} store, which has no {query}; windowed stores have "
            "fetch(key, from_ms, to_ms), fetch_keys, fetch_all and all, others get, range, prefix_scan and all"
        )


def _get(store: Store, key: Any, as_of: int | None, value_of: Callable[[Any], Any]) -> Any:
    kind = store.spec.kind
    if as_of is not None:
        _expect(store, "get(key, as_of=...)", StoreKind.VERSIONED_KEY_VALUE)
        return value_of(_any(store).get(key, as_of))
    if kind in _WINDOWS:
        _expect_windowed(store, key)
        return value_of(_any(store).fetch(key.key, key.start_ms))
    if kind is StoreKind.SESSION:
        _expect_windowed(store, key)
        return value_of(_any(store).fetch_session(key.key, key.start_ms, key.end_ms))
    return value_of(_any(store).get(key))


def _expect_windowed(store: Store, key: Any) -> None:
    if not isinstance(key, Windowed):
        raise StreamsError(
            f"{store.name} holds windows: get(Windowed(key, start_ms, end_ms)), or fetch(key); got {key!r}"
        )


def _fetch(
    store: Store, key: Any, from_ms: int, to_ms: int, value_of: Callable[[Any], Any], *, reverse: bool
) -> Iterator[tuple[Windowed, Any]]:
    _expect(store, "fetch", *_WINDOWS, StoreKind.SESSION)
    if store.spec.kind is StoreKind.SESSION:
        find = _any(store).backward_find_sessions if reverse else _any(store).find_sessions
        found = find(key, from_ms, to_ms)
        return ((Windowed(key, start_ms, end_ms), value_of(value)) for start_ms, end_ms, value in found)
    fetch = _any(store).backward_fetch_range if reverse else _any(store).fetch_range
    size_ms = store.spec.window_size_ms
    return ((Windowed(key, start, start + size_ms), value_of(value)) for start, value in fetch(key, from_ms, to_ms))


def _fetch_keys(
    store: Store, first: Any, last: Any, from_ms: int, to_ms: int, value_of: Callable[[Any], Any], *, reverse: bool
) -> Iterator[tuple[Windowed, Any]]:
    _expect(store, "fetch_keys, and no fetch_all", *_WINDOWS, StoreKind.SESSION)
    if store.spec.kind is StoreKind.SESSION:
        find = _any(store).backward_find_sessions_of_keys if reverse else _any(store).find_sessions_of_keys
        return _of_sessions(find(first, last, from_ms, to_ms), value_of)
    fetch = _any(store).backward_fetch_keys if reverse else _any(store).fetch_keys
    return _of_windows(store, fetch(first, last, from_ms, to_ms), value_of)


def _of_windows(
    store: Store, found: Iterator[tuple[tuple[Any, int], Any]], value_of: Callable[[Any], Any]
) -> Iterator[tuple[Windowed, Any]]:
    size_ms = store.spec.window_size_ms
    return ((Windowed(key, start_ms, start_ms + size_ms), value_of(value)) for (key, start_ms), value in found)


def _of_sessions(
    found: Iterator[tuple[Any, int, int, Any]], value_of: Callable[[Any], Any]
) -> Iterator[tuple[Windowed, Any]]:
    return ((Windowed(key, start_ms, end_ms), value_of(value)) for key, start_ms, end_ms, value in found)


def _range(
    store: Store, first: Any, last: Any, value_of: Callable[[Any], Any], *, reverse: bool
) -> Iterator[tuple[Any, Any]]:
    _expect(store, "range", *_KEY_VALUE)
    read = _any(store).reverse_range if reverse else _any(store).range
    return ((key, value_of(value)) for key, value in read(first, last))


def _prefixed(store: Store, prefix: bytes, value_of: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
    _expect(store, "prefix_scan", *_KEY_VALUE)
    return ((key, value_of(value)) for key, value in _any(store).prefix_scan(prefix))


def _all(store: Store, value_of: Callable[[Any], Any], *, reverse: bool) -> Iterator[tuple[Any, Any]]:
    kind = store.spec.kind
    if kind in _WINDOWS:
        return _of_windows(store, _any(store).backward_all() if reverse else _any(store).all(), value_of)
    if kind is StoreKind.SESSION:
        return _of_sessions(_any(store).backward_all() if reverse else _any(store).all(), value_of)
    if reverse:
        _expect(store, "all(reverse=True)", *_KEY_VALUE)
        return ((key, value_of(value)) for key, value in _any(store).reverse_all())
    return ((key, value_of(value)) for key, value in _any(store).all())


def _approximate(store: Store) -> int:
    _expect(store, "approximate_count", *_KEY_VALUE, StoreKind.VERSIONED_KEY_VALUE)
    return int(_any(store).approximate_num_entries())
