"""The first program: produces the rides of a file to `ride_details`, and the zones to their table.

Rules: the topic itself says how far an earlier run came. Rides lie in each partition in the file's order, so what is
not beyond the partition's last ride is there already; a run that was killed is continued to the record, and nothing is
produced twice. That last ride must be in the file as well, or the topic holds the rides of another one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

from examples.taxi.data import Trips, open_trips
from examples.taxi.layouts import TripsError
from examples.taxi.messages import Ride
from examples.taxi.zones import ZONES
from streams.clients.base import Clients, NewTopic, Producer
from streams.clients.partitioner import partitions_for
from streams.record import TopicPartition

PARTITIONS = 4
TOPIC = "ride_details"
COMPACTED = {"cleanup.policy": "compact"}
TOPICS = [
    NewTopic(TOPIC, PARTITIONS),
    NewTopic("zones", PARTITIONS, config=COMPACTED),
    NewTopic("ride_confirmed", PARTITIONS),
    NewTopic("ride_refused", PARTITIONS),
    NewTopic("zone_takings", PARTITIONS, config=COMPACTED),
]

_CHUNK = 2_000
_CHUNKS_PER_SECOND = 10
_ride = msgspec.json.Decoder(Ride)


class Work(NamedTuple):
    """What is to be produced: the trips, and the last ride of each partition that is stored already."""

    trips: Trips
    stored: list[Ride | None]


def create_topics(clients: Clients) -> None:
    """Make the topics of the pipeline; those that exist stay as they are."""
    admin = clients.admin()
    admin.create(TOPICS)
    admin.close()


def stored_rides(clients: Clients) -> list[Ride | None]:
    """The last ride in each partition of the topic, None where there is none yet."""
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    consumer = clients.consumer(group=None)
    begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    last: list[Ride | None] = [None] * PARTITIONS
    filled = {partition for partition in partitions if ends[partition] > begins[partition]}
    consumer.assign(filled)
    for partition in filled:
        consumer.seek(partition, ends[partition] - 1)
    while any(last[partition.partition] is None for partition in filled):
        for batch in consumer.poll(1.0):
            last[batch.partition] = _ride.decode(batch.columns().values[-1])
    consumer.close()
    return last


def prepare(trips: Trips, clients: Clients) -> Work:
    """Make the topics, and find out how far an earlier run came; rows that it used count as asked for.

    Raises: TripsError when the topic holds rides that are not those of the file.
    """
    create_topics(clients)
    stored = stored_rides(clients)
    wanted = {ride.id: ride for ride in stored if ride}
    if wanted and max(wanted) > trips.count:
        trips = open_trips(trips.path, max(wanted))
    found = {ride.id: ride for ride in trips.rides() if ride.id in wanted} if wanted else {}
    if found != wanted:
        raise TripsError(
            f"what is stored already is not from {trips.path}, so the two cannot be counted as one. Start over with "
            "`make taxi-clean` (`python -m examples.taxi clean`), or name another directory with --dir."
        )
    return Work(trips, stored)


def produce_zones(producer: Producer) -> None:
    """Fill the table of zones; they are as old as can be, so that every ride finds them."""
    keys = [number.to_bytes(8, "big") for number in ZONES]
    values = [msgspec.json.encode(zone) for zone in ZONES.values()]
    _send(producer, "zones", keys, values, [0] * len(keys))
    producer.flush()


def produce(work: Work, producer: Producer, rate: float | None = None) -> Iterator[int]:
    """Produce what is not stored yet, at `rate` rides a second or as fast as it goes; yields how many, bit by bit."""
    last = [ride.id if ride else 0 for ride in work.stored]
    chunk = min(_CHUNK, max(1, round(rate / _CHUNKS_PER_SECOND))) if rate else _CHUNK
    due = time.monotonic()
    missing = _missing(work.trips.rides(), last)
    while rides := list(islice(missing, chunk)):
        values = [msgspec.json.encode(ride) for ride in rides]
        keys = [ride.id.to_bytes(8, "big") for ride in rides]
        _send(producer, TOPIC, keys, values, [ride.picked_up_ms for ride in rides])
        yield len(rides)
        if rate:
            due += len(rides) / rate
            time.sleep(max(0.0, due - time.monotonic()))
    producer.flush()


def _missing(rides: Iterable[Ride], last: list[int]) -> Iterator[Ride]:
    """The rides that are beyond the last one of their partition."""
    rides = iter(rides)
    while chunk := list(islice(rides, _CHUNK)):
        partitions = partitions_for([ride.id.to_bytes(8, "big") for ride in chunk], PARTITIONS)
        yield from (ride for ride, partition in zip(chunk, partitions, strict=True) if ride.id > last[partition])


def _send(producer: Producer, topic: str, keys: list[bytes], values: list[bytes], timestamps: list[int]) -> None:
    """Write columns of records, each to where its key belongs."""
    places = partitions_for(keys, PARTITIONS)
    for partition in set(places):
        chosen = [index for index, place in enumerate(places) if place == partition]
        producer.send(
            topic,
            partition,
            [keys[index] for index in chosen],
            [values[index] for index in chosen],
            [timestamps[index] for index in chosen],
        )
