"""The steps of a stream: processors, filter, enumerate, through, take, events; agents as sinks of each other."""

import os

import faust

app = faust.App("steps", broker=os.environ.get("BROKER", "kafka://localhost:9092"), topic_partitions=1)
numbers = app.topic("numbers", key_type=str, value_type=int)
even = app.topic("even", key_type=str, value_type=int)
found = app.topic("found", key_type=str, value_type=int)
batches = app.topic("batches", value_type=list)


def add_hundred(value):
    return value + 100


@app.agent(numbers)
async def keep_even(stream):
    async for value in stream.through(even).filter(lambda value: value % 2 == 0):
        await found.send(key="even", value=value)


@app.agent(numbers)
async def gather(stream):
    stream.add_processor(add_hundred)
    async for values in stream.take(4, within=1):
        await batches.send(value=values)


@app.agent(numbers)
async def number_them(stream):
    async for index, value in stream.enumerate(start=10):
        if value == 3:
            await found.send(key="index", value=index)


@app.agent(value_type=int)
async def last(stream):
    async for value in stream:
        await found.send(key="last", value=value)


@app.agent(value_type=int, sink=[last])
async def halve(stream):
    async for value in stream:
        if value % 2:
            raise ValueError("an odd number cannot be halved")
        yield value // 2


@app.agent(numbers)
async def forward(stream):
    async for event in stream.events():
        if event.value in {5, 6}:
            await event.forward("forwarded")
            await halve.send(value=event.value)


if __name__ == "__main__":
    app.main()
