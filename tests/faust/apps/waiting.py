"""An agent that waits for someone else with a table in its hands, and another one that does not."""

import asyncio
import os
from pathlib import Path

import faust

app = faust.App("waiting", broker=os.environ.get("BROKER", "kafka://localhost:9092"), topic_partitions=1)
calls = app.topic("calls", value_type=str)
others = app.topic("others", value_type=str)
answered = app.topic("answered", value_type=str)
passed = app.topic("passed", value_type=str)
asked = app.Table("asked", default=int)


@app.agent(calls)
async def call(stream):
    async for name in stream:
        asked[name] += 1
        while not Path("answer").exists():
            await asyncio.sleep(0.02)
        asked["all"] += 1
        await answered.send(value=f"{name} {asked[name]}, {asked['all']} of all, {sorted(asked)}")


@app.agent(others)
async def pass_on(stream):
    async for name in stream:
        await passed.send(value=name)


if __name__ == "__main__":
    app.main()
