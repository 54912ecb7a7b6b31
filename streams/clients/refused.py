"""What a producer asks when the broker does not take a record: whether to go on without it, and what to write instead.

It is asked long after `send`, beside the processing thread (on a thread of its own), and before what was sent with the
record counts as written: so what is written instead is in the same flush, and in the same transaction.
Source: Kafka's ProductionExceptionHandler, which the producer's callback asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from streams.record import Record


class Instead(NamedTuple):
    """What is written in place of a record: keys, values and headers in bytes; by the key, as ever."""

    topic: str
    record: Record


OnRefused = Callable[[str, Record, Exception], Instead | None]
"""(topic, record in bytes, what the broker says): None goes on without it. Raises: StreamsError to end the producer."""
