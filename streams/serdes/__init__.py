"""Serdes: objects to bytes and back, in the forms that Kafka's own serializers use.

`serde_for(type)` is the door. Rules: None never reaches a serde; a serde has no state and may be shared; errors say
what was expected and what came, cut. This package knows neither topics nor operators.
"""

from streams.serdes.json import DYNAMIC, DynamicSerde, JsonSerde
from streams.serdes.primitives import Float32, Int16, Int32
from streams.serdes.registry import declared, serde_for
from streams.serdes.sequences import ListSerde
from streams.serdes.windowed import SessionWindowedSerde, TimeWindowedSerde

__all__ = [
    "DYNAMIC",
    "DynamicSerde",
    "Float32",
    "Int16",
    "Int32",
    "JsonSerde",
    "ListSerde",
    "SessionWindowedSerde",
    "TimeWindowedSerde",
    "declared",
    "serde_for",
]
