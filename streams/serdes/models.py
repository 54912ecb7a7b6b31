"""Serdes of model classes from other libraries, by their methods: nothing is imported, so nothing need be installed."""

from __future__ import annotations

from typing import Any

from streams.errors import shown
from streams.serdes.finite import NULL, all_finite, not_finite
from streams.serdes.json import hint


class PydanticSerde:
    """A pydantic model as JSON. Recognised by `model_validate_json` and `model_dump_json`."""

    by_value = False

    def __init__(self, model: Any) -> None:
        self.type = model
        self._decode = model.model_validate_json
        self._loses_floats = model.model_config.get("ser_json_inf_nan", "null") == "null"

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError for anything but the model, and for floats that JSON has no form for."""
        if not isinstance(value, self.type):
            raise TypeError(f"expected {self.type.__name__}, got {shown(value)}")
        data = str(value.model_dump_json(by_alias=True)).encode()
        if self._loses_floats and data.partition(NULL)[1] and not all_finite((value,)) and not _written_finite(value):
            raise not_finite(self.type.__name__, value)
        return data

    def deserialize(self, data: bytes) -> Any:
        """Raises: ValueError with pydantic's list of what is wrong."""
        try:
            return self._decode(data)
        except ValueError as problem:
            raise ValueError(f"expected {self.type.__name__} as JSON: {problem}{hint(data)}") from None


def _written_finite(model: Any) -> bool:
    """Whether a model with floats that are not finite has said how to write them."""
    return all_finite((model.model_dump(mode="json", by_alias=True),))


class FaustRecordSerde:
    """A `faust.Record` in the form its own options choose (JSON by default), with Faust's metadata as Faust writes it."""

    by_value = False

    def __init__(self, record: Any) -> None:
        self.type = record
        self._decode = record.loads

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError for anything but the record class."""
        if not isinstance(value, self.type):
            raise TypeError(f"expected {self.type.__name__}, got {shown(value)}")
        return bytes(value.dumps(serializer=_format(self.type)))

    def deserialize(self, data: bytes) -> Any:
        """Raises: ValueError when fields are missing or Faust cannot decode them."""
        try:
            return self._decode(data, serializer=_format(self.type))
        except Exception as problem:
            raise ValueError(f"expected {self.type.__name__} as Faust writes it: {problem}") from problem


def _format(record: Any) -> Any:
    return record._options.serializer or "json"


def model_serde(kind: type) -> PydanticSerde | FaustRecordSerde | None:
    """The serde of a model class of a library that we know, else None."""
    if hasattr(kind, "model_validate_json") and hasattr(kind, "model_dump_json"):
        return PydanticSerde(kind)
    if hasattr(kind, "loads") and hasattr(kind, "dumps") and hasattr(kind, "_options"):
        return FaustRecordSerde(kind)
    return None
