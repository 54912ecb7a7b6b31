"""Tables: dictionaries kept in stores of the runtime, with a changelog of Faust's name and form.

Rules: inside an agent, a table is the part of it that belongs to the record in hand, as in Faust; iteration, and reading
from elsewhere, see all parts of this worker. Only agents write, and what they write is in their commit.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Generator, Iterator, MutableMapping
from contextlib import closing
from itertools import chain
from types import GenericAlias
from typing import Any, ClassVar

from msgspec.structs import replace

from state.stores import StoreSpec
from streams.compat.faust.errors import ImproperlyConfigured, blameless, not_here
from streams.compat.faust.schemas import with_schema
from streams.compat.faust.serdes import FaustSerde
from streams.compat.faust.topics import CURRENT, Topic, topic_config
from streams.compat.faust.windowed import WindowWrapper, ansi_table
from streams.compat.faust.windows import HoppingWindow, Seconds, TumblingWindow, seconds
from streams.dsl.stores import key_value_store
from streams.processor import ProcessorContext, PunctuationType

__all__ = ["Table", "WindowWrapper"]

log = logging.getLogger(__name__)

_MISSING = object()
WITHOUT_EFFECT = {"recovery_buffer_size", "standby_buffer_size"}
"""Options that shape only how Faust restores."""


class Expiry:
    """Which windows of one store end when: an entry per window, the earliest first."""

    def __init__(self) -> None:
        self._ends: list[float] = []
        self._keys: dict[float, set[Any]] = {}
        self.latest = 0.0

    def add(self, key: Any) -> None:
        """Note a key (key, (start, end))."""
        end = key[1][1]
        self.latest = max(self.latest, end)
        keys = self._keys.get(end)
        if keys is None:
            self._keys[end] = {key}
            heapq.heappush(self._ends, end)
        else:
            keys.add(key)

    def take(self, stale: Callable[[float], bool]) -> Generator[Any, None, None]:
        """Keys of windows that are stale, each once; those that the caller is not done with when he closes this stay."""
        while self._ends and stale(self._ends[0]):
            keys = self._keys.pop(heapq.heappop(self._ends))
            try:
                while keys:
                    key = next(iter(keys))
                    yield key
                    keys.discard(key)
            finally:
                for key in keys:
                    self.add(key)


class Table(MutableMapping[Any, Any]):
    """See the module. Made by `app.Table`; `tumbling` and `hopping` make it a windowed one."""

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)
    everywhere = False
    """Whether every worker has all of it, and its changelog alone fills it."""

    def __init__(
        self,
        app: Any,
        *,
        name: str,
        default: Callable[[], Any] | None = None,
        schema: Any = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        store: str | None = None,
        partitions: int | None = None,
        window: HoppingWindow | None = None,
        changelog_topic: Topic | None = None,
        help: str = "",  # noqa: A002  Faust's name
        on_window_close: Callable[[Any, Any], Any] | None = None,
        extra_topic_configs: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002  of Faust's own stores
        **others: Any,
    ) -> None:
        for each in others.keys() - WITHOUT_EFFECT:
            raise not_here("app.Table", each)
        key_type, value_type = with_schema(schema, key_type=key_type, value_type=value_type).values()
        key_serializer, value_serializer = with_schema(
            schema, key_serializer=key_serializer, value_serializer=value_serializer
        ).values()
        self.app = app
        self.name = name
        self.default = default
        self.key_type, self.value_type = key_type, value_type
        self.partitions = partitions
        self.window = window
        self.help = help
        self.on_window_close = on_window_close
        self._changelog = changelog_topic
        self._topic_configs = extra_topic_configs
        self._persistent = _persistent(store or app.conf.store)
        self._forms = (key_serializer or ("raw" if key_type is bytes else "json"), value_serializer or "json")
        self._key = FaustSerde(self._forms[0], None if key_type in {list, tuple} else key_type, hashable=True)
        own = value_type._options.serializer if hasattr(value_type, "__is_model__") else None
        self._value = FaustSerde(value_serializer or own or ("raw" if value_type is bytes else "json"), value_type)
        self._expiries: dict[int, Expiry] = {}
        """By partition."""

    # Windows

    def tumbling(self, size: Seconds, expires: Seconds | None = None, *, key_index: bool = False) -> WindowWrapper:
        """A value per key and window of `size` seconds."""
        return self.using_window(TumblingWindow(size, expires), key_index=key_index)

    def hopping(
        self, size: Seconds, step: Seconds, expires: Seconds | None = None, *, key_index: bool = False
    ) -> WindowWrapper:
        """A value per key and window of `size` seconds, one beginning every `step`."""
        return self.using_window(HoppingWindow(size, step, expires), key_index=key_index)

    def using_window(self, window: HoppingWindow, *, key_index: bool = False) -> WindowWrapper:
        """A value per key and window."""
        self.window = window
        self._changelog = None  # as in Faust, which forgets the one it was given
        self._key = FaustSerde("json", None, hashable=True)
        return WindowWrapper(self, key_index=key_index)

    # The mapping

    def __getitem__(self, key: Any) -> Any:
        value = self._find(key)
        return self.__missing__(key) if value is None else value

    def __missing__(self, key: Any) -> Any:
        if self.default is None:
            raise KeyError(key)
        return self.default()

    def __setitem__(self, key: Any, value: Any) -> None:
        self._mine("modify").put(key, value)
        if self.window is not None and (expiry := self._expiry) is not None:
            expiry.add(key)

    def __delitem__(self, key: Any) -> None:
        if self._mine("modify").delete(key) is None:
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not None

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key, or else what the table's own default makes; `default` where it has none, as in Faust."""
        try:
            return self[key]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[Any]:
        return iter([key for key, _ in self._all()])

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> Any:
        """(key, value) of all that this worker has, as it is now."""
        return self._all()

    def values(self) -> Any:
        """The values of all that this worker has, as it is now."""
        return [value for _, value in self._all()]

    def copy(self) -> dict[Any, Any]:
        """All that this worker has, as it is now: a dict."""
        return dict(self.items())

    def clear(self) -> None:
        """Delete what it has of the partition of the record in hand."""
        for key in [key for key, _ in self._mine("modify").all()]:
            del self[key]

    def as_ansitable(self, title: str = "{table.name}", **options: Any) -> str:
        """The table as text."""
        return ansi_table(self.items(), title.format(table=self), **options)

    def on_recover(self, _function: Any) -> Any:
        """Called after a restore in Faust."""
        raise not_here("table", "on_recover")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise not_here("table", name)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<Table: {self.name}>"

    def _mine(self, what: str) -> Any:
        """The store of the record in hand. Raises: TypeError outside of agents."""
        copy = CURRENT.get(None)
        if copy is None or not copy.at_work:
            raise TypeError(f"cannot {what} the table {self.name} from outside of stream iteration: do it in an agent")
        try:
            return copy.feed.stores[self.name]
        except KeyError:
            raise ImproperlyConfigured(
                f"that the agent {copy.agent.name} uses the table {self.name} cannot be seen in its code: name the table "
                f"in the agent, as in `async def {copy.agent.name.rpartition('.')[2]}(stream, table={self.name})`"
            ) from None

    def _find(self, key: Any) -> Any:
        copy = CURRENT.get(None)
        if copy is not None and copy.at_work:
            return self._look(self._mine("read"), key)
        stores = self.app.stores_of(self.name)

        def first() -> Any:
            return next((value for store in stores() if (value := store.get(key)) is not None), None)

        return self.app.read(first)

    def _look(self, store: Any, key: Any) -> Any:
        return store.get(key)

    def _all(self) -> list[tuple[Any, Any]]:
        """With what the record in hand, and those with it, have changed."""
        copy, stores = CURRENT.get(None), self.app.stores_of(self.name)
        own = copy.feed.stores.get(self.name) if copy is not None and copy.at_work else None

        def everything() -> list[tuple[Any, Any]]:
            parts = (own if own is not None and own.lies_beside(store) else store for store in stores())
            return list(chain.from_iterable(part.all() for part in parts))

        return self.app.read(everything)  # type: ignore[no-any-return]

    # What the runtime asks

    def spec(self) -> StoreSpec:
        """The store that keeps it; its changelog has Faust's name, keys and values."""
        expires = None if self.window is None else self.window.expires
        windowed = self.window is not None
        config = topic_config(expires, compacting=True, deleting=windowed, config=self._topic_configs)
        config |= self.changelog_topic.config
        store = key_value_store(self.name, self._key, self._value, persistent=self._persistent, topic_config=config)
        return replace(store, changelog_topic=self.changelog_topic.get_topic_name())

    @property
    def changelog_topic(self) -> Topic:
        """Where its changes are written: a topic of Faust's name, or the one that the application gave."""
        if self._changelog is None:
            name, (key_form, value_form) = f"{self.app.conf.id}-{self.name}-changelog", self._forms
            self._changelog = Topic(self.app, name, key_serializer=key_form, value_serializer=value_form)
        return self._changelog

    def latest_end(self) -> float | None:
        """The end of the latest window seen in the partition of the record in hand; None before the first."""
        expiry = self._expiry
        return None if expiry is None or not expiry.latest else expiry.latest

    @property
    def _expiry(self) -> Expiry | None:
        """Of the partition of the record in hand."""
        return self._expiries.get(CURRENT.get().partition)

    def opened(self, store: Any, context: ProcessorContext) -> None:
        """A task has a part of it. Its windows are looked at as often as the application says."""
        if self.window is None or self.window.expires is None or context.partition in self._expiries:
            return
        expiry = self._expiries[context.partition] = Expiry()
        for key, _ in store.all():
            expiry.add(key)
        interval_ms = round(seconds(self.app.conf.table_cleanup_interval) * 1000)
        context.schedule(
            interval_ms, PunctuationType.WALL_CLOCK_TIME, lambda now_ms: self._expire(store, expiry, now_ms / 1000)
        )

    def closed(self, owner: tuple[str, int]) -> None:
        """A part went away, for the agent and partition that is `owner`."""
        self._expiries.pop(owner[1], None)

    def _expire(self, store: Any, expiry: Expiry, now: float) -> None:
        window = self.window
        assert window is not None, "only windowed tables expire"
        with closing(expiry.take(lambda end: window.stale(end, now))) as gone:
            for key in gone:
                value = store.delete(key)
                if value is not None and self.on_window_close is not None:
                    self._tell_closed(self.on_window_close, key, value)

    def _tell_closed(self, on_window_close: Callable[[Any, Any], Any], key: Any, value: Any) -> None:
        """What it raises is logged: the window is closed, and so are those that end with it."""
        try:
            self.app.call(on_window_close, key, value)
        except Exception as error:
            if blameless(error):
                raise
            log.exception("on_window_close of the table %s raised at %r", self.name, key)


def _persistent(store: Any) -> bool:
    scheme = str(store).partition(":")[0]
    if scheme not in {"memory", "rocksdb"}:
        raise ImproperlyConfigured(f"expected a store of memory:// or rocksdb://, got {store!r}")
    return scheme == "rocksdb"
