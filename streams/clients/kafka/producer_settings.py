"""How a producer is set up."""

from __future__ import annotations

from typing import NamedTuple

from streams.clients.base import OnRefused
from streams.clients.kafka.lease import Lease

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


class SendSettings(NamedTuple):
    """How long one request may take at the broker, how long a batch is tried, and who is asked about refused records."""

    request_timeout_ms: int
    delivery_timeout_s: float
    topic_wait_s: float
    refused: OnRefused | None
    exclusive: frozenset[str]
    """Topics that are written by one member of the group at a time, which it is as long as it has its lease."""
    lease: Lease


class ProducerSettings(NamedTuple):
    """Sizes in bytes, times in seconds unless they say otherwise; `compression` is a name of CODECS."""

    batch_bytes: int
    record_bytes: int
    buffer_bytes: int
    linger_s: float
    compression: str
    sending: SendSettings
    transactional_id: str | None = None
    transaction_timeout_ms: int = 0
