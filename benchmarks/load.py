"""Seeded input: rides as JSON of about 120 bytes, made and produced in columns.

Rules: the same arguments give the same bytes. Event time advances evenly, a few records arrive late, as in life; the
keys are 265 zones unless a workload asks for more. Nothing here is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

import msgspec

from streams.clients.base import Producer
from streams.clients.partitioner import partitions_for

ZONES = 265
CHUNK = 20_000
SCATTER = 7_368_787
"""A prime, so that its multiples modulo a power of ten are all its numbers, none beside its neighbour."""
PADDED_CHUNK_BYTES = 16 * 1024 * 1024
START_MS = 1_709_510_400_000
MOST_HUNDREDTHS = 1_200
"""Of a mile: the longest ride."""
PAYMENTS = ("credit card", "credit card", "credit card", "cash", "dispute")


class Ride(msgspec.Struct):
    """What the workloads read: typed, as users would write it."""

    id: int
    driver: str
    zone: int
    fare: float
    miles: float
    payment: str
    picked_up_ms: int


class Zone(msgspec.Struct):
    """A row of the table that rides are joined with."""

    name: str
    borough: str


class Columns(NamedTuple):
    """Records of one topic: equally long columns of bytes and times."""

    keys: list[bytes]
    values: list[bytes]
    timestamps: list[int]

    def picked(self, indices: Sequence[int]) -> Columns:
        """The records at these indices."""
        keys, values, timestamps = self
        return Columns(
            [keys[index] for index in indices],
            [values[index] for index in indices],
            [timestamps[index] for index in indices],
        )


@dataclass(frozen=True)
class Input:
    """A topic to be filled before the run: `records` of them, in chunks from `chunks`, over `partitions`."""

    topic: str
    records: int
    chunks: Callable[[], Iterator[Columns]]
    compacted: bool = False
    partitions: int = 4


def rides(
    topic: str, records: int, *, key: str = "zone", seed: int = 1, late: float = 0.02, late_ms: int = 8_000
) -> Input:
    """Rides keyed by `key`: "zone" (8-byte longs, 265 of them), "id" (all different) or "million" (at random).

    A thousand a second of event time; a share of `late` of them is up to `late_ms` behind.
    """

    def chunks() -> Iterator[Columns]:
        random = Random(seed)
        for first in range(0, records, CHUNK):
            rides = _some_rides(random, first, late, late_ms)
            keys = _keys(random, key, rides)
            count = min(CHUNK, records - first)
            encoded = list(map(msgspec.json.encode, rides[:count]))
            yield Columns(keys[:count], encoded, [ride.picked_up_ms for ride in rides[:count]])

    return Input(topic, records, chunks)


def filled(topic: str, keys: int, updates: int, *, seed: int = 1) -> Input:
    """A ride of each of so many keys, scattered, then `updates` of them at random: state of a size, and its use."""

    def chunks() -> Iterator[Columns]:
        random = Random(seed)
        for first in range(0, keys, CHUNK):
            yield _keyed([number * SCATTER % keys for number in range(first, min(first + CHUNK, keys))], first)
        for first in range(0, updates, CHUNK):
            numbers = random.choices(range(keys), k=min(CHUNK, updates - first))
            yield _keyed(numbers, keys + first)

    return Input(topic, keys + updates, chunks)


def skewed(topic: str, records: int, exponent: float, *, keys: int = 1_000_000, seed: int = 1) -> Input:
    """Rides whose keys follow Zipf's law: the n-th most frequent comes 1 / n ** `exponent` as often as the first."""

    def chunks() -> Iterator[Columns]:
        random = Random(seed)
        weights = list(accumulate(rank**-exponent for rank in range(1, keys + 1)))
        for first in range(0, records, CHUNK):
            ranks = random.choices(range(keys), cum_weights=weights, k=min(CHUNK, records - first))
            yield _keyed([rank * SCATTER % keys for rank in ranks], first)

    return Input(topic, records, chunks)


@cache
def _any_rides() -> list[bytes]:
    return next(rides("", CHUNK).chunks()).values


def _keyed(numbers: Sequence[int], first: int) -> Columns:
    """Rides whose values do not matter, a millisecond apart."""
    keys = [number.to_bytes(8, "big") for number in numbers]
    begin = START_MS + first
    return Columns(keys, _any_rides()[: len(keys)], list(range(begin, begin + len(keys))))


def zones(topic: str) -> Input:
    """The table of zones, as old as can be, so that it is there before the first ride."""

    def chunks() -> Iterator[Columns]:
        numbers = range(ZONES)
        values = [msgspec.json.encode(Zone(f"zone {number}", f"borough {number % 6}")) for number in numbers]
        yield Columns([number.to_bytes(8, "big") for number in numbers], values, [0] * ZONES)

    return Input(topic, ZONES, chunks, compacted=True)


def padded(source: Input, size_bytes: int) -> Input:
    """The same records with a field more that nobody reads, so that each value has about `size_bytes`."""

    def chunks() -> Iterator[Columns]:
        step = max(1, PADDED_CHUNK_BYTES // size_bytes)
        for columns in source.chunks():
            for first in range(0, len(columns.keys), step):
                part = columns.picked(range(first, min(first + step, len(columns.keys))))
                yield part._replace(values=[_padded(value, size_bytes) for value in part.values])

    return replace(source, chunks=chunks)


def _padded(value: bytes, size_bytes: int) -> bytes:
    missing = size_bytes - len(value) - len(b',"note":""')
    return value[:-1] + b',"note":"' + b"x" * missing + b'"}' if missing > 0 else value


def _some_rides(random: Random, first: int, late: float, up_to_ms: int) -> list[Ride]:
    """A chunk of rides from number `first` on, drawn by columns. Always a whole one, so that fewer records are the same."""
    numbers = range(first, first + CHUNK)
    behind = [random.randrange(up_to_ms) if draw < late else 0 for draw in (random.random() for _ in numbers)]
    miles = [hundredths / 100 for hundredths in random.choices(range(MOST_HUNDREDTHS + 1), k=CHUNK)]
    return list(
        map(
            Ride,
            numbers,
            random.choices(_drivers(), k=CHUNK),
            random.choices(range(ZONES), k=CHUNK),
            [round(3.0 + 2.5 * each, 2) for each in miles],
            miles,
            random.choices(PAYMENTS, k=CHUNK),
            [START_MS + number - late_ms for number, late_ms in zip(numbers, behind, strict=True)],
        )
    )


@cache
def _drivers() -> list[str]:
    return [f"driver_{number:05}" for number in range(10_000)]


def _keys(random: Random, kind: str, rides: Sequence[Ride]) -> list[bytes]:
    if kind == "million":
        numbers = random.choices(range(1_000_000), k=len(rides))
    else:
        numbers = [ride.zone if kind == "zone" else ride.id for ride in rides]
    return [number.to_bytes(8, "big") for number in numbers]


def produce(producer: Producer, source: Input) -> None:
    """Write the input to its topic, each record where its key belongs."""
    count = producer.partition_count(source.topic)
    for columns in source.chunks():
        places = partitions_for(columns.keys, count)
        for partition in range(count):
            chosen = columns.picked([index for index, place in enumerate(places) if place == partition])
            producer.send(source.topic, partition, chosen.keys, chosen.values, chosen.timestamps)
    producer.flush()
