"""What runs by itself: timers, a crontab, a task, and a channel in memory between them and an agent."""

import os

import faust

app = faust.App("clock", broker=os.environ.get("BROKER", "kafka://localhost:9092"), topic_partitions=1)
ticks = app.topic("ticks", key_type=str, value_type=int)
inside = app.channel(value_type=int)
ticked = app.Table("ticked", default=int)
seen = 0


@app.agent(inside)
async def doubled(stream):
    async for value in stream:
        await ticks.send(key="doubled", value=value * 2)


@app.agent(ticks)
async def remember(stream):
    async for key, _value in stream.items():
        ticked[key] += 1


@app.task
async def once():
    await ticks.send(key="task", value=1)


@app.timer(interval=0.2)
async def tick():
    global seen
    seen += 1
    await inside.send(value=seen)


@app.timer(interval=0.3)
async def look():
    await ticks.send(key="table", value=ticked["task"])


@app.crontab("* * * * * *")
async def cron():
    await ticks.send(key="crontab", value=1)


if __name__ == "__main__":
    app.main()
