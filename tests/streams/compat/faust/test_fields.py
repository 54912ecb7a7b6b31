"""Field classes and the validation of Records are Faust's: both libraries, compared."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from streams.compat import faust


def models(library: Any, fields: Any) -> SimpleNamespace:
    """The same Records, made by one library or the other."""

    class Account(library.Record, validation=True, include_metadata=False, namespace="Account"):
        name: str = fields.StringField(max_length=5, min_length=2)
        seats: int = fields.IntegerField(max_value=10, min_value=1, required=False, default=3)
        note: str = fields.StringField(allow_blank=True, trim_whitespace=True, required=False)
        paid: Decimal = fields.DecimalField(max_digits=4, max_decimal_places=2, required=False)
        raw: bytes = fields.BytesField(encoding="latin-1", max_length=3, required=False)

    class Loose(library.Record, include_metadata=False, namespace="Loose"):
        name: str = fields.StringField(coerce=True)
        seats: int = fields.IntegerField(max_value=10)
        open: bool = True
        paid: Decimal = None  # type: ignore[assignment]  # as Faust has it

    class Query(library.Record, include_metadata=False, namespace="Query"):
        place: str = fields.StringField(input_name="in")
        kind: str = fields.StringField(input_name="type", output_name="kind_of")
        user: str = fields.StringField(required=True, exclude=True)
        size: int = fields.FieldDescriptor[int](field="sizeOf", required=False, default=1)

    class Entry(library.Record, coerce=True, include_metadata=False, namespace="Entry"):
        at: datetime
        seen: datetime = fields.DatetimeField(date_parser=lambda text: datetime(int(text), 1, 1))
        count: int = 0

    class Flags(library.Record, coerce=True, include_metadata=False, namespace="Flags"):
        open: bool
        often: list[bool] = []  # noqa: RUF012  as applications write it
        named: dict[str, int] = {}  # noqa: RUF012
        maybe: bool | None = None

    class ZipField(fields.StringField):  # type: ignore[misc]  # of one library or the other
        def validate(self, value: str) -> Any:
            if len(value) != self.options["digits"]:
                yield self.validation_error(f"{self.field} is no code")

    class Address(library.Record, validation=True, include_metadata=False, namespace="Address"):
        code: str = ZipField(digits=5)

    class Other(Account, include_metadata=False, namespace="Other"):  # type: ignore[misc]  # as above
        more: int = 1

    return SimpleNamespace(**{name: value for name, value in locals().items() if isinstance(value, type)})


USES: list[Callable[[SimpleNamespace], Any]] = [
    *(
        lambda known, value=value: known.Flags.from_data(
            {"open": value, "often": [value], "maybe": value, "named": {"a": value}}
        ).asdict()
        for value in ("no", "false", "", "maybe", 0, 2, True, [])
    ),
    lambda known: known.Flags("no", maybe=None).asdict(),
    lambda known: known.Account("abc").asdict(),
    lambda known: known.Account("abc", "5", "  x ", "1.25", "é").asdict(),
    lambda known: known.Account("abc", None).seats,
    lambda known: known.Account("a"),
    lambda known: known.Account("abcdef"),
    lambda known: known.Account(""),
    lambda known: known.Account("abc", note="").note,
    lambda known: known.Account("abc", 11),
    lambda known: known.Account("abc", -1),
    lambda known: known.Account("abc", paid="1.234"),
    lambda known: known.Account("abc", paid=Decimal("12345.1")),
    lambda known: known.Account.from_data({"name": "", "seats": 1}),
    lambda known: known.Account("abc").is_valid(),
    lambda known: known.Other("abcdef", more="7").asdict(),
    lambda known: (known.Loose(5, "x").asdict(), known.Loose.from_data({"name": 5, "seats": "x"}).asdict()),
    lambda known: known.Loose("a", 5, paid=Decimal(1)).is_valid(),
    lambda known: len(known.Loose("", "x", 3, "y").validation_errors),
    lambda known: len(known.Loose("a", 11, "no").validation_errors),
    lambda known: known.Loose("a", 5, paid=Decimal("inf")).is_valid(),
    lambda known: known.Query("a", "b", "c").to_representation(),
    lambda known: known.Query("a", "b", "c", 2).asdict(),
    lambda known: known.Query.from_data({"in": "x", "type": "y", "user": "z", "sizeOf": 3}).to_representation(),
    lambda known: known.Query.from_data({"in": "x", "type": "y", "user": "z"}).user,
    lambda known: repr(known.Query("a", "b", "c")),
    lambda known: (known.Query.size.field, known.Query.size.input_name, known.Query.kind.output_name),
    lambda known: known.Entry.from_data({"at": "2020-01-02T03:04:05", "seen": "1999"}).asdict(),
    lambda known: known.Entry("2020-01-02T03:04:05", "1999", "7").asdict(),
    lambda known: known.Entry(datetime(2020, 1, 1), datetime(2020, 1, 1), "much"),
    lambda known: known.Address("123"),
    lambda known: known.Address("12345").code,
    lambda known: [type(field).__name__ for field in (known.Loose.open, known.Loose.paid, known.Address.code)],
]


def answer(use: Callable[[SimpleNamespace], Any], known: SimpleNamespace) -> Any:
    """What a use gives; a refusal is one, whatever its words."""
    try:
        return use(known)
    except ValueError:
        return "refused"


@pytest.mark.parametrize("use", USES, ids=range(len(USES)))
def test_equals_faust(use: Callable[[SimpleNamespace], Any]) -> None:
    """What fields refuse, convert, read, write and leave out is what Faust's do."""
    theirs = pytest.importorskip("faust")
    ours = answer(use, models(faust, import_module("streams.compat.faust.models.fields")))
    assert ours == answer(use, models(theirs, import_module("faust.models.fields")))


def test_a_copy_of_a_record_whose_fields_are_renamed() -> None:
    """`derive` goes by the fields, whatever they are called where they are written, and keeps what is not written."""
    query = models(faust, import_module("streams.compat.faust.models.fields")).Query
    made = query("a", "b", "c").derive(kind="d")
    assert (made.place, made.kind, made.user) == ("a", "d", "c")


def test_a_refusal_names_the_field() -> None:
    """And the rule."""
    known = models(faust, import_module("streams.compat.faust.models.fields"))
    with pytest.raises(
        faust.ValidationError, match="name must have at most 5 characters <StringField: Account.name: str>"
    ):
        known.Account("abcdef")
