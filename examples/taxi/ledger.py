"""What lies in the pipeline's topics, read from outside like any other consumer: the source of the table and the totals.

Rules: reads every topic from its beginning and without a group, so it disturbs nobody and a second run sees all that
the first one left. Records may come twice (at least once, after a crash); the ledger knows rides by their id and can
tell. It holds only what the topics say: nothing is counted while it passes by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from struct import Struct

import msgspec

from examples.taxi.messages import Confirmed, Refused, Takings
from streams.clients.base import Consumer, RawBatch
from streams.record import Batch, TopicPartition

RIDES, CONFIRMED, REFUSED, TAKINGS = TOPICS = ("ride_details", "ride_confirmed", "ride_refused", "zone_takings")

Window = tuple[int, int]
"""A zone's number and the start of ten minutes, in ms."""

_WINDOW_KEY = Struct(">qq")
_NOTHING = Takings()


class Ledger:
    """How often each ride came, and the latest takings of each window."""

    def __init__(self, consumer: Consumer, partitions: Mapping[str, int]) -> None:
        self.rides: Counter[int] = Counter()
        self.confirmed: Counter[int] = Counter()
        self.refused: dict[int, str] = {}
        self.takings: dict[Window, Takings] = {}
        self.zones: dict[int, Takings] = {}
        self._read: dict[str, Callable[[Batch], None]] = {
            RIDES: self._read_rides,
            CONFIRMED: self._read_confirmed,
            REFUSED: self._read_refused,
            TAKINGS: self._read_takings,
        }
        self._confirmed_value = msgspec.json.Decoder(Confirmed)
        self._refused_value = msgspec.json.Decoder(Refused)
        self._takings_value = msgspec.json.Decoder(Takings)
        self._consumer = consumer
        self._partitions = [TopicPartition(topic, number) for topic in TOPICS for number in range(partitions[topic])]
        consumer.assign(self._partitions)
        for partition, offset in consumer.beginning_offsets(self._partitions).items():
            consumer.seek(partition, offset)

    def update(self, timeout_s: float) -> None:
        """Take in what has arrived, waiting up to `timeout_s` for something."""
        for batch in self._consumer.poll(timeout_s):
            self._take(batch)

    def catch_up(self) -> None:
        """Take in everything that is there now."""
        ends = self._consumer.end_offsets(self._partitions)
        while any(self._consumer.position(partition) < end for partition, end in ends.items()):
            self.update(0.2)

    def _take(self, batch: RawBatch) -> None:
        self._read[batch.topic](batch.columns())

    def _read_rides(self, columns: Batch) -> None:
        self.rides.update(int.from_bytes(key, "big") for key in columns.keys)

    def _read_confirmed(self, columns: Batch) -> None:
        self.confirmed.update(self._confirmed_value.decode(value).id for value in columns.values)

    def _read_refused(self, columns: Batch) -> None:
        for refused in map(self._refused_value.decode, columns.values):
            self.refused[refused.id] = refused.reason

    def _read_takings(self, columns: Batch) -> None:
        for key, value in zip(columns.keys, columns.values, strict=True):
            window, new = _WINDOW_KEY.unpack(key), self._takings_value.decode(value)
            old, zone = self.takings.get(window, _NOTHING), self.zones.get(window[0], _NOTHING)
            self.takings[window] = new
            self.zones[window[0]] = Takings(zone.rides + new.rides - old.rides, zone.fares + new.fares - old.fares)
