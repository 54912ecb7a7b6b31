"""The workloads on Faust (faust-streaming), as its users write them. Arguments are those of benchmarks/peers/systems.py."""

import asyncio
import sys
from datetime import timedelta
from struct import Struct

import faust

workload, broker, group, folder, _guarantee, interval_ms, output, *inputs = sys.argv[1:]
long = Struct(">q").pack
window_key = Struct(">8sq").pack
MINUTE_S = 60


class Ride(faust.Record, serializer="json"):
    id: int
    driver: str
    zone: int
    fare: float
    miles: float
    payment: str
    picked_up_ms: int


class Zone(faust.Record, serializer="json"):
    name: str
    borough: str


class Kept(faust.Record, serializer="json"):
    id: int
    zone: int
    fare: float
    per_mile: float


class Takings(faust.Record, serializer="json"):
    rides: int = 0
    fares: float = 0.0


class Placed(faust.Record, serializer="json"):
    id: int
    fare: float
    zone: str
    borough: str


app = faust.App(
    group,
    broker=f"kafka://{broker}",
    store="rocksdb://",
    datadir=folder,
    broker_commit_interval=int(interval_ms) / 1000,
    topic_partitions=4,
    topic_replication_factor=1,
    web_enabled=False,
)
rides = app.topic(inputs[0], key_type=bytes, value_type=Ride)
updates = app.topic(output, key_type=bytes, value_type=bytes)


def stateless():
    kept = app.topic(output, key_type=bytes, value_type=Kept)

    @app.agent(rides)
    async def keep(stream):
        async for key, ride in stream.items():
            if ride.miles >= 6.0:
                await kept.send(key=key, value=Kept(ride.id, ride.zone, ride.fare, ride.fare / ride.miles))


def count():
    counts = app.Table("counts", default=int, key_type=bytes)

    @app.agent(rides)
    async def count_up(stream):
        async for key, _ride in stream.items():
            counts[key] += 1
            await updates.send(key=key, value=long(counts[key]))


def rekey_count():
    counts = app.Table("counts", default=int)

    @app.agent(rides)
    async def count_up(stream):
        async for ride in stream.group_by(Ride.driver):
            counts[ride.driver] += 1
            await updates.send(key=ride.driver.encode(), value=long(counts[ride.driver]))


def window():
    totals = app.Table("takings", default=Takings, value_type=Takings)
    totals = totals.tumbling(MINUTE_S, expires=timedelta(days=1)).relative_to_stream()
    takings = app.topic(output, key_type=bytes, value_type=Takings)

    @app.agent(rides)
    async def add(stream):
        async for event in stream.events():
            ride = event.value
            total = totals[ride.zone].value()
            totals[ride.zone] = total = Takings(total.rides + 1, total.fares + ride.fare)
            start_ms = int(event.message.timestamp) // MINUTE_S * MINUTE_S * 1000
            await takings.send(key=window_key(event.key, start_ms), value=total)


def table_join():
    zones = app.Table("zones-by-number", key_type=bytes, value_type=Zone)
    placed = app.topic(output, key_type=bytes, value_type=Placed)

    @app.agent(app.topic(inputs[1], key_type=bytes, value_type=Zone))
    async def learn(stream):
        async for key, zone in stream.items():
            zones[key] = zone

    @app.agent(rides)
    async def place(stream):
        async for key, ride in stream.items():
            while (zone := zones.get(key)) is None:
                await asyncio.sleep(0.05)
            await placed.send(key=key, value=Placed(ride.id, ride.fare, zone.name, zone.borough))


{
    "stateless": stateless,
    "count": count,
    "count-1m": count,
    "rekey-count": rekey_count,
    "window": window,
    "table-join": table_join,
}[workload]()
faust.Worker(app, loglevel="WARN").execute_from_commandline()
