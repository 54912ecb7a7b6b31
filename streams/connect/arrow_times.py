"""Arrow's times as Python has them: in microseconds.

pandas keeps nanoseconds, which Arrow gives back as pandas' own objects, or refuses where pandas is not installed. What is
below a microsecond is dropped, as Python's datetime does.
"""

from __future__ import annotations

from typing import Any


def in_microseconds(arrow: Any, batch: Any) -> Any:
    """The rows of a record batch with no time finer than a microsecond, in lists and structs neither."""
    schema = arrow.schema([field.with_type(_coarser(arrow, field.type)) for field in batch.schema])
    return batch if schema.equals(batch.schema) else arrow.Table.from_batches([batch]).cast(schema, safe=False)


def _coarser(arrow: Any, kind: Any) -> Any:
    types = arrow.types
    if types.is_timestamp(kind) and kind.unit == "ns":
        return arrow.timestamp("us", kind.tz)
    if types.is_duration(kind) and kind.unit == "ns":
        return arrow.duration("us")
    if types.is_time64(kind) and kind.unit == "ns":
        return arrow.time64("us")
    if types.is_list(kind):
        return arrow.list_(kind.value_field.with_type(_coarser(arrow, kind.value_type)))
    if types.is_struct(kind):
        return arrow.struct([field.with_type(_coarser(arrow, field.type)) for field in kind])
    return kind
