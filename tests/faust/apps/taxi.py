"""The rides of a data engineering course: an agent that reads them, counts per vendor, in windows, parted by amount."""

import os
from datetime import timedelta

import faust


class TaxiRide(faust.Record, validation=True):
    vendorId: str
    passenger_count: int
    trip_distance: float
    payment_type: int
    total_amount: float


app = faust.App(
    "taxi-course",
    broker=os.environ.get("BROKER", "kafka://localhost:9092"),
    consumer_auto_offset_reset="earliest",
    topic_partitions=2,
)
rides = app.topic("yellow_taxi_ride.json", value_type=TaxiRide)
high_amount_rides = app.topic("yellow_taxi_rides.high_amount")
low_amount_rides = app.topic("yellow_taxi_rides.low_amount")
vendor_rides = app.Table("vendor_rides", default=int)
vendor_minutes = app.Table("vendor_minutes", default=int).tumbling(timedelta(minutes=1), expires=timedelta(hours=1))


@app.agent(rides)
async def start_reading(records):
    async for record in records:
        print(record)


@app.agent(rides)
async def count_per_vendor(stream):
    async for event in stream.group_by(TaxiRide.vendorId):
        vendor_rides[event.vendorId] += 1
        vendor_minutes[event.vendorId] += 1


@app.agent(rides)
async def part_by_amount(stream):
    async for event in stream:
        if event.total_amount >= 40.0:
            await high_amount_rides.send(value=event)
        else:
            await low_amount_rides.send(value=event)


if __name__ == "__main__":
    app.main()
