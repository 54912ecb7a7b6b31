"""A batch between the producer that filled it and the broker that acknowledges it."""

from __future__ import annotations

from streams.clients.kafka.open_batch import OpenBatch
from streams.errors import StreamsError
from streams.record import TopicPartition


class Batch:
    """A closed batch on its way; `data` is there once its sequence number is known."""

    __slots__ = (
        "count",
        "data",
        "deadline",
        "doubtful",
        "filled",
        "in_place_of",
        "length",
        "partition",
        "section",
        "size",
    )

    def __init__(self, partition: TopicPartition, filled: OpenBatch, section: int, *, size: int = 0) -> None:
        self.partition = partition
        self.section = section
        """Which of the producer's sections it belongs to."""
        self.filled: OpenBatch | None = filled
        self.count = filled.count
        self.length = filled.size
        """Its bytes, uncompressed."""
        self.size = size or filled.size
        """What it counts for in the buffers; the parts of a batch together, or what takes its place, as much as it did."""
        self.data: bytes | bytearray | None = None
        self.deadline = 0.0
        self.doubtful = False
        """Whether it may be written although no answer says so."""
        self.in_place_of: StreamsError | None = None
        """Why the record is refused that this batch takes the place of."""
