"""Avro values whose form is not msgspec's own: unions of tagged structs, and fields that may be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams import Avro
from streams.serdes.schema_registry import FileRegistry


class Card(msgspec.Struct, tag=True):
    amount: int


class Cash(msgspec.Struct, tag="in cash", tag_field="type"):
    amount: int
    change: Card | Cash | None = None


class Paid(msgspec.Struct):
    by: Card | Cash
    before: list[Card | Cash | None] = []
    named: dict[str, Cash | Card | str] = {}
    alone: Card | None = None
    plain: dict[str, str] = {}


VALUES = [
    Paid(Card(1)),
    Paid(Cash(1)),
    Paid(Cash(1, Cash(2, Card(3)))),
    Paid(Cash(1), [Card(2), None, Cash(3)], {"a": Card(4), "b": "text", "c": Cash(5)}, Card(6), {"type": "Card"}),
]


@pytest.fixture
def registry(tmp_path: Path) -> FileRegistry:
    return FileRegistry(tmp_path / "schemas")


def given(serde: Any, registry: Any, subject: str = "paid-value") -> Any:
    return serde.bound(subject, lambda: registry)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("namespace", [None, "org.taxi"])
def test_tagged_structs_come_back_from_a_union(registry: FileRegistry, value: Paid, namespace: str | None) -> None:
    """Also where their fields are the same, so that only the name of the record tells them apart."""
    serde = given(Avro(Paid, namespace=namespace), registry)
    assert serde.deserialize(serde.serialize(value)) == value


def test_the_branches_of_a_union_are_records_by_their_names(registry: FileRegistry) -> None:
    """What is on the wire is Avro's own union: the number of the branch, and no tag."""
    serde = given(Avro(Paid), registry)
    branches = [branch["name"] for branch in msgspec.json.decode(serde.schema.text)["fields"][0]["type"]]
    assert serde.serialize(Paid(Cash(7)))[5:7] == bytes([branches.index("Cash") * 2, 14])
    assert serde.serialize(Paid(Card(7)))[5:7] == bytes([branches.index("Card") * 2, 14])


@pytest.mark.parametrize("names", [("Card", "Cash"), ("Card", "in_cash")])
def test_a_schema_that_was_given_names_the_records(registry: FileRegistry, names: tuple[str, str]) -> None:
    """By class or by tag; the union may be the value itself."""

    class InCash(msgspec.Struct, tag="in_cash"):
        amount: int

    kind = Card | (Cash if names[1] == "Cash" else InCash)
    amount = [{"name": "amount", "type": "long"}]
    schema: Any = [{"type": "record", "name": name, "namespace": "n", "fields": amount} for name in names]
    serde = given(Avro(kind, schema=msgspec.json.encode(schema).decode()), registry)
    for value in (Card(1), Cash(2) if names[1] == "Cash" else InCash(2)):
        assert serde.deserialize(serde.serialize(value)) == value


def test_a_union_may_gain_a_branch(registry: FileRegistry) -> None:
    """What was written by an older union is read by the newer."""

    class Older(msgspec.Struct):
        by: Card

    before = given(Avro(Older), registry).serialize(Older(Card(5)))
    schema = {**msgspec.json.decode(Avro(Paid).schema.text), "name": "Older"}
    assert given(Avro(Paid, schema=schema), registry).deserialize(before) == Paid(Card(5))
