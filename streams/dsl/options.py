"""What verbs take besides functions: topics with their types, stores with their properties, types as serdes.

Everywhere a type or a serde may be given: `key=str`, `value=Ride`, `value=MySerde()`. What is not given is taken from
upstream, from a function's annotations, or from the configuration, in this order.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, get_args, get_origin

from msgspec import Struct
from msgspec import field as struct_field
from msgspec.structs import replace

from state.serde import Serde
from state.stores import OpenEngine, StoreKind
from streams.durations import Duration, milliseconds
from streams.errors import TopologyError
from streams.graph.names import Names, checked_name
from streams.graph.nodes import Materialization, Serdes
from streams.numbers import whole_number
from streams.on_error import OnError
from streams.record import Record
from streams.serdes import serde_for
from streams.serdes.inference import UNKNOWN, returned_type
from streams.serdes.registry import type_name

__all__ = [
    "Materialized",
    "Topic",
    "ValueTimestamp",
    "arity",
    "asynchronous",
    "callable_or_error",
    "checked_reset",
    "listed_topics",
    "pair_serdes",
    "pattern_of",
    "resulting_serde",
    "said_together",
    "serde_of",
    "topic_settings",
]

Function = Callable[..., Any]

Field = str | Callable[[Any], Any]
"""A field of a value by name, or a function of the value."""

RESETS = {"earliest", "latest", "none"}


class ValueTimestamp(Struct, frozen=True):
    """A timestamp extractor that reads the value only: `of_value(value)` gives ms since 1970, or a datetime."""

    of_value: Callable[[Any], Any]

    def __call__(self, record: Record, _partition_time: int) -> Any:
        """The timestamp of a record by its value; a deletion that has none keeps its own."""
        try:
            return self.of_value(record.value)
        except Exception:
            if record.value is None:
                return record.timestamp
            raise


def getter(field: Field) -> Callable[[Any], Any]:
    """Takes a field out of a value, which may be a dict; a function of the value stays as it is."""
    return _named_field(field) if isinstance(field, str) else field


@cache  # one function per field, so that topics can be seen to say the same
def _named_field(field: str) -> Callable[[Any], Any]:
    attribute = attrgetter(field)
    return lambda value: value[field] if isinstance(value, dict) else attribute(value)


def expect_field(kind: Any, field: str, what: str) -> None:
    """Raises: TopologyError when values of this type, as far as it tells, have no such field."""
    try:
        fields = [name for base in getattr(kind, "__mro__", ()) for name in inspect.get_annotations(base)]
    except NameError:  # Python 3.14 evaluates annotations, and one may be known to type checkers alone
        return
    if fields and field not in fields and not hasattr(kind, field):
        raise TopologyError(f"{what}: {type_name(kind)} has no field {field!r} (it has: {', '.join(fields)})")


class Topic(Struct, frozen=True):
    """A topic with the serdes of its records, and where their time is found (None: the record's own timestamp).

    `on_error` is what becomes of records that cannot be read from it or written to it; None: what the application says.
    """

    name: str
    key_serde: Serde[Any] | None = None
    value_serde: Serde[Any] | None = None
    timestamp: Function | None = None
    on_error: OnError | None = None

    @classmethod
    def of(
        cls, topic: Topic | str, *, key: Any = None, value: Any = None, timestamp: Field | Function | None = None
    ) -> Topic:
        """A topic from its name or handle; what is given here wins over what the handle says.

        `timestamp` is a field of the value, a function (value) or an extractor (record, partition_time), told apart by
        their parameters; it gives ms since 1970, or a datetime (without a zone: UTC).
        """
        if isinstance(topic, str):
            topic = cls(checked_name(topic, "the name of a topic"))
        if not isinstance(topic, cls):
            raise TopologyError(f"expected a topic's name or app.topic(...), got {topic!r}")
        value_serde = serde_of(value) or topic.value_serde
        if isinstance(timestamp, str):
            expect_field(getattr(value_serde, "type", None), timestamp, f"topic {topic.name}: timestamp")
        return cls(
            topic.name,
            serde_of(key) or topic.key_serde,
            value_serde,
            extractor(timestamp) or topic.timestamp,
            topic.on_error,
        )

    @property
    def serdes(self) -> Serdes:
        """Both serdes."""
        return Serdes(self.key_serde, self.value_serde)

    def __str__(self) -> str:
        return self.name


def listed_topics(topics: Any, what: str) -> list[Any]:
    """Topics that are read together, as a list. Raises: TopologyError for what is no topic, nor a list of them."""
    if isinstance(topics, Topic | str):
        return [topics]
    if not isinstance(topics, Iterable):
        raise TopologyError(f"{what}: expected a topic, its name, a list of them or a compiled pattern, got {topics!r}")
    return list(topics)


FLAGS = {re.ASCII: "a", re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.VERBOSE: "x"}


def pattern_of(topics: Any, what: str) -> str | None:
    """A compiled pattern as text, with the flags that it was compiled with; None for what is none.

    Raises: TopologyError for a pattern of bytes.
    """
    if not isinstance(topics, re.Pattern):
        return None
    if not isinstance(topics.pattern, str):
        raise TopologyError(
            f"{what}: topics have names of text, so their pattern is one of text, got {topics.pattern!r}"
        )
    told = re.compile(topics.pattern).flags  # those that stand in the text
    letters = "".join(letter for flag, letter in FLAGS.items() if topics.flags & flag and not told & flag)
    return f"(?{letters}){topics.pattern}" if letters else topics.pattern


def said_together(topics: Sequence[Topic], what: str) -> Topic:
    """What the topics of one source say of their records; it reads all of them alike.

    A serde or policy that one leaves out is that of the others. Without timestamp= the records' own time is meant, so that
    there is none to fill in. Raises: TopologyError where they differ.
    """
    serdes = {"key": "key_serde", "value": "value_serde", "on_error": "on_error"}
    found = {
        field: [each for topic in topics if (each := getattr(topic, field)) is not None] for field in serdes.values()
    }
    found["timestamp"] = [topic.timestamp for topic in topics]
    for option, field in (*serdes.items(), ("timestamp", "timestamp")):
        if not all(_alike(each, found[field][0]) for each in found[field]):
            names = ", ".join(dict.fromkeys(topic.name for topic in topics))
            cure = "" if option == "on_error" else f"give {option}= here, or "
            raise TopologyError(
                f"{what}: {names} are read by one source, but do not say the same {option}=: {cure}read them apart and merge"
            )
    return replace(topics[0], **{field: each[0] if each else None for field, each in found.items()})


def _alike(one: Any, other: Any) -> bool:
    """Whether two of what topics say are the same; serdes of users' own classes may not know it themselves."""
    is_serde = hasattr(one, "deserialize") and type(one) is type(other) and hasattr(one, "__dict__")
    return bool(one == other or (is_serde and vars(one) == vars(other)))


def topic_settings(given: Any, what: str) -> dict[str, str]:
    """Kafka's settings of a topic. Raises: TopologyError for what has no names and values."""
    if not isinstance(given, Mapping):
        raise TopologyError(
            f"{what}: expected Kafka's topic settings as a dict such as {{'retention.ms': '60000'}}, got {given!r}"
        )
    return {str(name): str(value) for name, value in given.items()}


def checked_reset(reset: str | None) -> str | int | None:
    """A reset policy, or a duration in ms. Raises: TopologyError."""
    if reset is None or reset in RESETS:
        return reset
    try:
        return milliseconds(reset, "offset_reset")
    except (TypeError, ValueError) as error:
        raise TopologyError(f"offset_reset: expected earliest, latest, none or a duration, got {reset!r}") from error


def extractor(function: Field | Function | None) -> Function | None:
    """A timestamp extractor from a field or a function of the value, or an extractor as it is."""
    if function is None:
        return None
    if isinstance(function, str):
        return ValueTimestamp(getter(function))
    callable_or_error(function, "timestamp")
    return function if arity(function, 1) == 2 else ValueTimestamp(function)


class Materialized(Struct, frozen=True, kw_only=True):
    """How a store is kept. Kafka's Materialized.

    `name` makes it queryable, and its changelog independent of other steps. `cached=False` forwards every update;
    `logged=False` keeps no changelog; `persistent=False` keeps it in memory; `retention` of windows may only be raised;
    `history` makes a table versioned; `max_entries` keeps it in memory, with the rows that were used last (Kafka's lruMap):
    nobody is told of those that make room. `topic_config` are Kafka's settings for the changelog. `engine` keeps the store's
    bytes in a place of your own: a function (name, path or None) -> `streams.Engine`.
    """

    name: str | None = None
    key: Any = None
    value: Any = None
    cached: bool = True
    logged: bool = True
    persistent: bool | None = None
    retention: Duration | None = None
    history: Duration | None = None
    max_entries: int | None = None
    topic_config: Mapping[str, str] = struct_field(default_factory=dict)
    engine: OpenEngine | None = None

    @classmethod
    def of(
        cls, store: Materialized | str | None, name: str | None = None, key: Any = None, value: Any = None
    ) -> Materialized | None:
        """What a verb was given as `store=`, `name=`, `key=` and `value=`; None when it was given nothing."""
        if isinstance(store, str):
            store = cls(name=store)
        if store is not None and not isinstance(store, cls):
            raise TopologyError(f"store: expected a name or Materialized(...), got {store!r}")
        if store is None and name is None:
            return None
        given = store or cls()
        if name is not None and given.name not in {None, name}:
            raise TopologyError(f"a store has one name, but got {name!r} and {given.name!r}: leave one out")
        if given.engine is not None:
            callable_or_error(given.engine, "engine")
        return replace(
            given,
            name=name or given.name,
            key=key if given.key is None else given.key,
            value=value if given.value is None else given.value,
        )

    def materialization(
        self, names: Names, prefix: str, serdes: Serdes, kind: StoreKind | None = None
    ) -> Materialization:
        """The store of a node; without a name, one is drawn with `prefix`. `serdes` fill in what is not given.

        Raises: TopologyError for a retention where there are no windows, and for `max_entries` where it cannot be.
        """
        kind = kind or StoreKind.TIMESTAMPED_KEY_VALUE
        max_entries = self._bound(prefix, kind)
        if self.retention is not None and kind is StoreKind.TIMESTAMPED_KEY_VALUE:
            raise TopologyError(
                f"{self.name or prefix}: a store without windows forgets nothing by itself, so it has no retention: leave it "
                "out, or say windowed_by(...) before"
            )
        return Materialization(
            store=names.store(prefix) if self.name is None else checked_name(self.name, "the name of a store"),
            kind=kind,
            queryable=self.name is not None,
            serdes=Serdes(serde_of(self.key) or serdes.key, serde_of(self.value) or serdes.value),
            persistent=self.persistent if max_entries is None else False,
            cached=self.cached,
            logged=self.logged,
            max_entries=max_entries,
            retention_ms=None if self.retention is None else _positive(self.retention, "retention"),
            history_ms=None if self.history is None else _positive(self.history, "history"),
            topic_config=topic_settings(self.topic_config, "topic_config"),
            engine=self.engine,
        )

    def _bound(self, prefix: str, kind: StoreKind) -> int | None:
        """How many entries the store may have, if it is bounded."""
        if self.max_entries is None:
            return None
        what = self.name or prefix
        if self.name is None:
            raise TopologyError(
                f"{what}: a store with max_entries needs a name: Materialized(name=..., max_entries=...)"
            )
        if kind is not StoreKind.TIMESTAMPED_KEY_VALUE or self.history is not None:
            raise TopologyError(f"{what}: windows and histories go by time, not by entries: leave `max_entries` out")
        if self.persistent or self.engine is not None:
            raise TopologyError(
                f"{what}: a store with max_entries is kept in memory: leave persistent= and engine= out"
            )
        return whole_number(self.max_entries, f"{what}: max_entries")


def _positive(duration: Duration, what: str) -> int:
    try:
        value = milliseconds(duration, f"the {what} of a store")
    except (TypeError, ValueError) as error:
        raise TopologyError(str(error)) from error
    if value < 0:
        raise TopologyError(f"the {what} of a store: expected 0 ms or more, got {value} ms")
    return value


def serde_of(kind: Any) -> Serde[Any] | None:
    """The serde of a type or serde; None stays None: not given."""
    return None if kind is None else serde_for(kind)


def resulting_serde(given: Any, function: Function, arguments: Sequence[Serde[Any] | None]) -> Serde[Any] | None:
    """The serde of a function's results: of the type given, else of the type its annotations or form tell."""
    return serde_for(given) if given is not None else told_serde(result_type(function, arguments))


def element_serde(given: Any, function: Function, arguments: Sequence[Serde[Any] | None]) -> Serde[Any] | None:
    """As `resulting_serde`, of what a function's iterable holds."""
    return serde_for(given) if given is not None else told_serde(element_type(result_type(function, arguments)))


def pair_serdes(kind: Any, key: Any, value: Any) -> Serdes:
    """The serdes of (key, value) pairs: as given, or from their type `tuple[K, V]`."""
    types = get_args(kind) if get_origin(kind) is tuple else ()
    found = types if len(types) == 2 else (UNKNOWN, UNKNOWN)
    return Serdes(serde_of(key) or told_serde(found[0]), serde_of(value) or told_serde(found[1]))


def told_serde(kind: Any) -> Serde[Any] | None:
    """The serde of a type that was not given but found out; None for one without a serde, which may never need any."""
    if kind is UNKNOWN:
        return None
    try:
        return serde_for(kind)
    except TopologyError:
        return None


def result_type(function: Function, arguments: Sequence[Serde[Any] | None]) -> Any:
    """The type that a function returns, or UNKNOWN; `arguments` are the serdes of what it is called with."""
    return returned_type(function, [getattr(serde, "type", UNKNOWN) for serde in arguments])


def element_type(kind: Any) -> Any:
    """The type of what an iterable of this type holds (`Iterator[Ride]`: Ride), or UNKNOWN."""
    types = get_args(kind)
    iterable = isinstance(origin := get_origin(kind), type) and issubclass(origin, Iterable)
    return types[0] if iterable and types else UNKNOWN


def callable_or_error(function: Any, what: str) -> None:
    """Raises: TopologyError when a verb was given something else than a function, or an async one.

    A verb would take the coroutine for the result; as the answer of a filter, that is true.
    """
    if not callable(function):
        raise TopologyError(f"{what}: expected a function, got {function!r}")
    if asynchronous(function):
        raise TopologyError(
            f"{what}: expected a plain function, but {getattr(function, '__qualname__', repr(function))} is async and nobody "
            "would await it: write def, or have @app.agent run it"
        )


def asynchronous(function: Any) -> bool:
    """Whether it is `async def`, with or without `yield`."""
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def arity(function: Function, otherwise: int) -> int:
    """How many positional arguments a function must be given; `otherwise` when it cannot be told (builtins)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return otherwise
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return otherwise
    return sum(each.kind in positional and each.default is inspect.Parameter.empty for each in parameters)
