"""Sets in keys: the same bytes in every process, whatever the seed of Python's hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from itertools import permutations
from typing import Any, NamedTuple

import msgspec
import pytest

from state.serde import serializer
from streams.serdes import serde_for


class Colour(Enum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class Texts(msgspec.Struct, frozen=True):
    tags: frozenset[str]
    other: int = 0


class Colours(msgspec.Struct, frozen=True, tag=True):
    colours: frozenset[Colour]
    groups: frozenset[frozenset[str]] = frozenset()


class Inner(msgspec.Struct, frozen=True, tag=True, array_like=True):
    pairs: frozenset[tuple[str, int]]


class Outer(msgspec.Struct, frozen=True):
    either: Colours | Texts2 | None
    more: tuple[Inner, int]
    mixed: frozenset[int | str | None] = frozenset()


class Texts2(msgspec.Struct, frozen=True, tag=True):
    tags: frozenset[str]


@dataclass(frozen=True)
class Named:
    by_name: dict[str, frozenset[str]]


class Cell(NamedTuple):
    at: int
    tags: frozenset[Colour]


class Counted(msgspec.Struct):
    tags: set[str]
    counts: dict[str, int]


ABC = frozenset({"ann", "bob", "cid", "dan", "eve"})
KEYS: list[tuple[Any, Any]] = [
    (Texts, Texts(ABC)),
    (Colours, Colours(frozenset(Colour), frozenset({ABC, frozenset({"x", "y"}), frozenset()}))),
    (Outer, Outer(Colours(frozenset(Colour)), (Inner(frozenset({("a", 1), ("b", 2), ("a", 2)})), 7))),
    (Outer, Outer(Texts2(ABC), (Inner(frozenset()), 7), frozenset({1, "1", None, 10, 9}))),
    (Named, Named({"b": ABC, "a": frozenset({"z", "y"})})),
    (Cell, Cell(1, frozenset(Colour))),
    (frozenset[str], ABC),
    (frozenset[Colour], frozenset(Colour)),
    (tuple[frozenset[str], int], (ABC, 1)),
]

SHOW = """
from state.serde import serializer
from streams.serdes import serde_for
from tests.streams.serdes.test_set_order import KEYS
for kind, key in KEYS:
    print(serde_for(kind).serialize(key), *serializer(serde_for(kind))([key, key]))
"""


def test_equal_keys_are_equal_bytes_in_every_process() -> None:
    """Processes with other seeds write the same, alone and as a column."""
    shown = {
        subprocess.run(
            [sys.executable, "-c", SHOW],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(shown) == 1
    assert shown.pop().count(b"\n") == len(KEYS)


@pytest.mark.parametrize(("kind", "key"), KEYS, ids=[str(kind)[:40] for kind, _ in KEYS])
def test_keys_come_back(kind: Any, key: Any) -> None:
    """Alone, and as a column."""
    serde = serde_for(kind)
    assert serde.deserialize(serde.serialize(key)) == key
    assert serializer(serde)([key, key]) == [serde.serialize(key)] * 2


def test_dictionaries_keep_their_order() -> None:
    """What is no set is not sorted: values are read in the order in which they were written."""
    serde = serde_for(Counted)
    for names in permutations("abc"):
        read = serde.deserialize(serde.serialize(Counted({"x"}, dict.fromkeys(names, 1))))
        assert list(read.counts) == list(names)
    assert serde_for(Texts).serialize(Texts(frozenset({"b", "a"}), 3)) == b'{"tags":["a","b"],"other":3}'
