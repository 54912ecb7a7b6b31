"""Values of a store that are changed in place: by whoever put them, reads them, or is told of them."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, NamedTuple

import msgspec
import pytest

from state import StoreKind
from state.copies import Copies, copied, copies_of
from streams.serdes import serde_for

CACHES = pytest.mark.parametrize("cache_bytes", [None, 0, 1 << 20], ids=["uncached", "no room", "cached"])
VALUES = pytest.mark.parametrize("value", [{"n": 1}, {"n": [1, 2]}, [1, {"n": 2}]], ids=str)


class Flat(msgspec.Struct):
    """Fields that cannot change, which can be replaced."""

    n: int
    text: str


class Frozen(msgspec.Struct, frozen=True):
    """Nothing can change."""

    n: int


class FrozenList(msgspec.Struct, frozen=True):
    """A field that can be changed in place."""

    values: list[int]


@dataclass
class Data:
    """A dataclass."""

    n: int
    values: list[int]


class Nested(msgspec.Struct):
    """Fields that can be changed in place."""

    values: list[int]
    by: dict[str, list[int]]


@dataclass(slots=True)
class Slotted:
    """A dataclass without a dictionary of its own."""

    values: list[int]


@dataclass
class OwnWay:
    """A class that says how it is copied."""

    values: list[Any]

    def __deepcopy__(self, memo: dict[int, Any]) -> OwnWay:
        return OwnWay(["its own way"])


class Chain(msgspec.Struct, frozen=True):
    """A class that refers to itself."""

    next: Chain | None = None


class Colour(Enum):
    """One of two."""

    RED = 1


class Whole(msgspec.Struct, frozen=True):
    """Frozen fields, some of which may be missing."""

    inner: Frozen
    colour: Colour | None
    kind: Literal["a", "b"] = "a"


class Point(NamedTuple):
    """A tuple with names."""

    x: int


def spoil(value: Any) -> None:
    """Change all that can be changed in place."""
    if isinstance(value, dict):
        for inner in list(value.values()):
            spoil(inner)
        value["spoilt"] = True
    elif isinstance(value, list):
        for inner in value:
            spoil(inner)
        value.append("spoilt")


def copy_of(value: Any) -> Any:
    """What the test compares with."""
    return msgspec.json.decode(msgspec.json.encode(value))


def each_gives(expected: Any, reads: list[Callable[[], Any]]) -> None:
    """Whatever was done to what the reads before it gave."""
    for read in reads:
        found = read()
        assert found == expected
        spoil(found)


@CACHES
@VALUES
@pytest.mark.parametrize("kind", [StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE], ids=lambda kind: kind.name)
def test_values_by_key(bench, directory, kind, value, cache_bytes):
    """Every way in and out, before and after a commit; the changelog has what was put."""
    expected, plain = copy_of(value), kind is StoreKind.KEY_VALUE
    log = bench.changelog()
    spec = bench.spec(kind, value_serde=bench.document, cached=cache_bytes is not None)
    store = bench.open(spec, directory=directory, changelog=log, cache_bytes=cache_bytes)
    value = copy_of(value)
    store.put("a", value, 5)
    spoil(value)
    for committed in (False, True):
        if committed:
            store.flush()
            store.drain()
            store.commit(1)
        reads = [
            lambda: store.get("a"),
            lambda: store.values_of(["a"])[0] if plain else (store.values_of(["a"])[0], 0),
            lambda: next(store.all())[1],
            lambda: next(store.range("a", "z"))[1],
            lambda: store.put_if_absent("a", [], 9) if not plain else store.put_if_absent("a", []),
        ]
        each_gives(expected, reads if plain else [lambda read=read: read()[0] for read in reads])
    assert (store.delete("a") if plain else store.delete("a")[0]) == expected
    assert bench.document.deserialize(log.rows[0][1]) == expected
    store.close()


@VALUES
@pytest.mark.parametrize(
    ("cache_bytes", "duplicates"),
    [(None, False), (0, False), (1 << 20, False), (None, True)],
    ids=["uncached", "no room", "cached", "duplicates"],
)
def test_values_by_window(bench, directory, value, cache_bytes, duplicates):
    """Points and ranges, forward and backward."""
    expected, value = copy_of(value), copy_of(value)
    spec = bench.spec(
        StoreKind.WINDOW,
        value_serde=bench.document,
        cached=cache_bytes is not None,
        retention_ms=1_000,
        window_size_ms=10,
        retain_duplicates=duplicates,
    )
    store = bench.open(spec, directory=directory, cache_bytes=cache_bytes)
    store.put("a", value, 10)
    spoil(value)
    reads = [
        lambda: store.fetch("a", 10),
        lambda: next(iter(store.fetch_range("a", 0, 20)))[1],
        lambda: next(iter(store.backward_fetch_range("a", 0, 20)))[1],
        lambda: next(store.fetch_all(0, 20))[1],
    ]
    each_gives(expected, reads * 2)
    store.close()


@CACHES
@VALUES
def test_values_by_session(bench, directory, value, cache_bytes):
    """One session, and those that overlap."""
    expected, value = copy_of(value), copy_of(value)
    spec = bench.spec(StoreKind.SESSION, value_serde=bench.document, cached=cache_bytes is not None, retention_ms=1_000)
    store = bench.open(spec, directory=directory, cache_bytes=cache_bytes)
    store.put("a", 10, 20, value)
    spoil(value)
    reads = [lambda: store.fetch_session("a", 10, 20), lambda: next(store.find_sessions("a", 0, 50))[2]]
    each_gives(expected, reads * 2)
    store.close()


@VALUES
def test_values_by_version(bench, directory, value):
    """The latest, one of the past, and all of them."""
    expected, value = copy_of(value), copy_of(value)
    spec = bench.spec(StoreKind.VERSIONED_KEY_VALUE, value_serde=bench.document, retention_ms=1_000)
    store = bench.open(spec, directory=directory)
    store.put("a", value, 10)
    spoil(value)
    reads = [
        lambda: store.get("a").value,
        lambda: store.get("a", 15).value,
        lambda: store.versions("a", 0, 50)[0].value,
    ]
    each_gives(expected, reads * 2)
    store.close()


@VALUES
def test_who_is_told_of_an_update_gets_his_own(bench, value):
    """And the old value there was."""
    told = []
    spec = bench.spec(value_serde=bench.document, cached=True)
    store = bench.open(spec, cache_bytes=1 << 20)
    store.set_flush_listener(told.append, send_old_values=True)
    for time in (1, 2):
        store.put("a", copy_of(value), time)
        store.flush()
        assert (told[-1].new_values, told[-1].old_values) == ([value], [None if time == 1 else value])
        spoil(told[-1].new_values[0])
        assert store.get("a").value == value
    store.close()


@pytest.mark.parametrize(
    "value",
    [Frozen(1), Whole(Frozen(1), None), 1, "a", b"b", None, Colour.RED, datetime(2026, 1, 1, tzinfo=UTC), (1, "a")],
)
def test_what_cannot_change_is_not_copied(value):
    """Numbers, text, and classes whose fields nobody can replace."""
    assert copied(value) is value
    if not isinstance(value, tuple):  # which JSON gives back as a list
        assert Copies(serde_for(type(value))).of_all([value, value])[1] is value


@pytest.mark.parametrize(
    "value", [Flat(1, "a"), FrozenList([1]), Chain(Chain()), Data(1, [2]), {"a": [1]}, [[1]]], ids=str
)
def test_the_rest_is(value):
    """As a whole, whatever it holds."""
    serde = serde_for(type(value))
    for copy in (copied(value), Copies(serde).of(value), Copies(serde).of_all([value])[0]):
        assert copy == value and copy is not value
    inner = getattr(copy, "values", None)
    assert not isinstance(inner, list) or inner is not value.values


def changeable(value: Any) -> Iterator[Any]:
    """All objects in a value that can be changed in place, itself among them."""
    fields = getattr(value, "__struct_fields__", ())
    inner = [getattr(value, name) for name in fields] + list(getattr(value, "__dict__", {}).values())
    if isinstance(value, Slotted):
        inner.append(value.values)
    if isinstance(value, Mapping):
        inner += value.values()
    elif isinstance(value, list | tuple | deque):
        inner += value
    if inner or not isinstance(value, int | str | tuple | None):
        yield value
    for each in inner:
        yield from changeable(each)


NESTED = [
    {"a": 1},
    {"a": [1], "b": {"c": {"d": 2}}},
    [1, 2],
    [[1], ({"a": 1}, "b"), None],
    Flat(1, "a"),
    Nested([1], {"a": [1]}),
    {"a": Nested([1], {}), "b": FrozenList([1])},
    Data(1, [2]),
    [Data(1, [2]), Slotted([1])],
    Slotted([1]),
    {1, 2},
    deque([1, 2]),
    deque([[1]]),
    Counter("aab"),
    defaultdict(list, {"a": [1]}),
    OrderedDict(a=1),
    {"seen": {1, 2}, "last": deque([1]), "by": Counter("ab")},
]


@pytest.mark.parametrize("aggregate", NESTED, ids=str)
def test_copies_are_equal_and_share_nothing_that_changes(aggregate):
    """User code may change what it is handed."""
    copy = copied(aggregate)
    assert copy == aggregate and type(copy) is type(aggregate)
    shared = {id(each) for each in changeable(copy)} & {id(each) for each in changeable(aggregate)}
    assert not shared


def test_what_a_class_says_of_its_copies_is_heard():
    """Wherever its objects are; and what was hung on a dataclass later is copied too."""
    data = Data(1, [2])
    data.later = [3]
    copy = copied({"own": [OwnWay([1])], "data": data})
    assert copy["own"][0].values == ["its own way"]
    assert copy["data"].later == [3] and copy["data"].later is not data.later


def test_what_holds_itself_is_copied():
    """A list within itself, which no serde but `pickle` could write."""
    value: list[Any] = [1]
    value.append({"again": value})
    copy = copied(value)
    assert copy[1]["again"] is copy and copy is not value


@pytest.mark.parametrize("aggregate", [1, "text", (1, "a"), None, 2.5, b"bytes"], ids=repr)
def test_counts_and_texts_are_the_common_case(aggregate):
    """They are never copied."""
    assert copied(aggregate) is aggregate


def test_a_serde_may_say_that_nothing_changes():
    """Then nobody asks for each value."""
    assert [copies_of(serde_for(kind)) for kind in (int, str, Frozen, Whole)] == [None] * 4
    assert None not in [copies_of(serde_for(kind)) for kind in (dict, list, Flat, FrozenList)]


def test_values_of_several_classes():
    """Each is copied as its own class is."""
    values = [1, [2], "c", {"d": 4}, Point(5)]
    found = Copies(serde_for(dict)).of_all(values[:4])
    assert found == values[:4] and found[1] is not values[1] and found[0] is values[0]


class Undeclared:
    """JSON of anything, structs, times and tuples included, which come back as JSON has them."""

    by_value = False
    serialize, deserialize = staticmethod(msgspec.json.encode), staticmethod(msgspec.json.decode)


AT = datetime(2026, 1, 1, tzinfo=UTC)
TURNED = [
    {5: 3},
    {5: 3, "5": 1},
    {"at": AT},
    {"price": Decimal("1.50")},
    {"ratio": float("nan"), "most": float("inf")},
    {Colour.RED: 1},
    {"pair": (1, 2)},
    [AT, 1],
    [float("-inf"), 1, 2**70],
    (1, 2),
    ((1,), 2),
    AT,
    b"bytes",
    Colour.RED,
    Flat(1, "a"),
    Frozen(1),
    Point(1),
]


@CACHES
@pytest.mark.parametrize("value", TURNED, ids=str)
def test_nobody_can_tell_whether_a_value_was_in_memory(bench, value, cache_bytes):
    """A serde that gives back something else than it was given: so it is read at once, not only after a restart."""
    expected = copy_of(value)
    assert type(expected) is not type(value) or expected != value
    store = bench.open(bench.spec(value_serde=Undeclared(), cached=True), cache_bytes=cache_bytes)
    store.put("a", value, 1)
    live = store.get("a").value
    store.flush()
    store.commit(1)
    assert type(live) is type(expected) and live == expected == store.committed().get("a").value


def test_a_fold_by_keys_that_json_turns_into_text_is_the_same_after_a_restart(bench):
    """Counts in a plain dictionary by numbers: however often the store is opened in between."""
    found, directory = [], bench.task()
    for reopened in (False, True):
        store = bench.open(bench.spec(value_serde=serde_for(dict), persistent=True), directory=directory)
        for _ in range(3):
            counts = copied(old.value) if (old := store.get("k")) else {}
            counts[5] = counts.get(5, 0) + 1
            store.put("k", counts, 1)
            if reopened:
                store.commit(1)
                store.close()
                store = bench.open(bench.spec(value_serde=serde_for(dict), persistent=True), directory=directory)
        found.append(store.get("k").value)
        store.put("k", None, 1)
        store.commit(1)
        store.close()
    assert found[0] == found[1]


@pytest.mark.parametrize("value", [Flat(1, "a"), Frozen(1), AT, Decimal("1.5"), (Flat | None, Flat(1, "a"))], ids=str)
def test_a_class_that_the_serde_declares_takes_no_way_through_bytes(value):
    """It comes back as it was: a copy of its fields is enough, or none where nothing can change."""
    kind, value = value if isinstance(value, tuple) else (type(value), value)
    copier = Copies(serde_for(kind)).copiers[type(value)]
    assert copier in {None, getattr(type(value), "__copy__", None)}


@pytest.mark.parametrize("value", [{"n": 1, "x": 0.5, "y": None, "z": True}, ["a", 1, 2.5, None]], ids=str)
def test_what_json_gives_back_takes_no_way_through_bytes(value):
    """Flat dictionaries and lists are copied by themselves: a serde that reads nothing is never asked."""

    class Silent(Undeclared):
        deserialize = None

    found = Copies(Silent()).of(value)
    assert found == value and found is not value


@pytest.mark.parametrize("value", [*TURNED, {"a": [1, {"b": (1,)}]}, [[{1: 2}]], {"a": {}, "b": AT}], ids=str)
def test_what_is_folded_into_before_it_is_put_is_what_would_be_read(value):
    """The same as if it had been put, and read again."""
    found, expected = Copies(Undeclared()).settled(value), copy_of(value)
    assert type(found) is type(expected) and found == expected


@pytest.mark.parametrize("value", [1, "a", None, {"a": [1, {"b": [None, 2.5]}], "c": "d"}, [[], {}]], ids=str)
def test_what_comes_back_is_left_as_it_is(value):
    """However deep it goes."""
    assert Copies(Undeclared()).settled(value) is value


def test_classes_need_not_be_settled():
    """Those that the serde declares come back as they were; what holds itself is for the serde to judge."""
    assert [Copies(serde_for(kind)).settles for kind in (Flat, Nested, Data, dict, list, dict[str, int])] == [
        False
    ] * 3 + [True] * 3
    value: list[Any] = []
    value.append(value)
    with pytest.raises(RecursionError):
        Copies(Undeclared()).settled(value)
