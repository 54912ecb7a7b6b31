"""How an aggregate takes a value in: an initializer and an adder, and copies where user code could change the past.

Rules: an aggregate that user code may change in place (a list, a dict, a struct) is handed to it as a copy, because the
one before is still in a store, in a batch on its way, or wanted as old value. What cannot change is never copied.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from msgspec import Struct

__all__ = ["Fold", "count_fold", "held_add", "reduce_fold"]


class Fold(Struct, frozen=True):
    """How a value is taken in: `add(key, value, aggregate)`, begun with `initial()`.

    An initial None means that the first value is taken as it is (`reduce`). `pure`: what `add` is given never changes.
    `repeated(aggregate, times)`: what so many values make of it, where it does not matter which (None: it does).
    """

    initial: Callable[[], Any]
    add: Callable[[Any, Any, Any], Any]
    pure: bool = False
    repeated: Callable[[Any, int], Any] | None = None


def held_add(fold: Fold, store: Any) -> Callable[[Any, Any, Any], Any]:
    """`fold.add` where what it makes is folded into again before the store was given it: each is what that would give back.

    Else it would matter how many records come together.
    """
    add, copies = fold.add, store.copies
    settled = store.rounds if copies is None else copies.settled if copies.settles else None
    if settled is None or fold.pure:
        return add
    return lambda key, value, aggregate: settled(add(key, value, aggregate))


def count_fold() -> Fold:
    """Counts."""
    return Fold(lambda: 0, lambda _key, _value, count: count + 1, pure=True, repeated=operator.add)


def reduce_fold(reducer: Callable[[Any, Any], Any]) -> Fold:
    """Begins with the first value, then reducer(aggregate, value)."""
    return Fold(lambda: None, lambda _key, value, old: value if old is None else reducer(old, value))
