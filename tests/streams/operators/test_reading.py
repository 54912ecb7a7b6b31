"""Functions that only read their aggregate are given it itself; what might change or keep it gets a copy."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import pytest

from state.copies import copier_of
from streams.dsl.builder import StreamsBuilder
from streams.graph.windows import TimeWindows
from streams.operators.reading import copier_for, fields_read
from tests.streams.operators.cutting import ALL, Cutter, skipping, topology_of

ROOMY = 10 << 20
BAD = 1 << 40
kept: list[Any] = []


def checked(value: int) -> int:
    """A value that is not bad."""
    if value == BAD:
        raise OverflowError(value)
    return value


class Total(msgspec.Struct):
    """An aggregate whose fields never change by themselves."""

    count: int = 0
    amount: float = 0.0


class Listing(msgspec.Struct):
    """One that holds what can change."""

    count: int
    items: list[int]


class Asked(msgspec.Struct):
    """One that hears of what it has not."""

    count: int = 0

    def __getattr__(self, name: str) -> Any:
        kept.append(self)
        return 0


class Computed(msgspec.Struct):
    """One with a property, which is handed the object."""

    count: int = 0

    @property
    def twice(self) -> int:
        """Twice the count."""
        return 2 * self.count

    def after(self) -> "Computed":
        """One more, here."""
        self.count += 1
        return self


@dataclass
class Plain:
    """A dataclass."""

    count: int = 0


def read(_key: str, value: int, total: Total) -> Total:
    """Only reads."""
    return Total(total.count + 1, total.amount + checked(value))


def read_by_turns(_key: str, value: int, total: Total, share: float = 0.5) -> Total:
    """Reads behind other variables, in branches and in loops."""
    amount = 0.0
    for _ in range(2):
        amount += share * (total.amount if value else total.count)
    return Total(total.count + 1 if value > amount else total.count, amount)


def reduce_in_place(_key: str, value: int, total: Total) -> Total:
    """Changes it."""
    total.count += 1
    total.amount += checked(value)
    return total


def change_and_replace(_key: str, value: int, total: Total) -> Total:
    """Changes it behind a name of its own."""
    mine = total
    mine.count += 100
    return Total(total.count - 99, total.amount + checked(value))


def keep(_key: str, value: int, total: Total) -> Total:
    """Keeps it."""
    kept.append(total)
    return Total(total.count + 1, value)


def set_by_name(_key: str, value: int, total: Total) -> Total:
    """Has somebody else change it."""
    setattr(total, "count", total.count + 1)  # noqa: B010  the case
    return Total(total.count, value)


def close_over(_key: str, value: int, total: Total) -> Total:
    """Changes it in a function within."""

    def change() -> int:
        total.count += 1
        return total.count

    return Total(change(), value)


def look(_key: str, value: int, total: Total) -> Total:
    """Finds it among its variables."""
    locals()["total"].count += 1
    return Total(total.count, value)


def choose(_key: str, value: int, total: Total) -> Total:
    """Changes what may be it."""
    one = total if value >= 0 else Total()
    one.count += 1
    return Total(total.count, value)


def take_another(_key: str, value: int, total: Total) -> Total:
    """Gives its name to another."""
    total = Total(total.count + 1, value)
    return total  # noqa: RET504  the case


def later(_key: str, _value: int, total: Total) -> Any:
    """Reads when nobody knows."""
    yield total.count


def any_number(*arguments: Any) -> Total:
    """Has no name for it."""
    arguments[2].count += 1
    return Total(arguments[2].count, arguments[1])


OTHERS = [
    reduce_in_place, change_and_replace, keep, set_by_name, close_over, look, choose, take_another, any_number,
]  # fmt: skip


@pytest.mark.parametrize("add", [read, read_by_turns])
def test_who_only_reads_gets_no_copy(add: Callable[..., Any]) -> None:
    """Loads of fields, wherever they stand among other loads, are what a copy would give."""
    assert fields_read(add) == frozenset({"count", "amount"})
    assert copier_for(add)(Total) is None


@pytest.mark.parametrize("add", [*OTHERS, later, partial(read)])
def test_whose_code_may_do_more_gets_a_copy(add: Callable[..., Any]) -> None:
    """Whatever is done with the aggregate but to load an attribute, or what is no plain function."""
    assert fields_read(add) is None
    assert copier_for(add)(Total) is copier_of(Total) is not None


def test_names_that_are_no_fields_get_a_copy() -> None:
    """Properties and methods are handed the object, and so is who is asked for what is not there."""
    assert copier_for(lambda _key, _value, total: Computed(total.twice))(Computed) is not None
    assert copier_for(lambda _key, _value, total: total.after())(Computed) is not None
    assert copier_for(lambda _key, _value, total: Asked(total.count))(Asked) is not None
    assert copier_for(lambda _key, _value, total: Computed(total.count))(Computed) is None


@pytest.mark.parametrize("kind", [Listing, Plain, dict, list])
def test_what_can_change_behind_a_field_is_copied(kind: type) -> None:
    """A list that is read from a field can be changed; of what is no struct, nothing is known."""
    assert copier_for(lambda _key, _value, total: total.count)(kind) is copier_of(kind) is not None


@pytest.mark.parametrize("add", [read, read_by_turns, *OTHERS])
def test_results_are_those_of_copies(add: Callable[..., Any]) -> None:
    """A batch by window, the third record fails: as if each record's aggregate had been read from bytes."""

    def windowed(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=int).group_by_key()
        grouped.windowed_by(TimeWindows.of("1 min")).aggregate(Total, add, value=Total, store="totals")

    cutter = Cutter(topology_of(windowed), ALL, ROOMY, skipping())
    read_again = msgspec.json.Decoder(Total).decode
    expected, size = Total(), 8
    for values in ([3], [3, 4, BAD, 5, 1, 7], [2, BAD]):
        for value in values:
            with suppress(OverflowError):
                expected = add("a", value, read_again(msgspec.json.encode(expected)))
        cutter.feed([("in", b"a", value.to_bytes(size, "big"), 0) for value in values])
        totals: Any = cutter.task.stores["totals"]
        assert [value for _, (value, _) in totals.all()] == [expected]
