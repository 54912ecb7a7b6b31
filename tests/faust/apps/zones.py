"""A global table: learnt from one topic, looked up for the records of another whose keys are different."""

import os

import faust

app = faust.App("zones", broker=os.environ.get("BROKER", "kafka://localhost:9092"), topic_partitions=2)
zone_names = app.topic("zone-names", key_type=str, value_type=str)
trips = app.topic("trips", key_type=str, value_type=str)
named = app.topic("named-trips", value_type=str)
zones = app.GlobalTable("zones", default=str, key_type=str, value_type=str)


@app.agent(zone_names)
async def learn(stream):
    async for zone, name in stream.items():
        zones[zone] = name


@app.agent(trips)
async def name_trips(stream):
    async for trip, zone in stream.items():
        await named.send(value=f"{trip} in {zones[zone] or '?'}")


if __name__ == "__main__":
    app.main()
