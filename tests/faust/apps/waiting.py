"""An agent that waits for someone else, and another one that does not."""

import asyncio
import os
from pathlib import Path

import faust

app = faust.App("waiting", broker=os.environ.get("BROKER", "kafka://localhost:9092"), topic_partitions=1)
calls = app.topic("calls", value_type=str)
others = app.topic("others", value_type=str)
answered = app.topic("answered", value_type=str)
passed = app.topic("passed", value_type=str)


@app.agent(calls)
async def call(stream):
    async for name in stream:
        while not Path("answer").exists():
            await asyncio.sleep(0.02)
        await answered.send(value=name)


@app.agent(others)
async def pass_on(stream):
    async for name in stream:
        await passed.send(value=name)


if __name__ == "__main__":
    app.main()
