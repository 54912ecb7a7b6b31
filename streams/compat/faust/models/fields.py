"""Fields of Records: what `Ride.vendor` is, and the classes an application gives a field by, as in Faust.

`name: str = StringField(max_length=40)` says what values are valid, `input_name` and `output_name` how the field is called
where it is written, `exclude` that it is not written. Rules: a field without a class of its own has that of its type, so
that `validation=True` refuses a blank text as Faust does. `coerce=` of a single field has no effect, as in faust-streaming
0.15.3: the class of the Record says it for all.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Self

from streams.compat.faust.conversions import Convert, told_class, without_none
from streams.compat.faust.errors import ValidationError

__all__ = [
    "TYPE_TO_FIELD",
    "BooleanField",
    "BytesField",
    "CharField",
    "DatetimeField",
    "DecimalField",
    "FieldDescriptor",
    "FloatField",
    "IntegerField",
    "NumberField",
    "StringField",
    "field_for_type",
]


class FieldDescriptor:
    """A field as an attribute of its class: `Ride.vendor`. On an instance, the instance's own value stands before it.

    Options that this class does not know are attributes of the field, for subclasses.
    """

    def __init__(
        self,
        *,
        field: str = "",
        input_name: str | None = None,
        output_name: str | None = None,
        type: Any = None,  # noqa: A002  Faust's name
        model: Any = None,
        required: bool = True,
        default: Any = None,
        coerce: bool | None = None,
        exclude: bool | None = None,
        date_parser: Convert | None = None,
        **options: Any,
    ) -> None:
        self.field = self.path = field
        self.input_name = input_name or field
        self.output_name = output_name or self.input_name
        self.type = type
        self.model = model
        self.required = required
        self.default = default
        self.coerce = bool(coerce)
        self.exclude = bool(exclude)
        self.date_parser = date_parser
        self.options = options
        self.__dict__.update({name: value for name, value in options.items() if name not in self.__dict__})

    def __class_getitem__(cls, _type: Any) -> Any:
        """`FieldDescriptor[int]`, for annotations."""
        return cls

    def attached(self, model: Any, field: str, kind: Any, *, required: bool, default: Any, path: str = "") -> Self:
        """The field of a class, by this one that its author gave."""
        found = copy.copy(self)
        found.model, found.field, found.type, found.required, found.default = model, field, kind, required, default
        found.input_name = self.input_name or field
        found.output_name = self.output_name or found.input_name
        found.path = f"{path}{field}"
        return found

    @property
    def getattr(self) -> Callable[[Any], Any]:
        """Takes the field's value out of a Record."""
        return attrgetter(self.path)

    @property
    def ident(self) -> str:
        """Class and field."""
        return f"{self.model.__name__}.{self.field}"

    def converted(self, convert: Convert | None) -> Convert | None:
        """What values go through where the class converts them, made of what their type says."""
        return convert

    def validate(self, _value: Any) -> Iterable[ValidationError]:
        """What is wrong with a value that is not None; for subclasses."""
        return ()

    def validation_error(self, reason: str) -> ValidationError:
        """An error of this field."""
        return ValidationError(f"{reason} {self!r}")

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        raise AttributeError(f"{self.ident} has no value")

    def __getattr__(self, name: str) -> FieldDescriptor:
        """A field of a Record within: `Ride.vendor.city`."""
        inner: Any = without_none(self.__dict__.get("type"))
        if name.startswith("__") or not hasattr(inner, "__is_model__") or name not in inner._shape.fields:
            raise AttributeError(f"a field has no attribute {name!r}")
        found: FieldDescriptor = getattr(inner, name)
        given = {"required": found.required, "default": found.default}
        return found.attached(inner, name, found.type, path=f"{self.path}.", **given)

    def __repr__(self) -> str:
        default = "" if self.required else f" = {self.default!r}"
        return f"<{type(self).__name__}: {self.ident}: {told_class(self.type)}{default}>"


class BooleanField(FieldDescriptor):
    """True or False."""

    def validate(self, value: Any) -> Iterator[ValidationError]:
        """Nothing else is."""
        if not isinstance(value, bool):
            yield self.validation_error(f"{self.field} must be True or False, of type bool")


class NumberField(FieldDescriptor):
    """A number within bounds; as in Faust, 0 is none."""

    def __init__(self, *, max_value: Any = None, min_value: Any = None, **options: Any) -> None:
        super().__init__(max_value=max_value, min_value=min_value, **options)

    def validate(self, value: Any) -> Iterator[ValidationError]:
        """Between the bounds."""
        if self.options["max_value"] and value > self.options["max_value"]:
            yield self.validation_error(f"{self.field} cannot be more than {self.options['max_value']}")
        if self.options["min_value"] and value < self.options["min_value"]:
            yield self.validation_error(f"{self.field} must be at least {self.options['min_value']}")


class IntegerField(NumberField):
    """A whole number."""


class FloatField(NumberField):
    """A float."""


class DecimalField(NumberField):
    """A Decimal of so many digits at most, and so many of them behind the point; as in Faust, without bounds of value."""

    def __init__(self, *, max_digits: int | None = None, max_decimal_places: int | None = None, **options: Any) -> None:
        super().__init__(max_digits=max_digits, max_decimal_places=max_decimal_places, **options)

    def validate(self, value: Any) -> Iterator[ValidationError]:
        """Finite, and no longer than that."""
        if not value.is_finite():
            yield self.validation_error(f"Illegal value in decimal: {value!r}")
            return
        _, digits, exponent = value.as_tuple()
        places, most = self.options["max_decimal_places"], self.options["max_digits"]
        if places and abs(exponent) > places:
            yield self.validation_error(f"{self.field} must have less than {places} decimal places.")
        if most and len(digits[:exponent]) > most:  # Faust's way to leave out what is behind the point
            yield self.validation_error(f"{self.field} must have less than {most} digits.")


class CharField(FieldDescriptor):
    """Text or bytes of a length, not blank unless `allow_blank`."""

    def __init__(
        self,
        *,
        max_length: int | None = None,
        min_length: int | None = None,
        trim_whitespace: bool = False,
        allow_blank: bool = False,
        **options: Any,
    ) -> None:
        own: dict[str, Any] = {"max_length": max_length, "min_length": min_length}
        super().__init__(**own, trim_whitespace=trim_whitespace, allow_blank=allow_blank, **options)

    def converted(self, convert: Convert | None) -> Convert | None:
        """Without the white space around it, if that is wanted."""
        if convert is None or not self.options["trim_whitespace"]:
            return convert
        return lambda value: convert(value).strip()

    def validate(self, value: Any) -> Iterator[ValidationError]:
        """Of a length within the bounds."""
        length, shortest, longest = len(value), self.options["min_length"], self.options["max_length"]
        if not length and not self.options["allow_blank"]:
            yield self.validation_error(f"{self.field} cannot be left blank")
        if shortest and length < shortest:
            yield self.validation_error(f"{self.field} must have at least {shortest} {_characters(shortest)}")
        if longest and length > longest:
            yield self.validation_error(f"{self.field} must have at most {longest} {_characters(longest)}")


class StringField(CharField):
    """Text."""


class DatetimeField(FieldDescriptor):
    """A datetime, read by `date_parser` if there is one."""


class BytesField(CharField):
    """Bytes; what comes as text is encoded."""

    def __init__(self, *, encoding: str = "utf-8", errors: str = "strict", **options: Any) -> None:
        super().__init__(encoding=encoding, errors=errors, **options)

    def converted(self, convert: Convert | None) -> Convert | None:
        """In its encoding."""
        if convert is None:
            return None
        made: Convert = convert
        encoding = self.options["encoding"]
        return super().converted(lambda value: made(value.encode(encoding) if isinstance(value, str) else value))


TYPE_TO_FIELD: dict[type, type[FieldDescriptor]] = {
    bool: BooleanField,
    int: IntegerField,
    float: FloatField,
    Decimal: DecimalField,
    str: StringField,
    bytes: BytesField,
    datetime: DatetimeField,
}
"""The classes of fields by their type."""


def field_for_type(kind: Any) -> tuple[type[FieldDescriptor], None]:
    """The class of a field that its author gave none; the second is Faust's tag, which is not here."""
    return TYPE_TO_FIELD.get(kind, FieldDescriptor) if isinstance(kind, type) else FieldDescriptor, None


def _characters(count: int) -> str:
    return "character" if count == 1 else "characters"
