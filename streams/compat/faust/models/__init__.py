"""`Record`: Faust's models, with Faust's meaning and Faust's form on the wire.

A class with annotated fields gets an `__init__`, comparison, `asdict`, `dumps` and `loads`; its attributes on the class
are descriptors that name a field (`group_by(Ride.vendor)`). Rules: what comes from the wire is converted where the type
says so: nested Records always, single values when the class asks for it (`coerce=True` or `validation=True`); fields
that a Record does not know are kept as attributes, and not written again. Why our own and not faust-streaming's: an
application that has moved over should not need what it left, and a decoder made once per class is several times faster.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Self, get_type_hints

from streams.compat.faust import serializers
from streams.compat.faust.conversions import Convert, Wanted, converter, is_optional, told_class, without_none
from streams.compat.faust.errors import ValidationError, not_here
from streams.compat.faust.models.fields import TYPE_TO_FIELD, FieldDescriptor, field_for_type

__all__ = ["BLESSED", "REGISTRY", "FieldDescriptor", "Options", "Record", "Shape", "reconstructed"]

BLESSED = "__faust"
REGISTRY: dict[str, type[Record]] = {}
"""Records by namespace: what a message without a declared type may name."""


class Options(NamedTuple):
    """How a class of Records behaves; see Faust's options of the same names."""

    namespace: str
    serializer: str | None = None
    include_metadata: bool = True
    coerce: bool = False
    validation: bool = False
    abstract: bool = False
    isodates: bool = False
    decimals: bool = False
    blessed: bool = False
    coercions: tuple[tuple[Any, Convert], ...] = ()
    date_parser: Convert | None = None

    def wanted(self) -> Wanted:
        """What is converted."""
        strict = self.coerce or self.validation
        return Wanted(strict, self.isodates, self.decimals, self.coercions, self.date_parser)


class Shape(NamedTuple):
    """What was found out of a class when it was first used.

    `checks` are the converters of a strict class; `singles` those that values go through when a Record is made by its
    author; `renamed` are names in what is read, by field, `written` those in what is written, where fields differ.
    """

    fields: dict[str, Any]
    defaults: dict[str, Any]
    converters: dict[str, Convert]
    checks: dict[str, Convert]
    singles: dict[str, Convert]
    renamed: dict[str, str]
    written: dict[str, str] | None


class Record:
    """See the module; subclass it, with options as class arguments: `class Ride(faust.Record, validation=True)`."""

    _options: ClassVar[Options] = Options("@Record", abstract=True)
    _shape: ClassVar[Shape]
    __is_model__ = True

    def __init_subclass__(
        cls,
        serializer: str | None = None,
        namespace: str | None = None,
        include_metadata: bool | None = None,
        coerce: bool | None = None,
        validation: bool | None = None,
        abstract: bool = False,
        isodates: bool | None = None,
        decimals: bool | None = None,
        allow_blessed_key: bool | None = None,
        polymorphic_fields: bool | None = None,
        coercions: Mapping[Any, Convert] | None = None,
        date_parser: Convert | None = None,
        lazy_creation: bool = False,
        **options: Any,
    ) -> None:
        super().__init_subclass__()
        for name in options:
            raise not_here(f"class {cls.__name__}(faust.Record)", name)
        before = cls._options
        given: dict[str, Any] = {
            "include_metadata": include_metadata,
            "coerce": coerce if validation is None else True,
            "isodates": isodates,
            "decimals": decimals,
            "blessed": polymorphic_fields if allow_blessed_key is None else allow_blessed_key or polymorphic_fields,
            "date_parser": date_parser,
            "coercions": (*(coercions or {}).items(), *before.coercions),
            "serializer": serializer or None,
        }
        own: dict[str, Any] = {"namespace": namespace or f"{cls.__module__}.{cls.__qualname__}", "abstract": abstract}
        own["validation"] = bool(validation)  # which subclasses do not inherit in Faust, only that values are converted
        cls._options = before._replace(**own, **{name: value for name, value in given.items() if value is not None})
        REGISTRY[cls._options.namespace] = cls
        if not lazy_creation:
            _declare(cls)

    @classmethod
    def make_final(cls) -> None:
        """Find the fields of a class made with `lazy_creation=True`, now that the types it names are known."""
        _declare(cls)

    def __init__(self, *arguments: Any, **values: Any) -> None:
        fields, defaults = self._shape.fields, self._shape.defaults
        if len(arguments) > len(fields):
            raise TypeError(f"{type(self).__name__} has {len(fields)} field(s), got {len(arguments)} values")
        given = dict(zip(fields, arguments, strict=False))
        if twice := given.keys() & values.keys():
            raise TypeError(f"{type(self).__name__} got two values for {', '.join(sorted(twice))}")
        given |= values
        if unknown := given.keys() - fields.keys():
            raise TypeError(f"{type(self).__name__} got unexpected argument: {', '.join(sorted(unknown))}")
        own = self.__dict__
        for name in fields:
            value = given.get(name)
            if value is None and name in defaults:
                value = defaults[name]
            elif name not in given:
                raise TypeError(f"{type(self).__name__} misses a value for its field {name!r}")
            own[name] = value
        self.__post_init__()
        if self._options.validation:
            own.update(_values_of(type(self), self._values()))
        elif self._shape.singles:
            _convert(type(self), own, self._shape.singles)

    _model_init = __init__
    """For classes with an `__init__` of their own."""

    def __post_init__(self) -> None:
        """For subclasses: called when all fields have their values."""

    @classmethod
    def from_data(cls, data: Mapping[str, Any], *, preferred_type: type[Record] | None = None) -> Self:
        """A Record from a dict, as JSON gives it: of the class that it names, unless another one is preferred.

        Raises: ValidationError, TypeError.
        """
        if isinstance(data, Record):
            return data  # type: ignore[return-value]  # Faust takes any model here
        if not isinstance(data, Mapping):
            raise TypeError(
                f"{cls.__name__}: expected an object with the fields {', '.join(cls._shape.fields)}, got {data!r}"
            )
        metadata = data.get(BLESSED)
        made = cls if metadata is None else _meant(cls, metadata, preferred_type)
        if renamed := made._shape.renamed:
            data = dict(data)
            data |= {field: data.pop(name) for field, name in renamed.items() if name in data}
        values = _values_of(made, data)
        if made.__init__ is not Record.__init__:  # the application's own, which Faust calls too
            own = made(**{name: values[name] for name in made._shape.fields})
            own.__dict__.update({name: value for name, value in values.items() if name not in made._shape.fields})
            return own  # type: ignore[return-value]  # Faust takes any model here
        self = made.__new__(made)
        self.__dict__.update(values)
        self.__post_init__()
        return self  # type: ignore[return-value]  # Faust takes any model here

    @classmethod
    def from_field(cls, data: Any) -> Self | None:
        """As `from_data`, where the type is declared: a topic, a table, or a field of another Record."""
        return None if data is None else cls.from_data(data, preferred_type=cls)

    @classmethod
    def loads(cls, data: bytes, *, serializer: Any = None, default_serializer: Any = None) -> Self:
        """A Record from bytes, in the form of its class, else in the given one. Raises: ValueError."""
        form = cls._options.serializer or serializer or default_serializer or "json"
        return cls.from_data(serializers.codec(form).loads(data))

    def dumps(self, *, serializer: Any = None) -> bytes:
        """This Record as bytes, in the given form, else in that of its class."""
        return bytes(
            serializers.codec(serializer or self._options.serializer or "json").dumps(self.to_representation())
        )

    def asdict(self) -> dict[str, Any]:
        """The fields and their values."""
        return self._prepare_dict(self._written())

    def _written(self) -> dict[str, Any]:
        own, names = self.__dict__, self._shape.written
        if names is None:
            return {name: own[name] for name in self._shape.fields}
        return {name: own[field] for field, name in names.items()}

    def _values(self) -> dict[str, Any]:
        own = self.__dict__
        return {name: own[name] for name in self._shape.fields}

    def _prepare_dict(self, payload: dict[str, Any]) -> dict[str, Any]:
        """For subclasses: what `asdict` and the written form have of the fields."""
        return payload

    def to_representation(self) -> dict[str, Any]:
        """What is written: the fields, and with `include_metadata` the name of the class."""
        written = self._prepare_dict(self._written())
        if self._options.include_metadata:
            written[BLESSED] = {"ns": self._options.namespace}
        return written

    __json__ = to_representation

    def derive(self, *records: Record, **fields: Any) -> Self:
        """A copy with other values: those of other records, then those given."""
        values = self._given()
        for record in records:
            values |= record._given()
        return type(self)(**{**values, **fields})

    def _given(self) -> dict[str, Any]:
        """What a Record is made of again."""
        return self.asdict() if self._shape.written is None else self._values()

    def validate(self) -> list[ValidationError]:
        """What is wrong with the values, whatever the class converts; nothing is changed."""
        return list(_problems(type(self), self.__dict__))

    @property
    def validation_errors(self) -> list[ValidationError]:
        """What `validate` finds."""
        return self.validate()

    def is_valid(self) -> bool:
        """Whether `validate` finds nothing."""
        return not self.validate()

    def validate_or_raise(self) -> None:
        """Raises: ValidationError for the first thing that is wrong."""
        for problem in self.validate():
            raise problem

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if type(other) is type(self) else NotImplemented

    def __lt__(self, other: Record) -> bool:
        return tuple(self._values().values()) < tuple(other._values().values())

    def __le__(self, other: Record) -> bool:
        return self == other or self < other

    def __gt__(self, other: Record) -> bool:
        return other < self

    def __ge__(self, other: Record) -> bool:
        return other <= self

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"<{type(self).__name__}: {shown}>"


def _declare(cls: type[Record]) -> None:
    """Find the fields of a class, with what converts each, and put a descriptor for each on it.

    It has an `__init__` and a hash of its own, as in Faust, so that `@dataclass` puts none in their place: it would take
    the descriptors for defaults.
    """
    for name in ("__init__", "__hash__"):
        if name not in cls.__dict__:
            setattr(cls, name, getattr(Record, name))
    try:
        hints = get_type_hints(cls, None, {cls.__name__: cls})
    except NameError as problem:
        raise TypeError(f"{cls.__name__}: the type of a field is not known when the class is made: {problem}") from None
    fields = {name: kind for name, kind in hints.items() if not _inner(name, kind)}
    defaults: dict[str, Any] = {}
    for name, kind in fields.items():
        found = getattr(cls, name, None)
        if isinstance(found, FieldDescriptor):
            if not found.required:
                defaults[name] = found.default
        elif hasattr(cls, name):
            defaults[name] = found
        if is_optional(kind):
            defaults.setdefault(name, None)
    described = {
        name: _described(cls, name, kind, required=name not in defaults, default=defaults.get(name))
        for name, kind in fields.items()
    }
    wanted = cls._options.wanted()
    converters = _converters(described, wanted)
    cls._shape = Shape(
        fields,
        defaults,
        converters,
        converters if wanted.strict else _converters(described, wanted._replace(strict=True)),
        singles=_singles(described, converters) if cls._options.coerce else {},
        renamed={name: field.input_name for name, field in described.items() if field.input_name != name},
        written=_written_names(described),
    )
    for name, field in described.items():
        setattr(cls, name, field)


def _described(cls: type[Record], name: str, kind: Any, *, required: bool, default: Any) -> FieldDescriptor:
    """The field that its author gave, or one by its type."""
    found = getattr(cls, name, None)
    if not isinstance(found, FieldDescriptor):
        found = field_for_type(without_none(kind))[0]()
    return found.attached(cls, name, kind, required=required, default=default)


def _converters(described: dict[str, FieldDescriptor], wanted: Wanted) -> dict[str, Convert]:
    found = {}
    for name, field in described.items():
        parser = field.date_parser or wanted.date_parser
        made = converter(field.type, wanted._replace(date_parser=parser))
        if wanted.strict:
            made = field.converted(made)
        if made is not None:
            found[name] = made
    return found


def _singles(described: dict[str, FieldDescriptor], converters: dict[str, Convert]) -> dict[str, Convert]:
    """Those of plain values: what has parts stays as its author made it."""
    return {name: made for name, made in converters.items() if without_none(described[name].type) in TYPE_TO_FIELD}


def _written_names(described: dict[str, FieldDescriptor]) -> dict[str, str] | None:
    if all(field.output_name == name and not field.exclude for name, field in described.items()):
        return None
    return {name: field.output_name for name, field in described.items() if not field.exclude}


def _inner(name: str, kind: Any) -> bool:
    return name.startswith("_") or typing.get_origin(kind) is ClassVar or kind is ClassVar


def _values_of(cls: type[Record], data: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a Record's fields from a dict, converted; unknown fields are kept.

    Raises: TypeError for one that is missing, ValidationError.
    """
    fields, defaults = cls._shape.fields, cls._shape.defaults
    values = dict(data)
    values.pop(BLESSED, None)
    for name in fields:
        if values.get(name) is None:
            if name in defaults:
                values[name] = defaults[name]
                continue
            if name not in values:
                raise TypeError(f"{cls.__name__} misses a value for its field {name!r}; got {sorted(data)}")
    _convert(cls, values, cls._shape.converters)
    if cls._options.validation:
        for problem in _invalid(cls, values):
            raise problem
    return values


def _convert(cls: type[Record], values: dict[str, Any], converters: dict[str, Convert]) -> None:
    for name, convert in converters.items():
        value = values[name]
        if value is not None:
            try:
                values[name] = convert(value)
            except (TypeError, ValueError) as problem:
                raise _misfit(cls, name, value, problem) from None


def _problems(cls: type[Record], values: Mapping[str, Any]) -> Iterator[ValidationError]:
    """What is wrong with the values of a Record, whatever its class converts."""
    made = dict(values)
    for name, convert in cls._shape.checks.items():
        try:
            _convert(cls, made, {name: convert})
        except ValidationError as problem:
            del made[name]
            yield problem
    yield from _invalid(cls, made)


def _invalid(cls: type[Record], values: Mapping[str, Any]) -> Iterator[ValidationError]:
    """What the fields' own rules say of values of their types."""
    for name in cls._shape.fields:
        value = values.get(name)
        if value is not None:
            yield from getattr(cls, name).validate(value)


def _meant(cls: type[Record], metadata: Any, preferred: type[Record] | None) -> type[Record]:
    """The class of data that names one: that one, but where a type is declared only if it may stand in for it."""
    found = REGISTRY.get(metadata.get("ns", "")) if isinstance(metadata, dict) else None
    if found is None or not (preferred is None or preferred._options.abstract or found._options.blessed):
        return cls
    return found


def _misfit(cls: type[Record], name: str, value: Any, problem: Exception) -> ValidationError:
    kind = told_class(cls._shape.fields[name])
    return ValidationError(f"{cls.__name__}.{name}: expected {kind}, got {value!r} ({problem})")


def reconstructed(value: Any) -> Any:
    """A value whose type nobody declared: dicts that name their Record become it, as in Faust."""
    if isinstance(value, dict):
        metadata = value.get(BLESSED)
        found = REGISTRY.get(metadata.get("ns", "")) if isinstance(metadata, dict) else None
        return value if found is None else found.from_data(value)
    if isinstance(value, list):
        return [reconstructed(each) for each in value]
    return value
